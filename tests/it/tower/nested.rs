//! The same bulkhead twice in one request: on a router, and on a router nested in it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum::{Router, body::Body, routing::get};
use bulklink::{
    Bulkhead, BulkheadLayer, HeaderKey, PartitionedBulkhead, PartitionedBulkheadLayer,
    RejectionReason, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{Request, Response, StatusCode};
use tokio::sync::oneshot;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, buffer::BufferLayer, service_fn};

use crate::support::{
    Hook, assert_nothing_left, bulkhead, checked_status, customers, must_come, poll_with,
    socket_server::{Protocol, Server},
    waiting,
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

/// The handler calls the inner service, and spawns what it returns.
#[tokio::test]
async fn a_future_that_is_moved_out_of_the_request_takes_a_slot_of_its_own() {
    let payments = bulkhead(1, 1);
    let (running, polled) = (payments.clone(), payments.clone());
    let shop = service_fn(move |_: ()| {
        let status = running.status();
        ready(Ok::<_, Infallible>((status.in_flight, status.totals.admitted)))
    });
    let client = BulkheadLayer::new(&payments).into_error().per_request().layer(shop);
    let handler = service_fn(move |polls_first: bool| {
        let (mut client, payments) = (client.clone(), polled.clone());
        async move {
            let mut call = Box::pin(client.call(()));
            if polls_first {
                assert_eq!(call.as_mut().await.unwrap(), (1, payments.status().totals.admitted));
                call = Box::pin(client.call(()));
            }
            Ok::<_, Infallible>(tokio::spawn(call))
        }
    });
    let app = BulkheadLayer::new(&payments).into_error().per_request().layer(handler);
    for (polls_first, nested) in [(false, 0), (true, 1)] {
        let before = payments.status().totals;
        let slot = payments.slot_now().unwrap();
        let mut answer = tokio_test::task::spawn(app.clone().oneshot(polls_first));
        assert!(answer.poll().is_pending());
        drop(slot);
        let Poll::Ready(spawned) = answer.poll() else { panic!("the handler does not wait") };
        let (in_flight, admitted) = must_come(spawned.unwrap()).await.unwrap().unwrap();
        assert_eq!((in_flight, admitted), (1, before.admitted + 3), "in a slot of its own");
        assert_eq!(checked_status(&payments).totals.nested, before.nested + nested);
    }
    // Where it finds neither a slot nor a place, it is rejected like any other, and none is counted as nested.
    let nested = payments.status().totals.nested;
    let spawned = app.clone().oneshot(false).await.unwrap();
    let (_slot, _waiter) = (payments.slot_now().unwrap(), waiting(payments.slot()));
    let error = must_come(spawned).await.unwrap().unwrap_err();
    assert!(matches!(error.rejection().unwrap().reason(), RejectionReason::Saturated { .. }));
    assert_eq!(checked_status(&payments).totals.nested, nested);
}

#[tokio::test]
async fn a_partition_is_kept_for_a_future_that_is_moved_out() {
    let customers: PartitionedBulkhead<u64> = customers(1, 1, 1);
    let layer = || PartitionedBulkheadLayer::fixed(&customers, 7).into_error().per_request();
    let shop = service_fn(|_: ()| ready(Ok::<_, Infallible>(())));
    let client = layer().layer(shop);
    let handler = service_fn(move |_: ()| ready(Ok::<_, Infallible>(client.clone().call(()))));
    let call = layer().layer(handler).oneshot(()).await.unwrap();
    assert_eq!(customers.cleanup_idle(), 0, "it is about to be used");
    call.await.unwrap();
    let totals = customers.partition_status(&7).unwrap().totals;
    assert_eq!((totals.admitted, totals.nested), (2, 0));
    drop(customers.slot_now(&8).unwrap());
}

/// A layer in readiness is ready within nothing, and calls what it contains within its slot.
#[tokio::test]
async fn a_layer_in_readiness_directly_around_one_per_request() {
    let payments = bulkhead(1, 0);
    let shop = service_fn(|_: ()| ready(Ok::<_, Infallible>(())));
    let layer = || BulkheadLayer::new(&payments).into_error();
    let stack = layer().layer(layer().per_request().layer(shop));
    stack.oneshot(()).await.unwrap();
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.admitted, totals.nested), (1, 1));
}

/// A slot that is given back within a request wakes a stranger, whose waker polls it there and then.
#[test]
fn whoever_a_waker_polls_on_the_spot_is_not_within() {
    let (payments, others) = (bulkhead(9, 0), [bulkhead(1, 1), bulkhead(1, 1)]);
    let strangers = Arc::new(AtomicUsize::new(0));
    let (within, passed) = (payments.clone(), strangers.clone());
    let handler = service_fn(move |()| {
        for other in &others {
            let slot = other.slot_now().unwrap();
            let (payments, passed, inner) = (within.clone(), passed.clone(), others[1].clone());
            let stranger = move || {
                // Within another bulkhead, which takes the place of the first on the thread's list.
                let layer = BulkheadLayer::new(&inner).into_error().per_request();
                let (payments, passed) = (payments.clone(), passed.clone());
                let shop = service_fn(move |()| {
                    assert!(!is_let_pass(&payments), "a stranger is let pass");
                    passed.fetch_add(1, Ordering::Relaxed);
                    ready(Ok::<_, Infallible>(()))
                });
                let mut call = pin!(layer.layer(shop).oneshot(()));
                let cx = &mut Context::from_waker(Waker::noop());
                // The inner one is full while its own slot is given back.
                let _ = call.as_mut().poll(cx);
            };
            let mut waiter = Box::pin(other.slot());
            assert!(poll_with(&mut waiter, &Hook::new().on_wake(stranger).waker()).is_pending());
            drop(slot);
            assert!(is_let_pass(&within), "it still is within");
        }
        ready(Ok::<_, Infallible>(()))
    });
    let mut call = pin!(BulkheadLayer::new(&payments).into_error().layer(handler).oneshot(()));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(strangers.load(Ordering::Relaxed), 1);
    assert_nothing_left(&payments);
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
