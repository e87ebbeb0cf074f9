//! How a rejection is answered: the third type parameter of a layer.
//!
//! This module owns the HTTP statuses and gRPC codes of rejections, the closure that replaces them, and the
//! error for services that are not HTTP.

use std::time::Duration;

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::{
    error::{BoxError, BulkheadError},
    sealed::Sealed,
    shared::Shared,
};
use crate::{
    bulkhead::deadline::Deadline,
    core::rejection::{Rejection, cache::RetryHint, reason::RejectionReason},
    sync::Arc,
};

/// Answers rejected requests, for a service with requests `Req`, responses `Res` and errors `E`.
#[diagnostic::on_unimplemented(
    message = "this bulkhead layer cannot answer a rejected `{Req}` with a `{Res}`",
    label = "rejections are answered with HTTP responses here",
    note = "for a service that is not HTTP, add `.into_error()` to the layer, or `.into_box_error()` where errors are boxed: it turns rejections into errors",
    note = "for an HTTP service whose response body has no `Default`, add `.own_body()` to the layer, or answer with `.on_reject(..)`"
)]
pub trait Reject<Req, Res, E>: Sealed {
    /// What the layer's service responds with, before the slot is put into it.
    type Response;
    /// The error type of the layer's service.
    type Error;

    /// Returns the deadline in the request's extensions, or `None` if there is none or requests may be of any
    /// type.
    fn deadline(&self, request: &Req) -> Option<Deadline>;

    /// Returns whether this is an HTTP HEAD request, whose response has no body.
    fn is_head(&self, request: &Req) -> bool;

    /// Answers a rejected request with a response or an error.
    ///
    /// # Errors
    ///
    /// [`IntoError`] returns every rejection as an error; the other implementations return none.
    fn reject(&self, rejection: Rejection, request: Req) -> Result<Self::Response, Self::Error>;

    /// Converts a response of the inner service into one of the layer's service.
    fn map_response(response: Res) -> Self::Response;

    /// Converts an error of the inner service into one of the layer's service.
    fn map_inner_error(error: E) -> Self::Error;
}

/// Answers rejections, after setting the retry hint of the layer.
#[derive(Clone, Debug)]
pub(crate) struct RejectionResponder<R> {
    pub(super) mapping: R,
    pub(super) hint: Option<Arc<RetryHint>>,
}

impl<R> RejectionResponder<R> {
    /// Returns the deadline in the request's extensions, if the mapping reads them.
    #[inline]
    pub(super) fn deadline<Req, Res, E>(&self, request: &Req) -> Option<Deadline>
    where
        R: Reject<Req, Res, E>,
    {
        self.mapping.deadline(request)
    }

    /// Returns whether this is an HTTP HEAD request.
    #[inline]
    pub(super) fn is_head<Req, Res, E>(&self, request: &Req) -> bool
    where
        R: Reject<Req, Res, E>,
    {
        self.mapping.is_head(request)
    }

    /// Answers a rejected request.
    #[inline]
    pub(super) fn answer<Req, Res, E>(
        &self,
        rejection: Rejection,
        request: Req,
    ) -> Result<R::Response, R::Error>
    where
        R: Reject<Req, Res, E>,
    {
        let rejection = match &self.hint {
            Some(hint) => hint.on(rejection),
            None => rejection,
        };
        self.mapping.reject(rejection, request)
    }
}

/// Answers rejections with HTTP responses. The error type remains that of the inner service.
///
/// A request with the content type of gRPC or gRPC-Web gets a response of that protocol. No answer has the label of the
/// bulkhead or any of its numbers, because it may go to strangers. A response body must implement [`Default`]. The
/// [`Rejection`] is in the response's extensions.
#[derive(Clone, Copy, Debug)]
pub struct IntoResponse;

#[diagnostic::do_not_recommend]
impl<B, T: Default, E> Reject<Request<B>, Response<T>, E> for IntoResponse {
    type Response = Response<T>;
    type Error = E;

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn is_head(&self, request: &Request<B>) -> bool {
        request.method() == Method::HEAD
    }

    fn reject(&self, rejection: Rejection, request: Request<B>) -> Result<Response<T>, E> {
        Ok(answer_to(rejection, &request))
    }

    #[inline]
    fn map_response(response: Response<T>) -> Response<T> {
        response
    }

    fn map_inner_error(error: E) -> E {
        error
    }
}

/// Answers rejections with the response of a closure.
///
/// The error type remains that of the inner service.
#[derive(Clone, Debug)]
pub struct OnReject<F>(pub(super) Shared<F>);

impl<B, Res, E, F> Reject<Request<B>, Res, E> for OnReject<F>
where
    F: Fn(Rejection, Request<()>) -> Res,
{
    type Response = Res;
    type Error = E;

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn is_head(&self, request: &Request<B>) -> bool {
        request.method() == Method::HEAD
    }

    fn reject(&self, rejection: Rejection, request: Request<B>) -> Result<Res, E> {
        Ok((self.0)(rejection, request.map(drop)))
    }

    #[inline]
    fn map_response(response: Res) -> Res {
        response
    }

    fn map_inner_error(error: E) -> E {
        error
    }
}

/// Answers rejections with errors, whatever the request and response types are.
///
/// The error type is [`BulkheadError`].
#[derive(Clone, Copy, Debug)]
pub struct IntoError;

impl<Req, Res, E> Reject<Req, Res, E> for IntoError {
    type Response = Res;
    type Error = BulkheadError<E>;

    #[inline]
    fn deadline(&self, _: &Req) -> Option<Deadline> {
        None
    }

    fn is_head(&self, _: &Req) -> bool {
        false
    }

    #[inline]
    fn reject(&self, rejection: Rejection, _: Req) -> Result<Res, BulkheadError<E>> {
        Err(BulkheadError::Rejected(rejection))
    }

    #[inline]
    fn map_response(response: Res) -> Res {
        response
    }

    fn map_inner_error(error: E) -> BulkheadError<E> {
        BulkheadError::Inner(error)
    }
}

/// Answers rejections with boxed errors, whatever the request and response types are.
///
/// The error type is `Box<dyn Error + Send + Sync>`, as tower's own middleware expects it.
#[derive(Clone, Copy, Debug)]
pub struct IntoBoxError;

impl<Req, Res, E: Into<BoxError>> Reject<Req, Res, E> for IntoBoxError {
    type Response = Res;
    type Error = BoxError;

    #[inline]
    fn deadline(&self, _: &Req) -> Option<Deadline> {
        None
    }

    fn is_head(&self, _: &Req) -> bool {
        false
    }

    #[inline]
    fn reject(&self, rejection: Rejection, _: Req) -> Result<Res, BoxError> {
        Err(rejection.into())
    }

    #[inline]
    fn map_response(response: Res) -> Res {
        response
    }

    fn map_inner_error(error: E) -> BoxError {
        error.into()
    }
}

/// Answers rejections as [`IntoResponse`] does, and lets a closure change each answer.
#[derive(Clone, Debug)]
pub struct Decorate<F>(pub(super) Shared<F>);

impl<B, T: Default, E, F> Reject<Request<B>, Response<T>, E> for Decorate<F>
where
    F: Fn(&Rejection, &Request<()>, &mut Response<()>),
{
    type Response = Response<T>;
    type Error = E;

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn is_head(&self, request: &Request<B>) -> bool {
        request.method() == Method::HEAD
    }

    fn reject(&self, rejection: Rejection, request: Request<B>) -> Result<Response<T>, E> {
        let request = request.map(drop);
        let mut answer = answer_to(rejection.clone(), &request);
        (self.0)(&rejection, &request, &mut answer);
        Ok(answer.map(|()| T::default()))
    }

    #[inline]
    fn map_response(response: Response<T>) -> Response<T> {
        response
    }

    fn map_inner_error(error: E) -> E {
        error
    }
}

/// Returns the answer to a rejected request, in the protocol of the request.
fn answer_to<B, T: Default>(rejection: Rejection, request: &Request<B>) -> Response<T> {
    match Protocol::of(request) {
        Protocol::Http => rejection.into_response(),
        Protocol::Grpc => rejection.into_grpc(GRPC),
        Protocol::GrpcWeb(content_type) => rejection.into_grpc(content_type),
    }
}

/// How rejections are answered over HTTP and gRPC. A layer answers like this unless it has
/// [`on_reject`](crate::AdmissionLayer::on_reject) or returns errors.
///
/// | reason | HTTP | gRPC |
/// |---|---|---|
/// | `Saturated`, `WaitLimit` | 503 Service Unavailable | 14 UNAVAILABLE |
/// | the same, of one key of a partitioned bulkhead | 429 Too Many Requests | 8 RESOURCE_EXHAUSTED |
/// | `TotalSaturated`, if the key has its share of the places | 429 Too Many Requests | 8 RESOURCE_EXHAUSTED |
/// | `TotalSaturated` otherwise | 503 Service Unavailable | 14 UNAVAILABLE |
/// | `Deadline` | 504 Gateway Timeout | 4 DEADLINE_EXCEEDED |
/// | `Closed`, `Paused`, `PartitionLimit` | 503 Service Unavailable | 14 UNAVAILABLE |
/// | `CostExceedsCapacity` | 413 Content Too Large | 8 RESOURCE_EXHAUSTED |
/// | `KeyRefused` | 403 Forbidden | 7 PERMISSION_DENIED |
/// | `MissingKey` | 400 Bad Request | 3 INVALID_ARGUMENT |
/// | `InvalidCost`, `InvalidLimits`, `LimitsPanicked` | 500 Internal Server Error | 13 INTERNAL |
impl Rejection {
    /// Returns the HTTP status that answers this rejection.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        status_codes(self).0
    }

    /// Returns the gRPC status code that answers this rejection: what `tonic::Code::from_i32` takes.
    #[must_use]
    pub fn grpc_code(&self) -> i32 {
        status_codes(self).1.into()
    }

    /// Returns the HTTP response that answers this rejection: its [`status`](Self::status), `Retry-After` in whole seconds
    /// if a retry can help, an empty body, and the rejection in the extensions.
    ///
    /// For handlers that use a bulkhead without a layer.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::Bulkhead;
    /// use axum::response::Response;
    ///
    /// # let payments = Bulkhead::builder("payments").parallelism(1).build()?;
    /// # let _slot = payments.slot_now()?;
    /// async fn pay(payments: Bulkhead) -> Response {
    ///     match payments.execute(async { "paid" }).await {
    ///         Ok(answer) => Response::new(answer.into()),
    ///         Err(rejection) => rejection.into_response(),
    ///     }
    /// }
    /// # let rejection = payments.slot_now().unwrap_err();
    /// # let response: Response = rejection.into_response();
    /// # assert_eq!(response.status(), 503);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn into_response<B: Default>(self) -> Response<B> {
        let mut response = Response::new(B::default());
        write_http(&self, &mut response);
        response.extensions_mut().insert(self);
        response
    }

    /// Returns the gRPC response that answers this rejection: headers with its [`grpc_code`](Self::grpc_code) and the
    /// [name](RejectionReason::name) of its reason as the message, `grpc-retry-pushback-ms` if a retry can help, an empty body, and the rejection in the extensions.
    ///
    /// A layer answers gRPC-Web likewise, in the content type of the request.
    #[must_use]
    pub fn into_grpc_response<B: Default>(self) -> Response<B> {
        self.into_grpc(GRPC)
    }

    fn into_grpc<B: Default>(self, content_type: HeaderValue) -> Response<B> {
        let mut response = Response::new(B::default());
        write_grpc(&self, content_type, &mut response);
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns the HTTP status and the gRPC code of a rejection.
fn status_codes(rejection: &Rejection) -> (StatusCode, u8) {
    match rejection.reason() {
        // Only this key is over its limit, which is the client's doing: 429 instead of 503.
        RejectionReason::Saturated { .. } | RejectionReason::WaitLimit { .. }
            if rejection.is_partitioned() =>
        {
            (StatusCode::TOO_MANY_REQUESTS, grpc::RESOURCE_EXHAUSTED)
        }
        // There are places, but this key has its share of them.
        &RejectionReason::TotalSaturated { waiting, waiting_room, partition_waiting, .. }
            if waiting < waiting_room && partition_waiting > 0 =>
        {
            (StatusCode::TOO_MANY_REQUESTS, grpc::RESOURCE_EXHAUSTED)
        }
        RejectionReason::Saturated { .. }
        | RejectionReason::TotalSaturated { .. }
        | RejectionReason::WaitLimit { .. }
        | RejectionReason::Closed
        | RejectionReason::Paused
        | RejectionReason::PartitionLimit { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, grpc::UNAVAILABLE)
        }
        RejectionReason::Deadline { .. } => (StatusCode::GATEWAY_TIMEOUT, grpc::DEADLINE_EXCEEDED),
        RejectionReason::CostExceedsCapacity { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, grpc::RESOURCE_EXHAUSTED)
        }
        RejectionReason::KeyRefused => (StatusCode::FORBIDDEN, grpc::PERMISSION_DENIED),
        RejectionReason::MissingKey => (StatusCode::BAD_REQUEST, grpc::INVALID_ARGUMENT),
        RejectionReason::InvalidCost
        | RejectionReason::InvalidLimits { .. }
        | RejectionReason::LimitsPanicked => (StatusCode::INTERNAL_SERVER_ERROR, grpc::INTERNAL),
    }
}

fn write_http<T>(rejection: &Rejection, response: &mut Response<T>) {
    *response.status_mut() = status_codes(rejection).0;
    if let Some(hint) = rejection.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, whole_seconds(hint).into());
    }
}

/// Rounds up to whole seconds: a client that retried too early would be rejected again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Rounds up to whole milliseconds. The [protocol] has 32 bits with a sign for them.
///
/// [protocol]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md#pushback
fn whole_milliseconds(duration: Duration) -> u32 {
    let milliseconds = duration.as_nanos().div_ceil(1_000_000);
    u32::try_from(milliseconds).unwrap_or(u32::MAX).min(i32::MAX.unsigned_abs())
}

/// gRPC status codes, from the [specification].
///
/// [specification]: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
mod grpc {
    pub(super) const INVALID_ARGUMENT: u8 = 3;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const PERMISSION_DENIED: u8 = 7;
    pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
}

/// The protocol of a request, by its content type.
pub(super) enum Protocol {
    Http,
    Grpc,
    /// gRPC for browsers, which is answered in its own content type.
    GrpcWeb(HeaderValue),
}

impl Protocol {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let Some(content_type) = request.headers().get(CONTENT_TYPE) else { return Self::Http };
        let text = content_type.as_bytes();
        let media_type = text.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let is = |name: &[u8]| {
            // A message format may follow, such as in `application/grpc+proto`.
            let (start, rest) = media_type.split_at(name.len().min(media_type.len()));
            start.eq_ignore_ascii_case(name) && (rest.is_empty() || rest.starts_with(b"+"))
        };
        if is(b"application/grpc") {
            Self::Grpc
        } else if is(b"application/grpc-web") || is(b"application/grpc-web-text") {
            Self::GrpcWeb(content_type.clone())
        } else {
            Self::Http
        }
    }
}

/// Writes a gRPC trailers-only response: a response with headers and no body.
fn write_grpc<T>(rejection: &Rejection, content_type: HeaderValue, response: &mut Response<T>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert("grpc-status", HeaderValue::from(u16::from(status_codes(rejection).1)));
    // Whoever asks learns no more than over HTTP: no label and no number.
    headers.insert("grpc-message", HeaderValue::from_static(rejection.reason().name()));
    if let Some(hint) = rejection.retry_after() {
        headers.insert("grpc-retry-pushback-ms", whole_milliseconds(hint).into());
    }
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
