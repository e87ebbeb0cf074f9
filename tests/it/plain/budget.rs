//! tokio's cooperative budget: whoever is always admitted or rejected at once still lets other tasks run.

use std::{
    convert::Infallible,
    future::{Future, poll_fn, ready},
    pin::pin,
    task::Poll,
};

use bulklink::{
    BulkheadLayer, EventKind, HeaderKey, PartitionedBulkhead, PartitionedBulkheadLayer,
    RejectionReason,
};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{
    Log, assert_nothing_left, bulkhead, checked_status, customers, full, spend_budget, weighted,
};

/// More than any budget.
const ROUNDS: usize = 5_000;

/// Runs `step` again and again next to another task, on one thread, and checks that the other one runs before long.
async fn assert_lets_others_run(name: &str, mut step: impl AsyncFnMut()) {
    let (ran, mut has_run) = tokio::sync::oneshot::channel();
    tokio::spawn(async { ran.send(()) });
    for _ in 0..ROUNDS {
        // Costs no budget.
        if has_run.try_recv().is_ok() {
            return;
        }
        step().await;
    }
    panic!("{name} starves its thread");
}

#[tokio::test(flavor = "current_thread")]
async fn operations_that_are_always_ready_let_others_run() {
    let payments = bulkhead(1, 1);
    assert_lets_others_run("slot", async || drop(payments.slot().await.unwrap())).await;
    assert_lets_others_run("execute", async || payments.execute(ready(())).await.unwrap()).await;
    assert_lets_others_run("execute_now", async || payments.execute_now(ready(())).await.unwrap())
        .await;
    let jobs = weighted(5, 1);
    assert_lets_others_run("weighted", async || drop(jobs.slot(5).await.unwrap())).await;
    let customers: PartitionedBulkhead<u64> = customers(1, 1, 1);
    assert_lets_others_run("a partition", async || drop(customers.slot(&1).await.unwrap())).await;
    assert_lets_others_run("execute in one", async || {
        customers.execute(&1, ready(())).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn rejections_let_others_run() {
    let (payments, _slot) = full(0);
    assert_lets_others_run("slot", async || drop(payments.slot().await.unwrap_err())).await;
    assert_lets_others_run("execute", async || {
        payments.execute(ready(())).await.unwrap_err();
    })
    .await;
    let customers: PartitionedBulkhead<u64> = customers(1, 0, 1);
    let _slot = customers.slot_now(&1).unwrap();
    assert_lets_others_run("a full partition", async || {
        drop(customers.slot(&1).await.unwrap_err());
    })
    .await;
    assert_lets_others_run("no partition", async || {
        let rejection = customers.slot(&2).await.unwrap_err();
        assert!(matches!(rejection.reason(), RejectionReason::PartitionLimit { .. }));
    })
    .await;
}

#[tokio::test(flavor = "current_thread")]
async fn requests_let_others_run() {
    let shop =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
    let request = || Request::builder().header("customer", "1").body(()).unwrap();
    let open = bulkhead(1, 1);
    let (full, _slot) = full(0);
    for bulkhead in [&open, &full] {
        let name = format!("{} of {}", bulkhead.status().in_flight, bulkhead.label());
        let mut in_readiness = BulkheadLayer::new(bulkhead).layer(shop);
        assert_lets_others_run(&name, async || {
            in_readiness.ready().await.unwrap().call(request()).await.unwrap();
        })
        .await;
        let mut per_request = BulkheadLayer::new(bulkhead).per_request().layer(shop);
        assert_lets_others_run(&format!("{name}, per request"), async || {
            per_request.ready().await.unwrap().call(request()).await.unwrap();
        })
        .await;
    }
    let customers: PartitionedBulkhead<String> =
        PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(1).build().unwrap();
    let mut by_key = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("customer"))
        .per_request()
        .layer(shop);
    assert_lets_others_run("a partition, per request", async || {
        by_key.ready().await.unwrap().call(request()).await.unwrap();
    })
    .await;
}

/// Polls a future without any budget left.
async fn poll_without_budget<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| {
        spend_budget(cx);
        Poll::Ready(future.as_mut().poll(cx))
    })
    .await
}

#[tokio::test]
async fn without_any_budget_an_operation_arrives_and_keeps_what_it_got() {
    let payments = bulkhead(1, 1);
    {
        let mut admitted = pin!(payments.slot());
        assert!(poll_without_budget(admitted.as_mut()).await.is_pending());
        assert_eq!(checked_status(&payments).in_flight, 1, "it has its slot");
        assert!(format!("{admitted:?}").contains("admitted"));
        let slot = admitted.await.unwrap();
        let mut rejected = pin!(payments.slot_within(std::time::Duration::ZERO));
        assert!(poll_without_budget(rejected.as_mut()).await.is_pending());
        assert_eq!(checked_status(&payments).totals.expired_before_queue, 1);
        assert!(rejected.await.is_err());
        assert_eq!(checked_status(&payments).totals.expired_before_queue, 1, "counted once");
        drop(slot);
    }
    {
        let log = Log::default();
        let _events = payments.subscribe(log.handler());
        let mut dropped = Box::pin(payments.execute(async { unreachable!("dropped") }));
        assert!(poll_without_budget(dropped.as_mut()).await.is_pending());
        drop(dropped);
        assert_eq!(log.take_kinds(), [EventKind::Admitted, EventKind::Abandoned]);
    }
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.admitted, totals.finished, totals.abandoned), (2, 1, 1));
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn without_any_budget_a_waiter_takes_its_slot_in_the_next_poll() {
    let (payments, slot) = full(1);
    let mut waiter = pin!(payments.slot());
    assert!(poll_without_budget(waiter.as_mut()).await.is_pending());
    assert_eq!(checked_status(&payments).waiting, 1);
    drop(slot);
    assert!(poll_without_budget(waiter.as_mut()).await.is_pending());
    drop(waiter.await.unwrap());
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn without_any_budget_a_handle_is_ready_in_the_next_poll_with_what_it_got() {
    let shop =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(String::new()))));
    for parallelism in [1, 2] {
        let payments = bulkhead(parallelism, 0);
        let slot = payments.slot_now().unwrap();
        let mut handle = BulkheadLayer::new(&payments).layer(shop);
        assert!(poll_without_budget(pin!(handle.ready()).as_mut()).await.is_pending());
        let before = checked_status(&payments).totals;
        assert_eq!(
            (before.admitted, before.saturated),
            (parallelism as u64, 2 - parallelism as u64)
        );
        let response = handle.ready().await.unwrap().call(Request::new(())).await.unwrap();
        assert_eq!(response.status().is_success(), parallelism == 2);
        let after = checked_status(&payments).totals;
        assert_eq!((after.admitted, after.saturated), (before.admitted, before.saturated));
        drop((slot, handle));
        assert_nothing_left(&payments);
    }
}
