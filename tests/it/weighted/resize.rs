//! Resizing a weighted bulkhead: never below the cost of a waiter, and with admissions in line order.

use bulklink::{Bulkhead, BulkheadStatus, ResizeError};

use crate::support::{Log, assert_identities, slot_of, waiting, weighted};

/// The status without its sequence number, in which any two statuses differ.
fn without_sequence(mut status: BulkheadStatus) -> BulkheadStatus {
    status.sequence = 0;
    status
}

#[test]
fn a_capacity_below_the_largest_cost_in_line_is_refused_and_changes_nothing() {
    let reports = weighted(10, 5);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let running = reports.slot_now(10).unwrap();
    let mut line = [3, 7, 5].map(|cost| waiting(reports.slot(cost)));
    log.take();

    let before = without_sequence(reports.status());
    for capacity in [6, 1] {
        let error = reports.resize(capacity).unwrap_err();
        assert!(
            matches!(error, ResizeError::BelowQueuedCost { capacity: c, cost: 7, .. } if c == capacity),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "bulkhead \"reports\": capacity {capacity} is below the cost 7 of a waiting operation"
            )
        );
    }
    assert_eq!(without_sequence(reports.status()), before);
    assert!(log.take().is_empty(), "a refused resize causes no event");
    assert!(line.iter().all(|waiter| !waiter.is_woken()));

    reports.resize(7).unwrap();
    let status = reports.status();
    assert_eq!((status.capacity, status.excess(), status.waiting), (7, 3, 3));
    drop(running);
    // 3 fits, and 7 does not fit next to it.
    let three = slot_of(&mut line[0]);
    assert!(!line[1].is_woken());
    drop(three);
    let _seven = slot_of(&mut line[1]);
}

#[test]
fn a_waiter_that_has_left_does_not_limit_a_shrink() {
    let reports = weighted(10, 5);
    let _running = reports.slot_now(10).unwrap();
    let largest = waiting(reports.slot(9));
    let _smaller = waiting(reports.slot(4));
    assert!(reports.resize(8).is_err());
    drop(largest);
    reports.resize(8).unwrap();
    assert!(matches!(
        reports.resize(3).unwrap_err(),
        ResizeError::BelowQueuedCost { capacity: 3, cost: 4, .. }
    ));
    reports.resize(4).unwrap();
    assert_eq!(reports.capacity(), 4);
}

#[test]
fn running_work_does_not_prevent_a_shrink() {
    let reports = weighted(10, 5);
    let eight = reports.slot_now(8).unwrap();
    reports.resize(2).unwrap();
    let status = reports.status();
    assert_eq!((status.used, status.capacity, status.excess(), status.free()), (8, 2, 6, 0));
    assert!(status.is_over_capacity() && status.utilization() == 4.0);
    let mut waiter = waiting(reports.slot(2));
    drop(eight);
    drop(slot_of(&mut waiter));
    assert_identities(&reports.status());
}

#[test]
fn growing_admits_in_order_before_it_returns() {
    let reports = weighted(10, 5);
    let _running = reports.slot_now(6).unwrap();
    let mut line = [8, 1, 2].map(|cost| waiting(reports.slot(cost)));
    reports.resize(13).unwrap();
    assert!(!line[0].is_woken(), "13 units are one too few");
    reports.resize(15).unwrap();
    assert_eq!((reports.status().used, reports.status().waiting), (15, 1));
    let _slots = (slot_of(&mut line[0]), slot_of(&mut line[1]));
    assert!(!line[2].is_woken());
}

#[test]
fn after_a_shrink_nothing_is_admitted_until_use_falls_below_the_new_capacity() {
    let reports = weighted(10, 5);
    let mut running: Vec<_> = (0..5).map(|_| reports.slot_now(2).unwrap()).collect();
    reports.resize(4).unwrap();
    let mut waiter = waiting(reports.slot(1));
    for used in [8, 6, 4] {
        running.pop();
        assert_eq!((reports.status().used, waiter.is_woken()), (used, false));
    }
    running.pop();
    drop(slot_of(&mut waiter));
}

#[test]
fn an_invalid_capacity_is_refused_and_the_same_capacity_causes_no_event() {
    let reports = weighted(10, 5);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let error = reports.resize(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bulkhead \"reports\": capacity 0 is not allowed, the minimum is 1"
    );
    let error = reports.resize(Bulkhead::MAX_CAPACITY + 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bulkhead \"reports\": capacity 2147483648 exceeds the maximum 2147483647"
    );
    reports.resize(10).unwrap();
    assert!(log.take().is_empty());
    reports.resize(Bulkhead::MAX_CAPACITY).unwrap();
    let _all = reports.slot_now(Bulkhead::MAX_CAPACITY).unwrap();
    assert_eq!(reports.status().free(), 0);
    reports.close();
    let error = reports.resize(10).unwrap_err();
    assert_eq!(error.to_string(), "bulkhead \"reports\" is closed");
    assert!(matches!(reports.resize(usize::MAX).unwrap_err(), ResizeError::TooLarge { .. }));
}
