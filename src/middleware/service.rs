//! `AdmissionService`: the service that a layer makes.
//!
//! It owns one seat: what a handle holds between readiness and call. Its clones share nothing with
//! it but the bulkhead.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tower_service::Service;

use super::{
    admit::{AdmitSeen, AdmitUnseen, Door, Way},
    deadline::DeadlineSource,
    future::{Never, Parked, ResponseFuture},
    hold::{Held, Hold},
    layer::AdmissionLayer,
    place::{Bypass, InReadiness, PerRequest},
    reject::Reject,
};
use crate::{
    bulkhead::{
        compartment::{Doorway, Tenant},
        deadline::Deadline,
        error::Rejection,
    },
    core::{
        admission::{Ask, Entry, Home, Permit, Queued, Undecided, admit_fast, admit_now},
        reason::RejectionReason,
    },
};

/// A service behind a bulkhead. Made by an [`AdmissionLayer`].
///
/// A clone starts with no slot, no place in line and no rejection. Dropping a service gives back
/// whatever it holds.
pub struct AdmissionService<S, A, M, R, H> {
    inner: S,
    layer: AdmissionLayer<A, M, R, H>,
    seat: Seat,
}

/// What a handle holds between readiness and call.
#[derive(Debug, Default)]
enum Seat {
    #[default]
    Empty,
    Queued(Pin<Box<Queued<Tenant>>>),
    /// A slot until it is taken, and how long it was waited for.
    Admitted(Option<Permit<Tenant>>, Duration),
    Rejected(Rejection),
}

impl<S, A, M, R, H> AdmissionService<S, A, M, R, H> {
    pub(super) fn new(inner: S, layer: AdmissionLayer<A, M, R, H>) -> Self {
        Self { inner, layer, seat: Seat::Empty }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service by itself. What this handle holds is given back.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// Waits in readiness: the request comes when all is decided but its deadline.
impl<S, A, R, H, Req> Service<Req> for AdmissionService<S, A, InReadiness, R, H>
where
    S: Service<Req>,
    A: AdmitUnseen,
    R: Reject<Req, S::Response, S::Error>,
    H: Hold<S::Response>,
{
    type Response = H::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, Never, R, H>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.seat.poll_admission(&self.layer.admit, cx));
        if let Seat::Rejected(_) = self.seat {
            // Readiness does not fail because of the bulkhead: the next call answers.
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(|error| {
            self.seat = Seat::Empty;
            R::inner(error)
        })?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let deadline = self.layer.reject.deadline(&request);
        match self.seat.take(&self.layer.admit, deadline) {
            Ok(permit) => {
                let permit = permit.start();
                ResponseFuture::running(self.inner.call(request), Held(Some(permit)))
            }
            Err(rejection) => {
                ResponseFuture::answered(self.layer.reject.answer(rejection, request))
            }
        }
    }
}

impl Seat {
    /// Gets a slot or a rejection. One that has a slot keeps it; one that has a rejection tries anew.
    #[inline]
    fn poll_admission<A: AdmitUnseen>(&mut self, admit: &A, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Admitted(Some(_), _) => return Poll::Ready(()),
            Self::Queued(queued) => {
                let outcome = ready!(queued.as_mut().poll(cx));
                let waited = queued.since().elapsed();
                return self.sit(outcome.map(|permit| (permit, waited)));
            }
            Self::Empty | Self::Admitted(None, _) | Self::Rejected(_) => {}
        }
        let Door { doorway, cost } = match admit.door(Ask::Patiently) {
            Ok(door) => door,
            Err(rejection) => return self.sit(Err(rejection)),
        };
        match admit_fast(doorway, cost, Ask::Patiently) {
            Ok(permit) => {
                *self = Self::Admitted(Some(permit), Duration::ZERO);
                Poll::Ready(())
            }
            Err(undecided) => self.poll_arrival(undecided, cx),
        }
    }

    #[cold]
    fn poll_arrival(
        &mut self,
        undecided: Undecided<Doorway<'_>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let outcome = match undecided.arrive(cx.waker()) {
            Ok(Entry::Admitted(permit)) => Ok((permit, Duration::ZERO)),
            Err(rejection) => Err(rejection),
            Ok(Entry::Joined(joined)) => {
                let mut queued = Box::pin(Queued::from(joined));
                match queued.as_mut().poll_joined(cx) {
                    Poll::Ready(outcome) => {
                        outcome.map(|permit| (permit, queued.since().elapsed()))
                    }
                    Poll::Pending => {
                        *self = Self::Queued(queued);
                        return Poll::Pending;
                    }
                }
            }
        };
        self.sit(outcome)
    }

    #[cold]
    fn sit(&mut self, outcome: Result<(Permit<Tenant>, Duration), Rejection>) -> Poll<()> {
        *self = match outcome {
            Ok((permit, waited)) => Self::Admitted(Some(permit), waited),
            Err(rejection) => Self::Rejected(rejection),
        };
        Poll::Ready(())
    }

    /// Takes what readiness has brought, for a request with this deadline. Without readiness, admits
    /// now or rejects.
    #[inline]
    fn take<A: AdmitUnseen>(
        &mut self,
        admit: &A,
        deadline: Option<Deadline>,
    ) -> Result<Permit<Tenant>, Rejection> {
        if let Self::Admitted(permit, waited) = self {
            // In place, because a seat is large to move.
            if let Some(permit) = permit.take() {
                return in_time(permit, *waited, deadline);
            }
        }
        self.take_other(admit, deadline)
    }

    #[cold]
    fn take_other<A: AdmitUnseen>(
        &mut self,
        admit: &A,
        deadline: Option<Deadline>,
    ) -> Result<Permit<Tenant>, Rejection> {
        match mem::take(self) {
            Self::Admitted(..) | Self::Empty => enter_now(admit, deadline),
            Self::Rejected(rejection) => Err(rejection),
            Self::Queued(mut queued) => {
                // Not ready, and called all the same: only what is here already counts.
                match queued.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(outcome) => in_time(outcome?, queued.since().elapsed(), deadline),
                    Poll::Pending => {
                        drop(queued);
                        enter_now(admit, deadline)
                    }
                }
            }
        }
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
        return Err(permit.home().reject(RejectionReason::Deadline { waited }));
    }
    Ok(permit)
}

#[cold]
fn enter_now<A: AdmitUnseen>(
    admit: &A,
    deadline: Option<Deadline>,
) -> Result<Permit<Tenant>, Rejection> {
    let ask = deadline.map_or(Ask::Now, |deadline| Ask::NowBefore(deadline.instant()));
    let Door { doorway, cost } = admit.door(ask)?;
    admit_now(doorway, cost, ask)
}

/// Waits per request: the place in line is taken in `call`, and everything else happens in the
/// response future.
impl<S, A, D, B, R, H, Req> Service<Req> for AdmissionService<S, A, PerRequest<D, B>, R, H>
where
    S: Service<Req> + Clone,
    A: AdmitSeen<Req>,
    D: DeadlineSource<Req>,
    B: Bypass<Req>,
    R: Reject<Req, S::Response, S::Error> + Clone,
    H: Hold<S::Response>,
{
    type Response = H::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, Parked<S, Req, R>, R, H>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let AdmissionLayer { admit, place, reject, .. } = &self.layer;
        let (way, ask) = if place.bypass.bypasses(&request) {
            (Ok(Way::Past), Ask::Patiently)
        } else {
            let deadline = place.deadline(&request, reject.deadline(&request));
            let ask = deadline.map_or(Ask::Patiently, |deadline| Ask::Before(deadline.instant()));
            (admit.way(&request, ask), ask)
        };
        let entry = way.and_then(|way| match way {
            Way::Past => {
                admit.count_bypass();
                Ok(None)
            }
            Way::Through(Door { doorway, cost }) => match admit_fast(doorway, cost, ask) {
                Ok(permit) => Ok(Some(Entry::Admitted(permit))),
                // There is no task to wake yet: the future brings it with its first poll.
                Err(undecided) => undecided.arrive(Waker::noop()).map(Some),
            },
        });
        match entry {
            Ok(entry) => {
                let parked = Parked::new(self.inner.clone(), request, reject.clone(), entry);
                ResponseFuture::waiting(parked)
            }
            Err(rejection) => ResponseFuture::answered(reject.answer(rejection, request)),
        }
    }
}

impl<S: Clone, A: Clone, M: Clone, R: Clone, H> Clone for AdmissionService<S, A, M, R, H> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.layer.clone())
    }
}

impl<S: fmt::Debug, A: fmt::Debug, M: fmt::Debug, R, H> fmt::Debug
    for AdmissionService<S, A, M, R, H>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .field("seat", &self.seat)
            .finish()
    }
}
