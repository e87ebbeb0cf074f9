//! The history of one run of a random program, and the check that it is linearizable: some sequential
//! order of its operations explains every result.

use std::{
    collections::BTreeSet,
    hash::{Hash, Hasher},
};

use super::{reference::Reference, *};
use crate::core::gate::counts::Peaks;

/// An operation that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// If the operation joins the line, its waker has the same number.
    Arrive {
        id: usize,
        cost: usize,
        waits: bool,
        /// The limit that has passed already.
        expired: Option<Limit>,
    },
    Poll {
        id: usize,
        waker: usize,
    },
    Expire {
        id: usize,
        limit: Limit,
    },
    Cancel {
        id: usize,
    },
    Release {
        cost: usize,
    },
    CutShort {
        cost: usize,
    },
    Abandon {
        cost: usize,
        by_deadline: bool,
    },
    Resize {
        capacity: usize,
    },
    Reconfigure {
        capacity: usize,
        room: usize,
    },
    Pause,
    Resume,
    Drain,
    Close,
    Snapshot,
    Subscribe(bool),
    JoinDrain {
        waker: usize,
    },
    JoinClosing {
        waker: usize,
    },
}

/// A limit that ends a wait: [`Expiry`], with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Limit {
    Wait,
    Deadline,
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Done,
    Admitted,
    Waits,
    Refused(Refusal),
    Snapshot(Box<View>),
    IsReached(bool),
}

/// The reason for a rejection or a refused resize, without the time waited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    Closed,
    Paused,
    InvalidCost,
    Oversized { capacity: usize },
    Expired(Limit),
    Saturated { used: usize, capacity: usize, waiting: usize, room: usize },
    BelowQueuedCost(usize),
}

/// A snapshot without times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sequence: u64,
    pub(super) capacity: usize,
    pub(super) room: usize,
    pub(super) used: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) waiting_units: usize,
    pub(super) phase: Phase,
    pub(super) is_under_pressure: bool,
    pub(super) totals: Totals,
    pub(super) peaks: Peaks,
}

/// Returns all counters, without the times.
macro_rules! counters {
    ($totals:expr; $($counter:ident)*; $($time:ident)*) => {{
        let Totals { $($counter,)* $($time: _,)* } = *$totals;
        [$($counter),*]
    }};
    ($totals:expr) => {
        counters! { $totals;
            admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned
            abandoned_units abandoned_by_deadline queued queued_units saturated total_saturated expired
            expired_by_deadline expired_before_queue expired_before_queue_by_deadline cancelled
            closed_before_queue closed_while_waiting paused oversized invalid_cost partition_limited
            invalid_limits key_refused missing_key bypassed nested finished finished_units cut_short cut_short_units
            bodies_ended_early handler_panics;
            wait_time cancelled_wait_time expired_wait_time pressure_time
        }
    };
}

impl Hash for View {
    /// Of several histories with the same hash only the first is checked, so nothing is left out.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { sequence, capacity, room, used, in_flight, waiting, waiting_units, .. } = *self;
        (sequence, capacity, room, used, in_flight, waiting, waiting_units).hash(state);
        let Self { phase, is_under_pressure, ref totals, ref peaks, .. } = *self;
        (phase, is_under_pressure, counters!(totals)).hash(state);
        let Peaks { used, in_flight, waiting, waiting_units, wait: _ } = *peaks;
        (used, in_flight, waiting, waiting_units).hash(state);
    }
}

/// An event without its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) sequence: u64,
    pub(super) capacity: usize,
    pub(super) room: usize,
    pub(super) used: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) phase: Phase,
    pub(super) cost: Option<usize>,
    pub(super) from_queue: bool,
    pub(super) affected_waiters: usize,
    /// The capacity and the room before a change of them.
    pub(super) previous: Option<(usize, usize)>,
}

/// One operation of one thread, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) operation: Operation,
    pub(super) outcome: Outcome,
    /// The events that it emitted on its own thread.
    pub(super) events: Vec<Event>,
    /// The operation began after every operation whose `ended` is smaller.
    pub(super) began: usize,
    pub(super) ended: usize,
}

/// Everything that happened in one run of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// Before the threads started.
    pub(super) prologue: Vec<Record>,
    pub(super) threads: Vec<Vec<Record>>,
    /// After the threads ended.
    pub(super) epilogue: Vec<Record>,
    /// The wakers that were woken.
    pub(super) woken: BTreeSet<usize>,
}

impl History {
    /// Returns whether there is an order of the operations in which the reference gives every result, event
    /// and wake-up. The order must agree with the order on each thread, and put an operation that ended
    /// before another began first.
    pub(super) fn is_linearizable_from(&self, start: &Reference) -> bool {
        let mut reference = start.clone();
        self.prologue.iter().all(|record| reference.agrees_with(record))
            && self.has_linearization(&reference, &mut vec![0; self.threads.len()])
    }

    fn has_linearization(&self, reference: &Reference, done: &mut [usize]) -> bool {
        let next = |thread: usize, done: &[usize]| self.threads[thread].get(done[thread]);
        let mut is_complete = true;
        for thread in 0..done.len() {
            let Some(record) = next(thread, done) else { continue };
            is_complete = false;
            let is_preceded = (0..done.len())
                .filter_map(|other| next(other, done))
                .any(|other| other.ended < record.began);
            let mut after = reference.clone();
            if is_preceded || !after.agrees_with(record) {
                continue;
            }
            done[thread] += 1;
            if self.has_linearization(&after, done) {
                return true;
            }
            done[thread] -= 1;
        }
        is_complete && self.epilogue_agrees(reference.clone())
    }

    fn epilogue_agrees(&self, mut reference: Reference) -> bool {
        self.epilogue.iter().all(|record| reference.agrees_with(record))
            && reference.woken == self.woken
    }
}

impl From<RejectionReason> for Refusal {
    fn from(reason: RejectionReason) -> Self {
        match reason {
            RejectionReason::Closed => Self::Closed,
            RejectionReason::Paused => Self::Paused,
            RejectionReason::InvalidCost => Self::InvalidCost,
            RejectionReason::CostExceedsCapacity { capacity, .. } => Self::Oversized { capacity },
            RejectionReason::WaitLimit { .. } => Self::Expired(Limit::Wait),
            RejectionReason::Deadline { .. } => Self::Expired(Limit::Deadline),
            RejectionReason::Saturated { used, capacity, waiting, waiting_room, .. } => {
                Self::Saturated { used, capacity, waiting, room: waiting_room }
            }
            other => panic!("the engine never rejects with: {other}"),
        }
    }
}

impl From<Limit> for Expiry {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Wait => Self::WaitLimit,
            Limit::Deadline => Self::Deadline,
        }
    }
}

impl From<ChangeRefusal> for Refusal {
    fn from(refusal: ChangeRefusal) -> Self {
        match refusal {
            ChangeRefusal::Closed => Self::Closed,
            ChangeRefusal::BelowQueuedCost(cost) => Self::BelowQueuedCost(cost as usize),
        }
    }
}

impl From<&Snapshot> for View {
    fn from(snapshot: &Snapshot) -> Self {
        let totals = Totals {
            wait_time: Duration::ZERO,
            cancelled_wait_time: Duration::ZERO,
            expired_wait_time: Duration::ZERO,
            pressure_time: Duration::ZERO,
            ..snapshot.totals
        };
        let peaks = Peaks { wait: Duration::ZERO, ..snapshot.peaks };
        Self {
            sequence: snapshot.sequence,
            capacity: snapshot.settings.capacity as usize,
            room: snapshot.settings.room as usize,
            used: snapshot.used as usize,
            in_flight: snapshot.in_flight as usize,
            waiting: snapshot.waiting as usize,
            waiting_units: snapshot.waiting_units as usize,
            phase: snapshot.phase,
            is_under_pressure: snapshot.under_pressure_since.is_some(),
            totals,
            peaks,
        }
    }
}

impl From<&Change> for Event {
    fn from(change: &Change) -> Self {
        Self {
            kind: change.kind,
            sequence: change.sequence,
            capacity: change.settings.capacity as usize,
            room: change.settings.room as usize,
            used: change.used as usize,
            in_flight: change.in_flight as usize,
            waiting: change.waiting as usize,
            phase: change.phase,
            cost: change.cost.map(|cost| cost as usize),
            from_queue: change.from_queue,
            affected_waiters: change.affected_waiters as usize,
            previous: change.previous.map(|was| (was.capacity as usize, was.room as usize)),
        }
    }
}
