//! The types that an operation and its gate exchange: arrivals, outcomes and states.
//!
//! It owns no behaviour.

use std::task::Waker;

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    limits::{Expiry, LimitEnforcer, wait_policy::WaitPolicy},
    line::Ticket,
    rejection::Rejection,
};

/// An operation at the gate.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) cost: usize,
    pub(crate) policy: &'a WaitPolicy,
    /// The limit that has passed already, if any.
    pub(crate) expired: Option<Expiry>,
    pub(crate) when_full: WhenFull,
    /// Whether it stands in front of the gate instead of being rejected, as long as that is full. For that it needs a waker.
    pub(crate) stands: bool,
}

/// What to do with an operation that cannot be admitted at once.
#[derive(Debug)]
pub(crate) enum WhenFull {
    /// Reject it.
    Reject,
    /// Ask for its waker if there is room to wait, or it is to stand there: it has not been cloned yet.
    AskForWaker,
    /// Queue it with this waker if there is room to wait. The runtime is given if its wait may have a limit.
    Join(Option<Waker>, Option<Id>),
}

/// The outcome of an arrival.
#[derive(Debug)]
pub(crate) enum ArrivalOutcome {
    Admitted,
    Queued {
        ticket: Ticket,
        since: Instant,
        enforcer: LimitEnforcer,
    },
    /// It has not arrived: it stands in front of the full gate, and will be woken.
    Standing(Ticket),
    /// Nothing has changed: the operation must wait, and arrive again with a waker.
    NeedsWaker,
    Rejected(Rejection),
}

/// The state of a waiter.
#[derive(Debug)]
pub(crate) enum WaiterState<T> {
    /// It has left the line, with this outcome.
    Settled(T),
    /// It is in the line, and its limit is enforced like this.
    Waiting(LimitEnforcer),
}
