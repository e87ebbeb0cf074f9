//! The gate: the state word, and the lock around everything the word cannot hold.
//!
//! It owns what may happen to a bounded number of units: leave the line, release, resize, close, look;
//! what arrives is in `table`. It wakes and tells nobody while it holds the lock: a section leaves that as
//! [`Effects`], and every method carries them out once it has settled.

mod admission_table;
mod alarm;
pub(crate) mod arrival;
pub(crate) mod counts;
pub(crate) mod effects;
pub(in crate::core) mod section;
pub(crate) mod snapshot;
pub(in crate::core) mod state;
pub(in crate::core) mod word;

use std::task::Waker;

use tokio::time::Instant;

use crate::{
    core::{
        gate::{
            arrival::{ResizeRefusal, WaiterState},
            effects::{Effects, EventKind, SharedSink},
            section::Section,
            snapshot::Snapshot,
            state::{GateState, LazyState},
            word::Word,
        },
        limits::{Expiry, LimitEnforcer, current_runtime},
        line::{Line, Ticket, Waiter},
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    sync::{AtomicU64, Mutex, Ordering},
};

/// A bounded number of units and a bounded line for them.
///
/// In this order, so that the word comes first: threads that meet here get it and the count of handles,
/// which is before it where a gate is shared, in one cache line, where the allocator lets them.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Gate {
    pub(in crate::core) word: AtomicU64,
    /// Everybody in line with a lower number has been called. Written under the lock only, and read
    /// without it by those who wait.
    pub(in crate::core) called: AtomicU64,
    pub(in crate::core) room: u32,
    pub(in crate::core) state: Mutex<GateState>,
}

/// What `called` is once a close has called everybody, which is not to say that they were admitted.
pub(in crate::core) const CALLED_BY_CLOSE: u64 = u64::MAX;

/// What kind of operations a gate sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateKind {
    /// Operations with a cost of 1.
    Plain,
    /// Operations with costs.
    Weighted,
    /// Operations with a cost of 1, at one gate among very many: it gives up its line whenever
    /// nobody is in it.
    Partition,
}

impl Gate {
    /// A gate. One without a `rejections` is told of one by those who may be rejected.
    pub(crate) fn new(
        capacity: u32,
        room: u32,
        kind: GateKind,
        rejections: Option<RejectionCache>,
    ) -> Self {
        Self {
            // The first admission of all is a peak.
            word: AtomicU64::new(Word::new(0, 0, false).bits()),
            called: AtomicU64::new(0),
            room,
            state: Mutex::new(GateState::new(capacity, kind, rejections)),
        }
    }

    pub(crate) fn room(&self) -> u32 {
        self.room
    }

    /// The fast path: admits `cost` units if that takes no lock. `false` says nothing: [`arrive`]
    /// decides.
    ///
    /// [`arrive`]: Self::arrive
    #[inline]
    pub(crate) fn admit_fast(&self, cost: u32) -> bool {
        let mut word = Word::from_bits(self.word.load(Ordering::Acquire));
        while let Some(next) = word.admit(cost) {
            match self.exchange(word, next) {
                Ok(()) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// An admitted operation has ended.
    #[inline]
    pub(crate) fn release(&self, cost: u32) {
        let mut word = Word::from_bits(self.word.load(Ordering::Relaxed));
        while let Some(next) = word.release(cost) {
            match self.exchange(word, next) {
                Ok(()) => return,
                Err(seen) => word = seen,
            }
        }
        self.give_back(cost, EventKind::Released);
    }

    /// An admitted operation gives its units back without having started.
    pub(crate) fn abandon(&self, cost: u32) {
        self.give_back(cost, EventKind::Abandoned);
    }

    #[cold]
    fn give_back(&self, cost: u32, kind: EventKind) {
        let now = self.time_ahead();
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.set_now(now);
        section.freeze();
        section.give_back(cost, kind);
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// A waiter looks at its place: what has become of it. While it waits, it is woken by `waker`.
    #[inline]
    pub(crate) fn look(
        &self,
        ticket: Ticket,
        waker: &Waker,
        rejections: Option<&Mutex<RejectionCache>>,
    ) -> WaiterState<Result<(), Rejection>> {
        let called = self.called.load(Ordering::Acquire);
        if ticket.number < called && called != CALLED_BY_CLOSE {
            return WaiterState::Settled(Ok(()));
        }
        let runtime = current_runtime();
        let look = |section: &mut Section<'_>| match section.called(ticket) {
            Some(outcome) => {
                WaiterState::Settled(outcome.map_err(|reason| section.reject(rejections, reason)))
            }
            None => WaiterState::Waiting(section.enforcer(ticket, runtime)),
        };
        self.watch(ticket, waker, look, |lazy| &mut lazy.line)
    }

    /// A waiter leaves because a limit has passed, unless it was admitted before that was seen.
    pub(crate) fn expire(
        &self,
        ticket: Ticket,
        expiry: Expiry,
        rejections: Option<&Mutex<RejectionCache>>,
    ) -> Result<(), Rejection> {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.freeze();
        let outcome = section.called(ticket).unwrap_or_else(|| {
            let (cost, since) = leave(&mut section, ticket);
            let waited = section.now().saturating_duration_since(since);
            section.state.counts.expired += 1;
            section.record(EventKind::Expired, |change| {
                change.cost = Some(cost);
                change.from_queue = true;
                change.waited = Some(waited);
            });
            Err(expiry.reason(waited))
        });
        let outcome = outcome.map_err(|reason| section.reject(rejections, reason));
        section.settle();
        drop(section);
        effects.carry_out();
        outcome
    }

    /// A waiter is dropped, wherever it stands: in line, or admitted without knowing it.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.freeze();
        match section.called(ticket) {
            None => {
                let (cost, since) = leave(&mut section, ticket);
                section.state.counts.cancelled += 1;
                // The clock is read only if somebody is told: it takes as long as leaving does.
                section.record(EventKind::Cancelled, |change| {
                    change.cost = Some(cost);
                    change.from_queue = true;
                    change.waited = Some(since.elapsed());
                });
            }
            Some(Ok(())) => section.give_back(ticket.cost(), EventKind::Abandoned),
            Some(Err(_)) => {}
        }
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Sets the capacity, which lies within bounds.
    pub(crate) fn resize(&self, capacity: u32) -> Result<(), ResizeRefusal> {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if section.state.is_closed {
            return Err(ResizeRefusal::Closed);
        }
        if capacity == section.state.capacity {
            return Ok(());
        }
        if section.state.units().is_some() && capacity < section.state.capacity {
            let largest = section.state.lazy.as_ref().and_then(|lazy| lazy.line.largest_cost());
            if let Some(cost) = largest.filter(|&cost| cost > capacity) {
                return Err(ResizeRefusal::BelowQueuedCost(cost));
            }
        }
        section.freeze();
        section.set_capacity(capacity);
        section.settle();
        drop(section);
        effects.carry_out();
        Ok(())
    }

    /// Rejects everybody who waits and everybody who comes. What runs goes on.
    pub(crate) fn close(&self) {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if section.state.is_closed {
            return;
        }
        section.freeze();
        section.state.is_closed = true;
        let affected = section.state.waiting();
        section.record(EventKind::Closed, |change| change.affected_waiters = affected);
        section.close_line();
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Joins those who wait for the drain, or says with `None` that there is nothing to wait for.
    pub(crate) fn join_drain(&self, waker: Waker) -> Option<Ticket> {
        let since = Instant::now();
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if section.state.is_closed && section.in_flight() == 0 {
            drop(section);
            drop(waker);
            return None;
        }
        Some(section.lazy().drain_waiters.join(Waiter { cost: 0, since, waker: Some(waker) }))
    }

    /// Whether the drain has come. If not, it wakes `waker`.
    pub(crate) fn poll_drain(&self, ticket: Ticket, waker: &Waker) -> bool {
        let look = |section: &mut Section<'_>| match section.state.is_drained {
            true => WaiterState::Settled(()),
            false => WaiterState::Waiting(LimitEnforcer::Waiter),
        };
        matches!(
            self.watch(ticket, waker, look, |lazy| &mut lazy.drain_waiters),
            WaiterState::Settled(())
        )
    }

    /// Leaves those who wait for the drain.
    pub(crate) fn leave_drain(&self, ticket: Ticket) {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if !section.state.is_drained {
            let waiter = section.lazy().drain_waiters.leave(ticket);
            section.effects.retire(waiter.waker);
            section.tidy();
        }
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// What has become of a place in either line. One that waits has `waker` from now on.
    #[cold]
    fn watch<T>(
        &self,
        ticket: Ticket,
        waker: &Waker,
        look: impl Fn(&mut Section<'_>) -> WaiterState<T>,
        line: fn(&mut LazyState) -> &mut Line,
    ) -> WaiterState<T> {
        let mut own = None;
        loop {
            let mut effects = Effects::default();
            let mut section = Section::enter(self, &mut effects);
            let seen = look(&mut section);
            if matches!(seen, WaiterState::Waiting(_)) && !line(section.lazy()).wakes(ticket, waker)
            {
                let Some(own) = own.take() else {
                    // Cloning a waker runs code of others, so the lock is let go, and with it all we
                    // know.
                    drop(section);
                    own = Some(waker.clone());
                    continue;
                };
                let former = line(section.lazy()).set_waker(ticket, own);
                section.effects.retire(former);
            }
            section.effects.retire(own);
            section.settle();
            drop(section);
            effects.carry_out();
            return seen;
        }
    }

    /// A rejection by the gate's own clerk.
    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        Section::enter(self, &mut Effects::default()).reject(None, reason)
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.state.lock().capacity
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// Counts an operation that was let past. Under the lock, like all that a snapshot shows.
    pub(crate) fn count_bypass(&self) {
        self.state.lock().lazy(self).counts.bypassed += 1;
    }

    /// Counts an operation whose limit had passed before it came to a gate of its own.
    pub(crate) fn count_expired(&self) {
        self.state.lock().counts.expired_before_queue += 1;
    }

    /// Counts an operation that came after the close, where the gate does not see it itself.
    pub(crate) fn count_closed(&self) {
        self.state.lock().lazy(self).counts.closed_before_queue += 1;
    }

    /// Counts a handler that panicked.
    pub(crate) fn count_handler_panic(&self) {
        self.state.lock().lazy(self).counts.handler_panics += 1;
    }

    /// One instant of the gate.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Section::enter(self, &mut Effects::default()).snapshot()
    }

    /// Has everything that happens from now on told to `sink`. Returns the former one, to be
    /// dropped by the caller.
    pub(crate) fn set_sink(&self, sink: Option<SharedSink>) -> Option<SharedSink> {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.freeze();
        let former = std::mem::replace(&mut section.lazy().sink, sink);
        section.settle();
        drop(section);
        effects.carry_out();
        former
    }

    /// Whether there seem to be units for this cost, without taking the lock. A hint, and nothing more.
    #[inline]
    pub(crate) fn seems_free(&self, cost: usize) -> bool {
        Word::from_bits(self.word.load(Ordering::Relaxed)).units() as usize >= cost
    }

    /// The time, where the line looks as if it were in use, and the section that follows will ask for it.
    /// Reading the clock takes about as long as all else that is done under the lock.
    #[inline]
    pub(in crate::core) fn time_ahead(&self) -> Option<Instant> {
        let slow = Word::from_bits(self.word.load(Ordering::Relaxed)).is_slow();
        (slow && self.room > 0).then(Instant::now)
    }

    #[inline]
    fn exchange(&self, from: Word, to: Word) -> Result<(), Word> {
        self.word
            .compare_exchange_weak(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word::from_bits)
    }
}

/// Takes a waiter out of the line, and says what it needed and since when it has waited.
fn leave(section: &mut Section<'_>, ticket: Ticket) -> (u32, Instant) {
    let Waiter { cost, since, waker } = section.lazy().line.leave(ticket);
    section.effects.retire(waker);
    (cost, since)
}
