//! The call that changes something: who may make it, what it says, and what it is answered.

use std::error::Error;

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN},
};
use http_body_util::{Collected, Full, LengthLimitError};
use serde::Deserialize;

use super::{CHANGE_LIMIT, json, text};
use crate::{
    bulkhead::{error::ResizeError, plain::Bulkhead, weighted::WeightedBulkhead},
    registry::{BulkheadRegistry, RegistryError},
};

/// A header that browsers add and pages cannot set.
///
/// See <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The body of a request: one change of one bulkhead.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    label: String,
    capacity: Option<usize>,
    paused: Option<bool>,
}

/// Answers a request for a page of another origin, and one that is not JSON. `None` if its headers are in order.
///
/// A page of another origin cannot send `application/json` without asking first, and is never allowed to. The origin is
/// checked all the same, for browsers that have a way around it.
pub(super) fn refuse(uri: &Uri, headers: &HeaderMap) -> Option<Response<Full<Bytes>>> {
    if !is_same_origin(uri, headers) {
        return Some(text(StatusCode::FORBIDDEN, "requests from other origins are refused\n"));
    }
    if !headers.get(CONTENT_TYPE).is_some_and(is_json) {
        let message = "the content type must be application/json\n";
        return Some(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    None
}

/// Returns whether a request is from a page of the same origin, or from no page at all.
fn is_same_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    if headers.get(SEC_FETCH_SITE).is_some_and(|site| site != "same-origin") {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    // HTTP/2 has the host in the URI.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

fn is_json(content_type: &HeaderValue) -> bool {
    let content_type = content_type.to_str().unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Makes the change that a body asks for.
pub(super) fn answer(
    registry: &BulkheadRegistry,
    body: Result<Collected<impl Buf>, Box<dyn Error + Send + Sync>>,
) -> Response<Full<Bytes>> {
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body must not be larger than {CHANGE_LIMIT} bytes\n");
            return text(StatusCode::PAYLOAD_TOO_LARGE, message);
        }
        Err(error) => {
            return text(StatusCode::BAD_REQUEST, format!("cannot read the body: {error}\n"));
        }
    };
    match serde_json::from_slice(&body) {
        Ok(request) => change(registry, &request),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("not a change: {error}\n")),
    }
}

fn change(registry: &BulkheadRegistry, request: &Request) -> Response<Full<Bytes>> {
    let changed = make(registry, request);
    match changed.and_then(|()| Ok(registry.status(&request.label)?)) {
        Ok(status) => json(StatusCode::OK, &status),
        Err(error) => error.answer(),
    }
}

fn make(registry: &BulkheadRegistry, request: &Request) -> Result<(), ChangeError> {
    let label = &request.label;
    match (request.capacity, request.paused) {
        (Some(capacity), None) => resize(registry, label, capacity),
        (None, Some(true)) => Ok(registry.pause(label)?),
        (None, Some(false)) => Ok(registry.resume(label)?),
        _ => Err(ChangeError::NotOne),
    }
}

fn resize(registry: &BulkheadRegistry, label: &str, capacity: usize) -> Result<(), ChangeError> {
    match registry.get::<Bulkhead>(label) {
        Ok(bulkhead) => bulkhead.resize(capacity)?,
        Err(RegistryError::WrongKind { .. }) => {
            registry.get::<WeightedBulkhead>(label)?.resize(capacity)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Why a change was not made.
enum ChangeError {
    /// The request names no change, or more than one.
    NotOne,
    Registry(RegistryError),
    Resize(ResizeError),
}

impl From<RegistryError> for ChangeError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

impl From<ResizeError> for ChangeError {
    fn from(error: ResizeError) -> Self {
        Self::Resize(error)
    }
}

impl ChangeError {
    fn answer(&self) -> Response<Full<Bytes>> {
        let (status, message) = match self {
            Self::NotOne => (
                StatusCode::BAD_REQUEST,
                "not a change: it takes one of `capacity` and `paused`".into(),
            ),
            Self::Registry(RegistryError::UnknownLabel { label }) => {
                (StatusCode::NOT_FOUND, format!("no bulkhead is registered as {label:?}"))
            }
            Self::Registry(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            Self::Resize(error @ ResizeError::Closed { .. }) => {
                (StatusCode::CONFLICT, error.to_string())
            }
            Self::Resize(error) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        };
        text(status, message + "\n")
    }
}
