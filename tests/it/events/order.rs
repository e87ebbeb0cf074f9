//! The order of events: causes come before their effects, in one sequence with the statuses.

use std::time::Duration;

use bulklink::{BulkheadEvent, EventKind::*};
use tokio::time::advance;

use crate::support::{Log, bulkhead, rejection_of, slot_of, waiting, weighted};

fn assert_increasing(events: &[BulkheadEvent]) {
    let increases = events.windows(2).all(|pair| pair[0].sequence < pair[1].sequence);
    assert!(increases, "{events:?}");
}

#[test]
fn released_comes_before_the_admissions_it_causes() {
    let reports = weighted(10, 5);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let slot = reports.slot_now(10).unwrap();
    let _line = [3, 3, 5].map(|cost| waiting(reports.slot(cost)));
    log.take();
    drop(slot);
    let events = log.take();
    let received: Vec<_> =
        events.iter().map(|event| (event.kind, event.cost, event.used)).collect();
    assert_eq!(received, [(Released, Some(10), 0), (Admitted, Some(3), 3), (Admitted, Some(3), 6)]);
    assert_increasing(&events);
}

#[test]
fn abandoned_and_cancelled_come_before_the_admissions_they_cause() {
    let reports = weighted(10, 5);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let slot = reports.slot_now(10).unwrap();
    let first = waiting(reports.slot(10));
    let second = waiting(reports.slot(9));
    let third = waiting(reports.slot(8));
    let _fourth = waiting(reports.slot(1));
    drop(slot);
    log.take();
    drop(first);
    assert_eq!(log.take_kinds(), [Abandoned, Admitted]);
    drop(third);
    assert_eq!(log.take_kinds(), [Cancelled, Admitted]);
    drop(second);
    assert_eq!(log.take_kinds(), [Abandoned]);
}

#[tokio::test(start_paused = true)]
async fn expired_comes_before_the_admissions_it_causes() {
    let reports = weighted(10, 5);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let _slot = reports.slot_now(8).unwrap();
    let mut large = waiting(reports.slot_within(Duration::from_secs(1), 9));
    let _small = [1, 1].map(|cost| waiting(reports.slot(cost)));
    log.take();
    advance(Duration::from_secs(1)).await;
    rejection_of(&mut large);
    let events = log.take();
    let received: Vec<_> =
        events.iter().map(|event| (event.kind, event.used, event.waiting)).collect();
    assert_eq!(received, [(Expired, 8, 2), (Admitted, 9, 1), (Admitted, 10, 0)]);
    assert_increasing(&events);
}

#[test]
fn resized_comes_before_the_admissions_it_causes() {
    let payments = bulkhead(1, 5);
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    let _slot = payments.slot_now().unwrap();
    let _line = [0, 1, 2].map(|_| waiting(payments.slot()));
    log.take();
    payments.resize(3).unwrap();
    let events = log.take();
    let received: Vec<_> =
        events.iter().map(|event| (event.kind, event.capacity, event.used)).collect();
    assert_eq!(received, [(Resized, 3, 1), (Admitted, 3, 2), (Admitted, 3, 3)]);
    assert_increasing(&events);
}

#[test]
fn closed_comes_before_each_rejection_in_line_order_and_drained_comes_last() {
    let reports = weighted(10, 5);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let slot = reports.slot_now(10).unwrap();
    let _line = [5, 1, 7].map(|cost| waiting(reports.slot(cost)));
    log.take();
    reports.close();
    drop(slot);
    let events = log.take();
    let received: Vec<_> = events.iter().map(|event| (event.kind, event.cost)).collect();
    assert_eq!(
        received,
        [
            (Closed, None),
            (ClosedRejection, Some(5)),
            (ClosedRejection, Some(1)),
            (ClosedRejection, Some(7)),
            (Released, Some(10)),
            (Drained, None),
        ]
    );
    assert_increasing(&events);
}

#[test]
fn an_idle_bulkhead_drains_once_when_it_is_closed() {
    let payments = bulkhead(1, 5);
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    payments.close();
    assert_eq!(log.take_kinds(), [Closed, Drained]);
    assert!(payments.slot_now().is_err());
    assert_eq!(log.take_kinds(), [ClosedRejection], "drained is delivered once");
}

#[test]
fn dropping_an_admitted_waiter_after_the_close_drains_the_bulkhead() {
    let payments = bulkhead(1, 5);
    let log = Log::default();
    let slot = payments.slot_now().unwrap();
    let waiter = waiting(payments.slot());
    let _subscription = payments.subscribe(log.handler());
    drop(slot);
    payments.close();
    drop(waiter);
    assert_eq!(log.take_kinds(), [Released, Admitted, Closed, Abandoned, Drained]);
}

#[test]
fn statuses_and_events_share_one_strictly_increasing_sequence() {
    let payments = bulkhead(1, 2);
    let log = Log::default();
    let mut last = payments.status().sequence;
    let mut assert_later = |sequence: u64| {
        assert!(last < sequence, "{last} < {sequence}");
        last = sequence;
    };
    assert_later(payments.status().sequence);
    let _subscription = payments.subscribe(log.handler());
    assert_later(payments.status().sequence);
    let slot = payments.slot_now().unwrap();
    assert_later(log.take()[0].sequence);
    assert_later(payments.status().sequence);
    let mut waiter = waiting(payments.slot());
    assert_later(log.take()[0].sequence);
    drop(slot);
    let events = log.take();
    assert_later(events[0].sequence);
    assert_later(events[1].sequence);
    assert_later(payments.status().sequence);
    drop(slot_of(&mut waiter));
    assert_later(log.take()[0].sequence);
    assert_later(payments.capacity_report().status.sequence());
    assert_later(payments.status().sequence);
}

#[test]
fn a_status_between_two_events_shows_the_first_and_not_the_second() {
    let reports = weighted(10, 2);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    let first = reports.slot_now(3).unwrap();
    let between = reports.status();
    let _second = reports.slot_now(4).unwrap();
    drop(first);
    let events = log.take();
    assert!(events[0].sequence < between.sequence && between.sequence < events[1].sequence);
    assert_eq!((between.used, events[0].used, events[1].used), (3, 3, 7));
}
