//! What the layers around a bulkhead see of a wait: all of it where the bulkhead waits per request, none of it where it waits
//! in readiness.

use std::time::Duration;

use bulklink::{Bulkhead, BulkheadLayer};
use http::{Method, Request, StatusCode, header};
use tokio::time::{Instant, timeout};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::{cors::CorsLayer, timeout::TimeoutLayer};

use crate::support::{checked_status, http_service::shop, in_paused_time, ms};

const PATIENCE: Duration = Duration::from_millis(100);

/// A bulkhead whose only slot is in use, and which has room.
fn full() -> (Bulkhead, bulklink::Slot) {
    crate::support::full(5)
}

#[test]
fn an_outer_timeout_ends_a_wait_per_request() {
    in_paused_time(async {
        let (payments, _slot) = full();
        let timeout_layer =
            || TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, PATIENCE);
        let service = ServiceBuilder::new()
            .layer(timeout_layer())
            .layer(BulkheadLayer::new(&payments).per_request())
            .service(shop());
        let start = Instant::now();
        let Ok(response) = service.oneshot(Request::new(())).await;
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert!(start.elapsed() <= PATIENCE + ms(1), "{:?}", start.elapsed());
        let status = checked_status(&payments);
        assert_eq!((status.waiting, status.totals.cancelled), (0, 1), "the place is free again");

        // In readiness the timeout has not begun yet: that is why a server should wait per request.
        let service = ServiceBuilder::new()
            .layer(timeout_layer())
            .layer(BulkheadLayer::new(&payments))
            .service(shop());
        let outcome = timeout(10 * PATIENCE, service.oneshot(Request::new(()))).await;
        assert!(outcome.is_err(), "it waited for as long as the caller did");
    });
}

#[test]
fn a_preflight_that_an_outer_layer_answers_takes_no_place() {
    in_paused_time(async {
        let (payments, _slot) = full();
        let preflight = || {
            let request = Request::builder().method(Method::OPTIONS);
            let request = request.header(header::ORIGIN, "https://shop.example");
            request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST").body(()).unwrap()
        };
        let layer = BulkheadLayer::new(&payments).per_request();
        let service = CorsLayer::permissive().layer(layer.layer(shop()));
        let start = Instant::now();
        let Ok(response) = service.oneshot(preflight()).await;
        assert_eq!((response.status(), start.elapsed()), (StatusCode::OK, Duration::ZERO));
        assert_eq!(checked_status(&payments).totals.arrived(), 1, "only what holds the slot");

        let mut service =
            CorsLayer::permissive().layer(BulkheadLayer::new(&payments).layer(shop()));
        let ready = timeout(
            PATIENCE,
            std::future::poll_fn(|cx| Service::<Request<()>>::poll_ready(&mut service, cx)),
        );
        assert!(ready.await.is_err(), "in readiness it waits for a slot that it does not need");
        assert_eq!(checked_status(&payments).waiting, 1);
    });
}
