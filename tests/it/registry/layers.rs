//! Layers that a registry creates for its bulkheads.

use std::{convert::Infallible, future::ready};

use axum::{Router, body::Body, routing::get};
use bulklink::{
    Bulkhead, BulkheadRegistry, ContentLengthCost, HeaderKey, PartitionedBulkhead, WeightedBulkhead,
};
use http::Request;
use tower::{Layer, ServiceExt};

#[tokio::test]
async fn routers_of_two_modules_share_the_bulkheads_of_a_registry() {
    async fn ok() -> &'static str {
        "ok"
    }

    fn orders(registry: &BulkheadRegistry) -> Router {
        let by_length = ContentLengthCost::per(10);
        Router::new()
            .route("/pay", get(ok).layer(registry.layer("payments").unwrap()))
            .route("/upload", get(ok).layer(registry.weighted_layer("uploads", by_length).unwrap()))
    }

    fn refunds(registry: &BulkheadRegistry) -> Router {
        let key = |request: &Request<Body>| request.uri().query().map(str::to_owned);
        let customers = registry.partitioned_layer::<String, _>("customers", key).unwrap();
        Router::new()
            .route("/refund", get(ok).layer(registry.layer("payments").unwrap()))
            .route("/mine", get(ok).layer(customers))
    }

    let registry = BulkheadRegistry::new();
    let payments = registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    let uploads = registry.create(WeightedBulkhead::builder("uploads").capacity(2)).unwrap();
    let customers = PartitionedBulkhead::<String>::builder("customers").parallelism(1);
    let customers = registry.create(customers.max_partitions(3)).unwrap();
    let app = orders(&registry).merge(refunds(&registry));
    let status_of = async |path: &str, length: usize| {
        let request = Request::get(path).header("content-length", length);
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    };

    assert_eq!((status_of("/pay", 0).await, status_of("/refund", 0).await), (200, 200));
    let _slot = payments.slot_now().unwrap();
    assert_eq!((status_of("/pay", 0).await, status_of("/refund", 0).await), (503, 503));
    assert_eq!((status_of("/upload", 20).await, status_of("/upload", 21).await), (200, 413));
    let _slot = customers.slot_now(&"ann".to_owned()).unwrap();
    assert_eq!((status_of("/mine?ann", 0).await, status_of("/mine?bob", 0).await), (429, 200));
    assert_eq!(status_of("/mine", 0).await, 400);
    assert_eq!(uploads.status().totals.admitted_units, 2);
}

#[tokio::test]
async fn a_registry_has_no_layer_for_an_unknown_label_or_another_kind() {
    let registry = BulkheadRegistry::new();
    registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    let by_length = || ContentLengthCost::per(10);
    let key = || HeaderKey::new("x-customer");
    for error in [
        registry.layer("paiments").unwrap_err(),
        registry.weighted_layer("paiments", by_length()).unwrap_err(),
        registry.partitioned_layer::<u64, _>("paiments", key()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("\"paiments\""), "{error}");
    }
    for error in [
        registry.weighted_layer("payments", by_length()).unwrap_err(),
        registry.partitioned_layer::<u64, _>("payments", key()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("\"payments\""), "{error}");
    }
    let service = tower::service_fn(|_: u8| ready(Ok::<_, Infallible>(1)));
    let layer = registry.layer("payments").unwrap().into_error();
    assert_eq!(layer.layer(service).oneshot(1).await.unwrap(), 1);
}
