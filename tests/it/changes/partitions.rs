//! Pauses and drains of a bulkhead with partitions: they reach every key, those that are new included.

use std::sync::{
    Barrier,
    atomic::{AtomicBool, Ordering},
};

use bulklink::{FindingCode, RejectionReason};
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{assert_all_consistent, customers, rejection_of, slot_of, waiting};

#[test]
fn a_pause_holds_in_every_partition_also_in_one_that_is_new() {
    let customers = customers(1, 1, 10);
    drop((0..5).map(|key| customers.slot_now(&key).unwrap()).collect::<Vec<_>>());
    customers.pause();
    assert!(customers.is_paused() && customers.status().is_paused);
    let keys = [3, 4, 5, 6, 7];
    let mut waiters: Vec<_> = keys.iter().map(|key| waiting(customers.slot(key))).collect();
    for key in 0..8 {
        assert_eq!(*customers.slot_now(&key).unwrap_err().reason(), RejectionReason::Paused);
        assert!(customers.partition_status(&key).unwrap().is_paused);
    }
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((status.totals.paused, status.waiting, status.in_flight), (8, 5, 0));
    assert_eq!(status.partitions_under_pressure, 0);
    let codes: Vec<_> = status.capacity_report().findings.iter().map(|one| one.code).collect();
    assert_eq!(codes, [FindingCode::Paused, FindingCode::UnboundedQueueWait]);
    customers.resume();
    assert!(waiters.iter().all(|waiter| waiter.is_woken()) && !customers.is_paused());
    let slots: Vec<_> = waiters.iter_mut().map(slot_of).collect();
    assert!((0..3).all(|key| customers.slot_now(&key).is_ok()));
    drop(slots);
    assert!(customers.slot_now(&9).is_ok());
}

#[test]
fn a_drain_serves_every_line_and_drops_what_is_idle() {
    let customers = customers(1, 2, 10);
    let slots: Vec<_> = (0..3).map(|key| customers.slot_now(&key).unwrap()).collect();
    drop(customers.slot_now(&9).unwrap());
    let mut first = waiting(customers.slot(&0));
    let mut second = waiting(customers.slot(&1));
    let mut closing = task::spawn(customers.closing());
    assert_pending!(closing.poll());
    let mut ended = task::spawn(customers.drain_and_wait());
    assert_pending!(ended.poll());
    assert!(closing.is_woken());
    assert_ready!(closing.poll());
    let status = customers.status();
    assert!(status.is_draining && !status.is_closed && !customers.is_closed());
    assert_eq!((status.partitions, status.waiting, status.in_flight), (3, 2, 3));
    for key in [0, 2, 9, 5] {
        assert_eq!(*customers.slot_now(&key).unwrap_err().reason(), RejectionReason::Closed);
    }
    customers.pause();
    assert!(!customers.is_paused());
    customers.resize_partition(&1, 2).unwrap();
    let second = slot_of(&mut second);
    assert!(customers.is_draining());
    drop(slots);
    let first = slot_of(&mut first);
    let status = customers.status();
    assert!(status.is_closed && !status.is_draining && customers.is_closed());
    assert!(!status.is_drained());
    assert_pending!(ended.poll());
    customers.drain();
    assert!(customers.is_closed() && !customers.is_draining());
    drop((first, second));
    assert_ready!(ended.poll());
    let status = customers.status();
    assert!(status.is_drained() && status.partitions == 0);
    assert_all_consistent(&status);
}

#[test]
fn a_close_during_a_drain_rejects_the_lines() {
    let customers = customers(1, 2, 10);
    let slot = customers.slot_now(&0).unwrap();
    let mut waiter = waiting(customers.slot(&0));
    customers.drain();
    customers.close();
    assert!(customers.is_closed() && customers.status().is_closed);
    assert_eq!(*rejection_of(&mut waiter).reason(), RejectionReason::Closed);
    drop((slot, waiter));
    assert!(customers.status().is_drained());
}

/// Threads pause and resume at once: once both are done, all partitions are in the state that was asked for last.
#[test]
fn of_calls_that_disagree_the_last_one_prevails_in_every_partition() {
    for round in 0..200 {
        let customers = customers(1, 1, 300);
        let held: Vec<_> = (0..200).map(|key| customers.slot_now(&key).unwrap()).collect();
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                customers.pause();
            });
            scope.spawn(|| {
                barrier.wait();
                customers.resume();
            });
            barrier.wait();
            let _ = customers.slot_now(&(200 + round % 100));
        });
        let is_paused = customers.is_paused();
        for key in (0..200).chain([200 + round % 100]) {
            let Some(partition) = customers.partition_status(&key) else { continue };
            assert_eq!(partition.is_paused, is_paused, "key {key}");
        }
        drop(held);
        assert_eq!(customers.slot_now(&7).is_ok(), !is_paused);
    }
}

/// Keys come and go while another thread drains: nobody is admitted afterwards, nobody is lost, and it ends.
#[test]
fn a_drain_among_arrivals_of_new_keys_ends_and_admits_nobody_later() {
    for _ in 0..100 {
        let customers = customers(1, 2, 64);
        let is_draining = AtomicBool::new(false);
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            for thread in 0..2_u64 {
                let (customers, is_draining, barrier) = (&customers, &is_draining, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for number in 0.. {
                        let late = is_draining.load(Ordering::SeqCst);
                        let key = (number * 7 + thread) % 80;
                        match customers.slot_now(&key) {
                            Ok(slot) => {
                                assert!(!late, "admitted after the drain");
                                let waiter = waiting_or_rejected(customers, key);
                                drop(slot);
                                drop(waiter);
                            }
                            Err(_) if late => return,
                            Err(_) => {}
                        }
                    }
                });
            }
            barrier.wait();
            std::thread::yield_now();
            customers.drain();
            is_draining.store(true, Ordering::SeqCst);
        });
        assert_ready!(task::spawn(customers.wait_closed()).poll());
        let status = customers.status();
        assert!(status.is_drained() && status.partitions == 0, "{status:?}");
        assert_all_consistent(&status);
    }
}

/// Polls an operation once. It may wait, be admitted or be rejected.
fn waiting_or_rejected(customers: &bulklink::PartitionedBulkhead<u64>, key: u64) -> impl Sized {
    let mut waiter = Box::pin(async move { customers.slot(&key).await });
    let outcome =
        waiter.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    (waiter, outcome.is_ready())
}
