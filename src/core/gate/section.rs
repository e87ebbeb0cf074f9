//! The locked section: the only way to change more than the fast path may.
//!
//! It owns the three rules that every change follows: freeze the word before changing anything, settle before
//! unlocking, and leave wakers and handlers to [`Effects`]. It does not own the decisions, which are made by
//! the methods of [`Gate`].

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{
    core::{
        clock::{self, Nanos},
        gate::{
            Gate, SOME_OVERDUE,
            counts::nanos,
            effects::{Change, Effects, EventKind, SharedSink},
            lifecycle::Phase,
            pooled::PoolAccess,
            records::SharedRecords,
            sampling::Stamp,
            state::{GateState, LazyState},
            times::Times,
            trace::{self, Notice, TELLS_PRESSURE},
            word::{ALLOWANCE, Word},
        },
        line::Waiter,
        pool::rules::Rules,
        rejection::{Rejection, reason::RejectionReason},
    },
    sync::{MutexGuard, Ordering},
};

/// The held lock, and the word as it was read under it.
pub(in crate::core) struct Section<'a> {
    gate: &'a Gate,
    shared: Option<&'a SharedRecords>,
    // Declared before the pool: its lock is released first.
    pub(in crate::core) state: MutexGuard<'a, GateState>,
    pub(super) pool: PoolAccess<'a>,
    /// The word as last read. Its counts are not yet included in the state.
    pub(super) word: Word,
    /// This and `in_flight` are exact while the word is frozen. Otherwise they belong to one reading of the
    /// word, and fast admissions and releases may have outdated them.
    pub(super) used: u32,
    pub(super) in_flight: u32,
    frozen: bool,
    /// Whether the word must be stored by [`settle`](Self::settle).
    changes: bool,
    now: Option<Instant>,
    nanos: Option<Nanos>,
    /// Borrowed, so that the effects outlive the lock even if the section unwinds.
    pub(in crate::core) effects: &'a mut Effects,
}

impl<'a> Section<'a> {
    #[inline]
    pub(in crate::core) fn enter(gate: &'a Gate, effects: &'a mut Effects) -> Self {
        Self::enter_shared(gate, None, effects)
    }

    /// Enters the section of a gate that may be a partition: what partitions share is `shared`.
    #[inline]
    pub(in crate::core) fn enter_shared(
        gate: &'a Gate,
        shared: Option<&'a SharedRecords>,
        effects: &'a mut Effects,
    ) -> Self {
        Self::enter_with(gate, shared, PoolAccess::of(gate, shared), effects)
    }

    /// Enters the section of a gate whose pool, if it has one, is locked.
    #[inline(always)]
    pub(super) fn enter_with(
        gate: &'a Gate,
        shared: Option<&'a SharedRecords>,
        pool: PoolAccess<'a>,
        effects: &'a mut Effects,
    ) -> Self {
        let state = gate.state.lock();
        // SLOW is set only under this lock, and while it is set the word is changed only under this lock: a
        // slow word is a frozen one, and its counts are zero.
        let word = Word::from_bits(gate.word.load(Ordering::Acquire));
        let frozen = word.is_slow();
        let (used, in_flight, changes, now, nanos) = (0, 0, false, None, None);
        let mut section = Self {
            gate,
            shared,
            state,
            pool,
            word,
            used,
            in_flight,
            frozen,
            changes,
            now,
            nanos,
            effects,
        };
        section.read();
        section.take_over_from_pool();
        section
    }

    #[inline]
    pub(super) fn shared(&self) -> Option<&'a SharedRecords> {
        self.shared
    }

    #[inline]
    pub(super) fn gate(&self) -> &'a Gate {
        self.gate
    }

    /// Whether no other thread can change the word.
    #[inline]
    pub(in crate::core) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Derives `used` and `in_flight` from the word.
    #[inline]
    fn read(&mut self) {
        self.used = self.state.ceiling - self.word.units();
        self.in_flight = match self.state.units() {
            Some(units) => units.ceiling - self.word.operations(),
            None => self.used,
        };
    }

    /// Freezes the word: forces all other threads through the lock, reads the word again and takes over its
    /// counts. Of this section and a concurrent fast admission or release, one sees the other. Required
    /// before any change. Every change finds the line without waiters whose limits have passed.
    #[inline]
    pub(in crate::core) fn freeze(&mut self) {
        self.changes = true;
        self.clock_pool();
        if !self.frozen {
            self.freeze_now();
        }
        if self.may_have_overdue() {
            self.take_out_overdue();
        }
    }

    fn freeze_now(&mut self) {
        self.word = Word::from_bits(self.gate.word.fetch_or(Word::slow_bit(), Ordering::AcqRel));
        self.frozen = true;
        self.read();
        self.state.admitted += self.word.admissions();
        if let Some(units) = self.state.units_mut() {
            units.admitted += self.word.counted_units();
        }
        self.word = Word::new(0, 0, true);
    }

    /// Ends the section: admits from the head of the line while it fits, closes and drains a gate where that is due, and
    /// stores the word, which opens or closes the fast path. Every section that froze the word
    /// ends here, so other sections only ever find settled states.
    #[inline]
    pub(in crate::core) fn settle(&mut self) {
        if self.changes {
            self.settle_changes();
        }
        if TELLS_PRESSURE {
            self.tell_pressure();
        }
    }

    pub(super) fn settle_changes(&mut self) {
        self.serve_line();
        if self.state.phase.turns_away() {
            self.advance_phase();
        }
        if self.state.has_standing() {
            self.wake_standing();
        }
        self.settle_pool();
        let word = self.next_word();
        self.gate.word.store(word.bits(), Ordering::Release);
        if self.state.lazy.as_ref().is_some_and(|lazy| lazy.line.len() == 0) {
            self.end_pressure();
            self.tidy();
        }
    }

    /// Admits from the head of the line while it fits.
    #[inline]
    pub(super) fn serve_line(&mut self) {
        if self.pool.is_some() {
            return self.serve_pool();
        }
        if self.state.phase.is_paused() {
            return;
        }
        while self.state.head_cost().is_some_and(|cost| cost <= self.free()) {
            self.admit_head();
        }
    }

    /// Ends the period of pressure, if there is one: no operation waits any more.
    #[inline]
    pub(super) fn end_pressure(&mut self) {
        let Some(since) = self.state.lazy.as_mut().and_then(|lazy| lazy.pressed_since.take())
        else {
            return;
        };
        let pressed = self.now().saturating_duration_since(since);
        let counts = &mut self.state.counts;
        counts.pressure_nanos = counts.pressure_nanos.saturating_add(nanos(pressed));
        if let Some(own) = &mut self.state.records {
            self.effects.tell(own.pressure.ended(own.rejections.label(), pressed));
        }
    }

    /// Tells of a period of pressure that lasts. Reads the clock until it is told.
    #[inline]
    fn tell_pressure(&mut self) {
        let Some(since) = self.state.lazy.as_ref().and_then(|lazy| lazy.pressed_since) else {
            return;
        };
        if !self.state.records.as_ref().is_some_and(|own| own.pressure.is_open()) {
            return;
        }
        let (now, pressed) = (self.now(), [self.used, self.state.capacity, self.state.waiting()]);
        if let Some(own) = &mut self.state.records {
            let notice = own.pressure.lasting(own.rejections.label(), since, now, pressed);
            self.effects.tell(notice);
        }
    }

    /// Returns the word to store: what the fast path may admit, and whether it is closed. Sets the ceilings
    /// to match.
    ///
    /// The fast path may not admit more than was ever in use at once, so that a new peak is recorded under
    /// the lock.
    #[inline]
    fn next_word(&mut self) -> Word {
        if self.gate.is_pooled() {
            debug_assert!(self.pool.is_some(), "a gate in a pool is changed without it");
            self.state.ceiling = self.used;
            return Word::new(0, 0, true);
        }
        let state = &mut *self.state;
        let most = state.capacity.min(state.counts.peak_used);
        let units = most.saturating_sub(self.used).min(ALLOWANCE);
        state.ceiling = self.used + units;
        let operations = match state.units_mut() {
            Some(counts) => {
                let operations = (counts.peak_in_flight - self.in_flight).min(ALLOWANCE);
                counts.ceiling = self.in_flight + operations;
                operations
            }
            None => units,
        };
        let slow = state.phase != Phase::Open
            || state.is_refused
            || self.used > state.capacity
            || state.has_standing()
            || state.lazy.as_ref().is_some_and(|lazy| lazy.line.len() > 0 || lazy.sink.is_some());
        Word::new(units, operations, slow)
    }

    /// Takes out the memory that empty lines no longer need.
    #[cold]
    pub(in crate::core) fn tidy(&mut self) {
        let state = &mut *self.state;
        let Some(lazy) = &mut state.lazy else { return };
        if let Some(spare) = lazy.line.trim() {
            self.effects.free(spare);
        }
        self.tidy_milestones();
        let state = &mut *self.state;
        let Some(lazy) = &mut state.lazy else { return };
        if state.is_compact && lazy.is_droppable() {
            self.free_lazy();
        }
    }

    #[inline]
    pub(in crate::core) fn used(&self) -> u32 {
        self.used
    }

    #[inline]
    pub(in crate::core) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns the units that are not in use: 0 if a shrink has left more in use than the capacity.
    #[inline]
    pub(super) fn free(&self) -> u32 {
        self.state.capacity.saturating_sub(self.used)
    }

    /// Whether the gate is not paused, the line is empty and there are free units for this cost.
    #[inline]
    pub(in crate::core) fn fits(&self, cost: u32) -> bool {
        self.state.waiting() == 0
            && cost <= self.free()
            && !self.state.phase.is_paused()
            && self.pool.has_seat()
    }

    #[inline]
    pub(in crate::core) fn lazy(&mut self) -> &mut LazyState {
        if self.state.lazy.is_none() {
            self.reuse_lazy();
        }
        self.state.lazy(self.gate)
    }

    /// Returns the wait limit that holds for an operation that joins the line now.
    #[inline]
    pub(super) fn wait_limit(&self) -> Option<Duration> {
        match (&self.state.records, self.shared) {
            (Some(own), _) => own.wait_limit.get(),
            (None, Some(shared)) => shared.wait_limit.get(),
            (None, None) => None,
        }
    }

    /// Makes a rejection for this reason.
    pub(in crate::core) fn reject(&mut self, reason: RejectionReason) -> Rejection {
        let retry_after = self.retry_after(&reason);
        match (&mut self.state.records, self.shared) {
            (Some(own), _) => own.rejections.reject(reason, retry_after),
            (None, Some(shared)) => shared.rejections.lock().reject(reason, retry_after),
            (None, None) => unreachable!("the gate has no rejection cache and was given none"),
        }
    }

    /// Records something in the times of this gate, or in those that it shares. A gate that no operation passes has none.
    #[inline]
    pub(in crate::core) fn with_times(&mut self, record: impl FnOnce(&mut Times)) {
        match (&mut self.state.records, self.shared) {
            (Some(own), _) => record(&mut own.times),
            (None, Some(shared)) => record(&mut shared.times.lock()),
            (None, None) => {}
        }
    }

    /// Sets the time of this section, if it was read just before the lock was taken.
    #[inline]
    pub(in crate::core) fn set_now(&mut self, now: Option<Instant>) {
        self.now = now;
    }

    /// Sets the time of this section in nanoseconds, if it is known.
    #[inline]
    pub(super) fn set_nanos(&mut self, nanos: Nanos) {
        self.nanos = Some(nanos);
    }

    /// Returns the time of this section in nanoseconds. Computed at most once: that takes a difference of instants.
    #[inline]
    pub(super) fn nanos(&mut self) -> Nanos {
        match self.nanos {
            Some(nanos) => nanos,
            None => {
                let nanos = Nanos::at(self.now());
                self.nanos = Some(nanos);
                nanos
            }
        }
    }

    /// Returns the time of this section. The clock is read at most once, and only if needed.
    pub(in crate::core) fn now(&mut self) -> Instant {
        match self.now {
            Some(now) => now,
            None => {
                let now = clock::now();
                self.now = Some(now);
                now
            }
        }
    }

    /// Admits an operation of this cost. `waited` is given if it comes from the line.
    #[inline]
    pub(in crate::core) fn admit(&mut self, cost: u32, waited: Option<Duration>) {
        debug_assert!(self.frozen && self.changes, "the word is not frozen");
        debug_assert!(cost <= self.free(), "{cost} units admitted with {} free", self.free());
        self.used += cost;
        self.in_flight += 1;
        let state = &mut *self.state;
        state.admitted += 1;
        state.counts.peak_used = state.counts.peak_used.max(self.used);
        if let Some(units) = state.units_mut() {
            units.admitted += u64::from(cost);
            units.peak_in_flight = units.peak_in_flight.max(self.in_flight);
            if waited.is_some() {
                units.admitted_from_queue += u64::from(cost);
            }
        }
        if let Some(waited) = waited {
            let nanos = nanos(waited);
            state.counts.count_wait(nanos);
            self.with_times(|times| times.waits.add(nanos, 1));
        }
        self.record(EventKind::Admitted, |change| {
            change.cost = Some(cost);
            change.from_queue = waited.is_some();
            change.waited = waited;
        });
    }

    /// Takes back the units of an operation.
    #[inline]
    pub(super) fn take_back(&mut self, cost: u32) {
        debug_assert!(self.frozen && self.changes, "the word is not frozen");
        self.used -= cost;
        self.in_flight -= 1;
        self.in_pool(Rules::release);
    }

    /// Removes the waiter at the head of the line. Returns it with its number.
    #[inline]
    pub(super) fn advance(&mut self) -> Option<(u64, Waiter)> {
        self.state.lazy.as_mut().and_then(|lazy| lazy.line.advance())
    }

    /// Records a change for the subscribers. Costs one branch if there are none.
    #[inline]
    pub(in crate::core) fn record(&mut self, kind: EventKind, detail: impl FnOnce(&mut Change)) {
        let sink = self.state.sink().cloned();
        if sink.is_some() || trace::tells(kind) {
            self.notify(sink, kind, detail);
        }
    }

    #[cold]
    fn notify(
        &mut self,
        sink: Option<SharedSink>,
        kind: EventKind,
        detail: impl FnOnce(&mut Change),
    ) {
        let mut change = Change {
            kind,
            sequence: if sink.is_some() { self.next_sequence() } else { 0 },
            occurred_at: SystemTime::now(),
            settings: self.settings(),
            used: self.used,
            in_flight: self.in_flight,
            waiting: self.state.waiting(),
            phase: self.state.phase,
            cost: None,
            from_queue: false,
            waited: None,
            affected_waiters: 0,
            previous: None,
        };
        detail(&mut change);
        // Partitions have no records of their own: they are not told one by one.
        if let Some(own) = &self.state.records {
            self.effects.tell(Notice::of_change(own.rejections.label(), &change));
        }
        if let Some(sink) = sink {
            self.effects.notify(&sink, change);
        }
    }

    /// Hands units over to the waiter at the head of the line.
    #[inline]
    pub(super) fn admit_head(&mut self) {
        let Some((number, waiter)) = self.advance() else { return };
        let now = self.nanos();
        let stamp = Stamp::timed(now);
        match &self.state.records {
            Some(own) => own.stamps.set(number, stamp),
            None => self.gate.called_at.store(stamp.bits(), Ordering::Relaxed),
        }
        // Release: a waiter that sees its number called also sees the effects of the work that ended before.
        let marker = if self.has_overdue() { SOME_OVERDUE } else { 0 };
        self.gate.called.store(marker | (number + 1), Ordering::Release);
        self.effects.wake(waiter.waker);
        self.lazy().pace.hand_over(now);
        self.admit(waiter.cost, Some(now.since(waiter.since)));
    }

    /// Returns the next sequence number of an event or snapshot.
    pub(super) fn next_sequence(&mut self) -> u64 {
        self.state.sequence += 1;
        self.state.sequence
    }
}
