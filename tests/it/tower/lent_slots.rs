//! `lend_slot`: a handler keeps the slot for work that outlives its response future.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Extension, Router, body::Body, routing::get};
use bulklink::{
    Bulkhead, BulkheadLayer, BulkheadStatus, HeaderKey, LentSlot, PartitionedBulkheadLayer,
    WeightedBulkheadLayer,
};
use http::Request;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{
    assert_nothing_left, bulkhead, checked_status, customers,
    socket_server::{Protocol, Server, until},
    weighted,
};

/// A service that takes the slot out of the request, and answers with it.
fn slot_of(
    request: Request<Body>,
) -> std::future::Ready<Result<http::Response<Option<LentSlot>>, std::convert::Infallible>> {
    let slot = request.extensions().get::<LentSlot>().cloned();
    std::future::ready(Ok(http::Response::new(slot)))
}

fn in_flight_and_ended(status: &BulkheadStatus) -> (usize, u64, u64) {
    (status.in_flight, status.totals.completed(), status.totals.cut_short)
}

#[tokio::test]
async fn the_slot_is_given_back_with_the_last_clone() {
    let payments = bulkhead(2, 0);
    for per_request in [false, true] {
        let before = payments.status().totals.completed();
        let layer = BulkheadLayer::new(&payments).lend_slot().into_error();
        let response = if per_request {
            layer.per_request().layer(service_fn(slot_of)).oneshot(Request::default()).await
        } else {
            layer.layer(service_fn(slot_of)).oneshot(Request::default()).await
        };
        let slot = response.unwrap().into_body().unwrap();
        let clone = slot.clone();
        drop(slot);
        assert_eq!(checked_status(&payments).in_flight, 1, "the response is there, a clone too");
        assert_eq!(format!("{clone:?}"), "LentSlot { label: \"payments\", cost: 1 }");
        drop(clone);
        assert_eq!(in_flight_and_ended(&checked_status(&payments)), (0, before + 1, 0));
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_counts_as_cut_short_once_its_work_has_ended() {
    let payments = bulkhead(1, 1);
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let never = service_fn(move |request: Request<Body>| {
        sender.send(request.extensions().get::<LentSlot>().cloned()).unwrap();
        std::future::pending::<Result<http::Response<Body>, std::convert::Infallible>>()
    });
    let mut service = BulkheadLayer::new(&payments).lend_slot().layer(never);
    assert!(service.ready().await.is_ok());
    let mut response = task::spawn(service.call(Request::default()));
    assert_pending!(response.poll());
    let slot = receiver.recv().await.unwrap().unwrap();
    drop(response);
    assert_eq!(in_flight_and_ended(&checked_status(&payments)), (1, 0, 0));
    drop(slot);
    assert_eq!(in_flight_and_ended(&checked_status(&payments)), (0, 0, 1));
    drop(service);
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn it_combines_with_held_bodies_in_any_order() {
    let payments = bulkhead(1, 0);
    let inner = || {
        service_fn(|request: Request<Body>| {
            let slot = request.extensions().get::<LentSlot>().cloned();
            let mut response = http::Response::new(Body::from("a body"));
            response.extensions_mut().insert(slot);
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        })
    };
    let layer = || BulkheadLayer::new(&payments);
    let one = layer().hold_body().lend_slot().lend_slot().layer(inner());
    let other = layer().lend_slot().hold_body().hold_body().layer(inner());
    for mut response in [one.oneshot(Request::default()).await.unwrap(), {
        let Ok(response) = other.oneshot(Request::default()).await;
        response
    }] {
        // The first is still held when the second arrives.
        if response.status() == 503 {
            continue;
        }
        let slot = response.extensions_mut().remove::<Option<LentSlot>>().unwrap().unwrap();
        assert_eq!(checked_status(&payments).in_flight, 1);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((&*body, checked_status(&payments).in_flight), (&b"a body"[..], 1));
        drop(slot);
        assert_eq!(in_flight_and_ended(&checked_status(&payments)), (0, 1, 0));
    }
    assert_eq!(checked_status(&payments).totals.bodies_ended_early, 0);
}

#[tokio::test]
async fn of_nested_layers_the_handler_gets_one_slot_that_holds_all() {
    let (outer, inner, keyed) = (bulkhead(1, 0), weighted(9, 0), customers(1, 0, 5));
    let keyed_layer = PartitionedBulkheadLayer::new(&keyed, HeaderKey::new("x-customer"));
    let service = BulkheadLayer::new(&outer).lend_slot().layer(keyed_layer.lend_slot().layer(
        WeightedBulkheadLayer::fixed(&inner, 4).lend_slot().per_request().layer(service_fn(
            |request: Request<Body>| {
                let mut response = http::Response::new(Body::empty());
                let slot = request.extensions().get::<LentSlot>().cloned();
                response.extensions_mut().insert(slot);
                std::future::ready(Ok::<_, std::convert::Infallible>(response))
            },
        )),
    ));
    let request = Request::builder().header("x-customer", "7").body(Body::empty()).unwrap();
    let Ok(mut response) = service.oneshot(request).await;
    let used = || (outer.status().used, inner.status().used, keyed.status().in_flight);
    assert_eq!(used(), (1, 4, 1));
    drop(response.extensions_mut().remove::<Option<LentSlot>>());
    assert_eq!(used(), (0, 0, 0));
}

#[tokio::test]
async fn a_request_that_bypasses_the_bulkhead_has_no_slot() {
    let payments = bulkhead(1, 0);
    let layer = BulkheadLayer::new(&payments).bypass(|_: &Request<Body>| true).lend_slot();
    let response = layer.into_error().layer(service_fn(slot_of)).oneshot(Request::default()).await;
    assert!(response.unwrap().into_body().is_none());
}

/// Blocking jobs whose clients leave, on real sockets: without the lent slot they would all run at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocking_work_whose_clients_leave_stays_within_the_bound() {
    const CLIENTS: usize = 20;
    let reports = Bulkhead::builder("reports").parallelism(2).waiting_room(CLIENTS);
    let reports = reports.build().unwrap();
    let (running, peak, done) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (now, most, ended) = (running.clone(), peak.clone(), done.clone());
    let handler = move |Extension(slot): Extension<LentSlot>| {
        let (now, most, ended) = (now.clone(), most.clone(), ended.clone());
        async move {
            let job = tokio::task::spawn_blocking(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                now.fetch_sub(1, Ordering::SeqCst);
                ended.fetch_add(1, Ordering::SeqCst);
                drop(slot);
            });
            job.await.unwrap();
            "a report"
        }
    };
    let layer = BulkheadLayer::new(&reports).per_request().lend_slot();
    let server = Server::start(Router::new().route("/report", get(handler).layer(layer))).await;
    let mut leaving = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = server.connect(Protocol::Http1).await;
        let (leave, left) = oneshot::channel::<()>();
        let request = tokio::spawn(async move {
            tokio::select! {
                _ = client.get("/report") => {}
                _ = left => {}
            }
        });
        leaving.push((leave, request));
    }
    // Each leaves as soon as a job runs that may be its own.
    for (leave, request) in leaving {
        until(&reports, |status| status.in_flight > 0 || status.totals.admitted > 0).await;
        drop(leave);
        request.await.unwrap();
    }
    until(&reports, |status| status.in_flight == 0 && status.waiting == 0).await;
    assert_eq!(running.load(Ordering::SeqCst), 0);
    assert!(peak.load(Ordering::SeqCst) <= 2, "{} jobs ran at once", peak.load(Ordering::SeqCst));
    let totals = reports.status().totals;
    assert_eq!(totals.finished, done.load(Ordering::SeqCst) as u64);
    assert!(totals.cut_short > 0, "nobody has left: {totals:?}");
}
