//! The locked section: the only way to change more than the fast path may.
//!
//! It owns the state behind the lock and the three rules every change follows: freeze the word
//! before changing it, settle before unlocking, leave wakers and handlers to the caller.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{
    effects::{Change, Effects, EventKind, SharedAudience},
    gate::{Gate, GateKind},
    line::{Line, Stage},
    tally::{Counts, Peaks, RareCounts, Snapshot, Totals, Units},
    word::Word,
};
use crate::sync::{MutexGuard, Ordering};

/// What the lock protects. The numbered invariants are in the documentation of [`core`](super).
#[derive(Debug)]
pub(super) struct State {
    pub(super) capacity: u32,
    /// Units that a shrink has taken from running work: releases pay them first.
    pub(super) debt: u32,
    pub(super) is_closed: bool,
    is_drained: bool,
    /// Whether `rare` is given up whenever there is no need of it.
    is_frugal: bool,
    sequence: u64,
    /// Admissions moved out of the word. Resizes count in the word too and are taken off here, so
    /// this may pass below zero and back.
    folded: u64,
    pub(super) counts: Counts,
    /// Present in a weighted gate only.
    pub(super) units: Option<Box<Units>>,
    pub(super) rare: Option<Box<Rare>>,
}

/// What most gates do without most of the time.
#[derive(Debug)]
pub(super) struct Rare {
    pub(super) line: Line,
    /// Those who wait for the drain, in a line of their own.
    pub(super) drains: Line,
    pub(super) audience: Option<SharedAudience>,
    pub(super) counts: RareCounts,
}

impl State {
    pub(super) fn new(capacity: u32, kind: GateKind) -> Self {
        Self {
            capacity,
            debt: 0,
            is_closed: false,
            is_drained: false,
            is_frugal: kind == GateKind::Partition,
            sequence: 0,
            folded: 0,
            counts: Counts::default(),
            units: (kind == GateKind::Weighted).then(Box::default),
            rare: None,
        }
    }

    #[inline]
    pub(super) fn waiting(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.line.len())
    }

    #[inline]
    fn head_cost(&self) -> Option<u32> {
        self.rare.as_ref().and_then(|rare| rare.line.head_cost())
    }

    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_with(|| {
            Box::new(Rare {
                line: Line::new(),
                drains: Line::new(),
                audience: None,
                counts: RareCounts::default(),
            })
        })
    }

    /// Takes out what a frugal gate has no need of any more.
    pub(super) fn take_needless(&mut self) -> Option<Box<Rare>> {
        let is_needless = |rare: &mut Box<Rare>| {
            let Rare { line, drains, audience, counts } = &**rare;
            line.is_abandoned()
                && drains.is_abandoned()
                && audience.is_none()
                && *counts == RareCounts::default()
        };
        if self.is_frugal { self.rare.take_if(is_needless) } else { None }
    }

    #[inline]
    fn audience(&self) -> Option<&SharedAudience> {
        self.rare.as_ref().and_then(|rare| rare.audience.as_ref())
    }

    #[inline]
    fn used(&self, word: Word) -> u32 {
        self.capacity - word.free() + self.debt
    }

    #[inline]
    fn in_flight(&self, word: Word) -> u32 {
        self.units.as_ref().map_or_else(|| self.used(word), |units| units.in_flight)
    }

    /// Whether anything but the word has a say in the next admission or release.
    #[inline]
    fn needs_lock(&self) -> bool {
        self.units.is_some()
            || self.is_closed
            || self.debt > 0
            || self.rare.as_ref().is_some_and(|rare| rare.line.len() > 0 || rare.audience.is_some())
    }
}

/// The lock, held, and the word as it is under it.
pub(super) struct Section<'a> {
    gate: &'a Gate,
    pub(super) state: MutexGuard<'a, State>,
    /// Exact while frozen. Otherwise one reading, which fast admissions and releases may outdate.
    word: Word,
    frozen: bool,
    now: Option<Instant>,
    /// Outlives the lock, whatever happens under it.
    pub(super) effects: &'a mut Effects,
}

impl<'a> Section<'a> {
    #[inline]
    pub(super) fn enter(gate: &'a Gate, effects: &'a mut Effects) -> Self {
        let state = gate.state.lock();
        // Whoever set SLOW did so under this lock, and while it is set nobody changes the word
        // without it: a slow word is a frozen one.
        let word = Word::from_bits(gate.word.load(Ordering::Acquire));
        let frozen = word.is_slow();
        Self { gate, state, word, frozen, now: None, effects }
    }

    /// Sends everybody else through the lock, and looks at the word again: of this section and a
    /// fast admission or release beside it, one sees the other.
    #[inline]
    pub(super) fn freeze(&mut self) {
        if !self.frozen {
            self.word =
                Word::from_bits(self.gate.word.fetch_or(Word::slow_bit(), Ordering::AcqRel));
            self.frozen = true;
        }
        if let Some((word, admissions)) = self.word.fold() {
            self.word = word;
            self.state.folded = self.state.folded.wrapping_add(u64::from(admissions));
        }
    }

    /// Ends the section: the head of the line takes what fits, a closed gate that has run dry is
    /// drained, and the word says whether the fast path is open. Every section that froze the word
    /// ends here, so every state that another section finds is a settled one.
    #[inline]
    pub(super) fn settle(mut self) {
        if self.frozen {
            while self.state.head_cost().is_some_and(|cost| cost <= self.word.free()) {
                self.admit_head();
            }
            if self.state.is_closed {
                self.drain();
            }
            let slow = self.state.needs_lock();
            // Release: whoever reads this word sees the floor that goes with it.
            self.gate.word.store(self.word.with_slow(slow).bits(), Ordering::Release);
        }
    }

    #[inline]
    pub(super) fn used(&self) -> u32 {
        self.state.used(self.word)
    }

    #[inline]
    pub(super) fn in_flight(&self) -> u32 {
        self.state.in_flight(self.word)
    }

    /// Nobody waits, and there are units for this cost.
    #[inline]
    pub(super) fn fits(&self, cost: u32) -> bool {
        self.state.waiting() == 0 && cost <= self.word.free()
    }

    /// The time of this section: read once, and only by those who need it.
    pub(super) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// Admits an operation of this cost; `waited` where it comes from the line.
    #[inline]
    pub(super) fn admit(&mut self, cost: u32, waited: Option<Duration>) {
        debug_assert!(self.frozen, "only a frozen word may be changed");
        self.word = self.word.admit(cost);
        let state = &mut *self.state;
        if let Some(units) = &mut state.units {
            units.admitted += u64::from(cost);
            units.in_flight += 1;
            units.peak_in_flight = units.peak_in_flight.max(units.in_flight);
            if waited.is_some() {
                units.admitted_from_queue += u64::from(cost);
            }
        }
        if let Some(waited) = waited {
            state.counts.admitted_from_queue += 1;
            state.counts.count_wait(waited);
        }
        let used = self.used();
        if used > self.state.counts.peak_used {
            self.state.counts.peak_used = used;
            self.set_floor();
        }
        self.record(EventKind::Admitted, |change| {
            change.cost = Some(cost);
            change.from_queue = waited.is_some();
            change.waited = waited;
        });
    }

    /// Takes back the units of an operation: `Released` if it ran, `Abandoned` if it never did.
    #[inline]
    pub(super) fn give_back(&mut self, cost: u32, kind: EventKind) {
        debug_assert!(self.frozen, "only a frozen word may be changed");
        let state = &mut *self.state;
        let paid = state.debt.min(cost);
        state.debt -= paid;
        self.word = self.word.give(cost - paid);
        if let Some(units) = &mut state.units {
            units.in_flight -= 1;
        }
        if kind == EventKind::Abandoned {
            state.counts.abandoned += 1;
            if let Some(units) = &mut state.units {
                units.abandoned += u64::from(cost);
            }
        }
        self.record(kind, |change| change.cost = Some(cost));
    }

    /// Sets the capacity, which differs from the present one.
    pub(super) fn set_capacity(&mut self, capacity: u32) {
        debug_assert!(self.frozen, "only a frozen word may be changed");
        let previous = self.state.capacity;
        if let Some(growth) = capacity.checked_sub(previous) {
            let paid = self.state.debt.min(growth);
            self.state.debt -= paid;
            self.word = self.word.give(growth - paid);
        } else {
            let shrink = previous - capacity;
            let taken = self.word.free().min(shrink);
            self.word = self.word.take(taken);
            self.state.debt += shrink - taken;
        }
        self.state.capacity = capacity;
        // Without a new word, a fast admission that read the old floor could still succeed after a
        // shrink and a grow, and its peak would be missed.
        self.word = self.word.renew();
        self.state.folded = self.state.folded.wrapping_sub(1);
        self.set_floor();
        self.record(EventKind::Resized, |change| change.previous_capacity = Some(previous));
    }

    /// Records a change for those who are subscribed. Costs a branch where nobody is.
    #[inline]
    pub(super) fn record(&mut self, kind: EventKind, detail: impl FnOnce(&mut Change)) {
        if let Some(audience) = self.state.audience().cloned() {
            self.tell(audience, kind, detail);
        }
    }

    #[cold]
    fn tell(
        &mut self,
        audience: SharedAudience,
        kind: EventKind,
        detail: impl FnOnce(&mut Change),
    ) {
        let mut change = Change {
            kind,
            sequence: self.next_sequence(),
            occurred_at: SystemTime::now(),
            capacity: self.state.capacity,
            used: self.used(),
            in_flight: self.in_flight(),
            waiting: self.state.waiting(),
            is_closed: self.state.is_closed,
            cost: None,
            from_queue: false,
            waited: None,
            affected_waiters: 0,
            previous_capacity: None,
        };
        detail(&mut change);
        self.effects.tell(&audience, change);
    }

    /// Every field of one instant: that of the word's reading, beside which nothing else changes.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let (used, in_flight) = (self.used(), self.in_flight());
        let sequence = self.next_sequence();
        let State { capacity, is_closed, folded, ref counts, ref units, ref rare, .. } =
            *self.state;
        let rare_counts = rare.as_ref().map(|rare| rare.counts).unwrap_or_default();
        let waiting = self.state.waiting();
        let waiting_units = rare.as_ref().map_or(0, |rare| rare.line.units());
        let admitted = folded.wrapping_add(u64::from(self.word.admissions()));
        let queued = u64::from(waiting)
            + counts.admitted_from_queue
            + counts.expired
            + counts.cancelled
            + rare_counts.closed_while_waiting;
        let finished = admitted - u64::from(in_flight) - counts.abandoned;
        // A plain gate's operations have one unit each.
        let units = units.as_deref().copied().unwrap_or(Units {
            admitted,
            admitted_from_queue: counts.admitted_from_queue,
            abandoned: counts.abandoned,
            queued,
            in_flight,
            peak_in_flight: counts.peak_used,
            peak_waiting: u64::from(counts.peak_waiting),
        });
        Snapshot {
            sequence,
            capacity,
            used,
            in_flight,
            waiting,
            waiting_units,
            is_closed,
            totals: Totals {
                admitted,
                admitted_units: units.admitted,
                admitted_from_queue: counts.admitted_from_queue,
                admitted_from_queue_units: units.admitted_from_queue,
                abandoned: counts.abandoned,
                abandoned_units: units.abandoned,
                queued,
                queued_units: units.queued,
                saturated: counts.saturated,
                expired: counts.expired,
                expired_before_queue: counts.expired_before_queue,
                cancelled: counts.cancelled,
                closed_before_queue: rare_counts.closed_before_queue,
                closed_while_waiting: rare_counts.closed_while_waiting,
                oversized: rare_counts.oversized,
                bypassed: rare_counts.bypassed,
                finished,
                finished_units: units.admitted - u64::from(used) - units.abandoned,
                handler_panics: rare_counts.handler_panics,
                wait_time: counts.wait_time,
            },
            peaks: Peaks {
                used: counts.peak_used as usize,
                in_flight: units.peak_in_flight as usize,
                waiting: counts.peak_waiting as usize,
                waiting_units: units.peak_waiting as usize,
                wait: Duration::from_nanos(counts.longest_wait_nanos),
            },
        }
    }

    #[inline]
    fn admit_head(&mut self) {
        let now = self.now();
        if let Some(waiter) = self.state.rare().line.advance(Stage::Admitted) {
            self.effects.wake(waiter.waker);
            self.admit(waiter.cost, Some(now.saturating_duration_since(waiter.since)));
        }
    }

    /// What is left to do of a close, once nothing runs.
    #[cold]
    fn drain(&mut self) {
        if self.state.is_drained || self.in_flight() > 0 {
            return;
        }
        self.state.is_drained = true;
        self.record(EventKind::Drained, |_| {});
        if let Some(rare) = &mut self.state.rare {
            while let Some(waiter) = rare.drains.advance(Stage::Closed) {
                self.effects.wake(waiter.waker);
            }
        }
    }

    fn set_floor(&self) {
        let floor = self.state.capacity.saturating_sub(self.state.counts.peak_used);
        self.gate.floor.store(floor, Ordering::Relaxed);
    }

    fn next_sequence(&mut self) -> u64 {
        self.state.sequence += 1;
        self.state.sequence
    }
}
