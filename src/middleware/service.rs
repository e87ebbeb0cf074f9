//! `AdmissionService`: the service that a layer makes.
//!
//! It owns a seat, and the order in which the bulkhead and the inner service are asked. Its clones share
//! nothing with it but the bulkhead.

use std::{
    fmt,
    task::{Context, Poll, Waker, ready},
};

use tower_service::Service;

use super::{
    admit::{AdmitSeen, AdmitUnseen, Door, Way},
    deadline::DeadlineSource,
    future::{Never, Parked, ResponseFuture},
    hold::{Held, Hold},
    layer::AdmissionLayer,
    reject::Reject,
    reservation::Seat,
    wait_mode::{Bypass, InReadiness, PerRequest},
};
use crate::{
    bulkhead::compartment::{Doorway, Tenant},
    core::{
        operation::{
            arrive::{Entry, Undecided, admit_fast},
            handle::Ask,
        },
        rejection::Rejection,
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
        if !ready!(self.seat.poll_admission(&self.layer.admit, cx)) {
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
                Err(undecided) => arrive(undecided).map(Some),
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

/// There is no task to wake yet: the future brings it with its first poll.
#[cold]
fn arrive(undecided: Undecided<Doorway<'_>>) -> Result<Entry<Tenant>, Rejection> {
    undecided.arrive(Waker::noop())
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
