//! The limits of what there can be, and operations in numbers that would show a leak.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Waker},
};

use bulklink::{Admission, Bulkhead, RejectionReason, WeightedBulkhead};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{Random, assert_identities, assert_nothing_left, assert_plain, bulkhead};

const MOST: usize = Bulkhead::MAX_CAPACITY;

/// A line this long is full: a million waiters, or fewer where the build is not optimized.
const LINE: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

fn line(bulkhead: &Bulkhead, waiters: usize) -> Vec<Pin<Box<Admission>>> {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut line: Vec<_> = (0..waiters).map(|_| Box::pin(bulkhead.slot())).collect();
    for waiter in &mut line {
        assert!(waiter.as_mut().poll(cx).is_pending());
    }
    line
}

#[test]
fn a_full_line_is_joined_and_drained_in_order() {
    let payments = bulkhead(1, LINE);
    let mut slot = payments.slot_now().ok();
    let mut waiters = line(&payments, LINE);
    assert!(matches!(
        payments.slot_now().unwrap_err().reason(),
        RejectionReason::Saturated { waiting: LINE, .. }
    ));
    let cx = &mut Context::from_waker(Waker::noop());
    for waiter in &mut waiters {
        drop(slot.take());
        let std::task::Poll::Ready(served) = waiter.as_mut().poll(cx) else { panic!("not served") };
        slot = served.ok();
    }
    drop(slot);
    let status = payments.status();
    assert_eq!((status.totals.admitted_from_queue, status.peaks.waiting), (LINE as u64, LINE));
    assert_nothing_left(&payments);
}

#[test]
fn a_full_line_is_dropped_from_anywhere() {
    let payments = bulkhead(1, LINE);
    let slot = payments.slot_now().unwrap();
    let mut random = Random::new(1_000_000);
    let mut waiters = line(&payments, LINE);
    while !waiters.is_empty() {
        drop(waiters.swap_remove(random.below(waiters.len())));
    }
    assert_eq!(payments.status().totals.cancelled, LINE as u64);
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn a_full_line_is_served_at_once_by_a_resize_and_rejected_at_once_by_a_close() {
    let payments = bulkhead(1, LINE);
    let slot = payments.slot_now().unwrap();
    let served = line(&payments, LINE);
    payments.resize(LINE + 1).unwrap();
    assert_eq!(payments.status().used, LINE + 1);
    let rejected = line(&payments, LINE);
    payments.close();
    let status = payments.status();
    assert_plain(&status);
    assert_eq!(status.totals.closed_while_waiting, LINE as u64);
    drop((served, rejected, slot));
    assert!(payments.status().is_drained());
}

#[test]
fn the_maximum_capacity_can_be_used_and_shrunk() {
    let reports = WeightedBulkhead::builder("reports").capacity(MOST).waiting_room(MOST);
    let reports = reports.build().unwrap();
    let all = reports.slot_now(MOST).unwrap();
    assert_eq!((reports.status().used, reports.status().free()), (MOST, 0));
    let mut one = task::spawn(reports.slot(1));
    let mut most = task::spawn(reports.slot(MOST));
    let mut again = task::spawn(reports.slot(MOST));
    assert_pending!(one.poll());
    assert_pending!(most.poll());
    assert_pending!(again.poll());
    let status = reports.status();
    assert_identities(&status);
    assert_eq!(status.waiting_units, 2 * MOST + 1, "more units wait than there can be");
    assert!(reports.resize(MOST - 1).is_err(), "somebody waits for all of it");
    drop(all);
    let one = assert_ready_ok!(one.poll());
    assert_pending!(most.poll());
    drop(one);
    let most = assert_ready_ok!(most.poll());
    drop((most, again));
    reports.resize(1).unwrap();
    assert!(reports.slot_now(MOST).is_err());
    reports.resize(MOST).unwrap();
    drop(reports.slot_now(MOST).unwrap());
    let status = reports.status();
    assert_identities(&status);
    // The last in line was called when the one before it was dropped, and never saw it.
    assert_eq!(status.totals.admitted_units, 4 * MOST as u64 + 1);
    assert_eq!(status.totals.abandoned_units, MOST as u64);
}

#[test]
fn a_plain_bulkhead_may_have_the_maximum_parallelism() {
    let payments = bulkhead(MOST, MOST);
    let slots: Vec<_> = (0..1_000).map(|_| payments.slot_now().unwrap()).collect();
    payments.resize(1).unwrap();
    assert_eq!(payments.status().excess(), 999);
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    payments.resize(MOST).unwrap();
    drop(assert_ready_ok!(waiter.poll()));
    drop(slots);
    let status = payments.status();
    assert_plain(&status);
    assert_eq!((status.used, status.peaks.used), (0, 1_001));
}
