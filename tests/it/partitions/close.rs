//! Closing all partitions, including those that are being created.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use bulklink::{PartitionLimits, PartitionedBulkhead, RejectionReason};
use tokio_test::{assert_pending, assert_ready_err, task};

use crate::support::{assert_all_consistent, customers};

#[test]
fn waiters_in_every_partition_are_rejected_and_running_work_continues() {
    let customers = customers(1, 2, 200);
    let keys: Vec<u64> = (0..150).collect();
    let mut slots: Vec<_> = keys.iter().map(|key| customers.slot_now(key).unwrap()).collect();
    let mut line: Vec<_> = keys.iter().map(|key| task::spawn(customers.slot(key))).collect();
    line.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    let mut early = task::spawn(customers.wait_closed());
    assert_pending!(early.poll());
    customers.close();
    for waiter in &mut line {
        assert!(waiter.is_woken());
        let rejection = assert_ready_err!(waiter.poll());
        assert_eq!(*rejection.reason(), RejectionReason::Closed);
        assert_eq!(rejection.label(), "customers");
    }
    let status = customers.status();
    assert!(status.is_closed && customers.is_closed() && !status.is_drained());
    assert_eq!((status.in_flight, status.waiting), (150, 0));
    assert_eq!(status.totals.closed_while_waiting, 150);
    let mut late = task::spawn(customers.wait_closed());
    assert_pending!(late.poll());
    while slots.len() > 1 {
        drop(slots.pop());
        assert!(early.poll().is_pending() && late.poll().is_pending());
    }
    drop(slots);
    assert!(early.is_woken() && early.poll().is_ready());
    assert!(late.is_woken() && late.poll().is_ready());
    let status = customers.status();
    assert!(status.is_drained());
    assert_eq!(status.totals.finished, 150);
    assert_all_consistent(&status);
}

#[tokio::test]
async fn after_a_close_every_known_or_new_key_is_rejected_and_counted() {
    let customers = customers(1, 2, 2);
    drop(customers.slot_now(&1).unwrap());
    let _running = customers.slot_now(&2).unwrap();
    customers.close();
    customers.close();
    for key in [1, 2, 3] {
        for rejection in [
            customers.slot_now(&key).unwrap_err(),
            customers.slot(&key).await.unwrap_err(),
            customers.execute(&key, async {}).await.unwrap_err(),
        ] {
            assert_eq!(*rejection.reason(), RejectionReason::Closed, "key {key}");
        }
    }
    let status = customers.status();
    assert_eq!((status.totals.closed_before_queue, status.totals.closed()), (9, 9));
    assert_eq!((status.created, status.totals.partition_limited), (2, 0));
    assert_all_consistent(&status);
}

#[test]
fn a_cancelled_close_and_wait_leaves_all_partitions_closed_and_may_be_called_again() {
    let customers = customers(1, 2, 2);
    let slot = customers.slot_now(&1).unwrap();
    let unpolled = customers.close_and_wait();
    drop(unpolled);
    assert!(!customers.is_closed());
    let mut closing = task::spawn(customers.close_and_wait());
    assert_pending!(closing.poll());
    drop(closing);
    assert!(customers.is_closed());
    let mut again = task::spawn(customers.close_and_wait());
    assert_pending!(again.poll());
    drop(slot);
    assert!(again.is_woken() && again.poll().is_ready());
    assert!(task::spawn(customers.wait_closed()).poll().is_ready());
    assert!(task::spawn(customers.close_and_wait()).poll().is_ready());
}

#[test]
fn a_close_without_partitions_drains_at_once() {
    let customers = customers(1, 0, 1);
    let mut waiting = task::spawn(customers.wait_closed());
    assert_pending!(waiting.poll());
    customers.close();
    assert!(waiting.is_woken() && waiting.poll().is_ready());
    assert!(customers.status().is_drained());
}

#[test]
fn a_close_drops_idle_partitions_and_their_keys_at_once_and_others_when_they_become_idle() {
    let customers = PartitionedBulkhead::<Arc<str>>::builder("customers").parallelism(1);
    let customers = customers.max_partitions(200).build().unwrap();
    let keys: Vec<Arc<str>> = (0..200).map(|key| key.to_string().into()).collect();
    keys.iter().for_each(|key| drop(customers.slot_now(key).unwrap()));
    let slot = customers.slot_now(&keys[7]).unwrap();
    let held = || keys.iter().filter(|key| Arc::strong_count(key) > 1).count();
    assert_eq!(held(), 200);

    customers.close();
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((held(), status.partitions, status.evicted), (1, 1, 199));
    assert_eq!(customers.partition_status(&keys[7]).map(|status| status.in_flight), Some(1));
    assert!(customers.partition_status(&keys[8]).is_none());
    let mut waiting = task::spawn(customers.wait_closed());
    assert_pending!(waiting.poll());

    drop(slot);
    assert!(waiting.is_woken() && waiting.poll().is_ready());
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((held(), status.partitions, status.evicted), (0, 0, 200));
    assert_eq!((status.created, status.totals.finished), (200, 201));
    assert!(customers.resize_partition(&keys[7], 2).is_err());
}

#[test]
fn a_caller_inside_limits_for_is_rejected_by_the_close() {
    let (entered, resume) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (has_entered, may_resume) = (entered.clone(), resume.clone());
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(1)
        .max_partitions(10)
        .limits_for(move |_| {
            has_entered.wait();
            may_resume.wait();
            PartitionLimits::new(1)
        })
        .build()
        .unwrap();
    let newcomer = thread::spawn({
        let customers = customers.clone();
        move || customers.slot_now(&1).map(drop)
    });
    entered.wait();
    customers.close();
    assert!(task::spawn(customers.wait_closed()).poll().is_ready());
    resume.wait();
    let rejection = newcomer.join().unwrap().unwrap_err();
    assert_eq!(*rejection.reason(), RejectionReason::Closed);
    let status = customers.status();
    assert_eq!((status.partitions, status.totals.closed_before_queue), (0, 1));
    assert!(status.is_drained());
}

#[test]
fn once_close_returns_no_partition_admits() {
    for round in 0..100 {
        let customers = customers(2, 0, 64);
        let start = Arc::new(Barrier::new(5));
        let closed = Arc::new(AtomicBool::new(false));
        let users: Vec<_> = (0..4u64)
            .map(|user| {
                let (customers, start, closed) = (customers.clone(), start.clone(), closed.clone());
                thread::spawn(move || {
                    start.wait();
                    for turn in 0.. {
                        let was_closed = closed.load(SeqCst);
                        match customers.slot_now(&(turn * 7 % 100 + user)) {
                            Ok(slot) => {
                                assert!(!was_closed, "admitted after the close");
                                drop(slot);
                            }
                            Err(rejection) if *rejection.reason() == RejectionReason::Closed => {
                                return;
                            }
                            Err(_) => {}
                        }
                    }
                })
            })
            .collect();
        start.wait();
        for _ in 0..round {
            thread::yield_now();
        }
        customers.close();
        closed.store(true, SeqCst);
        users.into_iter().for_each(|user| user.join().unwrap());
        let status = customers.status();
        assert!(status.is_drained());
        assert_eq!(status.totals.closed_before_queue, 4);
        assert_all_consistent(&status);
    }
}

#[test]
fn no_status_during_a_close_reports_drained_while_work_runs() {
    for round in 0..20 {
        // Enough partitions that a status is still adding them up when the bulkhead closes.
        let customers = customers(1, 0, 2_000);
        (0..2_000).for_each(|key| drop(customers.slot_now(&key).unwrap()));
        let start = Barrier::new(2);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                start.wait();
                loop {
                    let status = customers.status();
                    assert!(!status.is_drained(), "drained while a slot is held");
                    if status.is_closed {
                        return;
                    }
                }
            });
            start.wait();
            (0..round * 10).for_each(|_| thread::yield_now());
            let slot = customers.slot_now(&(round * 97)).unwrap();
            customers.close();
            watcher.join().unwrap();
            drop(slot);
        });
        assert!(customers.status().is_drained());
    }
}

/// A key whose drop panics once the test says so.
#[derive(Clone)]
struct PanicsOnDrop(u64, Arc<AtomicBool>);

impl PartialEq for PanicsOnDrop {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for PanicsOnDrop {}

impl std::hash::Hash for PanicsOnDrop {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        assert!(!self.1.load(SeqCst), "on purpose");
    }
}

#[test]
fn many_keys_whose_drop_panics_do_not_abort_a_close() {
    let panics = Arc::new(AtomicBool::new(false));
    let customers = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(300);
    let customers = customers.build().unwrap();
    for key in 0..300 {
        let key = std::mem::ManuallyDrop::new(PanicsOnDrop(key, panics.clone()));
        drop(customers.slot_now(&key).unwrap());
    }
    panics.store(true, SeqCst);
    customers.close();
    let status = customers.status();
    assert_eq!((status.partitions, status.evicted), (0, 300));
    assert_all_consistent(&status);
}

#[test]
fn a_closed_bulkhead_asks_for_no_limits() {
    let asked = Arc::new(AtomicBool::new(false));
    let asks = asked.clone();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = customers.max_partitions(1).limits_for(move |_| {
        asks.store(true, SeqCst);
        PartitionLimits::new(1)
    });
    let customers = customers.build().unwrap();
    customers.close();
    let rejection = customers.slot_now(&1).unwrap_err();
    assert_eq!(rejection.reason(), &RejectionReason::Closed);
    assert!(!asked.load(SeqCst));
    assert_eq!(customers.status().totals.closed_before_queue, 1);
}
