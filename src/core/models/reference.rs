//! The rules, one thing after another: a queue and plain integers, and nothing of the engine.

use std::collections::{BTreeSet, VecDeque};

use super::{
    EventKind,
    history::{Act, Event, Outcome, Record, Refusal, View},
};
use crate::core::gate::counts::{Peaks, Totals};

#[derive(Clone, Debug)]
struct Waiter {
    who: usize,
    cost: usize,
    waker: usize,
}

/// What one has been called for who has not looked yet.
#[derive(Clone, Debug)]
struct Called {
    who: usize,
    cost: usize,
    admitted: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reference {
    capacity: usize,
    room: usize,
    weighted: bool,
    used: usize,
    in_flight: usize,
    line: VecDeque<Waiter>,
    called: Vec<Called>,
    closed: bool,
    drained: bool,
    drain_wakers: Vec<usize>,
    subscribed: bool,
    sequence: u64,
    totals: Totals,
    peaks: Peaks,
    pub(super) woken: BTreeSet<usize>,
    /// Told since the operation began.
    events: Vec<Event>,
}

impl Reference {
    /// A gate that has finished so many operations of one unit, one after another.
    pub(super) fn new(capacity: usize, room: usize, weighted: bool, age: u64) -> Self {
        let totals = Totals {
            admitted: age,
            admitted_units: age,
            finished: age,
            finished_units: age,
            ..Totals::default()
        };
        let peak = age.min(1) as usize;
        let peaks = Peaks { used: peak, in_flight: peak, ..Peaks::default() };
        Self { capacity, room, weighted, totals, peaks, ..Self::default() }
    }

    /// Does what was done, and says whether the answer and the events are the same.
    pub(super) fn agrees(&mut self, record: &Record) -> bool {
        self.events.clear();
        self.carry_out(&record.act) == record.outcome && self.events == record.events
    }

    fn carry_out(&mut self, act: &Act) -> Outcome {
        match *act {
            Act::Arrive { who, cost, waits, expired } => self.arrive(who, cost, waits, expired),
            Act::Look { who, waker } => match self.waiter(who) {
                Some(at) => {
                    self.line[at].waker = waker;
                    Outcome::Waits
                }
                None => self.collect(who),
            },
            Act::Expire { who } => match self.waiter(who) {
                Some(at) => {
                    let cost = self.line.remove(at).map(|waiter| waiter.cost);
                    self.totals.expired += 1;
                    self.tell(EventKind::Expired, cost, true);
                    self.settle();
                    Outcome::Refused(Refusal::Expired)
                }
                None => self.collect(who),
            },
            Act::Cancel { who } => {
                if let Some(at) = self.waiter(who) {
                    let cost = self.line.remove(at).map(|waiter| waiter.cost);
                    self.totals.cancelled += 1;
                    self.tell(EventKind::Cancelled, cost, true);
                    self.settle();
                } else if let Some(cost) = self.take_called(who) {
                    self.abandon(cost);
                }
                Outcome::Done
            }
            Act::Release { cost } => {
                self.used -= cost;
                self.in_flight -= 1;
                self.totals.finished += 1;
                self.totals.finished_units += cost as u64;
                self.tell(EventKind::Released, Some(cost), false);
                self.settle();
                Outcome::Done
            }
            Act::Abandon { cost } => {
                self.abandon(cost);
                Outcome::Done
            }
            Act::Resize { capacity } => self.resize(capacity),
            Act::Close => self.close(),
            Act::Snapshot => {
                self.sequence += 1;
                Outcome::Seen(Box::new(self.view()))
            }
            Act::Subscribe(subscribed) => {
                self.subscribed = subscribed;
                Outcome::Done
            }
            Act::AwaitDrain { waker } => {
                if !self.drained {
                    self.drain_wakers.push(waker);
                }
                Outcome::IsDrained(self.drained)
            }
        }
    }

    fn arrive(&mut self, who: usize, cost: usize, waits: bool, expired: bool) -> Outcome {
        let waiting = self.line.len();
        Outcome::Refused(if self.closed {
            self.totals.closed_before_queue += 1;
            self.tell(EventKind::ClosedRejection, Some(cost), false);
            Refusal::Closed
        } else if cost == 0 || cost > self.capacity {
            self.totals.oversized += 1;
            Refusal::Cost
        } else if expired {
            self.totals.expired_before_queue += 1;
            self.tell(EventKind::Expired, Some(cost), false);
            Refusal::Expired
        } else if waiting == 0 && self.used + cost <= self.capacity {
            self.admit(cost, false);
            return Outcome::Admitted;
        } else if !waits || waiting >= self.room {
            self.totals.saturated += 1;
            self.tell(EventKind::Saturated, Some(cost), false);
            Refusal::Saturated {
                used: self.used,
                capacity: self.capacity,
                waiting,
                room: self.room,
            }
        } else {
            self.line.push_back(Waiter { who, cost, waker: who });
            self.totals.queued += 1;
            self.totals.queued_units += cost as u64;
            self.peaks.waiting = self.peaks.waiting.max(self.line.len());
            self.peaks.waiting_units = self.peaks.waiting_units.max(self.waiting_units());
            self.tell(EventKind::Queued, Some(cost), false);
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
        self.tell(EventKind::Admitted, Some(cost), from_queue);
    }

    fn abandon(&mut self, cost: usize) {
        self.used -= cost;
        self.in_flight -= 1;
        self.totals.abandoned += 1;
        self.totals.abandoned_units += cost as u64;
        self.tell(EventKind::Abandoned, Some(cost), false);
        self.settle();
    }

    fn resize(&mut self, capacity: usize) -> Outcome {
        if self.closed {
            return Outcome::Refused(Refusal::Closed);
        }
        if capacity == self.capacity {
            return Outcome::Done;
        }
        let largest = self.line.iter().map(|waiter| waiter.cost).max().unwrap_or(0);
        if self.weighted && largest > capacity {
            return Outcome::Refused(Refusal::BelowQueuedCost(largest));
        }
        let previous = std::mem::replace(&mut self.capacity, capacity);
        self.tell(EventKind::Resized, None, false);
        if let Some(event) = self.events.last_mut() {
            event.previous_capacity = Some(previous);
        }
        self.settle();
        Outcome::Done
    }

    fn close(&mut self) -> Outcome {
        if self.closed {
            return Outcome::Done;
        }
        self.closed = true;
        self.tell(EventKind::Closed, None, false);
        let affected = self.line.len();
        if let Some(event) = self.events.last_mut() {
            event.affected_waiters = affected;
        }
        while let Some(Waiter { who, cost, waker }) = self.line.pop_front() {
            self.woken.insert(waker);
            self.called.push(Called { who, cost, admitted: false });
            self.totals.closed_while_waiting += 1;
            self.tell(EventKind::ClosedRejection, Some(cost), true);
        }
        self.settle();
        Outcome::Done
    }

    /// What follows from any change: the head takes what fits, and a closed gate that has run dry is
    /// drained.
    fn settle(&mut self) {
        while self.line.front().is_some_and(|head| self.used + head.cost <= self.capacity) {
            let Some(Waiter { who, cost, waker }) = self.line.pop_front() else { return };
            self.woken.insert(waker);
            self.called.push(Called { who, cost, admitted: true });
            self.admit(cost, true);
        }
        if self.closed && !self.drained && self.in_flight == 0 {
            self.drained = true;
            self.woken.extend(self.drain_wakers.drain(..));
            self.tell(EventKind::Drained, None, false);
        }
    }

    fn waiter(&self, who: usize) -> Option<usize> {
        self.line.iter().position(|waiter| waiter.who == who)
    }

    /// Who was called learns what for.
    fn collect(&mut self, who: usize) -> Outcome {
        match self.take_called(who) {
            Some(_) => Outcome::Admitted,
            None => Outcome::Refused(Refusal::Closed),
        }
    }

    /// The cost of who was admitted; `None` for who was rejected.
    fn take_called(&mut self, who: usize) -> Option<usize> {
        let at = self.called.iter().position(|called| called.who == who)?;
        let called = self.called.swap_remove(at);
        called.admitted.then_some(called.cost)
    }

    fn waiting_units(&self) -> usize {
        self.line.iter().map(|waiter| waiter.cost).sum()
    }

    fn tell(&mut self, kind: EventKind, cost: Option<usize>, from_queue: bool) {
        if !self.subscribed {
            return;
        }
        self.sequence += 1;
        self.events.push(Event {
            kind,
            sequence: self.sequence,
            capacity: self.capacity,
            used: self.used,
            in_flight: self.in_flight,
            waiting: self.line.len(),
            is_closed: self.closed,
            cost,
            from_queue,
            affected_waiters: 0,
            previous_capacity: None,
        });
    }

    fn view(&self) -> View {
        View {
            sequence: self.sequence,
            capacity: self.capacity,
            used: self.used,
            in_flight: self.in_flight,
            waiting: self.line.len(),
            waiting_units: self.waiting_units(),
            is_closed: self.closed,
            totals: self.totals,
            peaks: self.peaks,
        }
    }
}
