//! Everything that reads bytes or numbers off a request, against what the bytes plainly say. The same
//! properties run under a fuzzer: see fuzz/ and .ci/fuzz.

use std::time::Duration;

use bulklink::{
    ContentLengthCost, CostExtractor, DeadlineSource, GrpcTimeout, HeaderKey, HeaderTimeout,
    KeyExtractor,
};
use http::{HeaderValue, Request};
use proptest::prelude::*;
use tokio::time::Instant;

use super::{cases, on_paused_time};

fn request(name: &'static str, value: &[u8]) -> Option<Request<()>> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Request::get("/").header(name, value).body(()).ok()
}

/// The number that these digits are, however many.
fn number(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Zeros before a number do not change it; beyond thirty digits all are too large alike.
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = &digits[zeros..];
    if digits.len() > 30 {
        return Some(u128::MAX);
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u128::from(digit - b'0')))
}

/// What the specification of gRPC says of a timeout.
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

fn check_grpc_timeout(value: &[u8]) {
    let Some(request) = request("grpc-timeout", value) else { return };
    let deadline = GrpcTimeout.deadline(&request);
    let left = deadline.map(|deadline| deadline.remaining().as_nanos());
    // Thirty years away is as good as never.
    let far = Duration::from_secs(30 * 365 * 24 * 60 * 60).as_nanos();
    match (left, grpc_nanos(value)) {
        (Some(left), Some(nanos)) => assert!(left == nanos || (left >= far && nanos > far)),
        (left, nanos) => assert_eq!(left, nanos, "{value:?}"),
    }
}

fn check_header_timeout(value: &[u8]) {
    let Some(request) = request("x-timeout-ms", value) else { return };
    let deadline = HeaderTimeout::millis("x-timeout-ms").deadline(&request);
    // A number of milliseconds is one of 64 bits.
    let millis = number(value).filter(|&millis| millis <= u128::from(u64::MAX));
    assert_eq!(deadline.is_some(), millis.is_some(), "{value:?}");
    if let (Some(deadline), Some(millis)) = (deadline, millis) {
        let far = Instant::now() + Duration::from_secs(29 * 365 * 24 * 60 * 60);
        let left = deadline.remaining().as_millis();
        assert!(left == millis || (left >= (far - Instant::now()).as_millis() && millis > left));
    }
}

fn check_content_length(value: &[u8], per: u64) {
    let Some(request) = request("content-length", value) else { return };
    let cost = ContentLengthCost::per(per).cost(&request);
    match number(value) {
        None => assert_eq!(cost, 1, "no length: {value:?}"),
        Some(length) if length <= u128::from(u64::MAX) => {
            let started = length.div_ceil(u128::from(per)).max(1);
            assert_eq!(cost as u128, started, "{value:?} by {per}");
        }
        Some(_) => assert_eq!(cost, usize::MAX, "more than any capacity: {value:?}"),
    }
}

fn check_header_key(value: &[u8], longest: usize) {
    let Some(request) = request("x-key", value) else { return };
    let extractor = HeaderKey::new("x-key").max_len(longest);
    let is_text = value.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    let is_key = is_text && !value.is_empty() && value.len() <= longest;
    let key: Option<String> = extractor.key(&request);
    assert_eq!(key.as_deref().map(str::as_bytes), is_key.then_some(value));
    let key: Option<u64> = extractor.key(&request);
    let plain = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    assert_eq!(key, plain.filter(|_| is_key));
}

/// Bytes that are nearly a number, with a unit or without.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[0-9]{0,9}[HMSmun]?".prop_map(String::into_bytes),
        "[+ -]?[0-9]{1,25}[a-zA-Z]{0,2}".prop_map(String::into_bytes),
        "0{0,30}[0-9]{1,21}".prop_map(String::into_bytes),
        any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn every_value_of_grpc_timeout_means_what_the_specification_says(value in nearly()) {
        on_paused_time(async { check_grpc_timeout(&value) });
    }

    #[test]
    fn every_value_of_a_header_timeout_is_its_number_or_none(value in nearly()) {
        on_paused_time(async { check_header_timeout(&value) });
    }

    #[test]
    fn every_content_length_costs_its_started_chunks(
        value in nearly(), per in prop_oneof![1u64..1_000, any::<u64>().prop_map(|n| n.max(1))]
    ) {
        check_content_length(&value, per);
    }

    #[test]
    fn every_header_key_is_the_text_of_the_header_or_missing(
        value in nearly(), longest in 0usize..40
    ) {
        check_header_key(&value, longest);
    }
}
