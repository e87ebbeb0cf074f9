//! The same bulkhead twice in one request: on a router, and on a router nested in it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::{Router, body::Body, routing::get};
use bulklink::{
    Bulkhead, BulkheadLayer, HeaderKey, PartitionedBulkhead, PartitionedBulkheadLayer,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{Request, Response, StatusCode};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, service_fn};

use crate::support::{
    assert_nothing_left, bulkhead, checked_status, must_come,
    socket_server::{Protocol, Server},
};

/// A router with a layer of the bulkhead at each of several levels, every other one in readiness.
fn nested(payments: &Bulkhead, levels: usize) -> Router {
    (0..levels).fold(Router::new().route("/", get(async || "paid")), |inner, level| {
        let layer = BulkheadLayer::new(payments);
        let app = if level == 0 { inner } else { Router::new().nest("/in", inner) };
        if level % 2 == 0 { app.layer(layer.per_request()) } else { app.layer(layer) }
    })
}

#[tokio::test]
async fn a_lone_request_needs_one_slot_however_many_layers_it_passes() {
    for levels in 1..=4 {
        let payments = bulkhead(1, 5);
        let server = Server::start(nested(&payments, levels)).await;
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut client = server.connect(protocol).await;
            let path = if levels == 1 { "/".to_owned() } else { "/in".repeat(levels - 1) };
            let response = must_come(client.get(&path)).await;
            assert_eq!(response.status(), StatusCode::OK, "{levels} levels");
        }
        let status = checked_status(&payments);
        assert_eq!((status.totals.admitted, status.peaks.used), (2, 1));
        assert_eq!(status.totals.nested, 2 * (levels as u64 - 1), "{levels} levels");
        assert_eq!((status.totals.queued, status.totals.bypassed), (0, 0));
    }
}

#[tokio::test]
async fn two_requests_are_served_one_after_the_other() {
    let payments = bulkhead(1, 5);
    let (entered, mut entering) = tokio::sync::mpsc::unbounded_channel();
    let handler = move || {
        let (go, gone) = oneshot::channel::<()>();
        entered.send(go).unwrap();
        async move { gone.await.unwrap() }
    };
    let layer = || BulkheadLayer::new(&payments).per_request();
    let inner = Router::new().route("/", get(handler)).layer(layer());
    let app = Router::new().nest("/in", inner).layer(layer());
    let get = || app.clone().oneshot(Request::get("/in").body(Body::empty()).unwrap());
    let (first, second) = (tokio::spawn(get()), tokio::spawn(get()));
    let go = must_come(entering.recv()).await.unwrap();
    while payments.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    assert!(entering.try_recv().is_err(), "both run at once");
    go.send(()).unwrap();
    must_come(entering.recv()).await.unwrap().send(()).unwrap();
    for answer in [first, second] {
        assert_eq!(must_come(answer).await.unwrap().unwrap().status(), StatusCode::OK);
    }
    let status = checked_status(&payments);
    assert_eq!((status.totals.admitted, status.totals.nested, status.peaks.used), (2, 2, 1));
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn another_bulkhead_and_another_key_take_slots_of_their_own() {
    let (shop, payments) = (bulkhead(1, 0), bulkhead(1, 0));
    let inner = Router::new().route("/", get(async || ())).layer(BulkheadLayer::new(&payments));
    let inner = inner.layer(BulkheadLayer::new(&shop));
    let app = Router::new().nest("/in", inner).layer(BulkheadLayer::new(&payments).per_request());
    let request = Request::get("/in").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::OK);
    let totals = |bulkhead: &Bulkhead| checked_status(bulkhead).totals;
    assert_eq!((totals(&payments).admitted, totals(&payments).nested), (1, 1));
    assert_eq!((totals(&shop).admitted, totals(&shop).nested), (1, 0));

    let customers: PartitionedBulkhead<String> =
        PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(9).build().unwrap();
    let layer =
        |header| PartitionedBulkheadLayer::new(&customers, HeaderKey::new(header)).per_request();
    let inner = Router::new().route("/", get(async || ())).layer(layer("payee"));
    let app = Router::new().nest("/in", inner).layer(layer("payer"));
    for (payee, nested) in [("1", 1), ("2", 1)] {
        let request = Request::get("/in").header("payer", "1").header("payee", payee);
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(customers.status().totals.nested, nested);
    }
    assert_eq!(customers.status().totals.admitted, 3);
    assert_eq!(customers.partition_status(&"1".to_owned()).unwrap().totals.nested, 1);

    let jobs = WeightedBulkhead::builder("jobs").capacity(3).build().unwrap();
    let layer = |cost| WeightedBulkheadLayer::fixed(&jobs, cost).per_request();
    let inner = Router::new().route("/", get(async || ())).layer(layer(1));
    let app = Router::new().nest("/in", inner).layer(layer(3));
    let request = Request::get("/in").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::OK);
    assert_eq!((jobs.status().totals.admitted_units, jobs.status().totals.nested), (3, 1));
}

/// Whether a request that this thread polls now is let pass, as within the bulkhead.
fn is_let_pass(payments: &Bulkhead) -> bool {
    let before = payments.status().totals.nested;
    let shop =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
    let layer = BulkheadLayer::new(payments).per_request();
    let mut answer = pin!(layer.layer(shop).oneshot(Request::new(())));
    let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
    payments.status().totals.nested > before
}

#[tokio::test]
async fn a_panic_a_drop_and_a_pause_leave_no_trace_on_the_thread() {
    let payments = bulkhead(9, 0);
    let cx = &mut Context::from_waker(Waker::noop());
    let within = payments.clone();
    let handler = service_fn(move |panics: bool| {
        let within = within.clone();
        let mut polls = 0;
        poll_fn(move |_| {
            assert!(is_let_pass(&within), "it runs within");
            assert!(!panics, "the handler panics");
            polls += 1;
            if polls > 1 { Poll::Ready(Ok::<_, Infallible>(())) } else { Poll::Pending }
        })
    });
    for per_request in [false, true] {
        let layer = BulkheadLayer::new(&payments).into_error();
        let call = |panics: bool| -> std::pin::Pin<Box<dyn Future<Output = _>>> {
            match per_request {
                true => {
                    Box::pin(layer.clone().per_request().layer(handler.clone()).oneshot(panics))
                }
                false => Box::pin(layer.clone().layer(handler.clone()).oneshot(panics)),
            }
        };
        let mut panicking = call(true);
        assert!(catch_unwind(AssertUnwindSafe(|| panicking.as_mut().poll(cx).is_ready())).is_err());
        assert!(!is_let_pass(&payments), "after a panic");
        drop(panicking);
        let mut pausing = call(false);
        assert!(pausing.as_mut().poll(cx).is_pending());
        assert!(!is_let_pass(&payments), "between two polls");
        let mut dropped = call(false);
        assert!(dropped.as_mut().poll(cx).is_pending());
        drop(dropped);
        assert!(!is_let_pass(&payments), "after a drop");
        assert!(matches!(pausing.as_mut().poll(cx), Poll::Ready(Ok(()))));
        assert!(!is_let_pass(&payments), "after its end");
    }
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn a_task_of_its_own_is_not_within() {
    let payments = bulkhead(2, 0);
    let layer = || BulkheadLayer::new(&payments).into_error().per_request();
    let shop = service_fn(|_: ()| ready(Ok::<_, Infallible>(())));
    let mut stack = ServiceBuilder::new()
        .layer(layer())
        .layer(BufferLayer::new(5))
        .service(layer().layer(shop));
    must_come(stack.ready().await.unwrap().call(())).await.unwrap();
    let status = checked_status(&payments);
    assert_eq!((status.totals.admitted, status.totals.nested, status.peaks.used), (2, 0, 2));
}

/// Deeper than what a thread remembers, a request takes a slot as ever.
#[tokio::test]
async fn nine_bulkheads_one_within_the_other() {
    let bulkheads: Vec<_> = (0..9).map(|_| bulkhead(2, 0)).collect();
    let order = bulkheads.iter().chain(&bulkheads);
    let app = order.fold(Router::new().route("/", get(async || ())), |inner, bulkhead| {
        Router::new().merge(inner).layer(BulkheadLayer::new(bulkhead).per_request())
    });
    let answer = app.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let nested = bulkheads.iter().map(|bulkhead| bulkhead.status().totals.nested);
    // The outermost eight are known: the first of them in the order is the innermost bulkhead.
    assert_eq!(nested.collect::<Vec<_>>(), [0, 1, 1, 1, 1, 1, 1, 1, 1]);
    bulkheads.iter().for_each(assert_nothing_left);
}
