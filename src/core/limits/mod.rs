//! Wait limits: which limit ends a wait, and who enforces it.
//!
//! It owns the alarm of a line and its timer. It does not own the waiters, and takes no lock: the gate calls
//! it under its own.

pub(in crate::core) mod alarm;
pub(in crate::core) mod alarm_state;
#[cfg_attr(all(test, bulklink_loom), path = "../models/model_timer.rs")]
pub(in crate::core) mod timer;
pub(crate) mod wait_limit;
pub(crate) mod wait_policy;

use std::time::Duration;

use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use crate::core::rejection::reason::RejectionReason;

/// The limit that ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    WaitLimit,
    Deadline,
}

impl Expiry {
    /// Returns the reason of the rejection. `limit` is how long the operation was allowed to wait.
    pub(crate) fn reason(self, waited: Duration, limit: Duration) -> RejectionReason {
        match self {
            Self::WaitLimit => RejectionReason::WaitLimit { waited, limit },
            Self::Deadline => RejectionReason::Deadline { waited },
        }
    }
}

/// Who sees to it that a waiter is taken out of the line when its limit passes, and that it is woken then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitEnforcer {
    /// The alarm of the line, or nobody: the waiter has no limit.
    Line,
    /// A timer of the waiter, armed for this time.
    Waiter(Instant),
    /// An alarm that the waiter must create.
    NewAlarm,
}

/// Returns the tokio runtime of this thread, if there is one.
#[inline]
pub(in crate::core) fn current_runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
