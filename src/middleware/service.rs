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
    admit::{AdmitByRequest, AdmitWithoutRequest, Route, Target},
    deadline::DeadlineSource,
    future::{Never, PendingRequest, ResponseFuture},
    hold::{HeldSlot, Hold},
    layer::AdmissionLayer,
    reject::Reject,
    reservation::Reservation,
    wait_mode::{Bypass, InReadiness, PerRequest},
};
use crate::{
    bulkhead::compartment::{LazyHandle, OwnedHandle},
    core::{
        operation::{
            arrive::{Entered, Undecided, admit_fast},
            handle::WaitPolicy,
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
    reservation: Reservation,
}

impl<S, A, M, R, H> AdmissionService<S, A, M, R, H> {
    pub(super) fn new(inner: S, layer: AdmissionLayer<A, M, R, H>) -> Self {
        Self { inner, layer, reservation: Reservation::Empty }
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
    A: AdmitWithoutRequest,
    R: Reject<Req, S::Response, S::Error>,
    H: Hold<S::Response>,
{
    type Response = H::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, Never, R, H>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if !ready!(self.reservation.poll_admission(&self.layer.admit, cx)) {
            // Readiness does not fail because of the bulkhead: the next call answers.
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(|error| {
            self.reservation = Reservation::Empty;
            R::inner(error)
        })?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let deadline = self.layer.reject.deadline(&request);
        match self.reservation.take(&self.layer.admit, deadline) {
            Ok(permit) => {
                let permit = permit.start();
                ResponseFuture::running(self.inner.call(request), HeldSlot(Some(permit)))
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
    A: AdmitByRequest<Req>,
    D: DeadlineSource<Req>,
    B: Bypass<Req>,
    R: Reject<Req, S::Response, S::Error> + Clone,
    H: Hold<S::Response>,
{
    type Response = H::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, PendingRequest<S, Req, R>, R, H>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let AdmissionLayer { admit, wait_mode, reject, .. } = &self.layer;
        let (route, policy) = if wait_mode.bypass.bypasses(&request) {
            (Ok(Route::Bypass), WaitPolicy::UpToLimit)
        } else {
            let deadline = wait_mode.deadline(&request, reject.deadline(&request));
            let policy = deadline
                .map_or(WaitPolicy::UpToLimit, |deadline| WaitPolicy::Before(deadline.instant()));
            (admit.route(&request, policy), policy)
        };
        let entry = route.and_then(|route| match route {
            Route::Bypass => {
                admit.count_bypass();
                Ok(None)
            }
            Route::Through(Target { handle, cost }) => match admit_fast(handle, cost, policy) {
                Ok(permit) => Ok(Some(Entered::Admitted(permit))),
                Err(undecided) => arrive(undecided).map(Some),
            },
        });
        match entry {
            Ok(entry) => {
                let pending =
                    PendingRequest::new(self.inner.clone(), request, reject.clone(), entry);
                ResponseFuture::waiting(pending)
            }
            Err(rejection) => ResponseFuture::answered(reject.answer(rejection, request)),
        }
    }
}

/// There is no task to wake yet: the future brings it with its first poll.
#[cold]
fn arrive(undecided: Undecided<LazyHandle<'_>>) -> Result<Entered<OwnedHandle>, Rejection> {
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
            .field("reservation", &self.reservation)
            .finish()
    }
}
