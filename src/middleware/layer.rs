//! `AdmissionLayer`, and the names under which people know it.

use std::{fmt, marker::PhantomData, time::Duration};

use tower_layer::Layer;

use super::{
    admit::{ExtractedKey, FixedCost, FixedKey, Partitioned, Plain, Weighted},
    extract::MissingKey,
    hold::{UntilBodyEnd, UntilResponse},
    reject::{IntoError, IntoResponse, OnReject, Rejecter},
    service::AdmissionService,
    shared::Shared,
    wait_mode::{InReadiness, PerRequest, WaitMode},
};
use crate::{
    bulkhead::{partitioned::PartitionedBulkhead, plain::Bulkhead, weighted::WeightedBulkhead},
    core::rejection::{Rejection, cache::RetryHint},
    sync::Arc,
};

/// Puts a [`Bulkhead`] in front of a service.
///
/// Every clone of the layer, every service it makes and every layer made from the same bulkhead share
/// that one bulkhead.
///
/// Requests wait in [`poll_ready`](tower_service::Service::poll_ready): a handle that is ready holds a
/// slot until it is called, and gives it back when dropped. [`per_request`](AdmissionLayer::per_request)
/// moves the wait into the response future.
///
/// In axum, `Router::layer` also puts the answers to unknown paths behind the bulkhead, and
/// `Router::route_layer` does not. Under tower's `LoadShed`, a handle that was shed keeps its place in
/// line, so a bulkhead there is best without a waiting room.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::post};
/// use bulklink::{Bulkhead, BulkheadLayer};
///
/// let payments = Bulkhead::builder("payments").parallelism(10).waiting_room(50).build()?;
/// let app: Router = Router::new()
///     .route("/pay", post(|| async { "paid" }))
///     .layer(BulkheadLayer::new(&payments));
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
pub type BulkheadLayer<M = InReadiness, R = IntoResponse, H = UntilResponse> =
    AdmissionLayer<Plain, M, R, H>;

/// Puts a [`WeightedBulkhead`] in front of a service.
///
/// With a [`fixed`](AdmissionLayer::fixed) cost, requests wait as in a [`BulkheadLayer`]; with a cost
/// read off the request, in the response future.
///
/// # Examples
///
/// ```
/// use axum::{Router, body::Body, http::Request, routing::get};
/// use bulklink::{WeightedBulkhead, WeightedBulkheadLayer};
///
/// let reports = WeightedBulkhead::builder("reports").capacity(10).waiting_room(20).build()?;
/// let cost = |request: &Request<Body>| if request.uri().path() == "/year" { 8 } else { 1 };
/// let app: Router = Router::new()
///     .route("/year", get(|| async { "a year" }))
///     .route("/day", get(|| async { "a day" }))
///     .layer(WeightedBulkheadLayer::new(&reports, cost));
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
pub type WeightedBulkheadLayer<
    C = FixedCost,
    M = InReadiness,
    R = IntoResponse,
    H = UntilResponse,
> = AdmissionLayer<Weighted<C>, M, R, H>;

/// Puts a [`PartitionedBulkhead`] in front of a service.
///
/// With a [`fixed`](AdmissionLayer::fixed) key, requests wait as in a [`BulkheadLayer`]; with a key
/// extracted from the request, in the response future.
///
/// # Examples
///
/// ```
/// use axum::{Router, body::Body, http::Request, routing::post};
/// use bulklink::{HeaderKey, PartitionedBulkhead, PartitionedBulkheadLayer};
///
/// let customers = PartitionedBulkhead::<u64>::builder("customers")
///     .parallelism(3)
///     .max_partitions(1_000)
///     .build()?;
/// let app: Router = Router::new()
///     .route("/orders", post(|| async { "ordered" }))
///     .layer(PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer-id")));
///
/// #[derive(Clone)]
/// struct Tenant { id: u64 }
/// let layer = PartitionedBulkheadLayer::new(&customers, |req: &Request<Body>| {
///     Some(req.extensions().get::<Tenant>()?.id)
/// });
/// let app: Router = Router::new().layer(layer);
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
pub type PartitionedBulkheadLayer<
    K,
    X = FixedKey<K>,
    M = InReadiness,
    R = IntoResponse,
    H = UntilResponse,
> = AdmissionLayer<Partitioned<K, X>, M, R, H>;

/// Puts a compartment in front of a service: what [`BulkheadLayer`] and its siblings are names of.
///
/// `A` is what is asked for, `M` where the wait happens, `R` what a rejection becomes and `H` how long
/// the slot is held. Options combine in any order, and one given again replaces itself.
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct AdmissionLayer<A, M = InReadiness, R = IntoResponse, H = UntilResponse> {
    pub(super) admit: A,
    pub(super) wait_mode: M,
    pub(super) reject: Rejecter<R>,
    hold: PhantomData<fn() -> H>,
}

impl<A, M> AdmissionLayer<A, M> {
    fn with(admit: A, wait_mode: M) -> Self {
        let reject = Rejecter { mapping: IntoResponse, hint: None };
        Self { admit, wait_mode, reject, hold: PhantomData }
    }
}

impl AdmissionLayer<Plain> {
    /// The layer of this bulkhead.
    pub fn new(bulkhead: &Bulkhead) -> Self {
        Self::with(Plain { bulkhead: bulkhead.clone() }, InReadiness)
    }
}

impl AdmissionLayer<Weighted<FixedCost>> {
    /// The layer of this bulkhead in which every request costs `cost` units. A cost of 0 or above the
    /// capacity is rejected when requests come, since the capacity may change.
    pub fn fixed(bulkhead: &WeightedBulkhead, cost: usize) -> Self {
        Self::with(Weighted { bulkhead: bulkhead.clone(), cost: FixedCost(cost) }, InReadiness)
    }
}

impl<X> AdmissionLayer<Weighted<Shared<X>>, PerRequest> {
    /// The layer of this bulkhead in which a request costs what `cost` says: a closure
    /// `|request: &Request| -> usize`, or [`ContentLengthCost`](crate::ContentLengthCost).
    pub fn new(bulkhead: &WeightedBulkhead, cost: X) -> Self {
        let cost = Shared::new(cost);
        Self::with(Weighted { bulkhead: bulkhead.clone(), cost }, InReadiness.per_request())
    }
}

impl<K> AdmissionLayer<Partitioned<K, FixedKey<K>>> {
    /// The layer of the partition of `key`: this stack serves one key.
    pub fn fixed(bulkhead: &PartitionedBulkhead<K>, key: K) -> Self {
        Self::with(Partitioned { bulkhead: bulkhead.clone(), key: FixedKey(key) }, InReadiness)
    }
}

impl<K, X> AdmissionLayer<Partitioned<K, ExtractedKey<K, X>>, PerRequest> {
    /// The layer of this bulkhead in which `key` extracts the key of a request: a closure
    /// `|request: &Request| -> Option<K>`, a [`HeaderKey`](crate::HeaderKey) or an
    /// [`ExtensionKey`](crate::ExtensionKey).
    pub fn new(bulkhead: &PartitionedBulkhead<K>, key: X) -> Self {
        let key = ExtractedKey { extractor: Shared::new(key), missing: MissingKey::Reject };
        Self::with(Partitioned { bulkhead: bulkhead.clone(), key }, InReadiness.per_request())
    }
}

impl<K, X, M, R, H> AdmissionLayer<Partitioned<K, ExtractedKey<K, X>>, M, R, H> {
    /// What becomes of a request without a key. Default [`MissingKey::Reject`].
    pub fn missing_key(mut self, missing: MissingKey<K>) -> Self {
        self.admit.key.missing = missing;
        self
    }
}

impl<A, M: WaitMode, R, H> AdmissionLayer<A, M, R, H> {
    /// Waits in the response future instead of `poll_ready`: a request takes its place in line when
    /// the service is called, in the order of the calls, and its [`Deadline`](crate::Deadline)
    /// extension bounds the wait. The inner service must be [`Clone`].
    pub fn per_request(self) -> AdmissionLayer<A, PerRequest<M::Deadline, M::Bypass>, R, H> {
        self.map_wait_mode(WaitMode::per_request)
    }

    /// Bounds the wait by a deadline that `source` reads off the request, and waits
    /// [per request](Self::per_request). Where the request has a [`Deadline`](crate::Deadline)
    /// extension too, the earlier one counts.
    pub fn deadline<D>(
        self,
        source: D,
    ) -> AdmissionLayer<A, PerRequest<Shared<D>, M::Bypass>, R, H> {
        self.map_wait_mode(|wait_mode| PerRequest {
            deadline: Shared::new(source),
            bypass: wait_mode.per_request().bypass,
        })
    }

    /// Lets requests past the bulkhead for which `bypass` says so, such as health probes: not counted
    /// against its capacity, but in [`Totals::bypassed`](crate::Totals::bypassed). Waits
    /// [per request](Self::per_request).
    pub fn bypass<Request, F>(
        self,
        bypass: F,
    ) -> AdmissionLayer<A, PerRequest<M::Deadline, Shared<F>>, R, H>
    where
        F: Fn(&Request) -> bool,
    {
        self.map_wait_mode(|wait_mode| PerRequest {
            deadline: wait_mode.per_request().deadline,
            bypass: Shared::new(bypass),
        })
    }

    fn map_wait_mode<N>(self, map: impl FnOnce(M) -> N) -> AdmissionLayer<A, N, R, H> {
        let Self { admit, wait_mode, reject, hold } = self;
        AdmissionLayer { admit, wait_mode: map(wait_mode), reject, hold }
    }
}

impl<A, M, R, H> AdmissionLayer<A, M, R, H> {
    /// Answers rejections with what `answer` makes of them: of the [`Rejection`] and the rejected
    /// request without its body, which is dropped before.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, response::IntoResponse, http::StatusCode};
    /// # use bulklink::{Bulkhead, BulkheadLayer};
    /// # let payments = Bulkhead::builder("payments").parallelism(10).build()?;
    /// let layer = BulkheadLayer::new(&payments).on_reject(|rejection, request| {
    ///     let body = format!("{}: {rejection}", request.uri());
    ///     (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    /// });
    /// let app: Router = Router::new().layer(layer);
    /// # Ok::<(), bulklink::ConfigError>(())
    /// ```
    pub fn on_reject<F, Response>(self, answer: F) -> AdmissionLayer<A, M, OnReject<F>, H>
    where
        F: Fn(Rejection, http::Request<()>) -> Response,
    {
        self.with_reject(OnReject(Shared::new(answer)))
    }

    /// Answers rejections with errors: the service fails with
    /// [`BulkheadError`](crate::BulkheadError). For services that are not HTTP, whatever their
    /// requests and responses are.
    pub fn into_error(self) -> AdmissionLayer<A, M, IntoError, H> {
        self.with_reject(IntoError)
    }

    /// Tells rejected callers to try again after `hint`, where trying again can help. Default one
    /// second.
    pub fn retry_after(mut self, hint: Duration) -> Self {
        self.reject.hint = Some(Arc::new(RetryHint::new(hint)));
        self
    }

    /// Holds the slot until the response's body has ended or is dropped, instead of giving it back with
    /// the response: for streams and server-sent events.
    pub fn hold_body(self) -> AdmissionLayer<A, M, R, UntilBodyEnd> {
        let Self { admit, wait_mode, reject, .. } = self;
        AdmissionLayer { admit, wait_mode, reject, hold: PhantomData }
    }

    fn with_reject<S>(self, mapping: S) -> AdmissionLayer<A, M, S, H> {
        let Self { admit, wait_mode, reject, hold } = self;
        let reject = Rejecter { mapping, hint: reject.hint };
        AdmissionLayer { admit, wait_mode, reject, hold }
    }
}

impl<S, A: Clone, M: Clone, R: Clone, H> Layer<S> for AdmissionLayer<A, M, R, H> {
    type Service = AdmissionService<S, A, M, R, H>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService::new(inner, self.clone())
    }
}

impl<A: Clone, M: Clone, R: Clone, H> Clone for AdmissionLayer<A, M, R, H> {
    fn clone(&self) -> Self {
        let Self { admit, wait_mode, reject, hold } = self;
        Self {
            admit: admit.clone(),
            wait_mode: wait_mode.clone(),
            reject: reject.clone(),
            hold: *hold,
        }
    }
}

impl<A: fmt::Debug, M: fmt::Debug, R, H> fmt::Debug for AdmissionLayer<A, M, R, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionLayer")
            .field("admit", &self.admit)
            .field("wait_mode", &self.wait_mode)
            .finish_non_exhaustive()
    }
}
