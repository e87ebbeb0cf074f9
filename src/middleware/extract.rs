//! Extractors: how a layer reads a cost or a key from a request.

use std::{fmt, marker::PhantomData, str::FromStr};

use http::{HeaderName, Request, header::CONTENT_LENGTH};

use super::deadline::header_name;

/// Determines the cost of a request.
///
/// Closures `Fn(&Request) -> usize` implement this trait. The bulkhead rejects a request with a cost of 0 or
/// with a cost above its capacity.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not determine the cost of a `{Request}`",
    label = "not a cost extractor for this request type",
    note = "a cost extractor is a closure `|request: &{Request}| -> usize`, or `ContentLengthCost` for HTTP requests"
)]
pub trait CostExtractor<Request> {
    /// Returns the number of units this request needs.
    fn cost(&self, request: &Request) -> usize;
}

impl<Request, F: Fn(&Request) -> usize> CostExtractor<Request> for F {
    fn cost(&self, request: &Request) -> usize {
        self(request)
    }
}

/// Derives the cost of an HTTP request from its `content-length`: the length divided by the bytes per unit,
/// rounded up, and at least one unit.
///
/// A request without a `content-length`, or with one that is not a number, costs one unit unless
/// [`without_length`](Self::without_length) says otherwise: a body that is sent in chunks has no length. A length that
/// does not fit into 64 bits costs more than any capacity and is rejected.
///
/// # Examples
///
/// ```
/// use bulklink::{ContentLengthCost, CostExtractor};
///
/// let cost = ContentLengthCost::per(1 << 20);
/// let upload = http::Request::post("/").header("content-length", "2500000").body(())?;
/// assert_eq!(cost.cost(&upload), 3);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentLengthCost {
    bytes_per_unit: u64,
    without_length: usize,
}

impl ContentLengthCost {
    /// Creates an extractor that charges one unit per `bytes` bytes, rounded up.
    ///
    /// # Panics
    ///
    /// Panics if `bytes` is 0.
    #[must_use]
    pub fn per(bytes: u64) -> Self {
        assert!(bytes > 0, "ContentLengthCost::per(0): a unit must have at least one byte");
        Self { bytes_per_unit: bytes, without_length: 1 }
    }

    /// Charges `units` units for a request without a `content-length`, instead of one.
    ///
    /// A client decides whether it sends a length, so where the cost protects memory, charge what such a body may take at
    /// most, and limit it to that (with `tower_http::limit::RequestBodyLimitLayer`, for example).
    ///
    /// # Panics
    ///
    /// Panics if `units` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{ContentLengthCost, CostExtractor};
    ///
    /// let cost = ContentLengthCost::per(1 << 20).without_length(16);
    /// let chunked = http::Request::post("/").header("transfer-encoding", "chunked").body(())?;
    /// assert_eq!(cost.cost(&chunked), 16);
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn without_length(mut self, units: usize) -> Self {
        assert!(
            units > 0,
            "ContentLengthCost::without_length(0): a request costs at least one unit"
        );
        self.without_length = units;
        self
    }
}

impl<B> CostExtractor<Request<B>> for ContentLengthCost {
    fn cost(&self, request: &Request<B>) -> usize {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let Some(digits) = length.filter(|length| is_number(length)) else {
            return self.without_length;
        };
        match digits.parse::<u64>() {
            Ok(length) => {
                let units = length.div_ceil(self.bytes_per_unit).max(1);
                usize::try_from(units).unwrap_or(usize::MAX)
            }
            // All digits but too large for a `u64`: more than any capacity.
            Err(_) => usize::MAX,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Extracts the key of a request, which selects its partition.
///
/// Closures `Fn(&Request) -> Option<K>` implement this trait. `None` is a missing key, which is handled as
/// [`missing_key`](crate::AdmissionLayer::missing_key) specifies.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not extract a key of type `{K}` from a `{Request}`",
    label = "not a key extractor for this request and key type",
    note = "a key extractor is a closure `|request: &{Request}| -> Option<{K}>`, or `HeaderKey`, `ExtensionKey`, `PathSegmentKey`, `ForwardedIpKey` or `BearerTokenKey` for HTTP requests"
)]
pub trait KeyExtractor<Request, K> {
    /// Returns the key of this request, or `None` if it has none.
    fn key(&self, request: &Request) -> Option<K>;
}

impl<Request, K, F: Fn(&Request) -> Option<K>> KeyExtractor<Request, K> for F {
    #[inline]
    fn key(&self, request: &Request) -> Option<K> {
        self(request)
    }
}

/// Reads the key from a header and parses it with [`FromStr`].
///
/// The key is missing if the value is empty, is not text, is longer than [`max_len`](Self::max_len) or does
/// not parse. If there are several headers of this name, the first one counts. Other headers can take its place with
/// [`or`](Self::or).
///
/// # Examples
///
/// ```
/// use bulklink::{HeaderKey, KeyExtractor};
///
/// let request = http::Request::get("/").header("x-customer-id", "4711").body(())?;
/// let key: Option<u64> = HeaderKey::new("x-customer-id").key(&request);
/// assert_eq!(key, Some(4711));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeaderKey {
    /// In the order in which they are looked for.
    names: Vec<HeaderName>,
    max_len: usize,
}

impl HeaderKey {
    /// Creates an extractor that reads the key from the header `name`.
    ///
    /// # Panics
    ///
    /// Panics if `name` is not a valid header name.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { names: vec![header_name(name.as_ref())], max_len: 256 }
    }

    /// Reads the key from the header `name` where the headers before it have none.
    ///
    /// # Panics
    ///
    /// Panics if `name` is not a valid header name.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{HeaderKey, KeyExtractor};
    ///
    /// let customer = HeaderKey::new("x-customer").or("x-api-key");
    /// let request = http::Request::get("/").header("x-api-key", "4711").body(())?;
    /// let key: Option<String> = customer.key(&request);
    /// assert_eq!(key.as_deref(), Some("4711"));
    /// # Ok::<(), http::Error>(())
    /// ```
    #[must_use]
    pub fn or(mut self, name: impl AsRef<str>) -> Self {
        self.names.push(header_name(name.as_ref()));
        self
    }

    /// Sets the maximum length of the header value in bytes. Default 256.
    ///
    /// Keys are retained, so this bounds the memory that each of them takes.
    #[must_use]
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }
}

impl<B, K: FromStr> KeyExtractor<Request<B>, K> for HeaderKey {
    fn key(&self, request: &Request<B>) -> Option<K> {
        self.names.iter().find_map(|name| {
            let value = request.headers().get(name)?;
            if value.is_empty() || value.len() > self.max_len {
                return None;
            }
            value.to_str().ok()?.parse().ok()
        })
    }
}

/// Reads the key from an HTTP request's extensions.
///
/// The key is missing unless an outer layer has inserted a `T`. The `T` is cloned and converted into the key
/// type with [`From`]; the two types may be the same.
///
/// # Examples
///
/// ```
/// use bulklink::{ExtensionKey, KeyExtractor};
///
/// let request = http::Request::builder().extension(4711_u32).body(())?;
/// let key: Option<u64> = ExtensionKey::<u32>::new().key(&request);
/// assert_eq!(key, Some(4711));
/// # Ok::<(), http::Error>(())
/// ```
pub struct ExtensionKey<T>(PhantomData<fn() -> T>);

impl<T> ExtensionKey<T> {
    /// Creates an extractor that reads the key from the extension of type `T`.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<B, T, K> KeyExtractor<Request<B>, K> for ExtensionKey<T>
where
    T: Clone + Send + Sync + 'static,
    K: From<T>,
{
    fn key(&self, request: &Request<B>) -> Option<K> {
        request.extensions().get::<T>().cloned().map(K::from)
    }
}

impl<T> Default for ExtensionKey<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for ExtensionKey<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ExtensionKey<T> {}

impl<T> fmt::Debug for ExtensionKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtensionKey<{}>", std::any::type_name::<T>())
    }
}

/// How to handle a request without a key.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingKey<K> {
    /// Rejects the request with [`RejectionReason::MissingKey`](crate::RejectionReason::MissingKey).
    #[default]
    Reject,
    /// Lets the request bypass the bulkhead, and counts it in
    /// [`Totals::bypassed`](crate::Totals::bypassed).
    Bypass,
    /// Uses this key, which all requests without a key share.
    Use(K),
}

impl<K> fmt::Debug for MissingKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reject => "Reject",
            Self::Bypass => "Bypass",
            // Keys are never printed.
            Self::Use(_) => "Use(..)",
        })
    }
}
