//! `GateHandle`: how an operation refers to its gate.
//!
//! It owns the two traits. It does not own the handles, which are the bulkheads'.

use std::task::Waker;

use crate::core::{
    gate::{Gate, records::SharedRecords, sampling::HandOverStamps},
    limits::wait_limit::WaitLimit,
};

/// A handle through which an operation reaches its gate and its settings.
pub(crate) trait GateHandle {
    fn gate(&self) -> &Gate;

    /// Returns the label of the bulkhead.
    fn label(&self) -> &str;

    /// Returns what the gate shares with others, if it is a partition.
    fn shared(&self) -> Option<&SharedRecords>;

    /// Returns the stamps of the gate's hand-overs, unless it is a partition.
    fn stamps(&self) -> Option<&HandOverStamps>;

    /// The bulkhead's own wait limit, which bounds every wait.
    fn wait_limit(&self) -> &WaitLimit;

    /// Returns a waker that fires the gate's alarm, as long as the gate exists.
    fn alarm_waker(&self) -> Waker;
}

/// A handle that is converted into an owned one only when an operation has something to hold.
pub(crate) trait IntoOwnedHandle: GateHandle {
    /// The handle that a permit or a waiter keeps.
    type Owned: GateHandle;

    fn into_owned(self) -> Self::Owned;
}
