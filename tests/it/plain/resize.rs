//! Resizing: growing admits in line order, shrinking leaves running work and waiters alone, and an error
//! changes nothing.

use bulklink::{Bulkhead, BulkheadStatus, RejectionReason, ResizeError};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{
    Hook, Wakes, assert_nothing_left, bulkhead, checked_status, must_end, poll_with,
};

#[test]
fn a_capacity_of_zero_or_above_the_maximum_is_an_error_that_changes_nothing() {
    let payments = bulkhead(2, 1);
    let _slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    let before = checked_status(&payments);
    let zero = payments.resize(0).unwrap_err();
    assert!(matches!(&zero, ResizeError::Zero { setting: "parallelism", label, .. }
        if &**label == "payments"));
    assert_eq!(
        zero.to_string(),
        "bulkhead \"payments\": parallelism 0 is not allowed, the minimum is 1"
    );
    for value in [Bulkhead::MAX_CAPACITY + 1, usize::MAX] {
        let error = payments.resize(value).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("bulkhead \"payments\": parallelism {value} exceeds the maximum 2147483647")
        );
        let ResizeError::TooLarge { setting: "parallelism", value: reported, maximum, .. } = error
        else {
            panic!("{error}");
        };
        assert_eq!((reported, maximum), (value, Bulkhead::MAX_CAPACITY));
    }
    assert!(!waiter.is_woken());
    assert_eq!(without_sequence(checked_status(&payments)), without_sequence(before));
    assert_eq!(payments.parallelism(), 2);
}

/// The status without its sequence number, in which any two statuses differ.
fn without_sequence(mut status: BulkheadStatus) -> BulkheadStatus {
    status.sequence = 0;
    status
}

#[test]
fn resizing_to_the_same_capacity_changes_nothing() {
    let payments = bulkhead(2, 1);
    let slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    let before = without_sequence(checked_status(&payments));
    payments.resize(2).unwrap();
    assert_eq!(without_sequence(checked_status(&payments)), before);
    drop(slots);
    assert_nothing_left(&payments);
}

#[test]
fn the_maximum_capacity_is_allowed() {
    let payments = bulkhead(1, 0);
    payments.resize(Bulkhead::MAX_CAPACITY).unwrap();
    let slots: Vec<_> = (0..100).map(|_| payments.slot_now().unwrap()).collect();
    let status = checked_status(&payments);
    assert_eq!((status.free(), status.peaks.used), (Bulkhead::MAX_CAPACITY - 100, 100));
    payments.resize(1).unwrap();
    assert_eq!(checked_status(&payments).excess(), 99);
    payments.resize(Bulkhead::MAX_CAPACITY).unwrap();
    assert_eq!(checked_status(&payments).free(), Bulkhead::MAX_CAPACITY - 100);
    drop(slots);
    assert_eq!(checked_status(&payments).used, 0);
}

#[test]
fn growing_admits_from_the_line_in_order_before_it_returns() {
    let payments = bulkhead(1, 9);
    let slot = payments.slot_now().unwrap();
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    payments.resize(4).unwrap();
    assert_eq!(wakes.order(), [0, 1, 2]);
    let status = checked_status(&payments);
    assert_eq!((status.capacity, status.in_flight, status.waiting), (4, 4, 2));
    assert_eq!((status.peaks.used, status.totals.admitted_from_queue), (4, 3));
    assert!(payments.slot_now().is_err());
    assert!(poll_with(&mut waiters[3], &wakes.waker(3)).is_pending());
    payments.resize(9).unwrap();
    assert_eq!(wakes.order(), [0, 1, 2, 3, 4]);
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.waiting, status.free()), (6, 0, 3));
    let newcomer = payments.slot_now().unwrap();
    drop((slot, waiters, newcomer));
    assert_nothing_left(&payments);
}

#[test]
fn shrinking_leaves_running_work_alone_and_admits_nothing_until_use_falls_below_the_capacity() {
    let payments = bulkhead(5, 9);
    let mut slots: Vec<_> = (0..5).map(|_| payments.slot_now().unwrap()).collect();
    payments.resize(2).unwrap();
    let status = checked_status(&payments);
    assert_eq!((status.capacity, status.used, status.free(), status.excess()), (2, 5, 0, 3));
    assert!(status.is_over_capacity());
    assert_eq!(payments.parallelism(), 2);
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    for used in (2..5).rev() {
        slots.pop();
        let status = checked_status(&payments);
        assert_eq!((status.used, status.excess(), status.waiting), (used, used - 2, 1));
        assert!(!waiter.is_woken());
        assert!(payments.slot_now().is_err());
    }
    assert!(!checked_status(&payments).is_over_capacity());
    slots.pop();
    assert!(waiter.is_woken());
    slots.push(assert_ready_ok!(waiter.poll()));
    assert_eq!(checked_status(&payments).used, 2);
    drop(slots);
    assert_nothing_left(&payments);
}

#[test]
fn a_rejection_over_capacity_carries_the_numbers() {
    let payments = bulkhead(3, 0);
    let slots: Vec<_> = (0..3).map(|_| payments.slot_now().unwrap()).collect();
    payments.resize(1).unwrap();
    let rejection = payments.slot_now().unwrap_err();
    assert!(matches!(
        rejection.reason(),
        RejectionReason::Saturated { used: 3, capacity: 1, waiting: 0, waiting_room: 0, .. }
    ));
    drop(slots);
    assert_nothing_left(&payments);
}

#[test]
fn growing_admits_nothing_until_the_capacity_exceeds_the_running_work() {
    let payments = bulkhead(5, 9);
    let slots: Vec<_> = (0..5).map(|_| payments.slot_now().unwrap()).collect();
    payments.resize(1).unwrap();
    let mut first = task::spawn(payments.slot());
    let mut second = task::spawn(payments.slot());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    for capacity in [3, 5] {
        payments.resize(capacity).unwrap();
        let status = checked_status(&payments);
        assert_eq!((status.used, status.waiting, status.excess()), (5, 2, 5 - capacity));
        assert!(!first.is_woken());
    }
    payments.resize(6).unwrap();
    assert!(first.is_woken() && !second.is_woken());
    let first = assert_ready_ok!(first.poll());
    payments.resize(2).unwrap();
    assert_eq!(checked_status(&payments).excess(), 4);
    drop(slots);
    assert!(second.is_woken());
    drop((first, assert_ready_ok!(second.poll())));
    assert_nothing_left(&payments);
}

#[test]
fn shrinking_does_not_reject_waiters() {
    let payments = bulkhead(2, 9);
    let slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    let mut waiters: Vec<_> = (0..3).map(|_| task::spawn(payments.slot())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    payments.resize(1).unwrap();
    assert_eq!(checked_status(&payments).waiting, 3);
    drop(slots);
    for mut waiter in waiters {
        assert!(waiter.is_woken());
        drop(assert_ready_ok!(waiter.poll()));
    }
    assert_nothing_left(&payments);
}

#[test]
fn shrinking_removes_free_slots_at_once() {
    let payments = bulkhead(5, 0);
    let slot = payments.slot_now().unwrap();
    payments.resize(2).unwrap();
    let status = checked_status(&payments);
    assert_eq!((status.used, status.free(), status.excess()), (1, 1, 0));
    let second = payments.slot_now().unwrap();
    assert!(payments.slot_now().is_err());
    drop((slot, second));
    assert_nothing_left(&payments);
}

#[test]
fn an_abandoned_admission_counts_toward_a_shrink_like_a_release() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    let mut first = task::spawn(payments.slot());
    let mut second = task::spawn(payments.slot());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    payments.resize(2).unwrap();
    assert!(first.is_woken() && !second.is_woken());
    payments.resize(1).unwrap();
    drop(first);
    let status = checked_status(&payments);
    assert_eq!((status.used, status.waiting, status.totals.abandoned), (1, 1, 1));
    assert!(!second.is_woken());
    drop(slot);
    drop(assert_ready_ok!(second.poll()));
    assert_nothing_left(&payments);
}

#[test]
fn peaks_are_the_highest_values_ever_across_resizes() {
    let payments = bulkhead(2, 0);
    let take =
        |number: usize| -> Vec<_> { (0..number).map(|_| payments.slot_now().unwrap()).collect() };
    let peak = || checked_status(&payments).peaks.used;
    drop(take(1));
    assert_eq!(peak(), 1);
    payments.resize(8).unwrap();
    drop(take(4));
    assert_eq!(peak(), 4);
    payments.resize(3).unwrap();
    drop(take(3));
    assert_eq!(peak(), 4);
    payments.resize(20).unwrap();
    drop(take(4));
    assert_eq!(peak(), 4);
    drop(take(5));
    assert_eq!(peak(), 5);
    payments.resize(1).unwrap();
    payments.resize(7).unwrap();
    drop(take(7));
    assert_eq!(peak(), 7);
}

#[test]
fn a_closed_bulkhead_cannot_be_resized() {
    let payments = bulkhead(2, 0);
    payments.close();
    for capacity in [1, 2, 3] {
        let error = payments.resize(capacity).unwrap_err();
        assert!(matches!(error, ResizeError::Closed { .. }));
        assert_eq!(error.to_string(), "bulkhead \"payments\" is closed");
    }
    assert!(matches!(payments.resize(0), Err(ResizeError::Zero { .. })));
    assert_eq!(checked_status(&payments).capacity, 2);
}

#[test]
fn a_waker_may_resize() {
    must_end(|| {
        let payments = bulkhead(1, 9);
        let slot = payments.slot_now().unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(payments.slot())).collect();
        let in_waker = payments.clone();
        let waker = Hook::new().on_wake(move || in_waker.resize(3).unwrap()).waker();
        for waiter in &mut waiters {
            assert!(poll_with(waiter, &waker).is_pending());
        }
        drop(slot);
        assert_eq!(checked_status(&payments).in_flight, 3);
        drop((waiters, waker));
        assert_nothing_left(&payments);
    });
}
