//! Deadline sources: where a request says by when it must be admitted.

use std::time::Duration;

use http::{HeaderName, Request};

use super::shared::Shared;
use crate::bulkhead::deadline::Deadline;

/// Says by when a request must be admitted, if it says so at all. Closures
/// `Fn(&Request) -> Option<Deadline>` are sources.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say by when a `{Request}` must be admitted",
    label = "not a deadline source for this request type",
    note = "a source is `GrpcTimeout`, `HeaderTimeout` or `DeadlineExtension` for HTTP requests, or a closure `|request: &{Request}| -> Option<Deadline>`"
)]
pub trait DeadlineSource<Request> {
    /// The deadline of this request.
    fn deadline(&self, request: &Request) -> Option<Deadline>;
}

impl<Request, F: Fn(&Request) -> Option<Deadline>> DeadlineSource<Request> for F {
    fn deadline(&self, request: &Request) -> Option<Deadline> {
        self(request)
    }
}

impl<Request, S: DeadlineSource<Request>> DeadlineSource<Request> for Shared<S> {
    fn deadline(&self, request: &Request) -> Option<Deadline> {
        (**self).deadline(request)
    }
}

/// No source: what a layer starts with.
#[derive(Clone, Copy, Debug)]
pub struct NoDeadline;

impl<Request> DeadlineSource<Request> for NoDeadline {
    fn deadline(&self, _: &Request) -> Option<Deadline> {
        None
    }
}

/// The [`Deadline`] in an HTTP request's extensions.
///
/// Layers that answer rejections with HTTP responses read it by themselves. After
/// [`into_error`](crate::AdmissionLayer::into_error) requests may be of any type, and it is read only
/// when asked for by this.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineExtension;

impl<B> DeadlineSource<Request<B>> for DeadlineExtension {
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }
}

/// The `grpc-timeout` header: a number of at most 8 digits and a unit (`H`, `M`, `S`, `m`, `u`, `n`),
/// as the [gRPC protocol] defines it. A malformed header counts as none.
///
/// [gRPC protocol]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
#[derive(Clone, Copy, Debug)]
pub struct GrpcTimeout;

impl<B> DeadlineSource<Request<B>> for GrpcTimeout {
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        let value = request.headers().get("grpc-timeout")?.to_str().ok()?;
        parse_grpc_timeout(value).map(Deadline::after)
    }
}

/// A header with the time that is left, as a whole number of milliseconds. A malformed header counts
/// as none.
///
/// # Examples
///
/// ```
/// use bulklink::{DeadlineSource, HeaderTimeout};
///
/// let source = HeaderTimeout::millis("x-request-timeout-ms");
/// let request = http::Request::get("/").header("x-request-timeout-ms", "250").body(())?;
/// assert!(source.deadline(&request).is_some());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderTimeout {
    name: HeaderName,
}

impl HeaderTimeout {
    /// Reads milliseconds from the header `name`.
    ///
    /// # Panics
    ///
    /// If `name` is not a header name.
    #[must_use]
    pub fn millis(name: impl AsRef<str>) -> Self {
        Self { name: header_name(name.as_ref()) }
    }
}

impl<B> DeadlineSource<Request<B>> for HeaderTimeout {
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        let value = request.headers().get(&self.name)?.to_str().ok()?;
        digits(value).map(Duration::from_millis).map(Deadline::after)
    }
}

/// The header of this name, which is part of the program and must be one.
pub(super) fn header_name(name: &str) -> HeaderName {
    HeaderName::try_from(name).unwrap_or_else(|_| panic!("{name:?} is not a header name"))
}

/// The earlier of two deadlines, of which either may be missing.
pub(super) fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    one.into_iter().chain(other).min()
}

fn parse_grpc_timeout(value: &str) -> Option<Duration> {
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number = digits(number).filter(|_| number.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 60 * 60)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// A number of digits and nothing else: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
