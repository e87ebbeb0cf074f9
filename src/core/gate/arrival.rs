//! What is said between an operation and its gate.

use std::{task::Waker, time::Duration};

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    line::Ticket,
    rejection::{Rejection, reason::RejectionReason},
};

/// An operation at the gate.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) cost: usize,
    /// Which limit had passed already.
    pub(crate) expired: Option<Expiry>,
    pub(crate) patience: Patience,
}

/// Whether an operation waits if it must.
#[derive(Debug)]
pub(crate) enum Patience {
    /// It does not.
    None,
    /// It does, and would rather not clone its waker in vain: ask again if there is need.
    Unprepared,
    /// It does, with this waker, and in this runtime if its limit is the gate's own.
    Prepared(Option<Waker>, Option<Id>),
}

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

/// What became of an arrival.
#[derive(Debug)]
pub(crate) enum Arrived {
    Admitted,
    Waits {
        ticket: Ticket,
        since: Instant,
        keeping: Keeping,
    },
    /// Nothing happened: it must wait, and was unprepared.
    MustPrepare,
    Refused(Rejection),
}

/// Who sees to it that a wait ends when its limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The waiter, if it has a limit.
    Own,
    /// The alarm of the line.
    Alarm,
    /// The alarm that the waiter is to bring.
    NewAlarm,
}

/// What a waiter finds.
#[derive(Debug)]
pub(crate) enum Looked<T> {
    /// It is out of the line.
    Called(T),
    Waits(Keeping),
}

/// Why a capacity cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResizeRefusal {
    Closed,
    /// The line holds an operation of this cost, which could never be admitted.
    BelowQueuedCost(u32),
}
