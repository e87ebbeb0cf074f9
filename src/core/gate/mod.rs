//! The gate: the state word, and the lock around everything the word cannot hold.
//!
//! It owns every change of a bulkhead's state: release, poll, expiry, cancellation, resize, pause, drain, close and
//! snapshot. Arrivals are in `admission_table`. It does not own the order of the waiters (see `line`) or the
//! timers (see `limits`). It wakes no task and calls no handler while it holds the lock: a section collects
//! them as [`Effects`], and every method carries these out after unlocking.

mod admission_table;
mod alarm;
pub(crate) mod arrival;
pub(crate) mod counts;
pub(crate) mod effects;
pub(crate) mod ending;
pub(crate) mod histogram;
pub(crate) mod lifecycle;
mod overdue;
pub(in crate::core) mod pace;
mod pooled;
pub(crate) mod reconfiguring;
pub(crate) mod records;
pub(crate) mod sampling;
pub(in crate::core) mod section;
pub(crate) mod shared_pool;
pub(crate) mod snapshot;
mod standing;
pub(in crate::core) mod state;
pub(crate) mod times;
pub(crate) mod trace;
mod waking;
pub(crate) mod within;
pub(in crate::core) mod word;

use std::{task::Waker, time::Duration};

use tokio::time::Instant;

use crate::{
    core::{
        clock,
        gate::{
            arrival::WaiterState,
            counts::nanos,
            effects::{Effects, EventKind, SharedSink},
            ending::{Abandonment, Ending},
            records::SharedRecords,
            sampling::{HandOverStamps, Stamp},
            section::Section,
            snapshot::Snapshot,
            state::GateState,
            times::TimesSnapshot,
            word::Word,
        },
        limits::{alarm_state::ToArm, current_runtime, wait_limit::WaitLimit},
        line::{Line, Ticket, Waiter},
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    sync::{Arc, AtomicU64, Mutex, Ordering, UnexploredU32},
};

/// A bounded number of units and a bounded line for them.
///
/// The order of the fields is deliberate: the word comes first. In a shared gate the count of handles
/// precedes it, so contending threads find both in one cache line, if the allocator's alignment permits.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Gate {
    pub(in crate::core) word: AtomicU64,
    /// Every waiter with a lower number has been called, as in a ticket lock: it was admitted, unless this says that some
    /// were taken out. Written only under the lock, and read without it by waiters. See [`called_below`].
    pub(in crate::core) called: AtomicU64,
    /// How many operations may wait. Written only under the lock. Read without it, it is a hint.
    room: UnexploredU32,
    /// In a partition, the stamp of the last hand-over, written before `called`. A waiter that finds itself called takes it for
    /// its own: if others were called since, its hold seems shorter by that time. Other gates have [`HandOverStamps`].
    called_at: UnexploredU32,
    /// The number of the gate in its pool, or [`NO_MEMBER`]. Written under the lock of the pool, while nobody uses the gate.
    pub(in crate::core) member: UnexploredU32,
    pub(in crate::core) state: Mutex<GateState>,
}

/// The number of a gate that is in no pool.
pub(in crate::core) const NO_MEMBER: u32 = u32::MAX;

/// The value of `called` once a close has called all waiters. It does not imply that they were admitted.
pub(in crate::core) const CALLED_BY_CLOSE: u64 = u64::MAX;

/// In `called`: waiters were taken out because their limits had passed, and do not know yet. So a waiter that was called has to
/// look under the lock.
pub(in crate::core) const SOME_OVERDUE: u64 = 1 << 63;

/// Returns the number below which all waiters have been called, from the value of `called`.
#[inline]
pub(in crate::core) fn called_below(called: u64) -> u64 {
    called & !SOME_OVERDUE
}

/// The kind of operations a gate serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateKind {
    /// Operations with a cost of 1.
    Plain,
    /// Operations with costs.
    Weighted,
    /// Operations with a cost of 1, at one gate among very many: it frees its line whenever it is empty.
    Partition,
}

impl Gate {
    /// Creates a gate. Without `rejections`, the operations that may be rejected must supply a cache.
    pub(crate) fn new(
        capacity: u32,
        room: u32,
        kind: GateKind,
        rejections: Option<RejectionCache>,
    ) -> Self {
        Self {
            // Grants nothing: the first admission is a new peak, which is recorded under the lock.
            word: AtomicU64::new(Word::new(0, 0, false).bits()),
            called: AtomicU64::new(0),
            room: UnexploredU32::new(room),
            called_at: UnexploredU32::new(Stamp::NONE.bits()),
            member: UnexploredU32::new(NO_MEMBER),
            state: Mutex::new(GateState::new(capacity, kind, rejections)),
        }
    }

    /// Returns the stamp of an operation with this number that was admitted from the line.
    #[inline]
    pub(in crate::core) fn stamp_of(&self, number: u64, stamps: Option<&HandOverStamps>) -> Stamp {
        match stamps {
            Some(stamps) => {
                let called = self.called.load(Ordering::Relaxed);
                // A close does not say how many were called before it.
                stamps.get(
                    number,
                    if called == CALLED_BY_CLOSE { number } else { called_below(called) },
                )
            }
            None => Stamp::from_bits(self.called_at.load(Ordering::Relaxed)),
        }
    }

    /// Returns the stamps of the gate's hand-overs, unless it is a partition.
    pub(crate) fn stamps(&self) -> Option<Arc<HandOverStamps>> {
        self.state.lock().records.as_ref().map(|own| own.stamps.clone())
    }

    /// Sets the wait limit of a gate that is not in use yet and is no partition.
    pub(crate) fn with_wait_limit(self, limit: Option<Duration>) -> Self {
        if let Some(own) = self.wait_limit() {
            own.set(limit);
        }
        self
    }

    /// Returns the wait limit of the gate, unless it is a partition.
    pub(crate) fn wait_limit(&self) -> Option<Arc<WaitLimit>> {
        self.state.lock().records.as_ref().map(|own| own.wait_limit.clone())
    }

    #[inline]
    pub(crate) fn room(&self) -> u32 {
        self.room.load(Ordering::Relaxed)
    }

    /// The fast path: admits `cost` units if no lock is needed for it. `false` does not mean a rejection:
    /// [`arrive`] decides.
    ///
    /// [`arrive`]: Self::arrive
    #[inline(always)]
    pub(crate) fn admit_fast(&self, cost: u32) -> bool {
        let mut word = Word::from_bits(self.word.load(Ordering::Acquire));
        while let Some(next) = word.admit(cost) {
            match self.exchange(word, next) {
                Ok(()) => return true,
                Err(current) => word = current,
            }
        }
        false
    }

    /// Polls a waiter: returns its outcome if it has been called. Otherwise `waker` wakes it from now on.
    #[inline]
    pub(crate) fn poll_waiter(
        &self,
        ticket: Ticket,
        waker: &Waker,
        shared: Option<&SharedRecords>,
    ) -> WaiterState<Result<(), Rejection>> {
        let called = self.called.load(Ordering::Acquire);
        if ticket.number < called && called & SOME_OVERDUE == 0 {
            return WaiterState::Settled(Ok(()));
        }
        let runtime = current_runtime();
        let read_state = |section: &mut Section<'_>, to_arm: &mut Option<ToArm>| match section
            .take_outcome(ticket)
        {
            Some(outcome) => WaiterState::Settled(outcome.map_err(|reason| section.reject(reason))),
            None => WaiterState::Waiting(section.enforcer(ticket, runtime, to_arm)),
        };
        self.poll_with_waker(ticket, waker, shared, read_state, |section| &mut section.lazy().line)
    }

    /// Handles the drop of a waiter, which joined the line at `since`: it leaves the line, or returns its units if it was
    /// admitted meanwhile.
    pub(crate) fn cancel(&self, ticket: Ticket, since: Instant, shared: Option<&SharedRecords>) {
        let now = clock::now();
        let waited = now.saturating_duration_since(since);
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        section.set_now(Some(now));
        section.freeze();
        match section.take_outcome(ticket) {
            None => {
                let Waiter { cost, waker, .. } = section.lazy().line.leave(ticket);
                section.in_pool(|rules, member| rules.leave(member, 1));
                section.effects.retire(waker);
                section.state.counts.cancelled += 1;
                section.with_times(|times| times.add_cancelled(nanos(waited)));
                section.record(EventKind::Cancelled, |change| {
                    change.cost = Some(cost);
                    change.from_queue = true;
                    change.waited = Some(waited);
                });
            }
            Some(Ok(())) => {
                let abandonment = Abandonment { waited: Some(waited), by_deadline: false };
                section.give_back(ticket.cost(), Ending::Abandoned(abandonment));
            }
            Some(Err(_)) => {}
        }
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Returns the state of a waiter in any line. If it is waiting, `waker` wakes it from now on. `read_state` may take out an
    /// alarm to be armed.
    #[cold]
    fn poll_with_waker<T>(
        &self,
        ticket: Ticket,
        waker: &Waker,
        shared: Option<&SharedRecords>,
        mut read_state: impl FnMut(&mut Section<'_>, &mut Option<ToArm>) -> WaiterState<T>,
        line: impl for<'a> Fn(&'a mut Section<'_>) -> &'a mut Line,
    ) -> WaiterState<T> {
        let (mut clone, mut to_arm) = (None, None);
        loop {
            let mut effects = Effects::default();
            let mut section = Section::enter_shared(self, shared, &mut effects);
            let state = read_state(&mut section, &mut to_arm);
            if matches!(state, WaiterState::Waiting(_)) && !line(&mut section).wakes(ticket, waker)
            {
                let Some(clone) = clone.take() else {
                    // Cloning a waker runs user code, so the lock is released first. The state may change
                    // meanwhile and is read again.
                    section.settle();
                    drop(section);
                    // Armed first: user code may panic, and the line would have no alarm any more.
                    self.arm_alarm(to_arm.take(), &mut effects);
                    effects.carry_out();
                    clone = Some(waker.clone());
                    continue;
                };
                let previous = line(&mut section).set_waker(ticket, clone);
                section.effects.retire(previous);
            }
            section.effects.retire(clone);
            section.settle();
            drop(section);
            self.arm_alarm(to_arm, &mut effects);
            effects.carry_out();
            return state;
        }
    }

    /// Makes a rejection with the gate's own cache.
    ///
    /// # Panics
    ///
    /// If the gate has none.
    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        Section::enter(self, &mut Effects::default()).reject(reason)
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.state.lock().capacity
    }

    /// Counts an operation that bypassed the gate. Under the lock, like everything that a snapshot contains.
    pub(crate) fn count_bypass(&self) {
        self.state.lock().cold().bypassed += 1;
    }

    /// Counts a request that was let pass because it is within a slot of this gate already.
    pub(crate) fn count_nested(&self) {
        self.state.lock().cold().nested += 1;
    }

    /// Counts an operation that was rejected for this reason before it reached a gate of its own.
    pub(crate) fn count_rejected(&self, reason: &RejectionReason) {
        let mut state = self.state.lock();
        match reason {
            RejectionReason::Closed => state.cold().closed_before_queue += 1,
            RejectionReason::WaitLimit { .. } => state.cold().expired_before_queue += 1,
            RejectionReason::Deadline { .. } => {
                state.cold().expired_before_queue += 1;
                state.cold().expired_before_queue_by_deadline += 1;
            }
            RejectionReason::PartitionLimit { .. } => state.cold().partition_limited += 1,
            RejectionReason::KeyRefused => state.cold().key_refused += 1,
            RejectionReason::MissingKey => state.cold().missing_key += 1,
            RejectionReason::InvalidLimits { .. } | RejectionReason::LimitsPanicked => {
                state.cold().invalid_limits += 1;
            }
            RejectionReason::Saturated { .. }
            | RejectionReason::TotalSaturated { .. }
            | RejectionReason::CostExceedsCapacity { .. }
            | RejectionReason::Paused
            | RejectionReason::InvalidCost => {
                debug_assert!(false, "{reason} is counted by the gate that rejects");
            }
        }
    }

    /// Counts a response body that held a slot and was dropped before its end.
    pub(crate) fn count_body_ended_early(&self) {
        self.state.lock().cold().bodies_ended_early += 1;
    }

    /// Counts a panic of an event handler.
    pub(crate) fn count_handler_panic(&self) {
        self.state.lock().cold().handler_panics += 1;
    }

    /// Returns a snapshot of the gate at one instant.
    pub(crate) fn snapshot(&self, shared: Option<&SharedRecords>) -> Snapshot {
        let mut effects = Effects::default();
        let snapshot = self.snapshot_leaving(shared, &mut effects);
        effects.carry_out();
        snapshot
    }

    /// As [`snapshot`](Self::snapshot).
    ///
    /// What is left to do is added to `effects`, because the caller holds a lock of its own: whoever has waited too long is
    /// taken out, and is to be woken.
    pub(crate) fn snapshot_leaving(
        &self,
        shared: Option<&SharedRecords>,
        effects: &mut Effects,
    ) -> Snapshot {
        let mut section = Section::enter_shared(self, shared, effects);
        section.look_for_overdue();
        section.settled_snapshot()
    }

    /// Returns a snapshot with the times that belong to it.
    pub(crate) fn snapshot_with_times(
        &self,
        shared: Option<&SharedRecords>,
    ) -> (Snapshot, TimesSnapshot) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        section.look_for_overdue();
        let snapshot = section.settled_snapshot();
        let times =
            section.state.records.as_ref().map(|own| own.times.snapshot()).unwrap_or_default();
        drop(section);
        effects.carry_out();
        (snapshot, times)
    }

    /// Sends all later changes to `sink`. Returns the previous sink, which the caller must drop outside its
    /// own locks.
    pub(crate) fn set_sink(&self, sink: Option<SharedSink>) -> Option<SharedSink> {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.freeze();
        let previous = std::mem::replace(&mut section.lazy().sink, sink);
        section.settle();
        drop(section);
        effects.carry_out();
        previous
    }

    /// Whether this cost seems to fit, without taking the lock. Only a hint.
    #[inline]
    pub(crate) fn seems_free(&self, cost: usize) -> bool {
        Word::from_bits(self.word.load(Ordering::Relaxed)).units() as usize >= cost
    }

    /// Returns the current time if the word is slow and there is a waiting room: then the next section will
    /// probably need it. Reading the clock takes about as long as everything else that is done under the
    /// lock.
    #[inline]
    pub(in crate::core) fn time_if_busy(&self, shared: Option<&SharedRecords>) -> Option<Instant> {
        let slow = match shared {
            // The word is always slow.
            Some(SharedRecords { pool: Some(pool), .. }) if self.is_pooled() => {
                pool.seems_pressed()
            }
            _ => Word::from_bits(self.word.load(Ordering::Relaxed)).is_slow(),
        };
        (slow && self.room() > 0).then(clock::now)
    }

    #[inline]
    fn exchange(&self, from: Word, to: Word) -> Result<(), Word> {
        self.word
            .compare_exchange_weak(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word::from_bits)
    }
}
