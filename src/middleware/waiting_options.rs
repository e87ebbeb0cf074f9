//! The options of a layer about where and how long requests wait.

use std::time::Duration;

use super::{
    layer::AdmissionLayer,
    shared::Shared,
    wait_mode::{InReadiness, PerRequest, WaitMode},
};

/// Where requests wait.
impl<A, M: WaitMode, R, H> AdmissionLayer<A, M, R, H> {
    /// Makes requests wait in the response future instead of `poll_ready`.
    ///
    /// A request joins the waiting line when the service is called, so the order of the calls decides. The
    /// request's [`Deadline`](crate::Deadline) extension bounds the wait. The inner service must be [`Clone`].
    pub fn per_request(self) -> AdmissionLayer<A, PerRequest<M::Deadline, M::Bypass>, R, H> {
        self.map_wait_mode(WaitMode::per_request)
    }

    /// Bounds the wait by the deadline that `source` reads from the request.
    ///
    /// This implies [`per_request`](Self::per_request). If the request also has a
    /// [`Deadline`](crate::Deadline) extension, the earlier of the two counts.
    pub fn deadline<D>(
        self,
        source: D,
    ) -> AdmissionLayer<A, PerRequest<Shared<D>, M::Bypass>, R, H> {
        self.map_wait_mode(|wait_mode| PerRequest {
            deadline: Shared::new(source),
            bypass: wait_mode.per_request().bypass,
        })
    }

    /// Lets requests bypass the bulkhead if `bypass` returns `true` for them, such as health probes.
    ///
    /// They do not count against the capacity, but are counted in
    /// [`Totals::bypassed`](crate::Totals::bypassed). This implies [`per_request`](Self::per_request).
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
        let Self { admit, wait_mode, reject, reserve, hold } = self;
        AdmissionLayer { admit, wait_mode: map(wait_mode), reject, reserve, hold }
    }
}

impl<A, R, H> AdmissionLayer<A, InReadiness, R, H> {
    /// Stays pending in `poll_ready` while the bulkhead is full, instead of being ready to reject.
    ///
    /// For callers that can go elsewhere or slow down: a balancer then prefers other endpoints to one that would reject, and a loop
    /// that takes work from a queue leaves it there. A handle that is not ready because of this takes no place in the waiting
    /// room and has no claim to the next slot: all of them are woken when the bulkhead is full no more, and the first to ask is
    /// admitted or joins the line. So it waits beyond the wait limit as well. While the bulkhead is paused it is full if its
    /// waiting room is. Once the bulkhead is draining or closed, the handle is ready, and the call is rejected.
    ///
    /// Without this, a balancer that goes by readiness takes a full bulkhead for an idle one, because it answers at once. One that
    /// goes by [`load`](crate::AdmissionService::load) does not need this.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{convert::Infallible, time::Duration};
    /// use bulklink::{Bulkhead, BulkheadLayer};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let payments = Bulkhead::builder("payments").parallelism(1).build()?;
    /// let layer = BulkheadLayer::new(&payments).backpressure().into_error();
    /// let mut shop = layer.layer(service_fn(async |id: u32| Ok::<_, Infallible>(id)));
    /// let slot = payments.slot_now()?;
    /// let soon = tokio::time::timeout(Duration::from_millis(1), shop.ready()).await;
    /// assert!(soon.is_err(), "it is full");
    /// drop(slot);
    /// shop.ready().await?;
    /// # Ok(()) }
    /// ```
    pub fn backpressure(mut self) -> Self {
        self.wait_mode.backpressure = true;
        self
    }
}

impl<A, M, R, H> AdmissionLayer<A, M, R, H> {
    /// Admits a request with a deadline only if at least `reserve` of its time is left then. Default zero.
    ///
    /// For the time that the work itself takes: a request that is admitted with less can only be answered too late. It is
    /// rejected as [`Deadline`](crate::RejectionReason::Deadline) instead: on arrival, or as soon as less than `reserve` is
    /// left while it waits. Requests without a deadline are not affected.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use axum::Router;
    /// use bulklink::{BulkheadLayer, GrpcTimeout};
    ///
    /// # let payments = bulklink::Bulkhead::builder("payments").parallelism(10).build()?;
    /// // A payment takes 40 ms.
    /// let layer = BulkheadLayer::new(&payments)
    ///     .deadline(GrpcTimeout)
    ///     .deadline_reserve(Duration::from_millis(40));
    /// let app: Router = Router::new().layer(layer);
    /// # Ok::<(), bulklink::ConfigError>(())
    /// ```
    pub fn deadline_reserve(mut self, reserve: Duration) -> Self {
        self.reserve = reserve;
        self
    }
}
