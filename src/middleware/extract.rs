//! Extractors: what a layer reads off a request, a cost or a key.

use http::{Request, header::CONTENT_LENGTH};

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
