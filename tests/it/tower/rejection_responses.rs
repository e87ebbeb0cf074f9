//! The table of rejections: what HTTP and gRPC clients receive.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadLayer, Deadline, HeaderKey, PartitionLimits, PartitionedBulkhead,
    PartitionedBulkheadLayer, Rejection, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{Request, StatusCode, header::RETRY_AFTER, request};

use crate::support::http_service::{WebLayer, answer, request};

const SATURATED: &str = "saturated: cost 1 with 1 of 1 units in use and 0 of 0 waiting";

/// One row of the table: the expected response over HTTP and over gRPC.
struct Expected {
    http: u16,
    grpc: u8,
    retry: bool,
    reason: &'static str,
}

async fn assert_rejected(
    layer: impl WebLayer,
    request: impl Fn() -> request::Builder,
    expected: Expected,
) {
    let response = answer(&layer, request()).await;
    assert_eq!(response.status(), expected.http);
    let retry_after = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
    assert_eq!(retry_after, expected.retry.then_some("1"));
    assert_eq!(response.headers().len(), usize::from(expected.retry));
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason().to_string(), expected.reason);
    assert_eq!(rejection.retry_after(), expected.retry.then_some(Duration::from_secs(1)));
    // Without a layer the answer is the same.
    assert_eq!(
        (rejection.status(), rejection.grpc_code()),
        (response.status(), expected.grpc.into())
    );
    let direct = rejection.clone().into_response::<()>();
    assert_eq!((direct.status(), direct.headers()), (response.status(), response.headers()));
    assert_eq!(direct.extensions().get(), Some(rejection));

    let grpc = [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;x=y",
        "Application/GRPC ; x=y",
    ];
    for content_type in grpc {
        let response = answer(&layer, request().header("content-type", content_type)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["grpc-status"], expected.grpc.to_string());
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(headers["grpc-message"], rejection.reason().name());
        let pushback = headers.get("grpc-retry-pushback-ms").map(|value| value.to_str().unwrap());
        assert_eq!(pushback, expected.retry.then_some("1000"));
        assert_eq!(rejection.clone().into_grpc_response::<()>().headers(), headers);
        assert_eq!(rejection.reason().to_string(), expected.reason);
    }
}

fn bulkhead() -> Bulkhead {
    Bulkhead::builder("payments").parallelism(1).build().unwrap()
}

#[tokio::test]
async fn saturated_is_unavailable() {
    let payments = bulkhead();
    let _slot = payments.slot_now().unwrap();
    let expected = || Expected { http: 503, grpc: 14, retry: true, reason: SATURATED };
    assert_rejected(BulkheadLayer::new(&payments), request, expected()).await;
    assert_rejected(BulkheadLayer::new(&payments).per_request(), request, expected()).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_limit_is_unavailable() {
    let builder = Bulkhead::builder("payments").parallelism(1).waiting_room(1);
    let payments = builder.wait_limit(Duration::from_secs(3)).build().unwrap();
    let _slot = payments.slot_now().unwrap();
    let reason = "wait limit of 3s reached after 3s";
    let expected = || Expected { http: 503, grpc: 14, retry: true, reason };
    assert_rejected(BulkheadLayer::new(&payments), request, expected()).await;
    assert_rejected(BulkheadLayer::new(&payments).per_request(), request, expected()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_timeout() {
    let payments = bulkhead();
    let expired = || request().extension(Deadline::after(Duration::ZERO));
    let reason = "deadline passed after waiting 0ns";
    let expected = || Expected { http: 504, grpc: 4, retry: false, reason };
    assert_rejected(BulkheadLayer::new(&payments), expired, expected()).await;
    assert_rejected(BulkheadLayer::new(&payments).per_request(), expired, expected()).await;
}

#[tokio::test]
async fn closed_is_unavailable_without_a_retry_hint() {
    let payments = bulkhead();
    payments.close();
    let expected = || Expected { http: 503, grpc: 14, retry: false, reason: "closed" };
    assert_rejected(BulkheadLayer::new(&payments), request, expected()).await;
    assert_rejected(BulkheadLayer::new(&payments).per_request(), request, expected()).await;
}

#[tokio::test]
async fn a_cost_above_the_capacity_is_too_large() {
    let reports = WeightedBulkhead::builder("reports").capacity(8).build().unwrap();
    let reason = "cost 9 exceeds capacity 8";
    let expected = || Expected { http: 413, grpc: 8, retry: false, reason };
    assert_rejected(WeightedBulkheadLayer::fixed(&reports, 9), request, expected()).await;
    let by_request = WeightedBulkheadLayer::new(&reports, |_: &Request<()>| 9);
    assert_rejected(by_request, request, expected()).await;
}

#[tokio::test]
async fn a_cost_of_zero_is_an_internal_error() {
    let reports = WeightedBulkhead::builder("reports").capacity(8).build().unwrap();
    let reason = "cost 0 is not allowed, the minimum is 1";
    let expected = || Expected { http: 500, grpc: 13, retry: false, reason };
    assert_rejected(WeightedBulkheadLayer::fixed(&reports, 0), request, expected()).await;
    let by_request = WeightedBulkheadLayer::new(&reports, |_: &Request<()>| 0);
    assert_rejected(by_request, request, expected()).await;
}

fn customers(parallelism: usize, room: usize) -> PartitionedBulkhead<u64> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(parallelism);
    let builder = builder.waiting_room(room).wait_limit(Duration::from_secs(3));
    builder.max_partitions(1).build().unwrap()
}

async fn assert_rejected_by_both_layers(
    customers: &PartitionedBulkhead<u64>,
    request: impl Fn() -> request::Builder,
    expected: impl Fn() -> Expected,
) {
    let fixed = PartitionedBulkheadLayer::fixed(customers, 7);
    assert_rejected(fixed.clone(), &request, expected()).await;
    assert_rejected(fixed.per_request(), &request, expected()).await;
    let by_header = PartitionedBulkheadLayer::new(customers, HeaderKey::new("x-customer"));
    assert_rejected(by_header, || request().header("x-customer", "7"), expected()).await;
}

#[tokio::test]
async fn a_saturated_customer_has_made_too_many_requests() {
    let customers = customers(1, 0);
    let _slot = customers.slot_now(&7).unwrap();
    let expected = || Expected { http: 429, grpc: 8, retry: true, reason: SATURATED };
    assert_rejected_by_both_layers(&customers, request, expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_customer_at_its_wait_limit_has_made_too_many_requests() {
    let customers = customers(1, 1);
    let _slot = customers.slot_now(&7).unwrap();
    let reason = "wait limit of 3s reached after 3s";
    let expected = || Expected { http: 429, grpc: 8, retry: true, reason };
    assert_rejected_by_both_layers(&customers, request, expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_customers_deadline_is_a_timeout() {
    let customers = customers(1, 1);
    let expired = || request().extension(Deadline::after(Duration::ZERO));
    let reason = "deadline passed after waiting 0ns";
    let expected = || Expected { http: 504, grpc: 4, retry: false, reason };
    assert_rejected_by_both_layers(&customers, expired, expected).await;
}

#[tokio::test]
async fn without_a_partition_the_service_is_unavailable() {
    let customers = customers(1, 0);
    let _slot = customers.slot_now(&8).unwrap();
    let reason = "no partition for a new key: 1 of 1 partitions are in use";
    let expected = || Expected { http: 503, grpc: 14, retry: true, reason };
    assert_rejected_by_both_layers(&customers, request, expected).await;
}

#[tokio::test]
async fn closed_partitions_are_unavailable() {
    let customers = customers(1, 0);
    customers.close();
    let expected = || Expected { http: 503, grpc: 14, retry: false, reason: "closed" };
    assert_rejected_by_both_layers(&customers, request, expected).await;
}

#[tokio::test]
async fn a_missing_key_is_a_bad_request() {
    let layer = PartitionedBulkheadLayer::new(&customers(1, 0), HeaderKey::new("x-customer"));
    let reason = "the request has no key";
    let expected = Expected { http: 400, grpc: 3, retry: false, reason };
    assert_rejected(layer, request, expected).await;
}

#[tokio::test]
async fn grpc_web_is_answered_in_its_own_content_type() {
    let payments = bulkhead();
    let _slot = payments.slot_now().unwrap();
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "Application/gRPC-Web-Text+proto; charset=utf-8",
    ] {
        let request = request().header("content-type", content_type);
        let response = answer(&BulkheadLayer::new(&payments), request).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers["content-type"], content_type);
        assert_eq!(headers["grpc-status"], "14");
        assert_eq!(headers["grpc-message"], "saturated");
    }
}

/// Neither the label nor any number goes to whoever sent the request.
#[tokio::test]
async fn an_answer_tells_a_stranger_nothing_of_the_bulkhead() {
    let builder = PartitionedBulkhead::<u64>::builder("secret label").parallelism(4711);
    let customers = builder.limits_for(|_| PartitionLimits::new(0)).max_partitions(8).build();
    let customers = customers.unwrap();
    let full = Bulkhead::builder("secret label").parallelism(1).build().unwrap();
    let _slot = full.slot_now().unwrap();
    for content_type in ["text/plain", "application/grpc", "application/grpc-web"] {
        let request = || request().header("content-type", content_type).header("x-customer", "7");
        let keyed = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
        let invalid = answer(&keyed, request()).await;
        let saturated = answer(&BulkheadLayer::new(&full), request()).await;
        for response in [invalid, saturated] {
            let shown = format!("{:?}", response.headers());
            for secret in ["secret", "parallelism", "capacity", "limits_for", "4711", "\"7\""] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn only_a_grpc_content_type_is_answered_as_grpc() {
    let payments = bulkhead();
    payments.close();
    for content_type in [
        "application/json",
        "text/plain; application/grpc",
        "Application",
        "application/grpcfoo",
        "application/grp",
        "application/grpc-webfoo",
        "application/grpc-websockets",
        "application/ grpc",
    ] {
        let request = request().header("content-type", content_type);
        let response = answer(&BulkheadLayer::new(&payments), request).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{content_type}");
        assert!(!response.headers().contains_key("grpc-status"));
    }
}

#[tokio::test]
async fn a_response_of_the_inner_service_is_left_alone() {
    let payments = bulkhead();
    let response = answer(&BulkheadLayer::new(&payments), request()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().is_empty() && response.extensions().is_empty());
}
