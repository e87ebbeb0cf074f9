//! What a rejection becomes: the third choice of a layer.
//!
//! It owns the table of HTTP and gRPC answers, the closure that replaces it, and the error that does
//! without HTTP.

use std::time::Duration;

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::{error::BulkheadError, shared::Shared};
use crate::{
    bulkhead::deadline::Deadline,
    core::rejection::{Rejection, cache::RetryHint, reason::RejectionReason},
    sync::Arc,
};

/// Answers rejected requests of a service with this response and error.
#[diagnostic::on_unimplemented(
    message = "this bulkhead layer cannot answer a rejected `{Req}` with a `{Res}`",
    label = "rejections are answered with HTTP responses here",
    note = "for a service that is not HTTP, add `.into_error()` to the layer: rejections are then errors",
    note = "for an HTTP service whose response body has no `Default`, use `.on_reject(..)` or `.into_error()`"
)]
pub trait Reject<Req, Res, E> {
    /// The error of the layer's service.
    type Error;

    /// The deadline that a request carries, where requests are known to be able to.
    fn deadline(&self, request: &Req) -> Option<Deadline>;

    /// Answers a request that was rejected.
    fn reject(&self, rejection: Rejection, request: Req) -> Result<Res, Self::Error>;

    /// Passes on an error of the inner service.
    fn inner(error: E) -> Self::Error;
}

/// What becomes of rejections, and what they tell of when to try again.
#[derive(Clone, Debug)]
pub(crate) struct Rejecter<R> {
    pub(super) mapping: R,
    pub(super) hint: Option<Arc<RetryHint>>,
}

impl<R> Rejecter<R> {
    /// The deadline that a request carries.
    #[inline]
    pub(super) fn deadline<Req, Res, E>(&self, request: &Req) -> Option<Deadline>
    where
        R: Reject<Req, Res, E>,
    {
        self.mapping.deadline(request)
    }

    /// Answers a request that was rejected.
    #[inline]
    pub(super) fn answer<Req, Res, E>(
        &self,
        rejection: Rejection,
        request: Req,
    ) -> Result<Res, R::Error>
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

/// Rejections are HTTP responses, and the error type stays the inner service's.
#[derive(Clone, Copy, Debug)]
pub struct IntoResponse;

impl<B, T: Default, E> Reject<Request<B>, Response<T>, E> for IntoResponse {
    type Error = E;

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn reject(&self, rejection: Rejection, request: Request<B>) -> Result<Response<T>, E> {
        let mut response = Response::new(T::default());
        if is_grpc(&request) {
            write_grpc(&rejection, &mut response);
        } else {
            write_http(&rejection, &mut response);
        }
        response.extensions_mut().insert(rejection);
        Ok(response)
    }

    fn inner(error: E) -> E {
        error
    }
}

/// Rejections are what a closure makes of them.
#[derive(Clone, Debug)]
pub struct OnReject<F>(pub(super) Shared<F>);

impl<B, Res, E, F> Reject<Request<B>, Res, E> for OnReject<F>
where
    F: Fn(Rejection, Request<()>) -> Res,
{
    type Error = E;

    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn reject(&self, rejection: Rejection, request: Request<B>) -> Result<Res, E> {
        Ok((self.0)(rejection, request.map(drop)))
    }

    fn inner(error: E) -> E {
        error
    }
}

/// Rejections are errors, whatever requests and responses are.
#[derive(Clone, Copy, Debug)]
pub struct IntoError;

impl<Req, Res, E> Reject<Req, Res, E> for IntoError {
    type Error = BulkheadError<E>;

    #[inline]
    fn deadline(&self, _: &Req) -> Option<Deadline> {
        None
    }

    #[inline]
    fn reject(&self, rejection: Rejection, _: Req) -> Result<Res, BulkheadError<E>> {
        Err(BulkheadError::Rejected(rejection))
    }

    fn inner(error: E) -> BulkheadError<E> {
        BulkheadError::Inner(error)
    }
}

/// The two columns of the table: HTTP status and gRPC code.
fn answer(rejection: &Rejection) -> (StatusCode, u8) {
    match rejection.reason() {
        // Many keys share the service: one that is over its share is told so.
        RejectionReason::Saturated { .. } | RejectionReason::WaitLimit { .. }
            if rejection.is_partitioned() =>
        {
            (StatusCode::TOO_MANY_REQUESTS, grpc::RESOURCE_EXHAUSTED)
        }
        RejectionReason::Saturated { .. }
        | RejectionReason::WaitLimit { .. }
        | RejectionReason::Closed
        | RejectionReason::PartitionLimit { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, grpc::UNAVAILABLE)
        }
        RejectionReason::Deadline { .. } => (StatusCode::GATEWAY_TIMEOUT, grpc::DEADLINE_EXCEEDED),
        RejectionReason::CostExceedsCapacity { .. } => {
            (StatusCode::PAYLOAD_TOO_LARGE, grpc::RESOURCE_EXHAUSTED)
        }
        RejectionReason::MissingKey => (StatusCode::BAD_REQUEST, grpc::INVALID_ARGUMENT),
        RejectionReason::InvalidCost
        | RejectionReason::InvalidLimits { .. }
        | RejectionReason::LimitsPanicked => (StatusCode::INTERNAL_SERVER_ERROR, grpc::INTERNAL),
    }
}

fn write_http<T>(rejection: &Rejection, response: &mut Response<T>) {
    *response.status_mut() = answer(rejection).0;
    if let Some(hint) = rejection.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, whole_seconds(hint).into());
    }
}

/// Whole seconds, of which a fraction counts as one: to come too early is to be rejected again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Codes of the gRPC status, from its [specification].
///
/// [specification]: https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
mod grpc {
    pub(super) const INVALID_ARGUMENT: u8 = 3;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// A response of headers only, which HTTP/2 sends as the trailers.
fn write_grpc<T>(rejection: &Rejection, response: &mut Response<T>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(answer(rejection).1)));
    let message = percent_encoded(&rejection.to_string());
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert("grpc-message", message);
    }
}

/// The message as [gRPC] wants it: printable ASCII but the percent sign as it is, every other byte of
/// its UTF-8 as `%XX`.
///
/// [gRPC]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
fn percent_encoded(message: &str) -> String {
    use std::fmt::Write;

    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            // Writing to a `String` does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
