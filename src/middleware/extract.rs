//! Extractors: what a layer reads off a request, a cost or a key.

use std::{fmt, marker::PhantomData, str::FromStr};

use http::{HeaderName, Request, header::CONTENT_LENGTH};

use super::deadline::header_name;

/// Says what a request costs. Closures `Fn(&Request) -> usize` are extractors.
///
/// A cost of 0, or above the capacity of the bulkhead, is rejected there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what a `{Request}` costs",
    label = "not a cost extractor for this request type",
    note = "a cost extractor is a closure `|request: &{Request}| -> usize`, or `ContentLengthCost` for HTTP requests"
)]
pub trait CostExtractor<Request> {
    /// The units this request needs.
    fn cost(&self, request: &Request) -> usize;
}

impl<Request, F: Fn(&Request) -> usize> CostExtractor<Request> for F {
    fn cost(&self, request: &Request) -> usize {
        self(request)
    }
}

/// The cost of an HTTP request by its `content-length`: one unit for every started chunk of so many
/// bytes, and at least one.
///
/// A request without a length, or with one that is not a number, costs one unit. A length too large
/// for a number of bytes costs more than any capacity and is rejected.
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
}

impl ContentLengthCost {
    /// One unit for every started `bytes` bytes.
    ///
    /// # Panics
    ///
    /// If `bytes` is 0.
    #[must_use]
    pub fn per(bytes: u64) -> Self {
        assert!(bytes > 0, "ContentLengthCost::per(0): a unit must have at least one byte");
        Self { bytes_per_unit: bytes }
    }
}

impl<B> CostExtractor<Request<B>> for ContentLengthCost {
    fn cost(&self, request: &Request<B>) -> usize {
        let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let Some(digits) = length.filter(|length| is_number(length)) else { return 1 };
        match digits.parse::<u64>() {
            Ok(length) => {
                let units = length.div_ceil(self.bytes_per_unit).max(1);
                usize::try_from(units).unwrap_or(usize::MAX)
            }
            // More digits than a length can have: more than any capacity.
            Err(_) => usize::MAX,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Says whose a request is. Closures `Fn(&Request) -> Option<K>` are extractors; `None` is a missing
/// key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not extract a key of type `{K}` from a `{Request}`",
    label = "not a key extractor for this request and key type",
    note = "a key extractor is a closure `|request: &{Request}| -> Option<{K}>`, or `HeaderKey` or `ExtensionKey` for HTTP requests"
)]
pub trait KeyExtractor<Request, K> {
    /// The key of this request.
    fn key(&self, request: &Request) -> Option<K>;
}

impl<Request, K, F: Fn(&Request) -> Option<K>> KeyExtractor<Request, K> for F {
    #[inline]
    fn key(&self, request: &Request) -> Option<K> {
        self(request)
    }
}

/// The key in a header, of any type that is [`FromStr`].
///
/// A value that is empty, not text, longer than [`max_len`](Self::max_len) or does not parse is a
/// missing key. Of several headers with this name the first counts.
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
    name: HeaderName,
    max_len: usize,
}

impl HeaderKey {
    /// Reads the key from the header `name`.
    ///
    /// # Panics
    ///
    /// If `name` is not a header name.
    #[must_use]
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { name: header_name(name.as_ref()), max_len: 256 }
    }

    /// The most bytes a value may have and still be a key, since keys are retained. Default 256.
    #[must_use]
    pub fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = bytes;
        self
    }
}

impl<B, K: FromStr> KeyExtractor<Request<B>, K> for HeaderKey {
    fn key(&self, request: &Request<B>) -> Option<K> {
        let value = request.headers().get(&self.name)?;
        if value.is_empty() || value.len() > self.max_len {
            return None;
        }
        value.to_str().ok()?.parse().ok()
    }
}

/// The key in an HTTP request's extensions: a `T` that something outside has put there, as it is or
/// made into a key by [`From`].
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
    /// Reads the key from the extension of type `T`.
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

/// What becomes of a request without a key.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum MissingKey<K> {
    /// It is rejected.
    #[default]
    Reject,
    /// It is let past the bulkhead, and counted in [`Totals::bypassed`](crate::Totals::bypassed).
    Bypass,
    /// It shares this key with all others that have none.
    Use(K),
}

impl<K> fmt::Debug for MissingKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reject => "Reject",
            Self::Bypass => "Bypass",
            // Without the key, like everything here.
            Self::Use(_) => "Use(..)",
        })
    }
}
