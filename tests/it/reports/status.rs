//! The values of a status, and what is derived from them.

use std::time::Duration;

use bulklink::{Bulkhead, BulkheadStatus, Totals};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

use crate::support::{assert_nothing_left, bulkhead, checked_status, ms};

#[test]
fn a_new_bulkhead_has_counted_nothing() {
    let status = checked_status(&bulkhead(3, 2));
    assert_eq!((status.capacity, status.used, status.waiting, status.waiting_room), (3, 0, 0, 2));
    assert_eq!(status.totals, Totals::default());
    assert_eq!(status.peaks, Default::default());
    assert!(!status.totals.has_activity());
    assert!(!status.is_closed && !status.is_drained() && !status.is_saturated());
}

#[test]
fn free_and_excess_follow_from_capacity_and_use() {
    let payments = bulkhead(4, 0);
    let read = |status: BulkheadStatus| {
        (status.free(), status.excess(), status.is_over_capacity(), status.utilization())
    };
    assert_eq!(read(checked_status(&payments)), (4, 0, false, 0.0));
    let first = payments.slot_now().unwrap();
    assert_eq!(read(checked_status(&payments)), (3, 0, false, 0.25));
    let rest: Vec<_> = (0..3).map(|_| payments.slot_now().unwrap()).collect();
    assert_eq!(read(checked_status(&payments)), (0, 0, false, 1.0));
    payments.resize(2).unwrap();
    assert_eq!(read(checked_status(&payments)), (0, 2, true, 2.0));
    drop((first, rest));
    assert_eq!(read(checked_status(&payments)), (2, 0, false, 0.0));
}

#[test]
fn a_bulkhead_is_saturated_when_the_next_operation_would_be_rejected() {
    let payments = bulkhead(1, 2);
    let saturated = || {
        let status = checked_status(&payments);
        (status.is_saturated(), status.queue_utilization())
    };
    assert_eq!(saturated(), (false, 0.0));
    let slot = payments.slot_now().unwrap();
    assert_eq!(saturated(), (false, 0.0));
    let mut waiters = [task::spawn(payments.slot()), task::spawn(payments.slot())];
    assert_pending!(waiters[0].poll());
    assert_eq!(saturated(), (false, 0.5));
    assert_pending!(waiters[1].poll());
    assert_eq!(saturated(), (true, 1.0));
    assert_ready_err!(task::spawn(payments.slot()).poll());
    payments.close();
    assert_eq!(saturated(), (false, 0.0));
    drop(slot);

    let without_room = bulkhead(1, 0);
    assert!(!checked_status(&without_room).is_saturated());
    let _slot = without_room.slot_now().unwrap();
    let status = checked_status(&without_room);
    assert_eq!((status.is_saturated(), status.queue_utilization()), (true, 0.0));
}

#[test]
fn a_closed_bulkhead_is_not_saturated_however_full() {
    let payments = bulkhead(1, 0);
    let slot = payments.slot_now().unwrap();
    assert!(checked_status(&payments).is_saturated());
    payments.close();
    // A newcomer is rejected for another reason.
    assert!(!checked_status(&payments).is_saturated());
    drop(slot);
    assert!(!checked_status(&payments).is_saturated());
}

#[test]
fn a_bulkhead_over_its_capacity_is_saturated() {
    let payments = bulkhead(2, 0);
    let _slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    payments.resize(1).unwrap();
    assert!(checked_status(&payments).is_saturated());
}

#[tokio::test(start_paused = true)]
async fn wait_times_are_exact_and_cover_admitted_waiters_only() {
    let payments = bulkhead(1, 9);
    let slot = payments.slot_now().unwrap();
    let mut first = task::spawn(payments.slot());
    assert_pending!(first.poll());
    advance(ms(10)).await;
    let mut second = task::spawn(payments.slot());
    let mut expiring = task::spawn(payments.slot_within(ms(200)));
    let mut cancelled = task::spawn(payments.slot());
    assert_pending!(second.poll());
    assert_pending!(expiring.poll());
    assert_pending!(cancelled.poll());
    advance(ms(20)).await;
    drop(slot);
    // `first` is admitted at this instant, however late it is polled.
    let wait = |status: BulkheadStatus| (status.totals.wait_time, status.peaks.wait);
    assert_eq!(wait(checked_status(&payments)), (ms(30), ms(30)));
    advance(ms(50)).await;
    let slot = assert_ready_ok!(first.poll());
    assert_eq!(wait(checked_status(&payments)), (ms(30), ms(30)));
    drop(slot);
    assert_eq!(wait(checked_status(&payments)), (ms(100), ms(70)));
    advance(ms(130)).await;
    assert_ready_err!(expiring.poll());
    drop(cancelled);
    let status = checked_status(&payments);
    assert_eq!((status.totals.wait_time, status.peaks.wait), (ms(100), ms(70)));
    assert_eq!(status.totals.average_wait(), Some(ms(50)));
    assert_eq!((status.totals.expired, status.totals.cancelled), (1, 1));
    let mut short = task::spawn(payments.slot());
    assert_pending!(short.poll());
    advance(ms(5)).await;
    drop(assert_ready_ok!(second.poll()));
    let status = checked_status(&payments);
    assert_eq!((status.totals.wait_time, status.peaks.wait), (ms(105), ms(70)));
    drop(assert_ready_ok!(short.poll()));
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_waiter_was_admitted_and_its_wait_counts() {
    let payments = bulkhead(1, 9);
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    advance(ms(40)).await;
    drop(slot);
    advance(ms(40)).await;
    drop(waiter);
    let status = checked_status(&payments);
    assert_eq!((status.totals.abandoned, status.totals.wait_time), (1, ms(40)));
}

#[test]
fn peaks_stay_when_use_falls() {
    let payments = bulkhead(3, 4);
    let slots: Vec<_> = (0..3).map(|_| payments.slot_now().unwrap()).collect();
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(payments.slot())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    drop((waiters, slots));
    let _fewer: Vec<_> = (0..3).map(|_| payments.slot_now().unwrap()).collect();
    let mut alone = task::spawn(payments.slot());
    assert_pending!(alone.poll());
    let peaks = checked_status(&payments).peaks;
    assert_eq!((peaks.used, peaks.in_flight), (3, 3));
    assert_eq!((peaks.waiting, peaks.waiting_units), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn derived_totals_are_the_sums_of_their_parts() {
    let payments = bulkhead(1, 3);
    let slot = payments.slot_now().unwrap();
    let mut admitted = task::spawn(payments.slot());
    let mut expired = task::spawn(payments.slot_within(ms(5)));
    let mut closed = task::spawn(payments.slot());
    assert_pending!(admitted.poll());
    assert_pending!(expired.poll());
    assert_pending!(closed.poll());
    assert_ready_err!(task::spawn(payments.slot()).poll());
    assert_ready_err!(task::spawn(payments.slot_within(Duration::ZERO)).poll());
    advance(ms(6)).await;
    assert_ready_err!(expired.poll());
    let mut cancelled = task::spawn(payments.slot());
    assert_pending!(cancelled.poll());
    drop(cancelled);
    drop(slot);
    payments.close();
    assert_ready_err!(closed.poll());
    assert!(payments.slot_now().is_err());
    assert!(payments.slot_now().is_err());
    drop(assert_ready_ok!(admitted.poll()));
    let totals = checked_status(&payments).totals;
    let counted = (totals.saturated, totals.expired_before_queue, totals.expired, totals.cancelled);
    assert_eq!(counted, (1, 1, 1, 1));
    assert_eq!((totals.closed_while_waiting, totals.closed_before_queue), (1, 2));
    assert_eq!((totals.closed(), totals.rejected()), (3, 6));
    assert_eq!((totals.direct_admitted(), totals.direct_admitted_units()), (1, 1));
    assert_eq!((totals.queued, totals.settled_waiting()), (4, 4));
    assert_eq!((totals.average_cost(), totals.average_wait()), (Some(1.0), Some(ms(6))));
    assert!(totals.has_activity());
    assert_eq!((totals.oversized, totals.bypassed, totals.handler_panics), (0, 0, 0));
}

#[test]
fn averages_of_nothing_are_none() {
    let totals = bulkhead(1, 0).status().totals;
    assert_eq!((totals.average_cost(), totals.average_wait()), (None, None));
    let payments = bulkhead(1, 0);
    drop(payments.slot_now().unwrap());
    let totals = payments.status().totals;
    assert_eq!((totals.average_cost(), totals.average_wait()), (Some(1.0), None));
}

#[test]
fn a_rejection_alone_is_activity() {
    let saturated = bulkhead(1, 0);
    let _slot = saturated.slot_now().unwrap();
    let before = saturated.status();
    assert!(saturated.slot_now().is_err());
    let interval = saturated.status().since(&before).unwrap();
    assert!(interval.totals.has_activity() && interval.totals.admitted == 0);
}

#[test]
fn the_sequence_increases_with_every_snapshot_of_any_handle() {
    let payments = bulkhead(1, 0);
    let other = payments.clone();
    let mut last = checked_status(&payments);
    for turn in 0..100 {
        let next = if turn % 2 == 0 { other.status() } else { payments.status() };
        assert!(next.sequence > last.sequence);
        assert_eq!(next.instance, last.instance);
        last = next;
    }
}

#[test]
fn the_instance_is_unique_even_under_one_label() {
    let mut instances: Vec<_> = (0..100).map(|_| bulkhead(1, 0).status().instance).collect();
    instances.sort_unstable();
    instances.dedup();
    assert_eq!(instances.len(), 100);
}

#[test]
fn a_status_is_a_value_that_outlives_the_bulkhead() {
    let payments: Bulkhead = bulkhead(1, 0);
    let slot = payments.slot_now().unwrap();
    let status = checked_status(&payments);
    drop(slot);
    drop(payments);
    assert_eq!((status.in_flight, status.clone()), (1, status));
}

#[tokio::test(start_paused = true)]
async fn the_ratios_behind_the_findings_are_methods_of_the_totals() {
    let payments = bulkhead(1, 1);
    let none = payments.capacity_report();
    let ratios = |totals: &Totals| {
        [
            totals.queueing_share(),
            totals.overload_share(),
            totals.late_share(),
            totals.invalid_cost_share(),
            totals.without_partition_share(),
            totals.missing_key_share(),
            totals.unused_share(),
        ]
    };
    assert_eq!((ratios(&none.totals), none.pressure_share()), ([None; 7], None));
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    for _ in 0..2 {
        payments.slot_now().unwrap_err();
    }
    advance(ms(30)).await;
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
    advance(ms(70)).await;
    let report = payments.capacity_report();
    let zero = Some(0.0);
    assert_eq!(ratios(&report.totals), [Some(0.25), Some(0.5), zero, zero, zero, zero, zero]);
    assert_eq!(report.pressure_share(), Some(0.3));
    assert_eq!((report.elapsed, report.pressure), (ms(100), ms(30)));
}
