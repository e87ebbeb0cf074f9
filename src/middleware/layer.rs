//! `AdmissionLayer` and its three aliases, one for each kind of bulkhead.
//!
//! This module owns the options of a layer. It does not implement them.

use std::{fmt, marker::PhantomData, time::Duration};

use tower_layer::Layer;

use super::{
    admit::{ExtractedKey, FixedCost, FixedKey, Partitioned, Plain, Weighted},
    extract::MissingKey,
    hold::{HoldMode, UntilResponse},
    reject::{IntoBoxError, IntoError, IntoResponse, OnReject, RejectionResponder},
    service::AdmissionService,
    shared::Shared,
    wait_mode::{InReadiness, PerRequest, WaitMode},
};
use crate::{
    bulkhead::{
        deadline::Deadline, partitioned::PartitionedBulkhead, plain::Bulkhead,
        weighted::WeightedBulkhead,
    },
    core::rejection::{Rejection, cache::RetryHint},
    sync::Arc,
};

/// Puts a [`Bulkhead`] in front of a service.
///
/// All clones of the layer, all services it creates and all layers of the same bulkhead share that bulkhead.
///
/// Requests wait in [`poll_ready`](tower_service::Service::poll_ready): a service that is ready holds a slot
/// until it is called, and gives it back when dropped. [`per_request`](AdmissionLayer::per_request) moves the
/// wait into the response future.
///
/// # Where in the stack
///
/// **A server waits per request.** With the wait in `poll_ready`, the layers around the bulkhead in one `ServiceBuilder` see a
/// request only after its wait: an outer timeout does not end the wait, a trace does not contain it, a CORS preflight that an
/// outer layer answers by itself waits and takes a place, and so does a request that an outer layer refuses. Put
/// [`per_request`](AdmissionLayer::per_request) on every layer of an axum router or a hyper server: it costs a few nanoseconds.
/// The finding [`UnusedAdmissions`](crate::FindingCode::UnusedAdmissions) tells of a bulkhead whose admissions come to nothing.
///
/// **A client waits in readiness.** Where a caller asks for readiness before it has a request, such as a `Buffer`, a balancer or a
/// loop that takes work from a queue, a wait in `poll_ready` is the right signal: take no more work until there is a slot. A
/// handle that is ready and not called holds a slot for nothing, so call it or drop it. Under tower's `LoadShed`, a service
/// that sheds a request stays in the waiting line, so use a bulkhead without a waiting room there.
///
/// **Order.** Inside the bulkhead goes what protects the work itself, such as the timeout of the work; outside of it what also
/// concerns waiting and rejected requests: a timeout of the whole, traces, CORS, compression, authentication. In axum,
/// `Router::layer` also puts the fallback for unknown paths behind the bulkhead; `Router::route_layer` does not.
///
/// **Twice in one request.** A layer on a router and another one of the same bulkhead on a router nested in it take one slot: a
/// request that is within a slot of the bulkhead, or of the same key, passes the inner layer and is counted in
/// [`Totals::nested`](crate::Totals::nested). That is found out while the outer layer polls what it contains, so it does not reach
/// through a task of its own, such as that of `tokio::spawn` or a `Buffer`: there the request takes a second slot, and with one slot
/// in all it waits for itself. Per request, a future that is moved out of the request before its inner service was called takes a
/// slot of its own. A layer in readiness calls its inner service at once, so do not call it within a request and spawn the future:
/// that would run without a slot. An inner layer that lets a request pass holds and lends nothing of its own, so put
/// `hold_body` and `lend_slot` on the outer one. Nor does it apply to two layers that both wait in readiness directly on one another. Of different
/// bulkheads one within the other, the outer one needs at least the parallelism and the waiting room of the inner one together, or
/// requests wait outside for a place that is free inside.
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
///     .layer(BulkheadLayer::new(&payments).per_request());
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
pub type BulkheadLayer<M = InReadiness, R = IntoResponse, H = UntilResponse> =
    AdmissionLayer<Plain, M, R, H>;

/// Puts a [`WeightedBulkhead`] in front of a service.
///
/// With a [`fixed`](AdmissionLayer::fixed) cost, requests wait as in a [`BulkheadLayer`]. With a cost extracted
/// from the request, they wait in the response future.
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
/// With a [`fixed`](AdmissionLayer::fixed) key, requests wait as in a [`BulkheadLayer`]. With a key extracted
/// from the request, they wait in the response future.
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

/// Puts a bulkhead in front of a service.
///
/// [`BulkheadLayer`], [`WeightedBulkheadLayer`] and [`PartitionedBulkheadLayer`] are aliases of this type.
/// `A` is what requests are admitted to, `M` where they wait, `R` how rejections are answered and `H` how long
/// slots are held; [`layer`](crate::layer) lists the types for each. Options can be set in any order. Setting
/// one again replaces its value.
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct AdmissionLayer<A, M = InReadiness, R = IntoResponse, H = UntilResponse> {
    pub(super) admit: A,
    pub(super) wait_mode: M,
    pub(super) reject: RejectionResponder<R>,
    /// How much of its deadline a request must have left when it is admitted.
    pub(super) reserve: Duration,
    pub(super) hold: PhantomData<fn() -> H>,
}

impl<A, M> AdmissionLayer<A, M> {
    fn with(admit: A, wait_mode: M) -> Self {
        let reject = RejectionResponder { mapping: IntoResponse, hint: None };
        Self { admit, wait_mode, reject, reserve: Duration::ZERO, hold: PhantomData }
    }
}

impl AdmissionLayer<Plain> {
    /// Creates a layer for this bulkhead.
    pub fn new(bulkhead: &Bulkhead) -> Self {
        Self::with(Plain { bulkhead: bulkhead.clone() }, InReadiness::DEFAULT)
    }
}

impl AdmissionLayer<Weighted<FixedCost>> {
    /// Creates a layer for this bulkhead in which every request costs `cost` units.
    ///
    /// A cost of 0 or above the capacity is not an error here, because the capacity may change. It is rejected
    /// with each request.
    pub fn fixed(bulkhead: &WeightedBulkhead, cost: usize) -> Self {
        Self::with(
            Weighted { bulkhead: bulkhead.clone(), cost: FixedCost(cost) },
            InReadiness::DEFAULT,
        )
    }
}

impl<X> AdmissionLayer<Weighted<Shared<X>>, PerRequest> {
    /// Creates a layer for this bulkhead in which `cost` determines the cost of a request.
    ///
    /// `cost` is a closure `|request: &Request| -> usize`, [`ContentLengthCost`](crate::ContentLengthCost) or
    /// another [`CostExtractor`](crate::CostExtractor).
    pub fn new(bulkhead: &WeightedBulkhead, cost: X) -> Self {
        let cost = Shared::new(cost);
        Self::with(
            Weighted { bulkhead: bulkhead.clone(), cost },
            InReadiness::DEFAULT.per_request(),
        )
    }
}

impl<K> AdmissionLayer<Partitioned<K, FixedKey<K>>> {
    /// Creates a layer for the partition of `key`, for a stack that serves one key.
    pub fn fixed(bulkhead: &PartitionedBulkhead<K>, key: K) -> Self {
        Self::with(
            Partitioned { bulkhead: bulkhead.clone(), key: FixedKey(key) },
            InReadiness::DEFAULT,
        )
    }
}

impl<K, X> AdmissionLayer<Partitioned<K, ExtractedKey<K, X>>, PerRequest> {
    /// Creates a layer for this bulkhead in which `key` extracts the key of a request.
    ///
    /// `key` is a closure `|request: &Request| -> Option<K>`, a [`HeaderKey`](crate::HeaderKey), an
    /// [`ExtensionKey`](crate::ExtensionKey) or another [`KeyExtractor`](crate::KeyExtractor).
    pub fn new(bulkhead: &PartitionedBulkhead<K>, key: X) -> Self {
        let key = ExtractedKey { extractor: Shared::new(key), missing: MissingKey::Reject };
        Self::with(
            Partitioned { bulkhead: bulkhead.clone(), key },
            InReadiness::DEFAULT.per_request(),
        )
    }
}

impl<K, X, M, R, H> AdmissionLayer<Partitioned<K, ExtractedKey<K, X>>, M, R, H> {
    /// Sets how to handle a request without a key. Default [`MissingKey::Reject`].
    pub fn missing_key(mut self, missing: MissingKey<K>) -> Self {
        self.admit.key.missing = missing;
        self
    }
}

impl<A, M, R, H> AdmissionLayer<A, M, R, H> {
    /// Answers rejections with the response that `answer` returns.
    ///
    /// `answer` is called with the [`Rejection`] and the rejected request without its body, which has already
    /// been dropped.
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

    /// Answers rejections with errors: the service fails with [`BulkheadError`](crate::BulkheadError).
    ///
    /// For services that are not HTTP. Requests and responses may be of any type.
    pub fn into_error(self) -> AdmissionLayer<A, M, IntoError, H> {
        self.with_reject(IntoError)
    }

    /// Answers rejections with boxed errors: the service fails with `Box<dyn Error + Send + Sync>`, as most of tower's own
    /// layers do.
    ///
    /// For services that are not HTTP, in a stack with `Buffer`, `Timeout` or `LoadShed`. Errors of the inner service are
    /// boxed too, unless they are already. [`Rejection::find_in`] tells a rejection from the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use bulklink::{Bulkhead, BulkheadLayer, Rejection};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let payments = Bulkhead::builder("payments").parallelism(1).build()?;
    /// let client = ServiceBuilder::new()
    ///     .layer(BulkheadLayer::new(&payments).into_box_error())
    ///     .timeout(Duration::from_secs(1))
    ///     .service(service_fn(|order: u64| async move { Ok::<_, std::io::Error>(order) }));
    /// payments.close();
    /// let error = client.oneshot(4711).await.unwrap_err();
    /// assert!(Rejection::find_in(&*error).is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_box_error(self) -> AdmissionLayer<A, M, IntoBoxError, H> {
        self.with_reject(IntoBoxError)
    }

    /// Sets when a rejected caller should retry, for rejections where a retry can help. Default an
    /// [estimate](Rejection::retry_after).
    ///
    /// [`Rejection::retry_after`] returns it, and the default HTTP response has it in `Retry-After`, in whole
    /// seconds.
    pub fn retry_after(mut self, hint: Duration) -> Self {
        self.reject.hint = Some(Arc::new(RetryHint::new(hint)));
        self
    }

    /// Returns the time by which a request with this deadline must be admitted.
    #[inline]
    pub(super) fn admit_by(&self, deadline: Option<Deadline>) -> Option<Deadline> {
        deadline.map(|deadline| deadline.earlier_by(self.reserve))
    }

    /// Holds the slot until the response body has ended or is dropped, instead of giving it back with the
    /// response.
    ///
    /// For streams and server-sent events. An upgraded connection, such as a WebSocket, is not in the body: see
    /// [`lend_slot`](Self::lend_slot).
    pub fn hold_body(self) -> AdmissionLayer<A, M, R, H::ToBodyEnd>
    where
        H: HoldMode,
    {
        self.with_hold()
    }

    /// Puts a [`LentSlot`](crate::LentSlot) into the extensions of every request that is admitted: the slot is given back
    /// once the response is ready and the last clone is dropped.
    ///
    /// For work that outlives the response future: a blocking job whose client may leave while it runs, an upgraded
    /// connection, or a task that the handler leaves behind. If the client leaves, the request counts as cut short, but
    /// only once the last clone is dropped. This allocates once for each request.
    ///
    /// In axum, it is an `Extension<LentSlot>`. A request that [bypasses](Self::bypass) the bulkhead has none, so that a handler
    /// of such requests takes an `Option` of it. Of several layers that lend their slots, the handler gets one that holds all
    /// of them.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Extension, Router, routing::post};
    /// use bulklink::{BulkheadLayer, LentSlot};
    ///
    /// # let reports = bulklink::Bulkhead::builder("reports").parallelism(2).build()?;
    /// async fn report(Extension(slot): Extension<LentSlot>) -> String {
    ///     // The job goes on if the client leaves, and so must its slot.
    ///     let job = tokio::task::spawn_blocking(move || {
    ///         let report = String::from("a report");
    ///         drop(slot);
    ///         report
    ///     });
    ///     job.await.unwrap_or_default()
    /// }
    ///
    /// let app: Router = Router::new()
    ///     .route("/report", post(report))
    ///     .layer(BulkheadLayer::new(&reports).per_request().lend_slot());
    /// # Ok::<(), bulklink::ConfigError>(())
    /// ```
    pub fn lend_slot(self) -> AdmissionLayer<A, M, R, H::Lending>
    where
        H: HoldMode,
    {
        self.with_hold()
    }

    fn with_hold<N>(self) -> AdmissionLayer<A, M, R, N> {
        let Self { admit, wait_mode, reject, reserve, .. } = self;
        AdmissionLayer { admit, wait_mode, reject, reserve, hold: PhantomData }
    }

    fn with_reject<S>(self, mapping: S) -> AdmissionLayer<A, M, S, H> {
        self.map_reject(|_| mapping)
    }

    pub(super) fn map_reject<S>(self, map: impl FnOnce(R) -> S) -> AdmissionLayer<A, M, S, H> {
        let Self { admit, wait_mode, reject, reserve, hold } = self;
        let reject = RejectionResponder { mapping: map(reject.mapping), hint: reject.hint };
        AdmissionLayer { admit, wait_mode, reject, reserve, hold }
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
        let Self { admit, wait_mode, reject, reserve, hold } = self;
        Self {
            admit: admit.clone(),
            wait_mode: wait_mode.clone(),
            reject: reject.clone(),
            reserve: *reserve,
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
