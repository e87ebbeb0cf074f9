//! Shutting a registry down with work running and waiting in all three kinds.

use std::sync::{Arc, Barrier};

use bulklink::{
    Bulkhead, BulkheadRegistry, PartitionedBulkhead, Rejection, RejectionReason, WeightedBulkhead,
};
use tokio::sync::{oneshot, watch};
use tokio_test::{assert_pending, task};

use crate::support::must_come;

struct Fixture {
    registry: BulkheadRegistry,
    payments: Bulkhead,
    reports: WeightedBulkhead,
    customers: PartitionedBulkhead<u64>,
}

fn fixture() -> Fixture {
    let registry = BulkheadRegistry::new();
    let payments =
        registry.create(Bulkhead::builder("payments").parallelism(2).waiting_room(5)).unwrap();
    let reports =
        registry.create(WeightedBulkhead::builder("reports").capacity(10).waiting_room(5)).unwrap();
    let customers = registry
        .create(
            PartitionedBulkhead::builder("customers")
                .parallelism(1)
                .waiting_room(5)
                .max_partitions(10),
        )
        .unwrap();
    Fixture { registry, payments, reports, customers }
}

type Task<T> = tokio::task::JoinHandle<Result<T, Rejection>>;

/// Starts work in all three kinds, which runs until the sender sends `true`, and waiters behind it.
async fn occupy(fixture: &Fixture) -> (watch::Sender<bool>, Vec<Task<u32>>, Vec<Task<u32>>) {
    let (end, ended) = watch::channel(false);
    let work = |number: u32, ended: &watch::Receiver<bool>| {
        let mut ended = ended.clone();
        async move {
            ended.wait_for(|ended| *ended).await.unwrap();
            number
        }
    };
    let (mut running, mut waiting) = (Vec::new(), Vec::new());
    for number in 0..9 {
        let work = work(number, &ended);
        let (payments, reports, customers) =
            (fixture.payments.clone(), fixture.reports.clone(), fixture.customers.clone());
        let task = match number / 3 {
            0 => tokio::spawn(async move { payments.execute(work).await }),
            1 => tokio::spawn(async move { reports.execute(5, work).await }),
            _ => tokio::spawn(async move {
                let key = u64::from(number % 2);
                customers.execute(&key, work).await
            }),
        };
        // In each kind two run and the third waits.
        if number % 3 == 2 { &mut waiting } else { &mut running }.push(task);
        tokio::task::yield_now().await;
    }
    let statuses =
        (fixture.payments.status(), fixture.reports.status(), fixture.customers.status());
    assert_eq!((statuses.0.in_flight, statuses.0.waiting), (2, 1));
    assert_eq!((statuses.1.in_flight, statuses.1.waiting), (2, 1));
    assert_eq!((statuses.2.in_flight, statuses.2.waiting), (2, 1));
    (end, running, waiting)
}

async fn assert_all_rejected(waiting: Vec<Task<u32>>) {
    for waiter in waiting {
        let rejection = must_come(waiter).await.unwrap().unwrap_err();
        assert_eq!(*rejection.reason(), RejectionReason::Closed);
    }
}

async fn assert_all_finished(running: Vec<Task<u32>>) {
    let mut numbers = Vec::new();
    for operation in running {
        numbers.push(must_come(operation).await.unwrap().unwrap());
    }
    assert_eq!(numbers, [0, 1, 3, 4, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_rejects_waiters_and_waits_for_the_last_running_work() {
    let fixture = fixture();
    let (end, running, waiting) = occupy(&fixture).await;
    let mut closing = task::spawn(fixture.registry.close_and_wait());
    assert_pending!(closing.poll());
    assert!(fixture.registry.is_closed());
    assert_all_rejected(waiting).await;
    assert_pending!(closing.poll());
    assert!(fixture.payments.slot_now().is_err() && fixture.reports.slot_now(1).is_err());
    assert!(fixture.customers.slot_now(&1).is_err() && fixture.customers.slot_now(&5).is_err());

    end.send(true).unwrap();
    assert_all_finished(running).await;
    must_come(closing).await;
    assert!(fixture.payments.status().is_drained() && fixture.reports.status().is_drained());
    assert!(fixture.customers.status().is_drained());
    assert_eq!(fixture.registry.len(), 3, "closed bulkheads stay registered");
    must_come(fixture.registry.close_and_wait()).await;
    must_come(fixture.registry.wait_closed()).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_shutdown_leaves_the_registry_closed_and_may_be_called_again() {
    let fixture = fixture();
    let (end, running, waiting) = occupy(&fixture).await;
    drop(fixture.registry.close_and_wait());
    assert!(!fixture.registry.is_closed(), "an unpolled future does nothing");
    let mut closing = task::spawn(fixture.registry.close_and_wait());
    assert_pending!(closing.poll());
    drop(closing);
    assert!(fixture.registry.is_closed());
    assert_all_rejected(waiting).await;
    let again = task::spawn(fixture.registry.close_and_wait());
    let (done, is_done) = oneshot::channel();
    let concurrent = tokio::spawn({
        let registry = fixture.registry.clone();
        async move {
            registry.wait_closed().await;
            done.send(()).unwrap();
        }
    });
    tokio::task::yield_now().await;
    let mut again = again;
    assert_pending!(again.poll());
    end.send(true).unwrap();
    assert_all_finished(running).await;
    must_come(again).await;
    must_come(is_done).await.unwrap();
    concurrent.await.unwrap();
}

#[test]
fn shutdown_completes_after_the_last_operation_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let fixture = fixture();
        let mut slots = [
            Some(fixture.payments.slot_now().unwrap()),
            Some(fixture.reports.slot_now(3).unwrap()),
            Some(fixture.customers.slot_now(&1).unwrap()),
        ];
        let mut early = task::spawn(fixture.registry.wait_closed());
        assert_pending!(early.poll());
        fixture.registry.close_all();
        let mut late = task::spawn(fixture.registry.wait_closed());
        for which in order {
            assert!(early.poll().is_pending() && late.poll().is_pending(), "{order:?}");
            drop(slots[which].take());
        }
        assert!(early.is_woken() && early.poll().is_ready(), "{order:?}");
        assert!(late.is_woken() && late.poll().is_ready(), "{order:?}");
    }
}

#[test]
fn wait_closed_called_before_the_close_waits_for_it() {
    let registry = BulkheadRegistry::new();
    let mut waiting = task::spawn(registry.wait_closed());
    assert_pending!(waiting.poll());
    let fixture = fixture();
    fixture.payments.close();
    let mut others = task::spawn(fixture.registry.wait_closed());
    assert_pending!(others.poll());
    registry.close_all();
    assert!(waiting.is_woken() && waiting.poll().is_ready());
    assert_pending!(others.poll());
    fixture.registry.close_all();
    assert!(others.poll().is_ready());
}

#[test]
fn shutdown_waits_for_a_bulkhead_that_is_being_removed() {
    let fixture = fixture();
    let slot = fixture.payments.slot_now().unwrap();
    let mut removing = task::spawn(fixture.registry.remove("payments"));
    assert_pending!(removing.poll());
    let mut closing = task::spawn(fixture.registry.close_and_wait());
    assert_pending!(closing.poll());
    drop(slot);
    assert!(removing.poll().is_ready() && closing.poll().is_ready());
    assert_eq!(fixture.registry.labels(), ["reports", "customers"]);
}

#[test]
fn a_bulkhead_registered_during_the_close_is_refused_or_closed() {
    for _ in 0..200 {
        let registry = BulkheadRegistry::new();
        let start = Arc::new(Barrier::new(2));
        let newcomer = std::thread::spawn({
            let (registry, start) = (registry.clone(), start.clone());
            move || {
                start.wait();
                registry.create(Bulkhead::builder("late").parallelism(1))
            }
        });
        start.wait();
        registry.close_all();
        match newcomer.join().unwrap() {
            Ok(late) => assert!(late.is_closed() && registry.contains("late")),
            Err(error) => assert!(error.to_string().contains("\"late\""), "{error}"),
        }
    }
}
