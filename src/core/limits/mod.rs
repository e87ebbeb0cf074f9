//! Wait limits: which limit ends a wait, and who enforces it.
//!
//! It owns the alarm of a line and its timer. It takes no lock: the gate does.

pub(in crate::core) mod alarm;
pub(in crate::core) mod alarm_state;
#[cfg_attr(all(test, bulklink_loom), path = "../models/timer.rs")]
pub(in crate::core) mod timer;

use std::time::Duration;

use tokio::runtime::{Handle, Id};

use crate::core::rejection::reason::RejectionReason;

/// Which of the two limits of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    WaitLimit,
    Deadline,
}

impl Expiry {
    pub(crate) fn reason(self, waited: Duration) -> RejectionReason {
        match self {
            Self::WaitLimit => RejectionReason::WaitLimit { waited },
            Self::Deadline => RejectionReason::Deadline { waited },
        }
    }
}

/// Who sees to it that a wait ends when its limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitEnforcer {
    /// The waiter, if it has a limit.
    Waiter,
    /// The alarm of the line.
    Alarm,
    /// The alarm that the waiter is to bring.
    NewAlarm,
}

/// The runtime of this thread, if there is one.
#[inline]
pub(in crate::core) fn current_runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
