//! What a random program did and what it was answered, and whether some order of one thing after
//! another explains it.

use std::collections::BTreeSet;

use super::{reference::Reference, *};
use crate::core::gate::arrival::ResizeRefusal;
use crate::core::gate::counts::{Peaks, Totals};

/// An operation as it was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Act {
    /// The waker of who joins has its number.
    Arrive {
        who: usize,
        cost: usize,
        waits: bool,
        expired: bool,
    },
    Look {
        who: usize,
        waker: usize,
    },
    Expire {
        who: usize,
    },
    Cancel {
        who: usize,
    },
    Release {
        cost: usize,
    },
    Abandon {
        cost: usize,
    },
    Resize {
        capacity: usize,
    },
    Close,
    Snapshot,
    Subscribe(bool),
    AwaitDrain {
        waker: usize,
    },
}

/// What it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Done,
    Admitted,
    Waits,
    Refused(Refusal),
    Seen(Box<View>),
    IsDrained(bool),
}

/// A refusal without the time it took.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    Closed,
    Cost,
    Expired,
    Saturated { used: usize, capacity: usize, waiting: usize, room: usize },
    BelowQueuedCost(usize),
}

/// A snapshot without the time spent in line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sequence: u64,
    pub(super) capacity: usize,
    pub(super) used: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) waiting_units: usize,
    pub(super) is_closed: bool,
    pub(super) totals: Totals,
    pub(super) peaks: Peaks,
}

impl std::hash::Hash for View {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Self { sequence, used, in_flight, waiting, is_closed, ref totals, ref peaks, .. } =
            *self;
        (sequence, used, in_flight, waiting, is_closed).hash(state);
        (totals.admitted, totals.finished, totals.queued, peaks.used).hash(state);
    }
}

/// An event without its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Event {
    pub(super) kind: EventKind,
    pub(super) sequence: u64,
    pub(super) capacity: usize,
    pub(super) used: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    pub(super) is_closed: bool,
    pub(super) cost: Option<usize>,
    pub(super) from_queue: bool,
    pub(super) affected_waiters: usize,
    pub(super) previous_capacity: Option<usize>,
}

/// One operation of one thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) act: Act,
    pub(super) outcome: Outcome,
    /// What it had the subscriber told, on its own thread.
    pub(super) events: Vec<Event>,
    /// It began after every operation with a smaller `ended`.
    pub(super) began: usize,
    pub(super) ended: usize,
}

/// Everything that one run of a program did.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// Before the threads began, and after they ended.
    pub(super) prologue: Vec<Record>,
    pub(super) threads: Vec<Vec<Record>>,
    pub(super) epilogue: Vec<Record>,
    /// The wakers that were woken.
    pub(super) woken: BTreeSet<usize>,
}

impl History {
    /// Whether some order of its operations, in keeping with the order on each thread and with what
    /// ended before something else began, has every answer, event and wake-up follow from the rules.
    pub(super) fn is_explained_from(&self, start: &Reference) -> bool {
        let mut reference = start.clone();
        self.prologue.iter().all(|record| reference.agrees(record))
            && self.has_an_order(&reference, &mut vec![0; self.threads.len()])
    }

    fn has_an_order(&self, reference: &Reference, done: &mut [usize]) -> bool {
        let next = |thread: usize, done: &[usize]| self.threads[thread].get(done[thread]);
        let mut is_complete = true;
        for thread in 0..done.len() {
            let Some(record) = next(thread, done) else { continue };
            is_complete = false;
            let has_to_wait = (0..done.len())
                .filter_map(|other| next(other, done))
                .any(|other| other.ended < record.began);
            let mut after = reference.clone();
            if has_to_wait || !after.agrees(record) {
                continue;
            }
            done[thread] += 1;
            if self.has_an_order(&after, done) {
                return true;
            }
            done[thread] -= 1;
        }
        is_complete && self.ends_well(reference.clone())
    }

    fn ends_well(&self, mut reference: Reference) -> bool {
        self.epilogue.iter().all(|record| reference.agrees(record)) && reference.woken == self.woken
    }
}

impl From<RejectionReason> for Refusal {
    fn from(reason: RejectionReason) -> Self {
        match reason {
            RejectionReason::Closed => Self::Closed,
            RejectionReason::InvalidCost | RejectionReason::CostExceedsCapacity { .. } => {
                Self::Cost
            }
            RejectionReason::WaitLimit { .. } | RejectionReason::Deadline { .. } => Self::Expired,
            RejectionReason::Saturated { used, capacity, waiting, waiting_room, .. } => {
                Self::Saturated { used, capacity, waiting, room: waiting_room }
            }
            other => panic!("no answer of the engine: {other}"),
        }
    }
}

impl From<ResizeRefusal> for Refusal {
    fn from(refusal: ResizeRefusal) -> Self {
        match refusal {
            ResizeRefusal::Closed => Self::Closed,
            ResizeRefusal::BelowQueuedCost(cost) => Self::BelowQueuedCost(cost as usize),
        }
    }
}

impl From<&Snapshot> for View {
    fn from(seen: &Snapshot) -> Self {
        let (mut totals, mut peaks) = (seen.totals, seen.peaks);
        totals.wait_time = std::time::Duration::ZERO;
        peaks.wait = std::time::Duration::ZERO;
        Self {
            sequence: seen.sequence,
            capacity: seen.capacity as usize,
            used: seen.used as usize,
            in_flight: seen.in_flight as usize,
            waiting: seen.waiting as usize,
            waiting_units: seen.waiting_units as usize,
            is_closed: seen.is_closed,
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
            capacity: change.capacity as usize,
            used: change.used as usize,
            in_flight: change.in_flight as usize,
            waiting: change.waiting as usize,
            is_closed: change.is_closed,
            cost: change.cost.map(|cost| cost as usize),
            from_queue: change.from_queue,
            affected_waiters: change.affected_waiters as usize,
            previous_capacity: change.previous_capacity.map(|capacity| capacity as usize),
        }
    }
}
