//! The values of a status, and what is derived from them.

use std::time::Duration;

use bulklink::{Bulkhead, BulkheadStatus, Histogram, HoldTimes, PartitionedStatus, Totals};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

use crate::support::{
    assert_nothing_left, bulkhead, checked_status, customers, full, ms, slot_of, waiting,
};

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
async fn equality_leaves_out_the_number_and_the_time_of_a_status() {
    let (payments, _slot) = full(2);
    let _waiter = waiting(payments.slot());
    let before = checked_status(&payments);
    advance(ms(1_500)).await;
    let after = checked_status(&payments);
    assert!(before.sequence < after.sequence);
    assert_eq!(after.taken_at - before.taken_at, ms(1_500));
    assert_eq!((before.age, after.age), (ms(0), ms(1_500)));
    assert_eq!(before, after);

    type Change = fn(&mut BulkheadStatus);
    let changes: [Change; 16] = [
        |status| status.label = "other".into(),
        |status| status.instance += 1,
        |status| status.capacity += 1,
        |status| status.used += 1,
        |status| status.in_flight += 1,
        |status| status.waiting += 1,
        |status| status.waiting_units += 1,
        |status| status.waiting_room += 1,
        |status| status.wait_limit = Some(ms(1)),
        |status| status.is_closed = true,
        |status| status.totals.missing_key += 1,
        |status| status.peaks.used += 1,
        |status| status.under_pressure_since = None,
        |status| status.waits = some_times().0,
        |status| status.patience = some_times().0,
        |status| status.holds = some_times().1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = after.clone();
        change(&mut changed);
        assert_ne!(changed, after, "change {at}");
    }
}

/// A wait and a hold.
fn some_times() -> (Histogram, HoldTimes) {
    let (payments, slot) = full(1);
    let mut waiter = waiting(payments.slot());
    drop(slot);
    drop(slot_of(&mut waiter));
    let status = checked_status(&payments);
    assert!(!status.waits.is_empty() && status.holds.timed() > 0);
    (status.waits, status.holds)
}

#[tokio::test(start_paused = true)]
async fn equality_of_partitioned_statuses_leaves_out_the_time_of_the_present_pressure_too() {
    let customers = customers(1, 1, 2);
    let _slot = customers.slot_now(&1).unwrap();
    let _waiter = waiting(customers.slot(&1));
    let before = customers.status();
    advance(ms(1_500)).await;
    let after = customers.status();
    assert!(before.sequence < after.sequence);
    assert_eq!((before.current_pressure, after.current_pressure), (ms(0), ms(1_500)));
    assert_eq!((after.taken_at - before.taken_at, after.age), (ms(1_500), ms(1_500)));
    assert_eq!(before, after);

    type Change = fn(&mut PartitionedStatus);
    let changes: [Change; 21] = [
        |status| status.label = "other".into(),
        |status| status.instance += 1,
        |status| status.parallelism += 1,
        |status| status.waiting_room += 1,
        |status| status.wait_limit = Some(ms(1)),
        |status| status.max_partitions += 1,
        |status| status.idle_timeout += ms(1),
        |status| status.partitions += 1,
        |status| status.active_partitions += 1,
        |status| status.in_flight += 1,
        |status| status.waiting += 1,
        |status| status.is_closed = true,
        |status| status.created += 1,
        |status| status.evicted += 1,
        |status| status.discarded += 1,
        |status| status.peak_partitions += 1,
        |status| status.totals.missing_key += 1,
        |status| status.partitions_under_pressure += 1,
        |status| status.waits = some_times().0,
        |status| status.patience = some_times().0,
        |status| status.holds = some_times().1,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = after.clone();
        change(&mut changed);
        assert_ne!(changed, after, "change {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_partition_is_in_whole_seconds() {
    let customers = customers(1, 0, 1);
    advance(ms(500)).await;
    let _slot = customers.slot_now(&1).unwrap();
    for _ in 0..5 {
        advance(ms(700)).await;
        let age = customers.partition_status(&1).unwrap().age;
        assert_eq!(age.subsec_nanos(), 0);
        let exact = customers.status().age - ms(500);
        // Both its creation and now are in whole seconds.
        assert!(age.abs_diff(exact) < ms(1_000), "{age:?} for {exact:?}");
    }
}
