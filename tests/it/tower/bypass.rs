//! Requests that bypass the bulkhead.

use bulklink::{Bulkhead, BulkheadLayer};
use http::{Request, StatusCode};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};

use crate::support::http_service::{answer, request};

fn health(request: &Request<()>) -> bool {
    request.uri().path() == "/health"
}

#[tokio::test]
async fn a_bypassing_request_needs_no_slot_and_is_counted() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&payments).bypass(health);
    let _slot = payments.slot_now().unwrap();
    for count in 1..=3 {
        assert_eq!(answer(&layer, Request::get("/health")).await.status(), StatusCode::OK);
        let status = payments.status();
        assert_eq!((status.totals.bypassed, status.used, status.totals.admitted), (count, 1, 1));
    }
    assert_eq!(answer(&layer, request()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    payments.close();
    assert_eq!(answer(&layer, Request::get("/health")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_second_bypass_replaces_the_first() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&payments).bypass(|_: &Request<()>| true).bypass(health);
    let _slot = payments.slot_now().unwrap();
    assert_eq!(answer(&layer, request()).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer(&layer, Request::get("/health")).await.status(), StatusCode::OK);
}

#[test]
fn a_bypassing_request_still_waits_for_the_inner_service_to_be_ready() {
    let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(1).build().unwrap();
    let layer = BulkheadLayer::new(&payments).bypass(|urgent: &bool| *urgent).into_error();
    let (mut handle, mut inner) = tower_test::mock::spawn_layer::<bool, (), _>(layer);
    inner.allow(0);
    let mut response = task::spawn(handle.call(true));
    assert_pending!(response.poll());
    assert!(!task::spawn(async {}).is_woken());
    inner.allow(1);
    assert!(response.is_woken());
    assert_pending!(response.poll());
    assert_ready!(inner.poll_request()).unwrap().1.send_response(());
    assert_ready_ok!(response.poll());
    let totals = payments.status().totals;
    assert_eq!((totals.bypassed, totals.admitted, totals.queued), (1, 0, 0));
}
