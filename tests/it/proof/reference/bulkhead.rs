//! The reference for one bulkhead: admission as the contract describes it.
//!
//! It is written to be read next to the contract, and consists of a queue, a map and plain integers. It has
//! no lock and no waker, counts everything instead of deriving it, and shares nothing with the crate except
//! the types of the numbers that a status shows.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bulklink::{EventKind, Peaks, Totals};

use super::observed::{ObservedEvent, Reason};

/// The identity of an operation.
pub(crate) type Id = usize;

/// The terms on which an operation arrives. Times are counted from the start of the case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) cost: usize,
    /// Whether it may wait.
    pub(crate) waits: bool,
    /// The longest time it may wait.
    pub(crate) limit: Option<Duration>,
    /// The time before which it must be admitted.
    pub(crate) deadline: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Admitted,
    Waits,
    Rejected(Reason),
}

/// How work that has started ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkEnd {
    /// With an output, a response or an error, or by the drop of its slot.
    Completed,
    /// Its future was dropped or has panicked.
    CutShort,
}

/// Why an operation leaves before it has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaveReason {
    Dropped,
    /// It was admitted, and then called with a request whose deadline has passed.
    Late,
}

/// New settings; what is `None` stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) capacity: Option<usize>,
    pub(crate) room: Option<usize>,
    pub(crate) wait_limit: Option<Option<Duration>>,
}

/// Returns the reason of an operation that has expired before it arrived.
pub(super) fn late(by_deadline: bool) -> Reason {
    match by_deadline {
        true => Reason::Deadline(Duration::ZERO),
        false => Reason::WaitLimit { waited: Duration::ZERO, limit: Duration::ZERO },
    }
}

/// What a bulkhead does with operations. A phase is followed by later ones only, but for a pause, which may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    Paused,
    Draining,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    id: Id,
    cost: usize,
    since: Duration,
    end: Option<End>,
}

/// When a waiter expires.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Duration,
    /// Whether its deadline passes then, and not its wait limit.
    by_deadline: bool,
}

/// An admitted operation that has not released its units.
#[derive(Clone, Copy, Debug)]
struct Running {
    cost: usize,
    /// When it joined the line, if it did.
    joined: Option<Duration>,
    admitted_at: Duration,
    /// Since when its hold is timed, if it always is: an operation from the line that knows of its admission.
    timed_since: Option<Duration>,
}

/// How long the operations from the line held their units, which are all timed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holds {
    /// Of completed operations.
    pub(crate) completed: u64,
    pub(crate) time: Duration,
    /// Cost times hold, also of operations that were cut short.
    pub(crate) unit_time: Duration,
    /// Ended operations that did not wait, which are timed now and then.
    pub(crate) untimed: u64,
    /// Those of them that were cut short.
    pub(crate) untimed_cut_short: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: Duration,
    pub(crate) capacity: usize,
    pub(crate) room: usize,
    /// The limit of every waiter that joins from now on. In a partition it is part of the terms.
    pub(crate) wait_limit: Option<Duration>,
    pub(crate) phase: Phase,
    is_drained: bool,
    /// Whether it is the partition of a key that is refused.
    is_refused: bool,
    line: VecDeque<Waiter>,
    running: BTreeMap<Id, Running>,
    /// Waiters that were rejected, by the close or because a limit has passed, and that have not been polled since.
    rejected: Vec<(Id, Reason)>,
    pub(crate) totals: Totals,
    pub(crate) peaks: Peaks,
    /// When the current period of pressure began.
    pub(crate) pressed_since: Option<Duration>,
    /// The wait of each waiter that was admitted.
    pub(crate) waits: Vec<Duration>,
    /// The wait of each waiter that was cancelled.
    pub(crate) patience: Vec<Duration>,
    pub(crate) holds: Holds,
    /// When a waiter was last admitted. In a partition, one that is polled later than another was admitted is timed from then
    /// on.
    last_hand_over: Duration,
    pub(crate) is_partition: bool,
    /// All events that the driver has not compared yet, in order.
    pub(crate) events: Vec<ObservedEvent>,
    /// Waiters that were admitted or rejected by the close and that the driver has not compared yet, in order.
    pub(crate) called: Vec<Id>,
}

impl Model {
    pub(crate) fn new(capacity: usize, room: usize) -> Self {
        Self {
            now: Duration::ZERO,
            capacity,
            room,
            wait_limit: None,
            phase: Phase::Open,
            is_drained: false,
            is_refused: false,
            line: VecDeque::new(),
            running: BTreeMap::new(),
            rejected: Vec::new(),
            totals: Totals::default(),
            peaks: Peaks::default(),
            pressed_since: None,
            waits: Vec::new(),
            patience: Vec::new(),
            holds: Holds::default(),
            last_hand_over: Duration::ZERO,
            is_partition: false,
            events: Vec::new(),
            called: Vec::new(),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.running.values().map(|running| running.cost).sum()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.running.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(crate) fn waiting_units(&self) -> usize {
        self.line.iter().map(|waiter| waiter.cost).sum()
    }

    /// Whether any operation uses the bulkhead.
    pub(crate) fn is_in_use(&self) -> bool {
        !(self.running.is_empty() && self.line.is_empty() && self.rejected.is_empty())
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.phase == Phase::Closed && self.running.is_empty()
    }

    fn record(&mut self, kind: EventKind, detail: impl FnOnce(&mut ObservedEvent)) {
        let mut event = ObservedEvent {
            kind,
            capacity: self.capacity,
            room: self.room,
            wait_limit: self.wait_limit,
            used: self.used(),
            in_flight: self.in_flight(),
            waiting: self.waiting(),
            phase: self.phase,
            cost: None,
            from_queue: false,
            waited: None,
            affected: 0,
            previous_capacity: None,
            previous: None,
        };
        detail(&mut event);
        self.events.push(event);
    }

    /// Decides an arrival by the table of section 3 of the contract, row by row.
    pub(crate) fn arrive(&mut self, id: Id, terms: Terms) -> Outcome {
        let Terms { cost, waits, limit, deadline } = terms;
        let capacity = self.capacity;
        if self.phase >= Phase::Draining {
            self.totals.closed_before_queue += 1;
            self.record(EventKind::ClosedRejection, |event| event.cost = Some(cost));
            return Outcome::Rejected(Reason::Closed);
        }
        if self.is_refused {
            self.totals.key_refused += 1;
            return Outcome::Rejected(Reason::KeyRefused);
        }
        if cost == 0 {
            self.totals.invalid_cost += 1;
            return Outcome::Rejected(Reason::InvalidCost);
        }
        if cost > capacity {
            self.totals.oversized += 1;
            return Outcome::Rejected(Reason::CostExceedsCapacity { cost, capacity });
        }
        let is_late = deadline.is_some_and(|deadline| self.now >= deadline);
        if is_late || limit == Some(Duration::ZERO) {
            self.totals.expired_before_queue += 1;
            if is_late {
                self.totals.expired_before_queue_by_deadline += 1;
            }
            self.record(EventKind::Expired, |event| {
                event.cost = Some(cost);
                event.waited = Some(Duration::ZERO);
            });
            return Outcome::Rejected(late(is_late));
        }
        let is_paused = self.phase == Phase::Paused;
        if !is_paused && self.line.is_empty() && self.used() + cost <= capacity {
            self.admit(id, cost, None);
            return Outcome::Admitted;
        }
        if is_paused && (!waits || self.line.len() >= self.room) {
            self.totals.paused += 1;
            self.record(EventKind::PausedRejection, |event| event.cost = Some(cost));
            return Outcome::Rejected(Reason::Paused);
        }
        if !waits || self.line.len() >= self.room {
            self.totals.saturated += 1;
            self.record(EventKind::Saturated, |event| event.cost = Some(cost));
            let (used, waiting, room) = (self.used(), self.waiting(), self.room);
            return Outcome::Rejected(Reason::Saturated { cost, used, capacity, waiting, room });
        }
        let limit = [limit, self.wait_limit].into_iter().flatten().min();
        let limit_at = limit.map(|limit| self.now + limit);
        let end = match (limit_at, deadline) {
            (None, None) => None,
            (Some(at), None) => Some(End { at, by_deadline: false }),
            (None, Some(at)) => Some(End { at, by_deadline: true }),
            // If both end at the same instant, either reason is right. The crate reports the limit.
            (Some(limit), Some(deadline)) if limit <= deadline => {
                Some(End { at: limit, by_deadline: false })
            }
            (Some(_), Some(deadline)) => Some(End { at: deadline, by_deadline: true }),
        };
        if self.line.is_empty() && !is_paused {
            self.pressed_since = Some(self.now);
        }
        self.line.push_back(Waiter { id, cost, since: self.now, end });
        self.totals.queued += 1;
        self.totals.queued_units += cost as u64;
        self.peaks.waiting = self.peaks.waiting.max(self.waiting());
        self.peaks.waiting_units = self.peaks.waiting_units.max(self.waiting_units());
        self.record(EventKind::Queued, |event| {
            event.cost = Some(cost);
            event.from_queue = true;
        });
        Outcome::Waits
    }

    fn admit(&mut self, id: Id, cost: usize, joined: Option<Duration>) {
        self.running.insert(id, Running { cost, joined, admitted_at: self.now, timed_since: None });
        let waited = joined.map(|joined| self.now - joined);
        self.totals.admitted += 1;
        self.totals.admitted_units += cost as u64;
        if let Some(waited) = waited {
            self.totals.admitted_from_queue += 1;
            self.totals.admitted_from_queue_units += cost as u64;
            self.totals.wait_time += waited;
            self.waits.push(waited);
            self.peaks.wait = self.peaks.wait.max(waited);
            self.last_hand_over = self.now;
        }
        self.peaks.used = self.peaks.used.max(self.used());
        self.peaks.in_flight = self.peaks.in_flight.max(self.in_flight());
        self.record(EventKind::Admitted, |event| {
            event.cost = Some(cost);
            event.from_queue = waited.is_some();
            event.waited = waited;
        });
    }

    /// Called after every change: admits the head of the line while it fits, closes one that has served its line, and drains a
    /// closed bulkhead.
    fn settle(&mut self) {
        while let Some(&head) = self.line.front() {
            if self.phase == Phase::Paused || self.used() + head.cost > self.capacity {
                break;
            }
            self.line.pop_front();
            self.called.push(head.id);
            self.admit(head.id, head.cost, Some(head.since));
        }
        if self.line.is_empty() {
            self.end_pressure();
            if self.phase == Phase::Draining {
                self.phase = Phase::Closed;
                self.record(EventKind::Closed, |_| {});
            }
        }
        if self.is_drained() && !self.is_drained {
            self.is_drained = true;
            self.record(EventKind::Drained, |_| {});
        }
    }

    fn end_pressure(&mut self) {
        if let Some(since) = self.pressed_since.take() {
            self.totals.pressure_time += self.now - since;
        }
    }

    pub(crate) fn pause(&mut self) {
        if self.phase == Phase::Open {
            self.end_pressure();
            self.phase = Phase::Paused;
            self.record(EventKind::Paused, |_| {});
        }
    }

    pub(crate) fn resume(&mut self) {
        if self.phase == Phase::Paused {
            self.end_pause(Phase::Open);
            self.record(EventKind::Resumed, |_| {});
            self.settle();
        }
    }

    pub(crate) fn drain(&mut self) {
        if self.phase < Phase::Draining {
            self.end_pause(Phase::Draining);
            let affected = self.waiting();
            self.record(EventKind::Draining, |event| event.affected = affected);
            self.settle();
        }
    }

    fn end_pause(&mut self, next: Phase) {
        if self.phase == Phase::Paused && !self.line.is_empty() {
            self.pressed_since = Some(self.now);
        }
        self.phase = next;
    }

    /// Returns the outcome of a waiter that is polled.
    pub(crate) fn poll_waiter(&mut self, id: Id) -> Outcome {
        if let Some(running) = self.running.get_mut(&id) {
            let since = if self.is_partition { self.last_hand_over } else { running.admitted_at };
            running.timed_since.get_or_insert(since);
            return Outcome::Admitted;
        }
        if let Some(at) = self.rejected.iter().position(|&(rejected, _)| rejected == id) {
            return Outcome::Rejected(self.rejected.remove(at).1);
        }
        assert!(self.line.iter().any(|waiter| waiter.id == id), "nobody knows operation {id}");
        Outcome::Waits
    }

    /// Goes on to this time. Whoever has waited as long as it may is no longer in the line, polled or not. Returns them.
    pub(crate) fn advance_to(&mut self, now: Duration) -> Vec<Id> {
        self.now = now;
        let end_of = |waiter: &Waiter| waiter.end.filter(|end| end.at <= now);
        let mut due: Vec<_> =
            self.line.iter().filter_map(|waiter| Some((*waiter, end_of(waiter)?))).collect();
        due.sort_by_key(|(_, end)| end.at);
        for &(waiter, end) in &due {
            let waited = now - waiter.since;
            self.line.retain(|other| other.id != waiter.id);
            self.totals.expired += 1;
            self.totals.expired_wait_time += waited;
            if end.by_deadline {
                self.totals.expired_by_deadline += 1;
            }
            self.record(EventKind::Expired, |event| {
                event.cost = Some(waiter.cost);
                event.from_queue = true;
                event.waited = Some(waited);
            });
            let reason = match end.by_deadline {
                true => Reason::Deadline(waited),
                false => Reason::WaitLimit { waited, limit: end.at - waiter.since },
            };
            self.rejected.push((waiter.id, reason));
        }
        if !due.is_empty() {
            self.settle();
        }
        due.into_iter().map(|(waiter, _)| waiter.id).collect()
    }

    /// Ends an operation that has started: it has completed, or was cut short.
    pub(crate) fn release(&mut self, id: Id, end: WorkEnd) {
        let Running { cost, timed_since, .. } = self.running.remove(&id).unwrap();
        self.totals.finished += 1;
        self.totals.finished_units += cost as u64;
        if end == WorkEnd::CutShort {
            self.totals.cut_short += 1;
            self.totals.cut_short_units += cost as u64;
        }
        match timed_since.map(|since| self.now - since) {
            None => {
                self.holds.untimed += 1;
                self.holds.untimed_cut_short += u64::from(end == WorkEnd::CutShort);
            }
            Some(held) => {
                self.holds.unit_time += held * cost as u32;
                if end == WorkEnd::Completed {
                    self.holds.completed += 1;
                    self.holds.time += held;
                }
            }
        }
        self.record(EventKind::Released, |event| event.cost = Some(cost));
        self.settle();
    }

    /// Drops an operation that has not started: from the line, or after its admission.
    pub(crate) fn leave(&mut self, id: Id, reason: LeaveReason) {
        if let Some(at) = self.line.iter().position(|waiter| waiter.id == id) {
            let waiter = self.line.remove(at).unwrap();
            let waited = self.now - waiter.since;
            self.totals.cancelled += 1;
            self.totals.cancelled_wait_time += waited;
            self.patience.push(waited);
            self.record(EventKind::Cancelled, |event| {
                event.cost = Some(waiter.cost);
                event.from_queue = true;
                event.waited = Some(waited);
            });
        } else if let Some(Running { cost, joined, .. }) = self.running.remove(&id) {
            self.totals.abandoned += 1;
            self.totals.abandoned_units += cost as u64;
            if reason == LeaveReason::Late {
                self.totals.abandoned_by_deadline += 1;
            }
            let waited = joined.map(|joined| self.now - joined);
            self.record(EventKind::Abandoned, |event| {
                event.cost = Some(cost);
                event.from_queue = waited.is_some();
                event.waited = waited;
            });
        } else {
            self.rejected.retain(|&(rejected, _)| rejected != id);
        }
        self.settle();
    }

    /// Resizes, and returns whether that was possible.
    pub(crate) fn resize(&mut self, capacity: usize, weighted: bool) -> bool {
        let largest = self.line.iter().map(|waiter| waiter.cost).max().unwrap_or(0);
        if capacity == 0 || self.phase == Phase::Closed || (weighted && capacity < largest) {
            return false;
        }
        if capacity != self.capacity {
            let previous = self.capacity;
            self.capacity = capacity;
            self.record(EventKind::Resized, |event| event.previous_capacity = Some(previous));
            self.settle();
        }
        true
    }

    /// Changes what is given, and returns whether that was possible.
    pub(crate) fn reconfigure(&mut self, settings: &Settings, weighted: bool) -> bool {
        let Settings { capacity, room, wait_limit } = *settings;
        let largest = self.line.iter().map(|waiter| waiter.cost).max().unwrap_or(0);
        if capacity == Some(0)
            || wait_limit == Some(Some(Duration::ZERO))
            || self.phase == Phase::Closed
            || (weighted && capacity.is_some_and(|capacity| capacity < largest))
        {
            return false;
        }
        let previous = (self.capacity, self.room, self.wait_limit);
        self.capacity = capacity.unwrap_or(self.capacity);
        self.room = room.unwrap_or(self.room);
        self.wait_limit = wait_limit.unwrap_or(self.wait_limit);
        if (self.capacity, self.room, self.wait_limit) != previous {
            self.record(EventKind::Reconfigured, |event| {
                event.previous_capacity = Some(previous.0);
                event.previous = Some(previous);
            });
            self.settle();
        }
        true
    }

    /// Gives a partition the limits of its key, or refuses the key.
    pub(crate) fn set_limits(&mut self, limits: Option<(usize, usize)>) {
        if self.phase != Phase::Closed {
            self.is_refused = limits.is_none();
            (self.capacity, self.room) = limits.unwrap_or((self.capacity, self.room));
            self.settle();
        }
    }

    pub(crate) fn close(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        self.phase = Phase::Closed;
        let affected = self.waiting();
        self.record(EventKind::Closed, |event| event.affected = affected);
        while let Some(waiter) = self.line.pop_front() {
            self.totals.closed_while_waiting += 1;
            self.rejected.push((waiter.id, Reason::Closed));
            self.called.push(waiter.id);
            let waited = self.now - waiter.since;
            self.record(EventKind::ClosedRejection, |event| {
                event.cost = Some(waiter.cost);
                event.from_queue = true;
                event.waited = Some(waited);
            });
        }
        self.settle();
    }
}
