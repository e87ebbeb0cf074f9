//! A sequential reference of the engine's rules: a queue and plain integers. It shares no logic with the
//! engine.

use std::collections::{BTreeSet, VecDeque};

use super::{
    EventKind, Phase,
    history::{Event, Limit, Operation, Outcome, Record, Refusal, View},
};
use crate::core::gate::counts::{Peaks, Totals};

#[derive(Clone, Debug)]
struct Waiter {
    id: usize,
    cost: usize,
    waker: usize,
}

/// A waiter that was admitted or rejected and has not been polled since.
#[derive(Clone, Debug)]
struct Settled {
    id: usize,
    cost: usize,
    outcome: Result<(), Refusal>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    capacity: usize,
    room: usize,
    weighted: bool,
    used: usize,
    in_flight: usize,
    line: VecDeque<Waiter>,
    settled: Vec<Settled>,
    phase: Phase,
    drain_wakers: Vec<usize>,
    closing_wakers: Vec<usize>,
    subscribed: bool,
    sequence: u64,
    totals: Totals,
    peaks: Peaks,
    pub(super) woken: BTreeSet<usize>,
    /// The events of the current operation.
    events: Vec<Event>,
}

impl Reference {
    /// Creates a gate that has finished `past` operations of one unit, one after another.
    pub(super) fn new(capacity: usize, room: usize, weighted: bool, past: u64) -> Self {
        let totals = Totals {
            admitted: past,
            admitted_units: past,
            finished: past,
            finished_units: past,
            ..Totals::default()
        };
        let peak = past.min(1) as usize;
        let peaks = Peaks { used: peak, in_flight: peak, ..Peaks::default() };
        Self { capacity, room, weighted, totals, peaks, ..Self::default() }
    }

    /// Applies a recorded operation and returns whether the result and the events are the same.
    pub(super) fn agrees_with(&mut self, record: &Record) -> bool {
        self.events.clear();
        self.apply(&record.operation) == record.outcome && self.events == record.events
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        match *operation {
            Operation::Arrive { id, cost, waits, expired } => self.arrive(id, cost, waits, expired),
            Operation::Poll { id, waker } => match self.waiter(id) {
                Some(at) => {
                    self.line[at].waker = waker;
                    Outcome::Waits
                }
                None => self.collect(id),
            },
            Operation::Expire { id, limit } => {
                let waiter = self.waiter(id).and_then(|at| self.line.remove(at));
                if let Some(Waiter { id, cost, waker }) = waiter {
                    self.totals.expired += 1;
                    self.totals.expired_by_deadline += u64::from(limit == Limit::Deadline);
                    self.emit(EventKind::Expired, Some(cost), true);
                    self.woken.insert(waker);
                    let outcome = Err(Refusal::Expired(limit));
                    self.settled.push(Settled { id, cost, outcome });
                    self.settle();
                }
                Outcome::Done
            }
            Operation::Cancel { id } => {
                if let Some(at) = self.waiter(id) {
                    let cost = self.line.remove(at).map(|waiter| waiter.cost);
                    self.totals.cancelled += 1;
                    self.emit(EventKind::Cancelled, cost, true);
                    self.settle();
                } else if let Settled { cost, outcome: Ok(()), .. } = self.take_settled(id) {
                    self.abandon(cost, true);
                }
                Outcome::Done
            }
            Operation::Release { cost } => {
                self.release(cost);
                Outcome::Done
            }
            Operation::CutShort { cost } => {
                self.totals.cut_short += 1;
                self.totals.cut_short_units += cost as u64;
                self.release(cost);
                Outcome::Done
            }
            Operation::Abandon { cost, by_deadline } => {
                self.totals.abandoned_by_deadline += u64::from(by_deadline);
                self.abandon(cost, false);
                Outcome::Done
            }
            Operation::Resize { capacity } => self.change(capacity, self.room, EventKind::Resized),
            Operation::Reconfigure { capacity, room } => {
                self.change(capacity, room, EventKind::Reconfigured)
            }
            Operation::Pause => {
                if self.phase == Phase::Open {
                    self.phase = Phase::Paused;
                    self.emit(EventKind::Paused, None, false);
                }
                Outcome::Done
            }
            Operation::Resume => {
                if self.phase == Phase::Paused {
                    self.phase = Phase::Open;
                    self.emit(EventKind::Resumed, None, false);
                    self.settle();
                }
                Outcome::Done
            }
            Operation::Drain => {
                if !self.phase.turns_away() {
                    self.phase = Phase::Draining;
                    self.emit_affecting(EventKind::Draining);
                    self.woken.extend(self.closing_wakers.drain(..));
                    self.settle();
                }
                Outcome::Done
            }
            Operation::Close => self.close(),
            Operation::Snapshot => {
                self.sequence += 1;
                Outcome::Snapshot(Box::new(self.view()))
            }
            Operation::Subscribe(subscribed) => {
                self.subscribed = subscribed;
                Outcome::Done
            }
            Operation::JoinDrain { waker } => {
                let is_drained = self.phase == Phase::Drained;
                if !is_drained {
                    self.drain_wakers.push(waker);
                }
                Outcome::IsReached(is_drained)
            }
            Operation::JoinClosing { waker } => {
                let is_closing = self.phase.turns_away();
                if !is_closing {
                    self.closing_wakers.push(waker);
                }
                Outcome::IsReached(is_closing)
            }
        }
    }

    fn arrive(&mut self, id: usize, cost: usize, waits: bool, expired: Option<Limit>) -> Outcome {
        let waiting = self.line.len();
        let is_paused = self.phase.is_paused();
        Outcome::Refused(if self.phase.turns_away() {
            self.totals.closed_before_queue += 1;
            self.emit(EventKind::ClosedRejection, Some(cost), false);
            Refusal::Closed
        } else if cost == 0 {
            self.totals.invalid_cost += 1;
            Refusal::InvalidCost
        } else if cost > self.capacity {
            self.totals.oversized += 1;
            Refusal::Oversized { capacity: self.capacity }
        } else if let Some(limit) = expired {
            self.totals.expired_before_queue += 1;
            self.totals.expired_before_queue_by_deadline += u64::from(limit == Limit::Deadline);
            self.emit(EventKind::Expired, Some(cost), false);
            Refusal::Expired(limit)
        } else if !is_paused && waiting == 0 && self.used + cost <= self.capacity {
            self.admit(cost, false);
            return Outcome::Admitted;
        } else if is_paused && (!waits || waiting >= self.room) {
            self.totals.paused += 1;
            self.emit(EventKind::PausedRejection, Some(cost), false);
            Refusal::Paused
        } else if !waits || waiting >= self.room {
            self.totals.saturated += 1;
            self.emit(EventKind::Saturated, Some(cost), false);
            Refusal::Saturated {
                used: self.used,
                capacity: self.capacity,
                waiting,
                room: self.room,
            }
        } else {
            self.line.push_back(Waiter { id, cost, waker: id });
            self.totals.queued += 1;
            self.totals.queued_units += cost as u64;
            self.peaks.waiting = self.peaks.waiting.max(self.line.len());
            self.peaks.waiting_units = self.peaks.waiting_units.max(self.waiting_units());
            self.emit(EventKind::Queued, Some(cost), true);
            return Outcome::Waits;
        })
    }

    fn admit(&mut self, cost: usize, from_queue: bool) {
        self.used += cost;
        self.in_flight += 1;
        self.totals.admitted += 1;
        self.totals.admitted_units += cost as u64;
        if from_queue {
            self.totals.admitted_from_queue += 1;
            self.totals.admitted_from_queue_units += cost as u64;
        }
        self.peaks.used = self.peaks.used.max(self.used);
        self.peaks.in_flight = self.peaks.in_flight.max(self.in_flight);
        self.emit(EventKind::Admitted, Some(cost), from_queue);
    }

    fn release(&mut self, cost: usize) {
        self.used -= cost;
        self.in_flight -= 1;
        self.totals.finished += 1;
        self.totals.finished_units += cost as u64;
        self.emit(EventKind::Released, Some(cost), false);
        self.settle();
    }

    fn abandon(&mut self, cost: usize, from_queue: bool) {
        self.used -= cost;
        self.in_flight -= 1;
        self.totals.abandoned += 1;
        self.totals.abandoned_units += cost as u64;
        self.emit(EventKind::Abandoned, Some(cost), from_queue);
        self.settle();
    }

    fn change(&mut self, capacity: usize, room: usize, kind: EventKind) -> Outcome {
        if self.phase.is_closed() {
            return Outcome::Refused(Refusal::Closed);
        }
        if (capacity, room) == (self.capacity, self.room) {
            return Outcome::Done;
        }
        let largest = self.line.iter().map(|waiter| waiter.cost).max().unwrap_or(0);
        if self.weighted && largest > capacity {
            return Outcome::Refused(Refusal::BelowQueuedCost(largest));
        }
        let previous = (self.capacity, self.room);
        (self.capacity, self.room) = (capacity, room);
        self.emit(kind, None, false);
        if let Some(event) = self.events.last_mut() {
            event.previous = Some(previous);
        }
        self.settle();
        Outcome::Done
    }

    fn close(&mut self) -> Outcome {
        if self.phase.is_closed() {
            return Outcome::Done;
        }
        self.phase = Phase::Closed;
        self.emit_affecting(EventKind::Closed);
        self.woken.extend(self.closing_wakers.drain(..));
        while let Some(Waiter { id, cost, waker }) = self.line.pop_front() {
            self.woken.insert(waker);
            self.settled.push(Settled { id, cost, outcome: Err(Refusal::Closed) });
            self.totals.closed_while_waiting += 1;
            self.emit(EventKind::ClosedRejection, Some(cost), true);
        }
        self.settle();
        Outcome::Done
    }

    /// Applies the consequences of a change: admits from the head of the line while it fits, closes a draining gate without a
    /// line, and drains a closed gate that has nothing in flight.
    fn settle(&mut self) {
        let fits = |head: &Waiter, used, capacity| used + head.cost <= capacity;
        while !self.phase.is_paused()
            && self.line.front().is_some_and(|head| fits(head, self.used, self.capacity))
        {
            let Some(Waiter { id, cost, waker }) = self.line.pop_front() else { return };
            self.woken.insert(waker);
            self.settled.push(Settled { id, cost, outcome: Ok(()) });
            self.admit(cost, true);
        }
        if self.phase.is_draining() && self.line.is_empty() {
            self.phase = Phase::Closed;
            self.emit(EventKind::Closed, None, false);
        }
        if self.phase == Phase::Closed && self.in_flight == 0 {
            self.phase = Phase::Drained;
            self.woken.extend(self.drain_wakers.drain(..));
            self.emit(EventKind::Drained, None, false);
        }
    }

    fn waiter(&self, id: usize) -> Option<usize> {
        self.line.iter().position(|waiter| waiter.id == id)
    }

    /// Polls a waiter that was admitted or rejected.
    fn collect(&mut self, id: usize) -> Outcome {
        match self.take_settled(id).outcome {
            Ok(()) => Outcome::Admitted,
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Removes a settled waiter.
    fn take_settled(&mut self, id: usize) -> Settled {
        let at = self.settled.iter().position(|settled| settled.id == id);
        self.settled.swap_remove(at.expect("a waiter is in the line or settled"))
    }

    fn waiting_units(&self) -> usize {
        self.line.iter().map(|waiter| waiter.cost).sum()
    }

    fn emit(&mut self, kind: EventKind, cost: Option<usize>, from_queue: bool) {
        if !self.subscribed {
            return;
        }
        self.sequence += 1;
        self.events.push(Event {
            kind,
            sequence: self.sequence,
            capacity: self.capacity,
            room: self.room,
            used: self.used,
            in_flight: self.in_flight,
            waiting: self.line.len(),
            phase: self.phase,
            cost,
            from_queue,
            affected_waiters: 0,
            previous: None,
        });
    }

    /// Emits an event that says how many wait.
    fn emit_affecting(&mut self, kind: EventKind) {
        self.emit(kind, None, false);
        let affected = self.line.len();
        if let Some(event) = self.events.last_mut() {
            event.affected_waiters = affected;
        }
    }

    fn view(&self) -> View {
        View {
            sequence: self.sequence,
            capacity: self.capacity,
            room: self.room,
            used: self.used,
            in_flight: self.in_flight,
            waiting: self.line.len(),
            waiting_units: self.waiting_units(),
            phase: self.phase,
            is_under_pressure: !self.line.is_empty() && !self.phase.is_paused(),
            totals: self.totals,
            peaks: self.peaks,
        }
    }
}
