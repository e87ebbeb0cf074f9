//! Deadlines of requests: where they are read from, and how they limit the wait.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadError, BulkheadLayer, Deadline, DeadlineExtension, GrpcTimeout,
    HeaderTimeout, Rejection, RejectionReason, Slot, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{HeaderValue, Request, StatusCode, request};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt};
use tower_test::mock::Spawn;

use crate::support::http_service::{WebLayer, answer, request, shop, with_header};

const DEADLINE: Duration = Duration::from_millis(50);
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// A bulkhead without a free slot, and with room to wait.
fn saturated() -> (Bulkhead, Slot) {
    let builder = Bulkhead::builder("payments").parallelism(1).waiting_room(4);
    let payments = builder.wait_limit(WAIT_LIMIT).build().unwrap();
    let slot = payments.slot_now().unwrap();
    (payments, slot)
}

async fn assert_answered_at_the_deadline(layer: impl WebLayer, request: request::Builder) {
    assert_answered(layer, request, StatusCode::GATEWAY_TIMEOUT, DEADLINE).await;
}

async fn assert_answered_at_the_wait_limit(layer: impl WebLayer, request: request::Builder) {
    assert_answered(layer, request, StatusCode::SERVICE_UNAVAILABLE, WAIT_LIMIT).await;
}

async fn assert_answered(
    layer: impl WebLayer,
    request: request::Builder,
    status: StatusCode,
    after: Duration,
) {
    let start = Instant::now();
    let response = answer(&layer, request).await;
    let took = start.elapsed();
    assert_eq!(response.status(), status);
    // tokio's timer has a resolution of one millisecond.
    assert!(took >= after && took <= after + Duration::from_millis(1), "after {took:?}");
    let (RejectionReason::Deadline { waited, .. } | RejectionReason::WaitLimit { waited, .. }) =
        response.extensions().get::<Rejection>().unwrap().reason()
    else {
        panic!("neither deadline nor wait limit");
    };
    assert_eq!(*waited, took);
}

fn with_extension(deadline: Deadline) -> request::Builder {
    request().extension(deadline)
}

#[tokio::test(start_paused = true)]
async fn the_extension_sets_a_deadline() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).per_request();
    assert_answered_at_the_deadline(layer, with_extension(Deadline::after(DEADLINE))).await;
    let totals = payments.status().totals;
    assert_eq!((totals.queued, totals.expired, payments.status().waiting), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_grpc_timeout_header_sets_a_deadline() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).deadline(GrpcTimeout);
    for value in ["50m", "50000u", "50000000n", "00000050m"] {
        assert_answered_at_the_deadline(layer.clone(), with_header("grpc-timeout", value)).await;
    }
    let start = Instant::now();
    let grpc = with_header("grpc-timeout", "50m").header("content-type", "application/grpc");
    let response = answer(&layer, grpc).await;
    assert_eq!(response.headers()["grpc-status"], "4");
    assert!(start.elapsed() <= DEADLINE + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn a_header_in_milliseconds_sets_a_deadline() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).deadline(HeaderTimeout::millis("x-timeout-ms"));
    assert_answered_at_the_deadline(layer, with_header("X-Timeout-Ms", "50")).await;
}

#[tokio::test(start_paused = true)]
async fn a_closure_sets_a_deadline() {
    let (payments, _slot) = saturated();
    let by_path = |request: &Request<()>| {
        (request.uri().path() == "/order").then(|| Deadline::after(DEADLINE))
    };
    let layer = BulkheadLayer::new(&payments).deadline(by_path);
    assert_answered_at_the_deadline(layer.clone(), request()).await;
    assert_answered_at_the_wait_limit(layer, Request::get("/slow")).await;
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_source_and_extension_counts() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).deadline(GrpcTimeout);
    let source_first = with_header("grpc-timeout", "50m");
    let source_first = source_first.extension(Deadline::after(Duration::from_secs(1)));
    assert_answered_at_the_deadline(layer.clone(), source_first).await;

    let extension_first = with_header("grpc-timeout", "1S").extension(Deadline::after(DEADLINE));
    assert_answered_at_the_deadline(layer, extension_first).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_source_replaces_the_first() {
    let (payments, _slot) = saturated();
    let first = BulkheadLayer::new(&payments).deadline(HeaderTimeout::millis("x-first"));
    let layer = first.deadline(HeaderTimeout::millis("x-second")).per_request();
    let both = || request().header("x-first", "7").header("x-second", "50");
    assert_answered_at_the_deadline(layer, both()).await;
}

#[tokio::test(start_paused = true)]
async fn the_earlier_of_wait_limit_and_deadline_is_reported() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).deadline(GrpcTimeout);
    assert_answered_at_the_wait_limit(layer.clone(), with_header("grpc-timeout", "11S")).await;
    assert_answered_at_the_wait_limit(layer, with_header("grpc-timeout", "99999999H")).await;
}

#[tokio::test(start_paused = true)]
async fn a_malformed_header_sets_no_deadline() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).deadline(GrpcTimeout);
    let malformed: [&[u8]; 12] = [
        b"",
        b"m",
        b"50",
        b"-50m",
        b"+50m",
        b" 50m",
        b"5 m",
        b"50ms",
        b"50x",
        b"5.0m",
        b"000000050m",
        b"50\xb5",
    ];
    for value in malformed {
        let value = HeaderValue::from_bytes(value).unwrap();
        let request = with_header("grpc-timeout", value);
        assert_answered_at_the_wait_limit(layer.clone(), request).await;
    }
    let layer = BulkheadLayer::new(&payments).deadline(HeaderTimeout::millis("x-timeout-ms"));
    for value in
        [&b""[..], b"-1", b"+50", b"50ms", b"0x32", b"5e1", b"18446744073709551616", b"\xff"]
    {
        let value = HeaderValue::from_bytes(value).unwrap();
        let request = with_header("x-timeout-ms", value);
        assert_answered_at_the_wait_limit(layer.clone(), request).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_request_is_rejected_on_arrival_even_if_a_slot_is_free() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&payments).deadline(GrpcTimeout);
    for expired in [with_extension(Deadline::at(Instant::now())), with_header("grpc-timeout", "0m")]
    {
        assert_answered(layer.clone(), expired, StatusCode::GATEWAY_TIMEOUT, Duration::ZERO).await;
    }
    let totals = payments.status().totals;
    assert_eq!((totals.expired_before_queue, totals.admitted, totals.queued), (2, 0, 0));
    assert_eq!(answer(&layer, with_header("grpc-timeout", "1n")).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_call_after_readiness_rejects_an_expired_request_and_passes_its_slot_on() {
    let (payments, slot) = saturated();
    let mut handle = Spawn::new(BulkheadLayer::new(&payments).layer(shop()));
    assert_pending!(handle.poll_ready());
    let mut next = handle.clone();
    assert_pending!(next.poll_ready());
    let deadline = Deadline::after(DEADLINE);
    tokio::time::advance(Duration::from_millis(30)).await;
    drop(slot);
    assert_ready_ok!(handle.poll_ready());
    tokio::time::advance(Duration::from_millis(30)).await;

    let expired = with_extension(deadline).body(()).unwrap();
    let mut response = task::spawn(handle.call(expired));
    assert!(next.is_woken(), "the call has passed the slot on");
    let totals = payments.status().totals;
    assert_eq!((totals.abandoned, totals.admitted_from_queue, payments.status().used), (1, 2, 1));
    let response = assert_ready_ok!(response.poll());
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let waited = response.extensions().get::<Rejection>().unwrap().reason();
    assert!(matches!(waited, RejectionReason::Deadline { waited, .. } if *waited >= DEADLINE / 2));

    assert_ready_ok!(next.poll_ready());
    let in_time = with_extension(Deadline::after(DEADLINE)).body(()).unwrap();
    let response = assert_ready_ok!(task::spawn(next.call(in_time)).poll());
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_does_not_bound_the_work() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let slow = tower::service_fn(async |_: Request<()>| {
        tokio::time::sleep(10 * DEADLINE).await;
        Ok::<_, std::convert::Infallible>(http::Response::new(()))
    });
    let service = BulkheadLayer::new(&payments).per_request().layer(slow);
    let request = with_extension(Deadline::after(DEADLINE)).body(()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn with_into_error_the_extension_counts_only_if_it_is_set_as_the_source() {
    let (payments, _slot) = saturated();
    let layer = BulkheadLayer::new(&payments).per_request().into_error();
    let request = || with_extension(Deadline::after(DEADLINE)).body(()).unwrap();
    let start = Instant::now();
    let unaware = layer.clone().layer(shop()).oneshot(request()).await.unwrap_err();
    assert!(start.elapsed() >= WAIT_LIMIT);
    assert!(is_wait_limit(&unaware));

    let start = Instant::now();
    let layer = layer.deadline(DeadlineExtension);
    let aware = layer.layer(shop()).oneshot(request()).await.unwrap_err();
    assert!(start.elapsed() <= DEADLINE + Duration::from_millis(1));
    assert!(!is_wait_limit(&aware));

    // With `into_error`, requests have any type, so readiness reads no extension either.
    let mut handle = BulkheadLayer::new(&payments).into_error().layer(shop());
    drop(_slot);
    handle.ready().await.unwrap();
    let expired = with_extension(Deadline::at(Instant::now())).body(()).unwrap();
    assert!(assert_ready!(task::spawn(handle.call(expired)).poll()).is_ok());
}

fn is_wait_limit<E>(error: &BulkheadError<E>) -> bool {
    matches!(error.rejection().unwrap().reason(), RejectionReason::WaitLimit { .. })
}

#[tokio::test(start_paused = true)]
async fn a_cost_and_a_deadline_are_read_from_the_same_request() {
    let builder = WeightedBulkhead::builder("reports").capacity(4).waiting_room(4);
    let reports = builder.wait_limit(WAIT_LIMIT).build().unwrap();
    let _slot = reports.slot_now(2).unwrap();
    let layer = WeightedBulkheadLayer::new(&reports, |_: &Request<()>| 3).deadline(GrpcTimeout);
    assert_answered_at_the_deadline(layer, with_header("grpc-timeout", "50m")).await;
    let fixed = WeightedBulkheadLayer::fixed(&reports, 3).per_request();
    assert_answered_at_the_deadline(fixed, with_extension(Deadline::after(DEADLINE))).await;
    assert_eq!(reports.status().totals.expired, 2);
}

/// What is left of the deadline when a request is admitted must suffice for the work.
#[tokio::test(start_paused = true)]
async fn a_request_is_admitted_only_with_its_reserve_left() {
    let reserve = Duration::from_millis(20);
    let (payments, _slot) = saturated();
    let layer = || BulkheadLayer::new(&payments).deadline_reserve(reserve);
    // In line, the reserve is kept back.
    let start = Instant::now();
    let grpc = with_header("grpc-timeout", "50m");
    let response = answer(&layer().deadline(GrpcTimeout), grpc).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let took = start.elapsed();
    let kept = DEADLINE - reserve;
    assert!(took >= kept && took <= kept + Duration::from_millis(1), "after {took:?}");
    // On arrival, too: with a free slot and with none, from an extension and from a header.
    for payments in [payments.clone(), Bulkhead::builder("free").parallelism(1).build().unwrap()] {
        let layer = BulkheadLayer::new(&payments).deadline_reserve(reserve).per_request();
        let before = payments.status().totals;
        let request = with_extension(Deadline::after(reserve));
        let response = answer(&layer, request).await;
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        let after = payments.status().totals;
        assert_eq!(after.expired_before_queue, before.expired_before_queue + 1);
        let absurd = layer.clone().deadline_reserve(Duration::MAX);
        let response = answer(&absurd, with_extension(Deadline::after(WAIT_LIMIT))).await;
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    }
    let free = Bulkhead::builder("free").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&free).deadline_reserve(reserve);
    let enough = with_extension(Deadline::after(reserve + Duration::from_millis(1)));
    assert_eq!(answer(&layer.clone().per_request(), enough).await.status(), StatusCode::OK);
    assert_eq!(answer(&layer, request()).await.status(), StatusCode::OK, "it has no deadline");
    // Where readiness decides, the deadline is known only with the request.
    let response = answer(&layer, with_extension(Deadline::after(reserve))).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(free.status().totals.abandoned_by_deadline, 1);
}
