//! What a service handle holds between readiness and call: a slot, a place in line or a rejection.
//!
//! It owns how each comes about and is taken. A seat is moved with its handle for every request, so what
//! only a wait needs is in a box with the wait.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::admit::{AdmitUnseen, Door};
use crate::{
    bulkhead::{
        compartment::{Doorway, Tenant},
        deadline::Deadline,
    },
    core::{
        operation::{
            arrive::{Entry, Permit, Undecided, admit_fast, admit_now},
            handle::Ask,
            wait::Queued,
        },
        rejection::{Rejection, reason::RejectionReason},
    },
};

/// What a handle holds between readiness and call.
#[derive(Debug, Default)]
pub(super) enum Seat {
    #[default]
    Empty,
    /// A slot that was there at once.
    Admitted(Permit<Tenant>),
    /// No slot and no place.
    Refused(Rejection),
    /// A wait and what came of it.
    Waits(Pin<Box<Waiting>>),
}

pin_project! {
    #[derive(Debug)]
    #[project = WaitingProj]
    pub(super) enum Waiting {
        Queued { #[pin] queued: Queued<Tenant> },
        Ended { outcome: Option<Result<Permit<Tenant>, Rejection>>, waited: Duration },
    }
}

impl Waiting {
    /// Whether it has ended with a slot, which is then there to be taken. `joined` if it has begun in
    /// this poll.
    fn poll_end(mut self: Pin<&mut Self>, joined: bool, cx: &mut Context<'_>) -> Poll<bool> {
        if let WaitingProj::Queued { queued } = self.as_mut().project() {
            let since = queued.since();
            let outcome = if joined { queued.poll_joined(cx) } else { queued.poll(cx) };
            let (outcome, waited) = (Some(ready!(outcome)), since.elapsed());
            self.set(Self::Ended { outcome, waited });
        }
        Poll::Ready(self.has_slot())
    }

    fn has_slot(&self) -> bool {
        matches!(self, Self::Ended { outcome: Some(Ok(_)), .. })
    }

    fn is_queued(&self) -> bool {
        matches!(self, Self::Queued { .. })
    }
}

impl Seat {
    /// Gets a slot, or a rejection and says `false`. A seat that has a slot keeps it; one that has a
    /// rejection tries anew.
    #[inline]
    pub(super) fn poll_admission<A: AdmitUnseen>(
        &mut self,
        admit: &A,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        match self {
            Self::Empty | Self::Refused(_) => {}
            Self::Admitted(_) => return Poll::Ready(true),
            Self::Waits(waiting) => {
                if waiting.is_queued() || waiting.has_slot() {
                    return waiting.as_mut().poll_end(false, cx);
                }
            }
        }
        let admitted = admit
            .door(Ask::Patiently)
            .map(|Door { doorway, cost }| admit_fast(doorway, cost, Ask::Patiently));
        match admitted {
            Ok(Ok(permit)) => {
                *self = Self::Admitted(permit);
                Poll::Ready(true)
            }
            Ok(Err(undecided)) => self.poll_arrival(undecided, cx),
            Err(rejection) => {
                *self = Self::Refused(rejection);
                Poll::Ready(false)
            }
        }
    }

    #[cold]
    fn poll_arrival(
        &mut self,
        undecided: Undecided<Doorway<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        match undecided.arrive(cx.waker()) {
            Ok(Entry::Admitted(permit)) => {
                *self = Self::Admitted(permit);
                Poll::Ready(true)
            }
            Ok(Entry::Joined(joined)) => {
                let mut waiting = Box::pin(Waiting::Queued { queued: joined.into() });
                let end = waiting.as_mut().poll_end(true, cx);
                *self = Self::Waits(waiting);
                end
            }
            Err(rejection) => {
                *self = Self::Refused(rejection);
                Poll::Ready(false)
            }
        }
    }

    /// Takes what readiness has brought, for a request with this deadline. Without readiness, admits
    /// now or rejects.
    #[inline]
    pub(super) fn take<A: AdmitUnseen>(
        &mut self,
        admit: &A,
        deadline: Option<Deadline>,
    ) -> Result<Permit<Tenant>, Rejection> {
        match mem::take(self) {
            Self::Admitted(permit) => in_time(permit, Duration::ZERO, deadline),
            other => other.take_other(admit, deadline),
        }
    }

    #[cold]
    fn take_other<A: AdmitUnseen>(
        self,
        admit: &A,
        deadline: Option<Deadline>,
    ) -> Result<Permit<Tenant>, Rejection> {
        match self {
            Self::Admitted(_) | Self::Empty => {}
            Self::Refused(rejection) => return Err(rejection),
            Self::Waits(mut waiting) => {
                let end = match waiting.as_mut().project() {
                    // Not ready, and called all the same: only what is here already counts.
                    WaitingProj::Queued { queued } => {
                        let since = queued.since();
                        queued.look().map(|outcome| (outcome, since.elapsed()))
                    }
                    WaitingProj::Ended { outcome, waited } => {
                        outcome.take().map(|outcome| (outcome, *waited))
                    }
                };
                if let Some((outcome, waited)) = end {
                    return in_time(outcome?, waited, deadline);
                }
            }
        }
        enter_now(admit, deadline)
    }
}

/// Hands the slot of a request on whose deadline has passed, by dropping it.
#[inline]
fn in_time(
    permit: Permit<Tenant>,
    waited: Duration,
    deadline: Option<Deadline>,
) -> Result<Permit<Tenant>, Rejection> {
    if deadline.is_some_and(|deadline| deadline.is_expired()) {
        return Err(permit.home().compartment().reject(RejectionReason::Deadline { waited }));
    }
    Ok(permit)
}

#[cold]
fn enter_now<A: AdmitUnseen>(
    admit: &A,
    deadline: Option<Deadline>,
) -> Result<Permit<Tenant>, Rejection> {
    let ask = deadline.map_or(Ask::Now, |deadline| Ask::NowBefore(deadline.instant()));
    admit.door(ask).and_then(|Door { doorway, cost }| admit_now(doorway, cost, ask))
}
