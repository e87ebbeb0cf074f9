//! A waiting operation: its entry in the line, and the future that waits for the outcome.
//!
//! It owns the entry and, if no alarm enforces the limit, the timer of the wait. It does not own the outcome:
//! the gate decides.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;
use tokio::{
    runtime::Id,
    time::{Instant, Sleep, sleep_until},
};

use crate::core::{
    clock,
    gate::{
        arrival::WaiterState,
        trace::{self, WaitSpan},
    },
    limits::{Expiry, LimitEnforcer, alarm::Alarm, current_runtime},
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
        let span = WaitSpan::new(handle.label(), ticket.cost());
        Self { handle: Some(handle), ticket, since, span }
    }

    fn poll_waiter(&mut self, waker: &Waker) -> WaiterState<Result<Permit<H>, Rejection>> {
        let handle = self.handle();
        match handle.gate().poll_waiter(self.ticket, waker, handle.shared()) {
            WaiterState::Settled(outcome) => WaiterState::Settled(self.settle(outcome)),
            WaiterState::Waiting(enforcer) => WaiterState::Waiting(enforcer),
        }
    }

    fn expire(&mut self, (at, expiry): (Instant, Expiry)) -> Result<Permit<H>, Rejection> {
        let handle = self.handle();
        let limit = at.saturating_duration_since(self.since);
        let outcome = handle.gate().expire(self.ticket, expiry, limit, handle.shared());
        self.settle(outcome)
    }

    fn handle(&self) -> &H {
        self.handle.as_ref().expect("the queue entry has no outcome yet")
    }

    fn settle(&mut self, outcome: Result<(), Rejection>) -> Result<Permit<H>, Rejection> {
        let handle = self.handle.take().expect("a queue entry has one outcome");
        self.span.end(outcome.as_ref().map(|_| ()));
        let outcome = outcome.map_err(trace::rejected);
        outcome.map(|()| Permit::handed_over(handle, self.ticket))
    }
}

impl<H: GateHandle> Drop for QueueEntry<H> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.gate().cancel(self.ticket, self.since, handle.shared());
        }
    }
}

/// An operation that has just joined the line and is not pinned yet. The timer it may need is large, so it is
/// added only to the pinned [`Queued`].
#[derive(Debug)]
pub(crate) struct NewlyQueued<H: GateHandle> {
    pub(in crate::core) entry: QueueEntry<H>,
    pub(in crate::core) end: Option<(Instant, Expiry)>,
    pub(in crate::core) enforcer: LimitEnforcer,
}

pin_project! {
    /// An operation in the line.
    #[derive(Debug)]
    #[repr(C)]
    pub(crate) struct Queued<H: GateHandle> {
        entry: QueueEntry<H>,
        end: Option<(Instant, Expiry)>,
        enforcer: LimitEnforcer,
        // The runtime that drives the timer.
        timer_runtime: Option<Id>,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<H: GateHandle> From<NewlyQueued<H>> for Queued<H> {
    #[inline]
    fn from(NewlyQueued { entry, end, enforcer }: NewlyQueued<H>) -> Self {
        Self { entry, end, enforcer, timer_runtime: None, timer: None }
    }
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
    pub(crate) fn try_outcome(self: Pin<&mut Self>) -> Option<Result<Permit<H>, Rejection>> {
        let this = self.project();
        match (this.entry.poll_waiter(Waker::noop()), *this.end) {
            (WaiterState::Settled(outcome), _) => Some(outcome),
            (WaiterState::Waiting(_), Some((at, expiry))) if at <= clock::now() => {
                Some(this.entry.expire((at, expiry)))
            }
            (WaiterState::Waiting(_), _) => None,
        }
    }

    /// Polls a waiter that has just joined: its waker is in place, but its limit may not be enforced yet.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer, if the wait has a limit.
    #[inline]
    pub(crate) fn poll_newly_queued(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        match (self.end, self.enforcer) {
            (None, _) | (_, LimitEnforcer::Alarm) => Poll::Pending,
            (Some(end), _) => self.poll_limit(end, cx),
        }
    }

    /// Enforces the limit of this wait, because no alarm does.
    #[cold]
    fn poll_limit(
        self: Pin<&mut Self>,
        (at, expiry): (Instant, Expiry),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        let mut this = self.project();
        if this.timer.is_none() {
            // The alarm may have fired for this waiter, or the first poll may be late.
            if at <= clock::now() {
                return Poll::Ready(this.entry.expire((at, expiry)));
            }
            if let (LimitEnforcer::NewAlarm, Some(handle)) = (*this.enforcer, &this.entry.handle) {
                let alarm = Alarm::new(at.duration_since(this.entry.since), handle.alarm_waker());
                *this.enforcer = handle.gate().adopt(this.entry.ticket, alarm);
                if let LimitEnforcer::Alarm = this.enforcer {
                    return Poll::Pending;
                }
            }
            *this.timer_runtime = current_runtime();
            this.timer.set(Some(sleep_until(at)));
        } else if current_runtime().is_some_and(|runtime| *this.timer_runtime != Some(runtime)) {
            // The runtime of the timer may be gone, and a poll would panic.
            *this.timer_runtime = current_runtime();
            this.timer.set(Some(sleep_until(at)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(this.entry.expire((at, expiry)))
    }
}

impl<H: GateHandle> Future for Queued<H> {
    type Output = Result<Permit<H>, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        match this.entry.poll_waiter(cx.waker()) {
            WaiterState::Settled(outcome) => Poll::Ready(outcome),
            WaiterState::Waiting(enforcer) => {
                // This waiter must still create the alarm, unless one serves it by now.
                if *this.enforcer != LimitEnforcer::NewAlarm || enforcer == LimitEnforcer::Alarm {
                    *this.enforcer = enforcer;
                }
                self.poll_newly_queued(cx)
            }
        }
    }
}
