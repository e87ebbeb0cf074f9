//! The page and its content security policy.

/// The page, as browsers get it.
pub(super) const HTML: &str = include_str!("page.html");

/// Allows the page its own style and script, known by their hashes, requests to its own origin, and nothing else. A label
/// that reads like markup could not run even if the page made markup of it.
///
/// See <https://www.w3.org/TR/CSP3/>. A test computes the hashes, and names the right ones where the page has changed.
pub(super) const CONTENT_SECURITY: &str = "default-src 'none'; \
    script-src 'sha256-Jwy0YfHRI8IQRK9QG8E64OJTwb3Ulso4tyDbGQ/nSqQ='; \
    style-src 'sha256-MbrZDgTPFcTIw4vRRD9X4jARr6WvmK0VMcNMp00uBMQ='; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
