//! Malformed headers and panicking extractors: the request may fail, but nothing leaks.

use bulklink::{
    Bulkhead, BulkheadLayer, ContentLengthCost, CostExtractor, Deadline, DeadlineSource,
    GrpcTimeout, HeaderTimeout, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{HeaderValue, Request, StatusCode};
use proptest::prelude::*;
use tokio_test::{assert_ready_ok, task};
use tower::{Layer, Service};

use crate::support::{
    assert_panics,
    http_service::{answer, request, shop, with_header},
    in_paused_time, panics,
};

fn uploads() -> WeightedBulkhead {
    WeightedBulkhead::builder("uploads").capacity(4).build().unwrap()
}

#[tokio::test]
async fn the_cost_of_a_content_length_is_rounded_up() {
    let uploads = uploads();
    let layer = WeightedBulkheadLayer::new(&uploads, ContentLengthCost::per(1_000));
    for (length, units) in [("0", 1), ("1", 1), ("1000", 1), ("1001", 2), ("0004000", 4)] {
        let before = uploads.status();
        let request = with_header("content-length", length);
        assert_eq!(answer(&layer, request).await.status(), StatusCode::OK);
        let totals = uploads.status().since(&before).unwrap().totals;
        assert_eq!(totals.admitted_units, units, "{length}");
    }
}

#[test]
fn a_request_without_a_length_costs_what_the_layer_says() {
    let cost = ContentLengthCost::per(1_000).without_length(16);
    let cost = |length: &str| {
        let request = http::Request::post("/").header("content-length", length);
        cost.cost(&request.body(()).unwrap())
    };
    assert_eq!(["", "many", "-5", "0x10"].map(cost), [16; 4]);
    assert_eq!(["0", "2500", "99999999999999999999"].map(cost), [1, 3, usize::MAX]);
    let chunked = http::Request::post("/").header("transfer-encoding", "chunked").body(()).unwrap();
    assert_eq!(ContentLengthCost::per(1_000).without_length(16).cost(&chunked), 16);
}

#[tokio::test]
async fn an_absent_or_malformed_content_length_costs_one_unit() {
    let uploads = uploads();
    let layer = WeightedBulkheadLayer::new(&uploads, ContentLengthCost::per(1));
    assert_eq!(answer(&layer, request()).await.status(), StatusCode::OK);
    for length in [&b""[..], b"-1", b"+3", b"3.5", b"0x10", b"many", b"\xff\xfe", b"3, 3"] {
        let request = with_header("content-length", HeaderValue::from_bytes(length).unwrap());
        assert_eq!(answer(&layer, request).await.status(), StatusCode::OK);
    }
    let totals = uploads.status().totals;
    assert_eq!((totals.admitted, totals.admitted_units), (9, 9));
}

#[tokio::test]
async fn an_oversized_content_length_is_rejected_and_takes_no_units() {
    let uploads = uploads();
    let layer = WeightedBulkheadLayer::new(&uploads, ContentLengthCost::per(1));
    let long = "9".repeat(4_000);
    for length in ["5", "4294967297", "18446744073709551615", "18446744073709551616", &long] {
        let request = with_header("content-length", length);
        assert_eq!(answer(&layer, request).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let status = uploads.status();
    assert_eq!((status.used, status.totals.oversized, status.totals.admitted), (0, 5, 0));
}

#[test]
fn a_unit_of_no_bytes_panics() {
    assert_panics(|| ContentLengthCost::per(0));
    assert_panics(|| ContentLengthCost::per(1).without_length(0));
}

#[test]
fn a_header_source_with_an_invalid_name_panics() {
    for name in ["", "not a name", "ümlaut", "a:b"] {
        assert!(panics(|| HeaderTimeout::millis(name)), "{name}");
    }
}

#[test]
fn an_extractor_that_panics_fails_its_request_and_leaks_nothing() {
    let uploads = uploads();
    let cost = |request: &Request<()>| {
        assert_eq!(request.uri().path(), "/order", "no such thing");
        2
    };
    let mut handle = WeightedBulkheadLayer::new(&uploads, cost).layer(shop());
    assert_panics(|| handle.call(Request::get("/nothing").body(()).unwrap()));
    let status = uploads.status();
    assert_eq!((status.used, status.waiting), (0, 0));
    assert!(!status.totals.has_activity());
    let request = request().body(()).unwrap();
    assert_ready_ok!(task::spawn(handle.call(request)).poll());
}

#[test]
fn a_deadline_source_a_bypass_or_a_mapping_that_panics_leaks_nothing() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&payments);
    let request = || request().body(()).unwrap();
    let source = layer.clone().deadline(|_: &Request<()>| -> Option<Deadline> { panic!("when?") });
    let mut handle = source.layer(shop());
    assert_panics(|| handle.call(request()));
    let mut handle = layer.clone().bypass(|_: &Request<()>| panic!("bypass?")).layer(shop());
    assert_panics(|| handle.call(request()));
    assert!(!payments.status().totals.has_activity());

    let slot = payments.slot_now().unwrap();
    let mapped = layer.clone().on_reject(|_, _| -> http::Response<()> { panic!("what?") });
    let mut handle = mapped.layer(shop());
    assert_panics(|| handle.call(request()));
    drop(slot);
    assert_ready_ok!(task::spawn(handle.call(request())).poll());

    // Expired after readiness: the mapping runs while the handle has a slot, which is given back all the same.
    let mut handle = task::spawn(handle);
    assert_ready_ok!(handle.enter(|cx, mut handle| handle.poll_ready(cx)));
    let mut expired = request();
    expired.extensions_mut().insert(Deadline::after(std::time::Duration::ZERO));
    assert_panics(|| handle.enter(|_, mut handle| handle.call(expired)));
    assert_eq!((payments.status().used, payments.status().totals.abandoned), (0, 1));
}

/// A `grpc-timeout` in nanoseconds, read as specified: at most 8 digits and a unit.
fn nanoseconds(text: &[u8]) -> Option<u128> {
    let (unit, digits) = text.split_last()?;
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let unit = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    Some(number.parse::<u128>().ok()? * unit)
}

proptest! {
    #[test]
    fn any_grpc_timeout_is_read_as_specified(value in "[0-9]{0,10}[HMSmunx]?|[ -~]{0,4}") {
        let request = with_header("grpc-timeout", &*value).body(()).unwrap();
        let remaining = in_paused_time(async {
            GrpcTimeout.deadline(&request).map(|it| it.remaining().as_nanos())
        });
        prop_assert_eq!(remaining, nanoseconds(value.as_bytes()));
    }

    #[test]
    fn any_header_bytes_are_accepted_without_a_panic(value in prop::collection::vec(any::<u8>(), 0..40)) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let request = with_header("grpc-timeout", value.clone());
        let request = request.header("content-length", value.clone()).header("x-ms", value);
        let request = request.body(()).unwrap();
        let _ = GrpcTimeout.deadline(&request);
        let _ = HeaderTimeout::millis("x-ms").deadline(&request);
        prop_assert!(ContentLengthCost::per(7).cost(&request) >= 1);
    }
}
