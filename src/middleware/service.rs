//! `AdmissionService`: the service that a layer creates.
//!
//! This module owns the order in which a service calls the bulkhead and the inner service. A service holds
//! its own reservation; its clones share only the bulkhead and the layer's options with it.

use std::{
    fmt,
    task::{Context, Poll, Waker, ready},
};

use tower_service::Service;

use super::{
    admit::{
        AdmitByRequest, AdmitWithoutRequest, FixedCost, FixedKey, MeasureLoad, Partitioned, Plain,
        Route, Target, Weighted,
    },
    deadline::DeadlineSource,
    future::{Claim, Never, PendingRequest, ResponseFuture},
    hold::{HeldSlot, Hold, LendSlot, UntilResponse},
    layer::AdmissionLayer,
    reject::{IntoResponse, Reject},
    reservation::Reservation,
    wait_mode::{BypassFilter, InReadiness, PerRequest},
};
use crate::{
    bulkhead::handle::LazyHandle,
    core::{
        limits::wait_policy::WaitPolicy,
        operation::arrive::{Undecided, admit_fast},
        rejection::Rejection,
    },
};

/// A service behind a bulkhead, created by an [`AdmissionLayer`].
///
/// `S` is the inner service; `A`, `M`, `R` and `H` are the type parameters of the layer.
///
/// Readiness never fails because of the bulkhead: if `poll_ready` ends in a rejection, the next `call`
/// responds with it. In a service that waits in readiness, a `call` without readiness admits the request
/// immediately or rejects it.
///
/// A clone starts with no slot, no place in line and no rejection. Dropping a service gives back whatever it
/// holds.
///
/// # Panics
///
/// `poll_ready` panics outside a tokio runtime with a timer, if it has to wait and there is a wait limit.
pub struct AdmissionService<S, A, M, R, H> {
    inner: S,
    layer: AdmissionLayer<A, M, R, H>,
    reservation: Reservation,
}

impl<S, A, M, R, H> AdmissionService<S, A, M, R, H> {
    pub(super) fn new(inner: S, layer: AdmissionLayer<A, M, R, H>) -> Self {
        Self { inner, layer, reservation: Reservation::Empty }
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service, and gives back whatever this handle holds.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, A: MeasureLoad, M, R, H> AdmissionService<S, A, M, R, H> {
    /// Returns how loaded the bulkhead is: the units in use or waited for, without those of this handle, divided by the
    /// capacity.
    ///
    /// It is infinite while a request of this handle would be rejected: while the bulkhead is closed, or full and the
    /// handle holds nothing. For balancers, which send a request to the least loaded of several services. With the
    /// feature `tower`, this is the service's `tower::load::Load`.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{Bulkhead, BulkheadLayer};
    /// use tower::Layer;
    ///
    /// let payments = Bulkhead::builder("payments").parallelism(4).waiting_room(4).build()?;
    /// let service = BulkheadLayer::new(&payments).layer(());
    /// let slot = payments.slot_now()?;
    /// assert_eq!(service.load(), 0.25);
    /// # drop(slot);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn load(&self) -> f64 {
        self.layer.admit.load_without(self.reservation.units() as usize)
    }
}

/// The service of a [`BulkheadLayer`](crate::BulkheadLayer), to write down its type.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, BulkheadLayer, BulkheadService};
/// use tower::Layer;
///
/// struct Shop {
///     client: BulkheadService<reqwest::Client>,
/// }
/// # mod reqwest { #[derive(Clone, Default)] pub struct Client; }
///
/// impl Shop {
///     fn new(payments: &Bulkhead) -> Self {
///         Self { client: BulkheadLayer::new(payments).layer(reqwest::Client::default()) }
///     }
/// }
/// ```
pub type BulkheadService<S, M = InReadiness, R = IntoResponse, H = UntilResponse> =
    AdmissionService<S, Plain, M, R, H>;

/// The service of a [`WeightedBulkheadLayer`](crate::WeightedBulkheadLayer), to write down its type.
pub type WeightedBulkheadService<
    S,
    C = FixedCost,
    M = InReadiness,
    R = IntoResponse,
    H = UntilResponse,
> = AdmissionService<S, Weighted<C>, M, R, H>;

/// The service of a [`PartitionedBulkheadLayer`](crate::PartitionedBulkheadLayer), to write down its type.
pub type PartitionedBulkheadService<
    S,
    K,
    X = FixedKey<K>,
    M = InReadiness,
    R = IntoResponse,
    H = UntilResponse,
> = AdmissionService<S, Partitioned<K, X>, M, R, H>;

/// Waits in `poll_ready`. When `call` receives the request, only its deadline is left to check.
impl<S, A, R, H, Req> Service<Req> for AdmissionService<S, A, InReadiness, R, H>
where
    S: Service<Req>,
    A: AdmitWithoutRequest,
    R: Reject<Req, S::Response, S::Error>,
    H: Hold<R::Response> + LendSlot<Req>,
{
    type Response = H::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, Never, R, H>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let backpressure = self.layer.wait_mode.backpressure;
        if !ready!(self.reservation.poll_admission(&self.layer.admit, backpressure, cx)) {
            // Readiness does not fail because of the bulkhead: the next call responds with the rejection.
            return Poll::Ready(Ok(()));
        }
        ready!(self.inner.poll_ready(cx)).map_err(|error| {
            self.reservation = Reservation::Empty;
            R::map_inner_error(error)
        })?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Req) -> Self::Future {
        let deadline = self.layer.admit_by(self.layer.reject.deadline(&request));
        match self.reservation.take(&self.layer.admit, deadline) {
            Ok(permit) => {
                let held = HeldSlot::new(permit.map(|permit| permit.start()));
                let held = H::lend(&mut request, held);
                let to_head = H::HOLDS_BODY && self.layer.reject.is_head(&request);
                let future = held.within(|| self.inner.call(request));
                ResponseFuture::running(future, held, to_head)
            }
            Err(rejection) => {
                ResponseFuture::answered(self.layer.reject.answer(rejection, request), false)
            }
        }
    }
}

/// Waits per request. `call` admits the request, rejects it or joins the waiting line; everything else
/// happens in the response future.
impl<S, A, D, B, R, H, Req> Service<Req> for AdmissionService<S, A, PerRequest<D, B>, R, H>
where
    S: Service<Req> + Clone,
    A: AdmitByRequest<Req>,
    D: DeadlineSource<Req>,
    B: BypassFilter<Req>,
    R: Reject<Req, S::Response, S::Error> + Clone,
    H: Hold<R::Response> + LendSlot<Req>,
{
    type Response = H::Response;
    type Error = R::Error;
    type Future = ResponseFuture<S, Req, PendingRequest<S, Req, R, H>, R, H>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let AdmissionLayer { admit, wait_mode, reject, .. } = &self.layer;
        let (route, policy) = if wait_mode.bypass.bypasses(&request) {
            (Ok(Route::Bypass), WaitPolicy::UpToLimit)
        } else {
            let deadline = wait_mode.deadline(&request, reject.deadline(&request));
            let deadline = self.layer.admit_by(deadline);
            let policy = deadline
                .map_or(WaitPolicy::UpToLimit, |deadline| WaitPolicy::Before(deadline.instant()));
            (admit.route(&request, policy), policy)
        };
        let claim = route.and_then(|route| match route {
            Route::Bypass => {
                admit.count_bypass();
                Ok(Claim::None)
            }
            Route::Through(target) if target.is_within() => {
                Ok(Claim::Nested(target.into_nested(policy)))
            }
            Route::Through(Target { handle, cost }) => match admit_fast(handle, cost, policy) {
                Ok(permit) => Ok(Claim::Slot(permit)),
                Err(undecided) => arrive(undecided),
            },
        });
        match claim {
            Ok(claim) => {
                let to_head = H::HOLDS_BODY && reject.is_head(&request);
                let pending =
                    PendingRequest::new(self.inner.clone(), request, reject.clone(), claim);
                ResponseFuture::waiting(pending, to_head)
            }
            Err(rejection) => ResponseFuture::answered(reject.answer(rejection, request), true),
        }
    }
}

/// Arrives without a waker: the response future registers one with its first poll.
#[cold]
fn arrive(undecided: Undecided<LazyHandle<'_>>) -> Result<Claim, Rejection> {
    undecided.arrive(Waker::noop()).map(Claim::of)
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
