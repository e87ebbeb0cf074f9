//! Deadline sources: where a layer finds the deadline of a request.
//!
//! This module owns the parsing of timeout headers. It does not enforce deadlines; the wait does.

use std::time::Duration;

use http::{HeaderName, Request};

use super::shared::Shared;
use crate::bulkhead::deadline::Deadline;

/// Determines the deadline by which a request must be admitted, if it has one.
///
/// Closures `Fn(&Request) -> Option<Deadline>` implement this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not provide a deadline for a `{Request}`",
    label = "not a deadline source for this request type",
    note = "a deadline source is `GrpcTimeout`, `HeaderTimeout` or `DeadlineExtension` for HTTP requests, or a closure `|request: &{Request}| -> Option<Deadline>`"
)]
pub trait DeadlineSource<Request> {
    /// Returns the deadline of this request, or `None` if it has none.
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

/// No deadline source, the default of a layer.
#[derive(Clone, Copy, Debug)]
pub struct NoDeadline;

impl<Request> DeadlineSource<Request> for NoDeadline {
    fn deadline(&self, _: &Request) -> Option<Deadline> {
        None
    }
}

/// Reads the [`Deadline`] from an HTTP request's extensions.
///
/// Layers that answer rejections with HTTP responses always read that extension. After
/// [`into_error`](crate::AdmissionLayer::into_error) requests may be of any type, so the extension is read
/// only if this source is [configured](crate::AdmissionLayer::deadline).
#[derive(Clone, Copy, Debug)]
pub struct DeadlineExtension;

impl<B> DeadlineSource<Request<B>> for DeadlineExtension {
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        request.extensions().get().copied()
    }
}

/// Reads the remaining time from the `grpc-timeout` header.
///
/// The header holds a number of at most 8 digits and a unit (`H`, `M`, `S`, `m`, `u`, `n`), as the
/// [gRPC protocol] defines it. A malformed header counts as missing.
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

/// Reads the remaining time from a header, as a whole number of milliseconds.
///
/// A malformed header counts as missing.
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
    /// Creates a source that reads milliseconds from the header `name`.
    ///
    /// # Panics
    ///
    /// Panics if `name` is not a valid header name.
    #[must_use]
    pub fn millis(name: impl AsRef<str>) -> Self {
        Self { name: header_name(name.as_ref()) }
    }
}

impl<B> DeadlineSource<Request<B>> for HeaderTimeout {
    fn deadline(&self, request: &Request<B>) -> Option<Deadline> {
        let value = request.headers().get(&self.name)?.to_str().ok()?;
        parse_digits(value).map(Duration::from_millis).map(Deadline::after)
    }
}

/// Parses a header name. Panics if it is invalid, because names are constants of the program.
pub(super) fn header_name(name: &str) -> HeaderName {
    HeaderName::try_from(name).unwrap_or_else(|_| panic!("{name:?} is not a header name"))
}

/// Returns the earlier of two deadlines, either of which may be missing.
pub(super) fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    one.into_iter().chain(other).min()
}

fn parse_grpc_timeout(value: &str) -> Option<Duration> {
    let (number, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let number = parse_digits(number).filter(|_| number.len() <= 8)?;
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

/// Parses a number that consists of ASCII digits only: no sign, no whitespace.
fn parse_digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
