//! What is said between an operation and its gate.

use std::task::Waker;

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    limits::{Expiry, LimitEnforcer},
    line::Ticket,
    rejection::Rejection,
};

/// An operation at the gate.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) cost: usize,
    /// Which limit had passed already.
    pub(crate) expired: Option<Expiry>,
    pub(crate) when_full: WhenFull,
}

/// Whether an operation waits if it must.
#[derive(Debug)]
pub(crate) enum WhenFull {
    /// It does not.
    Reject,
    /// It does, and would rather not clone its waker in vain: ask again if there is need.
    AskForWaker,
    /// It does, with this waker, and in this runtime if its limit is the gate's own.
    Join(Option<Waker>, Option<Id>),
}

/// What became of an arrival.
#[derive(Debug)]
pub(crate) enum ArrivalOutcome {
    Admitted,
    Queued {
        ticket: Ticket,
        since: Instant,
        enforcer: LimitEnforcer,
    },
    /// Nothing happened: it must wait, and was unprepared.
    NeedsWaker,
    Rejected(Rejection),
}

/// What a waiter finds.
#[derive(Debug)]
pub(crate) enum WaiterState<T> {
    /// It is out of the line.
    Settled(T),
    Waiting(LimitEnforcer),
}

/// Why a capacity cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResizeRefusal {
    Closed,
    /// The line holds an operation of this cost, which could never be admitted.
    BelowQueuedCost(u32),
}
