//! What a service handle holds between `poll_ready` and `call`: a slot, a place in line or a rejection.
//!
//! This module owns how a reservation is made and taken. A reservation is moved with its handle for every
//! request, so it is kept small: what only a wait needs is boxed with the wait.

use std::{
    mem,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{admit::AdmitWithoutRequest, hold::UnusedSlot};
use crate::{
    bulkhead::{
        deadline::Deadline,
        handle::{LazyHandle, OwnedHandle},
    },
    core::{
        clock,
        gate::ending::Abandonment,
        limits::wait_policy::WaitPolicy,
        operation::{
            arrive::{Entered, Standing, Undecided, admit_fast, admit_now},
            budget::{poll_spend, poll_spending},
            permit::Permit,
            queued::Queued,
        },
        rejection::{Rejection, reason::RejectionReason},
    },
};

/// What a handle holds between `poll_ready` and `call`.
#[derive(Debug, Default)]
pub(super) enum Reservation {
    #[default]
    Empty,
    /// A slot that was free on arrival.
    Admitted(Permit<OwnedHandle>),
    /// Nothing, since what polls the handle is within a slot of the same bulkhead. The next `call` asks again.
    Nested,
    /// Rejected on arrival; the next `call` responds with this.
    Rejected(Rejection),
    /// Rejected on arrival, by a task that had no budget left to say so.
    Unreported(Rejection),
    /// A wait, or its outcome.
    Waiting(Box<ReservedWait>),
    /// Nothing: it stands in front of the full bulkhead.
    Standing(#[expect(dead_code, reason = "held for its drop")] Standing<OwnedHandle>),
}

#[derive(Debug)]
pub(super) enum ReservedWait {
    Queued { queued: Queued<OwnedHandle> },
    Ended { outcome: Option<Result<UnusedSlot, Rejection>>, wait: EndedWait },
}

/// When a wait began, and how long it took until its end was noticed.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndedWait {
    since: Instant,
    waited: Duration,
}

impl EndedWait {
    fn ends_now(since: Instant) -> Self {
        Self { since, waited: clock::elapsed(since) }
    }
}

impl ReservedWait {
    /// Polls until the wait has ended, and returns whether it ended with a slot, which can then be taken.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if let Self::Queued { queued } = self {
            let since = queued.since();
            let outcome = ready!(poll_spending(cx, |cx| queued.poll(cx)));
            let outcome = outcome.map(|permit| UnusedSlot::new(permit, since));
            *self = Self::Ended { outcome: Some(outcome), wait: EndedWait::ends_now(since) };
        }
        Poll::Ready(self.has_slot())
    }

    fn has_slot(&self) -> bool {
        matches!(self, Self::Ended { outcome: Some(Ok(_)), .. })
    }

    fn units(&self) -> u32 {
        match self {
            Self::Queued { queued } => queued.cost(),
            Self::Ended { outcome: Some(Ok(slot)), .. } => slot.cost(),
            Self::Ended { .. } => 0,
        }
    }

    fn is_queued(&self) -> bool {
        matches!(self, Self::Queued { .. })
    }
}

impl Reservation {
    /// Returns the units that it holds or waits for.
    pub(super) fn units(&self) -> u32 {
        match self {
            Self::Empty
            | Self::Nested
            | Self::Rejected(_)
            | Self::Unreported(_)
            | Self::Standing(_) => 0,
            Self::Admitted(permit) => permit.cost(),
            Self::Waiting(waiting) => waiting.units(),
        }
    }

    /// Polls until this holds a slot (`true`) or a rejection (`false`).
    ///
    /// A slot that it already holds is kept. A rejection that it already holds is discarded and a new
    /// attempt is made.
    #[inline]
    pub(super) fn poll_admission<A: AdmitWithoutRequest>(
        &mut self,
        admit: &A,
        backpressure: bool,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        match self {
            Self::Empty | Self::Nested | Self::Rejected(_) => {}
            // With the waker of this poll, it may stand there again.
            Self::Standing(_) => *self = Self::Empty,
            Self::Admitted(_) => return Poll::Ready(true),
            Self::Unreported(_) => {
                if let Self::Unreported(rejection) = mem::take(self) {
                    *self = Self::Rejected(rejection);
                }
                return Poll::Ready(false);
            }
            Self::Waiting(waiting) => {
                if waiting.is_queued() || waiting.has_slot() {
                    return waiting.poll_end(cx);
                }
            }
        }
        let target = match admit.target(WaitPolicy::UpToLimit) {
            Ok(target) => target,
            Err(rejection) => return self.rejected(rejection, cx),
        };
        if target.is_within() {
            *self = Self::Nested;
            return Poll::Ready(true);
        }
        match admit_fast(target.handle, target.cost, WaitPolicy::UpToLimit) {
            Ok(permit) => self.admitted(permit, cx),
            Err(undecided) => self.poll_arrival(undecided, backpressure, cx),
        }
    }

    #[inline]
    fn admitted(&mut self, permit: Permit<OwnedHandle>, cx: &mut Context<'_>) -> Poll<bool> {
        *self = Self::Admitted(permit);
        poll_spend(cx).map(|()| true)
    }

    fn rejected(&mut self, rejection: Rejection, cx: &mut Context<'_>) -> Poll<bool> {
        let spent = poll_spend(cx);
        *self = match spent {
            Poll::Ready(()) => Self::Rejected(rejection),
            Poll::Pending => Self::Unreported(rejection),
        };
        spent.map(|()| false)
    }

    #[cold]
    fn poll_arrival(
        &mut self,
        undecided: Undecided<LazyHandle<'_>>,
        backpressure: bool,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        match undecided.arrive_or_stand(cx.waker(), backpressure) {
            Ok(Entered::Admitted(permit)) => self.admitted(permit, cx),
            Ok(Entered::Queued(newly_queued)) => {
                let queued = Queued::start(newly_queued);
                *self = Self::Waiting(Box::new(ReservedWait::Queued { queued }));
                Poll::Pending
            }
            Ok(Entered::Standing(standing)) => {
                *self = Self::Standing(standing);
                Poll::Pending
            }
            Err(rejection) => self.rejected(rejection, cx),
        }
    }

    /// Takes the slot or the rejection for a request with this deadline. If there is neither, admits now or
    /// rejects. `None` is a request that is within a slot of the same bulkhead, and needs no other.
    #[inline]
    pub(super) fn take<A: AdmitWithoutRequest>(
        &mut self,
        admit: &A,
        deadline: Option<Deadline>,
    ) -> Result<Option<Permit<OwnedHandle>>, Rejection> {
        match mem::take(self) {
            Self::Admitted(permit) => check_deadline(permit, None, deadline).map(Some),
            other => other.take_slow(admit, deadline),
        }
    }

    #[cold]
    fn take_slow<A: AdmitWithoutRequest>(
        self,
        admit: &A,
        deadline: Option<Deadline>,
    ) -> Result<Option<Permit<OwnedHandle>>, Rejection> {
        match self {
            Self::Admitted(_) | Self::Empty | Self::Nested | Self::Standing(_) => {}
            Self::Rejected(rejection) | Self::Unreported(rejection) => return Err(rejection),
            Self::Waiting(mut waiting) => {
                let end = match &mut *waiting {
                    // Called without being ready: only an outcome that is already decided counts.
                    ReservedWait::Queued { queued } => {
                        let since = queued.since();
                        let outcome = queued.try_outcome();
                        outcome.map(|outcome| (outcome.map(Some), EndedWait::ends_now(since)))
                    }
                    ReservedWait::Ended { outcome, wait } => {
                        let outcome = outcome.take();
                        outcome.map(|outcome| (outcome.map(UnusedSlot::take), *wait))
                    }
                };
                if let Some((Ok(Some(permit)), wait)) = end {
                    return check_deadline(permit, Some(wait), deadline).map(Some);
                }
                if let Some((Err(rejection), _)) = end {
                    return Err(rejection);
                }
            }
        }
        enter_now(admit, deadline)
    }
}

/// Returns the slot unless the deadline has passed. In that case it goes to the next waiter.
#[inline]
fn check_deadline(
    permit: Permit<OwnedHandle>,
    wait: Option<EndedWait>,
    deadline: Option<Deadline>,
) -> Result<Permit<OwnedHandle>, Rejection> {
    if deadline.is_some_and(|deadline| deadline.is_expired()) {
        return Err(abandon_late(permit, wait));
    }
    Ok(permit)
}

#[cold]
fn abandon_late(permit: Permit<OwnedHandle>, wait: Option<EndedWait>) -> Rejection {
    let waited = wait.map_or(Duration::ZERO, |wait| wait.waited);
    let rejection = permit.handle().compartment().reject(RejectionReason::Deadline { waited });
    // The wait of an abandoned operation goes on until it returns its units.
    let waited = wait.map(|wait| clock::elapsed(wait.since));
    permit.abandon(Abandonment { waited, by_deadline: true });
    rejection
}

#[cold]
fn enter_now<A: AdmitWithoutRequest>(
    admit: &A,
    deadline: Option<Deadline>,
) -> Result<Option<Permit<OwnedHandle>>, Rejection> {
    let policy = deadline
        .map_or(WaitPolicy::NoWait, |deadline| WaitPolicy::NoWaitBefore(deadline.instant()));
    let target = admit.target(policy)?;
    if target.is_within() {
        target.count_nested();
        return Ok(None);
    }
    admit_now(target.handle, target.cost, policy).map(Some)
}
