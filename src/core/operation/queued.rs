//! A waiting operation: its entry in the line, and the future that waits for the outcome.
//!
//! It owns the entry and, if no alarm enforces the limit, the timer of the wait. It does not own the outcome, nor when the
//! limit has passed: the gate decides.

use std::task::{Context, Poll, Waker};

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    gate::{
        arrival::WaiterState,
        trace::{self, WaitSpan},
    },
    limits::{
        LimitEnforcer,
        alarm::{Alarm, Arming},
        current_runtime,
        timer::Timer,
    },
    line::Ticket,
    operation::{handle::GateHandle, permit::Permit},
    rejection::Rejection,
};

/// An entry in the line. Dropping it leaves the line, or returns the units if it was admitted meanwhile.
#[derive(Debug)]
pub(in crate::core) struct QueueEntry<H: GateHandle> {
    /// Taken once the outcome is known.
    handle: Option<H>,
    ticket: Ticket,
    /// When it joined the line.
    since: Instant,
    span: WaitSpan,
}

impl<H: GateHandle> QueueEntry<H> {
    pub(in crate::core) fn new(handle: H, ticket: Ticket, since: Instant) -> Self {
        // A subscriber that panics finds an entry, which leaves the line.
        let mut entry = Self { handle: Some(handle), ticket, since, span: WaitSpan::none() };
        entry.span = WaitSpan::new(entry.handle().label(), ticket.cost());
        entry
    }

    fn poll_waiter(&mut self, waker: &Waker) -> WaiterState<Result<Permit<H>, Rejection>> {
        let handle = self.handle();
        match handle.gate().poll_waiter(self.ticket, waker, handle.shared()) {
            WaiterState::Settled(outcome) => WaiterState::Settled(self.settle(outcome)),
            WaiterState::Waiting(enforcer) => WaiterState::Waiting(enforcer),
        }
    }

    fn handle(&self) -> &H {
        self.handle.as_ref().expect("the queue entry has no outcome yet")
    }

    fn settle(&mut self, outcome: Result<(), Rejection>) -> Result<Permit<H>, Rejection> {
        let handle = self.handle.take().expect("a queue entry has one outcome");
        // A subscriber that panics finds a permit, which gives the units back.
        let outcome = outcome.map(|()| Permit::handed_over(handle, self.ticket));
        self.span.end(outcome.as_ref().map(|_| ()));
        outcome.map_err(trace::rejected)
    }
}

impl<H: GateHandle> Drop for QueueEntry<H> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.gate().cancel(self.ticket, self.since, handle.shared());
        }
    }
}

/// An operation that has just joined the line, and what is to be done for its limit.
#[derive(Debug)]
pub(crate) struct NewlyQueued<H: GateHandle> {
    pub(in crate::core) entry: QueueEntry<H>,
    pub(in crate::core) enforcer: LimitEnforcer,
}

/// An operation in the line.
#[derive(Debug)]
pub(crate) struct Queued<H: GateHandle> {
    entry: QueueEntry<H>,
    timer: Option<OwnTimer>,
}

/// A timer of one waiter. It wakes the gate, which takes the waiter out and wakes its task.
#[derive(Debug)]
struct OwnTimer {
    /// Held for its drop.
    _timer: Timer,
    runtime: Option<Id>,
}

impl<H: GateHandle> Queued<H> {
    /// Whether it has no outcome yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.entry.handle.is_some()
    }

    /// Returns its cost in units.
    pub(crate) fn cost(&self) -> u32 {
        self.entry.ticket.cost()
    }

    /// Returns when it joined the line.
    pub(crate) fn since(&self) -> Instant {
        self.entry.since
    }

    /// Returns the outcome if there is one by now, without waiting for it.
    pub(crate) fn try_outcome(&mut self) -> Option<Result<Permit<H>, Rejection>> {
        match self.entry.poll_waiter(Waker::noop()) {
            WaiterState::Settled(outcome) => Some(outcome),
            WaiterState::Waiting(_) => None,
        }
    }

    /// Sees to it that the limit of a waiter that has just joined is enforced. Its waker is in place.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer, if the wait has a limit.
    #[inline]
    pub(crate) fn start(NewlyQueued { entry, enforcer }: NewlyQueued<H>) -> Self {
        let mut queued = Self { entry, timer: None };
        if enforcer != LimitEnforcer::Line {
            queued.enforce_limit(enforcer);
        }
        queued
    }

    /// As [`start`](Self::start), but outside a runtime the limit is left to the first poll.
    pub(crate) fn start_if_possible(newly_queued: NewlyQueued<H>) -> Self {
        match current_runtime() {
            Some(_) => Self::start(newly_queued),
            None => Self { entry: newly_queued.entry, timer: None },
        }
    }

    /// Enforces the limit of this wait, because no alarm does yet.
    #[cold]
    fn enforce_limit(&mut self, mut enforcer: LimitEnforcer) {
        let Some(handle) = &self.entry.handle else { return };
        if enforcer == LimitEnforcer::NewAlarm {
            let alarm = Alarm::new(handle.alarm_waker());
            enforcer = handle.gate().adopt(self.entry.ticket, alarm);
        }
        let LimitEnforcer::Waiter(at) = enforcer else { return };
        let runtime = current_runtime();
        if self.timer.as_ref().is_some_and(|own| runtime.is_none() || own.runtime == runtime) {
            return;
        }
        let (mut timer, waker) = (Timer::new(), handle.alarm_waker());
        if timer.arm(at, &waker) == Arming::AlreadyDue {
            waker.wake();
        }
        self.timer = Some(OwnTimer { _timer: timer, runtime });
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Permit<H>, Rejection>> {
        match self.entry.poll_waiter(cx.waker()) {
            WaiterState::Settled(outcome) => Poll::Ready(outcome),
            WaiterState::Waiting(LimitEnforcer::Line) => Poll::Pending,
            WaiterState::Waiting(enforcer) => {
                self.enforce_limit(enforcer);
                Poll::Pending
            }
        }
    }
}
