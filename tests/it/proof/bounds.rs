//! Bounds: full waiting lines and the maximum capacity.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Waker},
};

use bulklink::{Admission, Bulkhead, RejectionReason, WeightedBulkhead};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{Random, assert_identities, assert_nothing_left, assert_plain, bulkhead};

const MAX: usize = Bulkhead::MAX_CAPACITY;

/// The waiters of a full line: a million, or fewer if the build is not optimized.
const FULL_LINE: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

fn join(bulkhead: &Bulkhead, waiters: usize) -> Vec<Pin<Box<Admission>>> {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut line: Vec<_> = (0..waiters).map(|_| Box::pin(bulkhead.slot())).collect();
    for waiter in &mut line {
        assert!(waiter.as_mut().poll(cx).is_pending());
    }
    line
}

#[test]
fn a_full_line_is_joined_and_drained_in_order() {
    let payments = bulkhead(1, FULL_LINE);
    let mut slot = payments.slot_now().ok();
    let mut waiters = join(&payments, FULL_LINE);
    assert!(matches!(
        payments.slot_now().unwrap_err().reason(),
        RejectionReason::Saturated { waiting: FULL_LINE, .. }
    ));
    let cx = &mut Context::from_waker(Waker::noop());
    for waiter in &mut waiters {
        drop(slot.take());
        let std::task::Poll::Ready(admitted) = waiter.as_mut().poll(cx) else {
            panic!("not admitted")
        };
        slot = admitted.ok();
    }
    drop(slot);
    let status = payments.status();
    assert_eq!(
        (status.totals.admitted_from_queue, status.peaks.waiting),
        (FULL_LINE as u64, FULL_LINE)
    );
    assert_nothing_left(&payments);
}

#[test]
fn waiters_can_be_dropped_from_anywhere_in_a_full_line() {
    let payments = bulkhead(1, FULL_LINE);
    let slot = payments.slot_now().unwrap();
    let mut random = Random::new(1_000_000);
    let mut waiters = join(&payments, FULL_LINE);
    while !waiters.is_empty() {
        drop(waiters.swap_remove(random.below(waiters.len())));
    }
    assert_eq!(payments.status().totals.cancelled, FULL_LINE as u64);
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn one_resize_admits_a_full_line_and_one_close_rejects_it() {
    let payments = bulkhead(1, FULL_LINE);
    let slot = payments.slot_now().unwrap();
    let admitted = join(&payments, FULL_LINE);
    payments.resize(FULL_LINE + 1).unwrap();
    assert_eq!(payments.status().used, FULL_LINE + 1);
    let rejected = join(&payments, FULL_LINE);
    payments.close();
    let status = payments.status();
    assert_plain(&status);
    assert_eq!(status.totals.closed_while_waiting, FULL_LINE as u64);
    drop((admitted, rejected, slot));
    assert!(payments.status().is_drained());
}

#[test]
fn the_maximum_capacity_can_be_used_and_shrunk() {
    let reports = WeightedBulkhead::builder("reports").capacity(MAX).waiting_room(MAX);
    let reports = reports.build().unwrap();
    let all = reports.slot_now(MAX).unwrap();
    assert_eq!((reports.status().used, reports.status().free()), (MAX, 0));
    let mut one = task::spawn(reports.slot(1));
    let mut most = task::spawn(reports.slot(MAX));
    let mut again = task::spawn(reports.slot(MAX));
    assert_pending!(one.poll());
    assert_pending!(most.poll());
    assert_pending!(again.poll());
    let status = reports.status();
    assert_identities(&status);
    assert_eq!(status.waiting_units, 2 * MAX + 1, "more units wait than any capacity has");
    assert!(reports.resize(MAX - 1).is_err(), "a waiter needs the full capacity");
    drop(all);
    let one = assert_ready_ok!(one.poll());
    assert_pending!(most.poll());
    drop(one);
    let most = assert_ready_ok!(most.poll());
    drop((most, again));
    reports.resize(1).unwrap();
    assert!(reports.slot_now(MAX).is_err());
    reports.resize(MAX).unwrap();
    drop(reports.slot_now(MAX).unwrap());
    let status = reports.status();
    assert_identities(&status);
    // The last waiter was admitted when the slot before it was dropped, and was dropped without a poll.
    assert_eq!(status.totals.admitted_units, 4 * MAX as u64 + 1);
    assert_eq!(status.totals.abandoned_units, MAX as u64);
}

#[test]
fn a_plain_bulkhead_may_have_the_maximum_parallelism() {
    let payments = bulkhead(MAX, MAX);
    let slots: Vec<_> = (0..1_000).map(|_| payments.slot_now().unwrap()).collect();
    payments.resize(1).unwrap();
    assert_eq!(payments.status().excess(), 999);
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    payments.resize(MAX).unwrap();
    drop(assert_ready_ok!(waiter.poll()));
    drop(slots);
    let status = payments.status();
    assert_plain(&status);
    assert_eq!((status.used, status.peaks.used), (0, 1_001));
}
