//! Checks of everything that is parsed from a request, against an independent reading of the same bytes. Run
//! by the property tests in this module, on the saved inputs of the fuzzer, and by the fuzzer itself: see
//! fuzz/ and .ci/fuzz.
//!
//! Time must be paused while they run.

use std::{
    convert::Infallible,
    future::{Future, Ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bulklink::{
    Bulkhead, BulkheadLayer, ContentLengthCost, CostExtractor, DeadlineSource, GrpcTimeout,
    HeaderKey, HeaderTimeout, KeyExtractor, Rejection,
};
use http::{HeaderValue, Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};

/// Panics if the crate handles this input wrongly.
pub(crate) type Check = fn(&[u8]);

/// Every check with the name of its fuzz target. The input is that of the fuzzer: the numbers that the check
/// needs, followed by the value.
pub(crate) const TARGETS: [(&str, Check); 5] = [
    ("grpc_timeout", grpc_timeout),
    ("header_timeout", header_timeout),
    ("content_length", |input| {
        let Some((unit, value)) = input.split_first_chunk() else { return };
        content_length(value, u64::from_le_bytes(*unit).max(1));
    }),
    ("header_key", |input| {
        let Some((&max_len, value)) = input.split_first() else { return };
        header_key(value, max_len.into());
    }),
    ("rejection", |input| {
        let Some((hint, texts)) = input.split_first_chunk() else { return };
        let Some((&length, texts)) = texts.split_first() else { return };
        let (content_type, label) = texts.split_at(texts.len().min(length.into()));
        rejection(content_type, &String::from_utf8_lossy(label), u64::from_le_bytes(*hint));
    }),
];

fn request(name: &'static str, value: &[u8]) -> Option<Request<()>> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Request::get("/").header(name, value).body(()).ok()
}

/// Returns the value of a decimal number of any length.
fn number(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Leading zeros do not change the value. All numbers of more than thirty digits are too large.
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[zeros..];
    if digits.len() > 30 {
        return Some(u128::MAX);
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u128::from(digit - b'0')))
}

/// Returns the nanoseconds of a timeout according to the gRPC specification.
fn grpc_nanos(value: &[u8]) -> Option<u128> {
    let (unit, digits) = value.split_last()?;
    let number = number(digits).filter(|_| digits.len() <= 8)?;
    let nanos = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    Some(number * nanos)
}

pub(crate) fn grpc_timeout(value: &[u8]) {
    let Some(request) = request("grpc-timeout", value) else { return };
    let deadline = GrpcTimeout.deadline(&request);
    let left = deadline.map(|deadline| deadline.remaining().as_nanos());
    // Deadlines more than thirty years away are treated as infinite.
    let far = Duration::from_secs(30 * 365 * 24 * 60 * 60).as_nanos();
    match (left, grpc_nanos(value)) {
        (Some(left), Some(nanos)) => assert!(left == nanos || (left >= far && nanos > far)),
        (left, nanos) => assert_eq!(left, nanos, "{value:?}"),
    }
}

pub(crate) fn header_timeout(value: &[u8]) {
    let Some(request) = request("x-timeout-ms", value) else { return };
    let deadline = HeaderTimeout::millis("x-timeout-ms").deadline(&request);
    // Milliseconds must fit in 64 bits.
    let millis = number(value).filter(|&millis| millis <= u128::from(u64::MAX));
    assert_eq!(deadline.is_some(), millis.is_some(), "{value:?}");
    if let (Some(deadline), Some(millis)) = (deadline, millis) {
        let far = Instant::now() + Duration::from_secs(29 * 365 * 24 * 60 * 60);
        let left = deadline.remaining().as_millis();
        assert!(left == millis || (left >= (far - Instant::now()).as_millis() && millis > left));
    }
}

pub(crate) fn content_length(value: &[u8], unit: u64) {
    let Some(request) = request("content-length", value) else { return };
    let cost = ContentLengthCost::per(unit).cost(&request);
    match number(value) {
        None => assert_eq!(cost, 1, "no length: {value:?}"),
        Some(length) if length <= u128::from(u64::MAX) => {
            let units = length.div_ceil(u128::from(unit)).max(1);
            assert_eq!(cost as u128, units, "{value:?} in units of {unit}");
        }
        Some(_) => assert_eq!(cost, usize::MAX, "more than any capacity: {value:?}"),
    }
}

pub(crate) fn header_key(value: &[u8], max_len: usize) {
    let Some(request) = request("x-key", value) else { return };
    let extractor = HeaderKey::new("x-key").max_len(max_len);
    let is_text = value.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    let is_key = is_text && !value.is_empty() && value.len() <= max_len;
    let key: Option<String> = extractor.key(&request);
    assert_eq!(key.as_deref().map(str::as_bytes), is_key.then_some(value));
    let key: Option<u64> = extractor.key(&request);
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    assert_eq!(key, parsed.filter(|_| is_key));
}

/// Checks that a rejection is answered in the protocol of the request, for any content type and any label.
pub(crate) fn rejection(content_type: &[u8], label: &str, hint: u64) {
    let Some(request) = request("content-type", content_type) else { return };
    let Ok(bulkhead) = Bulkhead::builder(label).parallelism(1).build() else {
        assert!(label.trim().is_empty(), "{label:?} is a valid label");
        return;
    };
    let _slot = bulkhead.slot_now();
    let hint = Duration::from_nanos(hint);
    let mut service = BulkheadLayer::new(&bulkhead).retry_after(hint).layer(Never);
    let response = pin!(service.call(request));
    let answer = response.poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(response)) = answer else { panic!("a rejection must be answered at once") };
    let rejection = response.extensions().get::<Rejection>().expect("no rejection in the response");
    assert_eq!((rejection.label(), rejection.retry_after()), (label.trim(), Some(hint)));
    let header = |name: &str| response.headers().get(name).map(HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let media_type = text.split(';').next().unwrap_or_default().trim_matches([' ', '\t']);
    let protocol = media_type.split('+').next().unwrap_or_default();
    if ["application/grpc", "application/grpc-web", "application/grpc-web-text"].contains(&protocol)
    {
        assert_eq!(response.status(), 200);
        let is_web = protocol != "application/grpc";
        let own: &[u8] = if is_web { content_type } else { b"application/grpc" };
        assert_eq!(header("content-type"), Some(own));
        assert_eq!(header("grpc-status"), Some(&b"14"[..]));
        assert_eq!(header("grpc-message"), Some(&b"saturated"[..]));
        let milliseconds = hint.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128).to_string();
        assert_eq!(header("grpc-retry-pushback-ms"), Some(milliseconds.as_bytes()));
    } else {
        assert_eq!(response.status(), 503);
        // Whole seconds, rounded up.
        let seconds = hint.as_nanos().div_ceil(1_000_000_000).to_string();
        assert_eq!(header("retry-after"), Some(seconds.as_bytes()), "{hint:?}");
        assert_eq!(header("grpc-status"), None);
    }
}

/// A service that must not be called.
#[derive(Clone, Copy, Debug)]
struct Never;

impl Service<Request<()>> for Never {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        unreachable!("called without a slot")
    }
}
