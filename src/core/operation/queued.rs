//! A waiter in the line: its entry, and the future that waits in it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::core::{
    gate::arrival::WaiterState,
    limits::{Expiry, LimitEnforcer, alarm::Alarm},
    line::Ticket,
    operation::{handle::GateHandle, permit::Permit},
    rejection::Rejection,
};

/// A place in the line; dropping it leaves the line, or gives back what it was admitted to.
#[derive(Debug)]
pub(in crate::core) struct QueueEntry<H: GateHandle> {
    /// Taken once the place has been given up.
    handle: Option<H>,
    ticket: Ticket,
}

impl<H: GateHandle> QueueEntry<H> {
    pub(in crate::core) fn new(handle: H, ticket: Ticket) -> Self {
        Self { handle: Some(handle), ticket }
    }

    fn look(&mut self, waker: &Waker) -> WaiterState<Result<Permit<H>, Rejection>> {
        let handle = self.handle();
        match handle.gate().look(self.ticket, waker, handle.rejections()) {
            WaiterState::Settled(outcome) => WaiterState::Settled(self.settle(outcome)),
            WaiterState::Waiting(enforcer) => WaiterState::Waiting(enforcer),
        }
    }

    fn expire(&mut self, expiry: Expiry) -> Result<Permit<H>, Rejection> {
        let handle = self.handle();
        let outcome = handle.gate().expire(self.ticket, expiry, handle.rejections());
        self.settle(outcome)
    }

    fn handle(&self) -> &H {
        self.handle.as_ref().expect("a place is polled until it has an outcome")
    }

    fn settle(&mut self, outcome: Result<(), Rejection>) -> Result<Permit<H>, Rejection> {
        let handle = self.handle.take().expect("a place has one outcome");
        outcome.map(|()| Permit::new(handle, self.ticket.cost()))
    }
}

impl<H: GateHandle> Drop for QueueEntry<H> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.gate().cancel(self.ticket);
        }
    }
}

/// An operation that has just joined the line, before it is pinned somewhere to wait. The timer that it
/// may need is large, so it is made only there.
#[derive(Debug)]
pub(crate) struct NewlyQueued<H: GateHandle> {
    pub(in crate::core) entry: QueueEntry<H>,
    pub(in crate::core) since: Instant,
    pub(in crate::core) end: Option<(Instant, Expiry)>,
    pub(in crate::core) enforcer: LimitEnforcer,
}

pin_project! {
    /// An operation in line.
    #[derive(Debug)]
    #[repr(C)]
    pub(crate) struct Queued<H: GateHandle> {
        entry: QueueEntry<H>,
        since: Instant,
        end: Option<(Instant, Expiry)>,
        enforcer: LimitEnforcer,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<H: GateHandle> From<NewlyQueued<H>> for Queued<H> {
    #[inline]
    fn from(NewlyQueued { entry, since, end, enforcer }: NewlyQueued<H>) -> Self {
        Self { entry, since, end, enforcer, timer: None }
    }
}

impl<H: GateHandle> Queued<H> {
    /// Whether it has not resolved yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.entry.handle.is_some()
    }

    /// When it joined the line.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// What is decided already, without waiting for more.
    pub(crate) fn look(self: Pin<&mut Self>) -> Option<Result<Permit<H>, Rejection>> {
        let this = self.project();
        match (this.entry.look(Waker::noop()), *this.end) {
            (WaiterState::Settled(outcome), _) => Some(outcome),
            (WaiterState::Waiting(_), Some((at, expiry))) if at <= Instant::now() => {
                Some(this.entry.expire(expiry))
            }
            (WaiterState::Waiting(_), _) => None,
        }
    }

    /// The first poll, made by whoever has just joined: the waker is in place, the limit may not be kept
    /// yet.
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

    /// Keeps the limit of this wait, which nobody else does.
    #[cold]
    fn poll_limit(
        self: Pin<&mut Self>,
        (at, expiry): (Instant, Expiry),
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        let mut this = self.project();
        if this.timer.is_none() {
            // An alarm may have rung for this, or a first poll have come late.
            if at <= Instant::now() {
                return Poll::Ready(this.entry.expire(expiry));
            }
            if let (LimitEnforcer::NewAlarm, Some(handle)) = (*this.enforcer, &this.entry.handle) {
                let alarm = Alarm::new(at.duration_since(*this.since), handle.alarm_waker());
                *this.enforcer = handle.gate().adopt(this.entry.ticket, alarm);
                if let LimitEnforcer::Alarm = this.enforcer {
                    return Poll::Pending;
                }
            }
            this.timer.set(Some(sleep_until(at)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(this.entry.expire(expiry))
    }
}

impl<H: GateHandle> Future for Queued<H> {
    type Output = Result<Permit<H>, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        match this.entry.look(cx.waker()) {
            WaiterState::Settled(outcome) => Poll::Ready(outcome),
            WaiterState::Waiting(enforcer) => {
                // What was to be done about its limit still is, unless an alarm keeps it now.
                if *this.enforcer != LimitEnforcer::NewAlarm || enforcer == LimitEnforcer::Alarm {
                    *this.enforcer = enforcer;
                }
                self.poll_newly_queued(cx)
            }
        }
    }
}
