//! The options of a layer about its own answers to rejected requests.

use super::{layer::AdmissionLayer, own_body::AnswerMode, reject::Decorate, shared::Shared};
use crate::core::rejection::Rejection;

/// The layer's own answers.
///
/// After [`on_reject`](Self::on_reject), [`into_error`](Self::into_error) or [`into_box_error`](Self::into_box_error) there are
/// none.
impl<A, M, R: AnswerMode, H> AdmissionLayer<A, M, R, H> {
    /// Answers rejections as usual, and lets `decorate` change the answer: add a header, or take another status.
    ///
    /// It is called with the rejection, the rejected request without its body, and the answer without its body, which is
    /// that of [`Rejection::into_response`], or of [`Rejection::into_grpc_response`] for gRPC.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::Router;
    /// # use bulklink::{Bulkhead, BulkheadLayer};
    /// # let payments = Bulkhead::builder("payments").parallelism(10).build()?;
    /// let layer = BulkheadLayer::new(&payments).decorate(|rejection, _request, answer| {
    ///     let reason = http::HeaderValue::from_static(rejection.reason().name());
    ///     answer.headers_mut().insert("x-rejection", reason);
    /// });
    /// let app: Router = Router::new().layer(layer);
    /// # Ok::<(), bulklink::ConfigError>(())
    /// ```
    pub fn decorate<F>(self, decorate: F) -> AdmissionLayer<A, M, R::Decorated<F>, H>
    where
        F: Fn(&Rejection, &http::Request<()>, &mut http::Response<()>),
    {
        self.map_reject(|reject| reject.decorated(Decorate(Shared::new(decorate))))
    }

    /// Answers with a body of the layer's own, [`OwnBody`](crate::OwnBody), around that of the inner service.
    ///
    /// For services whose response body has no [`Default`], such as those of tower-http's trace and limit layers, or hyper's
    /// `Incoming`: an answer to a rejected request has to have some body.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{Bulkhead, BulkheadLayer};
    /// use http::{Request, Response};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    /// use tower_http::trace::TraceLayer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let payments = Bulkhead::builder("payments").parallelism(10).build()?;
    /// let shop = ServiceBuilder::new()
    ///     .layer(BulkheadLayer::new(&payments).per_request().own_body())
    ///     .layer(TraceLayer::new_for_http())
    ///     .service(service_fn(async |_: Request<String>| {
    ///         Ok::<_, std::convert::Infallible>(Response::new(String::from("paid")))
    ///     }));
    /// assert_eq!(shop.oneshot(Request::new(String::new())).await?.status(), 200);
    /// # Ok(()) }
    /// ```
    pub fn own_body(self) -> AdmissionLayer<A, M, R::InOwnBody, H> {
        self.map_reject(R::in_own_body)
    }

    /// Describes rejections in the body, as problem details of [RFC 9457]: the status, its title, the
    /// [name](crate::RejectionReason::name) of the reason, and after how many seconds to try again. For gRPC, the whole message
    /// of the rejection is in `grpc-message`, with the label of the bulkhead and its numbers.
    ///
    /// By default, answers say no more than a status, because they may go to strangers. The body is an
    /// [`OwnBody`](crate::OwnBody), whose data is made from a `Vec<u8>`.
    ///
    /// [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, body::{Body, to_bytes}, http::Request, routing::get};
    /// use bulklink::{Bulkhead, BulkheadLayer};
    /// use tower::ServiceExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let payments = Bulkhead::builder("payments").parallelism(1).build()?;
    /// let app: Router = Router::new()
    ///     .route("/", get(async || "paid"))
    ///     .layer(BulkheadLayer::new(&payments).per_request().describe());
    /// let _slot = payments.slot_now()?;
    /// let answer = app.oneshot(Request::new(Body::empty())).await?;
    /// assert_eq!(answer.headers()["content-type"], "application/problem+json");
    /// let problem = to_bytes(answer.into_body(), 1_000).await?;
    /// assert_eq!(
    ///     problem,
    ///     r#"{"type":"about:blank","title":"Service Unavailable","status":503,"reason":"saturated","retry_after_seconds":1}"#
    /// );
    /// # Ok(()) }
    /// ```
    pub fn describe(self) -> AdmissionLayer<A, M, R::Described, H> {
        self.map_reject(R::described)
    }
}
