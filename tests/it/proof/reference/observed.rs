//! Rejection reasons and events of the crate, as values that the reference can create too.

use std::time::Duration;

use bulklink::{BulkheadEvent, EventKind, RejectionReason};

use super::bulkhead::Phase;

/// A `RejectionReason`, which only the crate can create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Closed,
    Paused,
    InvalidCost,
    CostExceedsCapacity { cost: usize, capacity: usize },
    Deadline(Duration),
    WaitLimit { waited: Duration, limit: Duration },
    Saturated { cost: usize, used: usize, capacity: usize, waiting: usize, room: usize },
    PartitionLimit { max: usize, active: usize },
    KeyRefused,
    MissingKey,
    InvalidLimits,
    LimitsPanicked,
}

impl From<&RejectionReason> for Reason {
    fn from(reason: &RejectionReason) -> Self {
        match *reason {
            RejectionReason::Closed => Self::Closed,
            RejectionReason::Paused => Self::Paused,
            RejectionReason::InvalidCost => Self::InvalidCost,
            RejectionReason::CostExceedsCapacity { cost, capacity, .. } => {
                Self::CostExceedsCapacity { cost, capacity }
            }
            RejectionReason::Deadline { waited, .. } => Self::Deadline(waited),
            RejectionReason::WaitLimit { waited, limit, .. } => Self::WaitLimit { waited, limit },
            RejectionReason::Saturated { cost, used, capacity, waiting, waiting_room, .. } => {
                Self::Saturated { cost, used, capacity, waiting, room: waiting_room }
            }
            RejectionReason::PartitionLimit { max_partitions, active_partitions, .. } => {
                Self::PartitionLimit { max: max_partitions, active: active_partitions }
            }
            RejectionReason::KeyRefused => Self::KeyRefused,
            RejectionReason::MissingKey => Self::MissingKey,
            RejectionReason::InvalidLimits { .. } => Self::InvalidLimits,
            RejectionReason::LimitsPanicked => Self::LimitsPanicked,
            ref other => panic!("the reference does not know {other:?}"),
        }
    }
}

/// A `BulkheadEvent` without its sequence number and its time, which no reference can predict.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ObservedEvent {
    pub(crate) kind: EventKind,
    pub(crate) capacity: usize,
    pub(crate) room: usize,
    pub(crate) wait_limit: Option<Duration>,
    pub(crate) used: usize,
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
    pub(crate) phase: Phase,
    pub(crate) cost: Option<usize>,
    pub(crate) from_queue: bool,
    pub(crate) waited: Option<Duration>,
    pub(crate) affected: usize,
    pub(crate) previous_capacity: Option<usize>,
    /// The capacity, the room and the wait limit before.
    pub(crate) previous: Option<(usize, usize, Option<Duration>)>,
}

/// Returns the phase that a status or an event shows.
#[track_caller]
pub(crate) fn phase(is_paused: bool, is_draining: bool, is_closed: bool) -> Phase {
    match (is_paused, is_draining, is_closed) {
        (false, false, false) => Phase::Open,
        (true, false, false) => Phase::Paused,
        (false, true, false) => Phase::Draining,
        (false, false, true) => Phase::Closed,
        phases => panic!("in more than one phase: {phases:?}"),
    }
}

impl From<&BulkheadEvent> for ObservedEvent {
    fn from(event: &BulkheadEvent) -> Self {
        Self {
            kind: event.kind,
            capacity: event.capacity,
            room: event.waiting_room,
            wait_limit: event.wait_limit,
            used: event.used,
            in_flight: event.in_flight,
            waiting: event.waiting,
            phase: phase(event.is_paused, event.is_draining, event.is_closed),
            cost: event.cost,
            from_queue: event.from_queue,
            waited: event.waited,
            affected: event.affected_waiters,
            previous_capacity: event.previous_capacity,
            previous: event.previous.map(|was| (was.capacity, was.waiting_room, was.wait_limit)),
        }
    }
}
