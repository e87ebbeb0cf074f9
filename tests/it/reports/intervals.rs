//! Intervals: what was counted between two statuses.

use std::{error::Error, time::Duration};

use bulklink::{
    Bulkhead, BulkheadStatus, Histogram, HoldTimes, IntervalError, PartitionedBulkhead,
    PartitionedStatus, Slot, Totals,
};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_ok, task};

use super::counters;
use crate::support::{bulkhead, checked_status, customers, full, slot_of, waiting, weighted};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_interval_holds_the_counts_in_between_and_both_statuses() {
    let payments = bulkhead(1, 2);
    drop(payments.slot_now().unwrap());
    let slot = payments.slot_now().unwrap();
    let before = checked_status(&payments);
    assert!(payments.slot_now().is_err());
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
    let after = checked_status(&payments);
    let interval = after.since(&before).unwrap();
    assert_eq!((&interval.start, &interval.end), (&before, &after));
    let totals = interval.totals;
    assert_eq!((totals.admitted, totals.finished, totals.saturated), (1, 2, 1));
    assert_eq!((totals.queued, totals.admitted_from_queue), (1, 1));
    assert_eq!((totals.direct_admitted(), totals.rejected()), (0, 1));
    assert_eq!((after.totals.admitted, after.totals.finished), (3, 3), "nothing was reset");
}

#[test]
fn consecutive_intervals_add_up() {
    let payments = bulkhead(1, 0);
    let start = checked_status(&payments);
    drop(payments.slot_now().unwrap());
    let middle = checked_status(&payments);
    drop(payments.slot_now().unwrap());
    drop(payments.slot_now().unwrap());
    let end = checked_status(&payments);
    let admitted =
        |after: &bulklink::BulkheadStatus, before| after.since(before).unwrap().totals.admitted;
    assert_eq!((admitted(&middle, &start), admitted(&end, &middle)), (1, 2));
    assert_eq!(admitted(&end, &start), 3);
}

#[test]
fn an_interval_from_a_status_to_itself_is_empty() {
    let payments = bulkhead(1, 0);
    drop(payments.slot_now().unwrap());
    let status = checked_status(&payments);
    let interval = status.since(&status).unwrap();
    assert!(!interval.totals.has_activity());
    let idle = checked_status(&payments).since(&status).unwrap();
    assert!(!idle.totals.has_activity(), "taking a status counts nothing");
}

#[test]
fn statuses_in_reverse_order_have_no_interval() {
    let payments = bulkhead(1, 0);
    let (before, after) = (checked_status(&payments), checked_status(&payments));
    let error = before.since(&after).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "statuses of \"payments\" are in reverse order: sequence {} is before {}",
            before.sequence, after.sequence
        )
    );
    let IntervalError::ReverseOrder { label, sequence, earlier_sequence, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(
        (&*label, sequence, earlier_sequence),
        ("payments", before.sequence, after.sequence)
    );
}

#[test]
fn statuses_of_different_bulkheads_have_no_interval_even_under_one_label() {
    let first = checked_status(&bulkhead(1, 0));
    let second = checked_status(&bulkhead(1, 0));
    let third = Bulkhead::builder("reports").parallelism(1).build().unwrap().status();
    let error = second.since(&first).unwrap_err();
    assert!(matches!(&error, IntervalError::DifferentInstances { instance, earlier_instance, .. }
        if (*instance, *earlier_instance) == (second.instance, first.instance)));
    assert!(error.source().is_none());
    let error = third.since(&first).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "statuses are of different bulkheads: \"reports\" (instance {}) and \"payments\" \
             (instance {})",
            third.instance, first.instance
        )
    );
}

/// An operation from the line holds the only slot of the bulkhead. Such an operation is always timed.
fn held_from_the_line(room: usize) -> (Bulkhead, Slot) {
    let (payments, first) = full(room);
    let mut waiter = waiting(payments.slot());
    drop(first);
    (payments, slot_of(&mut waiter))
}

#[track_caller]
fn assert_close(found: Option<f64>, exact: f64) {
    let found = found.unwrap();
    assert!((found - exact).abs() < 1e-4, "{found} instead of {exact}");
}

#[tokio::test(start_paused = true)]
async fn rates_use_demand_and_drain_rate_of_an_interval() {
    let (payments, slot) = held_from_the_line(2);
    let start = payments.status();
    let mut first = waiting(payments.slot());
    let cancelled = waiting(payments.slot());
    assert!(payments.slot_now().is_err());
    advance(SECOND * 2).await;
    drop(slot);
    let slot = slot_of(&mut first);
    advance(SECOND).await;
    drop(cancelled);
    let mut last = waiting(payments.slot());
    advance(SECOND).await;
    drop(slot);
    let slot = slot_of(&mut last);
    advance(SECOND * 6).await;
    drop(slot);
    let interval = payments.status().since(&start).unwrap();
    assert_eq!(interval.elapsed, SECOND * 10);
    assert_close(interval.arrivals_per_second(), 0.4);
    assert_close(interval.admissions_per_second(), 0.2);
    assert_close(interval.completions_per_second(), 0.3);
    assert_close(interval.rejections_per_second(), 0.1);
    // Holds of 2, 2 and 6 seconds.
    assert_close(interval.mean_hold().map(|hold| hold.as_secs_f64()), 10.0 / 3.0);
    assert_close(interval.utilization(), 1.0);
    // Two admitted, one saturated and one cancelled.
    assert_close(interval.demand(), 0.4 * 10.0 / 3.0);
    // Three seconds, and one.
    assert_eq!(interval.pressure(), SECOND * 4);
    assert_close(interval.drain_rate(), 2.0 / 4.0);
    assert_eq!(
        (interval.waits.count(), interval.patience.count(), interval.holds.timed()),
        (2, 1, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn cost_and_hold_go_together_in_the_demand() {
    let reports = weighted(4, 2);
    let all = reports.slot_now(4).unwrap();
    let mut small = waiting(reports.slot(1));
    let mut large = waiting(reports.slot(3));
    drop(all);
    let start = reports.status();
    let (small, large) = (slot_of(&mut small), slot_of(&mut large));
    let mut oversized = task::spawn(reports.slot(5));
    assert!(oversized.poll().is_ready());
    assert!(reports.slot_now(1).is_err());
    advance(SECOND).await;
    drop(small);
    advance(SECOND * 3).await;
    drop(large);
    advance(SECOND * 6).await;
    let interval = reports.status().since(&start).unwrap();
    // 1 unit for 1 second and 3 units for 4 seconds.
    assert_close(interval.holds.mean_unit_seconds(), 13.0 / 2.0);
    assert_close(interval.mean_hold().map(|hold| hold.as_secs_f64()), 2.5);
    assert_close(interval.utilization(), 13.0 / 10.0 / 4.0);
    // One was saturated. Both others were admitted before the interval, and one can never be admitted.
    assert_close(interval.demand(), 0.1 * 13.0 / 2.0);
    assert_close(interval.arrivals_per_second(), 0.2);
    assert_close(interval.rejections_per_second(), 0.2);
    assert_eq!((interval.pressure(), interval.drain_rate()), (Duration::ZERO, None));
}

#[tokio::test(start_paused = true)]
async fn an_interval_without_length_has_no_rates() {
    let (payments, slot) = held_from_the_line(2);
    let start = payments.status();
    assert!(payments.slot_now().is_err());
    drop(slot);
    let interval = payments.status().since(&start).unwrap();
    assert_eq!((interval.elapsed, interval.totals.finished), (Duration::ZERO, 1));
    assert_eq!((interval.arrivals_per_second(), interval.admissions_per_second()), (None, None));
    assert_eq!((interval.completions_per_second(), interval.rejections_per_second()), (None, None));
    assert_eq!(
        (interval.utilization(), interval.demand(), interval.drain_rate()),
        (None, None, None)
    );
    assert_eq!(interval.pressure(), Duration::ZERO);

    let customers = customers(1, 0, 1);
    let start = customers.status();
    drop(customers.slot_now(&1).unwrap());
    let interval = customers.status().since(&start).unwrap();
    assert_eq!((interval.elapsed, interval.totals.finished), (Duration::ZERO, 1));
    assert_eq!((interval.arrivals_per_second(), interval.admissions_per_second()), (None, None));
    assert_eq!((interval.completions_per_second(), interval.rejections_per_second()), (None, None));
    assert!(interval.has_activity());
}

#[tokio::test(start_paused = true)]
async fn an_interval_in_which_nothing_was_timed_has_rates_but_no_demand() {
    let payments = bulkhead(1, 0);
    let start = payments.status();
    advance(SECOND).await;
    let idle = payments.status().since(&start).unwrap();
    assert_eq!((idle.arrivals_per_second(), idle.utilization()), (Some(0.0), Some(0.0)));
    assert_eq!((idle.mean_hold(), idle.demand(), idle.drain_rate()), (None, None, None));
}

#[tokio::test(start_paused = true)]
async fn rates_of_a_partitioned_interval() {
    let customers = customers(1, 0, 1);
    let start = customers.status();
    let slot = customers.slot_now(&1).unwrap();
    assert!(customers.slot_now(&1).is_err() && customers.slot_now(&2).is_err());
    advance(SECOND * 10).await;
    drop(slot);
    let interval = customers.status().since(&start).unwrap();
    assert_close(interval.arrivals_per_second(), 0.3);
    assert_close(interval.admissions_per_second(), 0.1);
    assert_close(interval.completions_per_second(), 0.1);
    assert_close(interval.rejections_per_second(), 0.2);
    assert_eq!((interval.created, interval.evicted, interval.discarded), (1, 0, 0));
}

/// Calls `$macro` with the name of every counter that is a number, and with those that are times.
macro_rules! with_counters {
    ($macro:ident) => {
        $macro!(
            admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned
            abandoned_units abandoned_by_deadline queued queued_units saturated total_saturated expired
            expired_by_deadline expired_before_queue expired_before_queue_by_deadline cancelled
            closed_before_queue closed_while_waiting paused oversized invalid_cost partition_limited
            invalid_limits key_refused missing_key bypassed nested finished finished_units cut_short cut_short_units
            bodies_ended_early handler_panics;
            wait_time cancelled_wait_time expired_wait_time pressure_time
        )
    };
}

/// Totals in which one counter each is at its maximum, by its name.
fn one_at_maximum() -> Vec<(&'static str, Totals)> {
    macro_rules! each {
        ($($counter:ident)*; $($time:ident)*) => {
            vec![
                $((stringify!($counter), {
                    let mut totals = Totals::default();
                    totals.$counter = u64::MAX;
                    totals
                }),)*
                $((stringify!($time), {
                    let mut totals = Totals::default();
                    totals.$time = Duration::MAX;
                    totals
                }),)*
            ]
        };
    }
    with_counters!(each)
}

/// Totals in which all counters are at their maximum, or `below` it.
fn all_at_maximum(below: u64) -> Totals {
    let mut totals = Totals::default();
    macro_rules! all {
        ($($counter:ident)*; $($time:ident)*) => {
            $(totals.$counter = u64::MAX - below;)*
            $(totals.$time = Duration::MAX - Duration::from_nanos(below);)*
        };
    }
    with_counters!(all);
    totals
}

#[test]
fn the_tests_of_changed_totals_change_every_counter() {
    let all: Vec<_> = one_at_maximum().into_iter().map(|(name, _)| name).collect();
    let declared: Vec<_> = counters(&Totals::default()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(all, declared);
}

#[test]
fn a_counter_that_was_changed_makes_no_interval() {
    let payments = bulkhead(1, 0);
    let (start, end) = (payments.status(), payments.status());
    for (name, totals) in one_at_maximum() {
        let mut changed = start.clone();
        changed.totals = totals;
        assert_decreased(end.since(&changed).err(), name);
        // Forwards it is an interval.
        let mut later = end.clone();
        later.totals = totals;
        assert!(later.since(&start).unwrap().totals.has_activity(), "{name}");
    }
}

#[track_caller]
fn assert_decreased(error: Option<IntervalError>, what: &str) {
    let Some(error @ IntervalError::CountersDecreased { .. }) = error else {
        panic!("{what}: {error:?}");
    };
    let text = "statuses of \"payments\" do not fit together: a counter has decreased";
    assert_eq!(error.to_string(), text);
    assert!(error.source().is_none());
}

#[tokio::test(start_paused = true)]
async fn histograms_that_were_changed_make_no_interval() {
    let (payments, slot) = held_from_the_line(1);
    drop(waiting(payments.slot()));
    drop(slot);
    let (start, end) = (payments.status(), payments.status());
    assert!(end.since(&start).is_ok());
    assert_eq!((start.waits.count(), start.patience.count()), (1, 1));
    // By chance the operation that did not wait is timed too.
    assert!((1..=2).contains(&start.holds.timed()), "{:?}", start.holds);
    let change = |change: fn(&mut BulkheadStatus)| {
        let mut changed = end.clone();
        change(&mut changed);
        changed.since(&start).err()
    };
    assert_decreased(change(|status| status.totals = Totals::default()), "totals");
    assert_decreased(change(|status| status.waits = Histogram::default()), "waits");
    assert_decreased(change(|status| status.patience = Histogram::default()), "patience");
    assert_decreased(change(|status| status.holds = HoldTimes::default()), "holds");
}

#[test]
fn counters_of_partitions_that_were_changed_make_no_interval() {
    let builder = PartitionedBulkhead::<u64>::builder("payments").parallelism(1);
    let payments = builder.max_partitions(1).build().unwrap();
    let (start, end) = (payments.status(), payments.status());
    let change = |change: fn(&mut PartitionedStatus)| {
        let mut changed = start.clone();
        change(&mut changed);
        end.since(&changed).err()
    };
    assert_decreased(change(|status| status.created = 1), "created");
    assert_decreased(change(|status| status.evicted = 1), "evicted");
    assert_decreased(change(|status| status.discarded = 1), "discarded");
    for (name, totals) in one_at_maximum() {
        let mut changed = start.clone();
        changed.totals = totals;
        assert_decreased(end.since(&changed).err(), name);
    }
    let (bulkhead, slot) = held_from_the_line(1);
    drop(waiting(bulkhead.slot()));
    drop(slot);
    let other = bulkhead.status();
    let mut changed = start.clone();
    changed.waits = other.waits;
    assert_decreased(end.since(&changed).err(), "waits");
    let mut changed = start.clone();
    changed.patience = other.patience;
    assert_decreased(end.since(&changed).err(), "patience");
    let mut changed = start.clone();
    changed.holds = other.holds;
    assert_decreased(end.since(&changed).err(), "holds");
}

/// Calls every method of totals. A sum is never less than its parts, and a difference never more than what it is of.
fn call_all(totals: &Totals) {
    assert!(totals.rejected() >= totals.expired.max(totals.missing_key).max(totals.closed()));
    assert!(totals.closed() >= totals.closed_before_queue.max(totals.closed_while_waiting));
    assert!(totals.decided() >= totals.admitted.max(totals.rejected()).max(totals.cancelled));
    assert!(totals.arrived() >= totals.queued.max(totals.direct_admitted()));
    assert!(totals.settled_waiting() >= totals.admitted_from_queue.max(totals.expired));
    assert!(totals.completed() <= totals.finished && totals.direct_admitted() <= totals.admitted);
    assert!(totals.direct_admitted_units() <= totals.admitted_units);
    let shares = [
        totals.rejected_share(),
        totals.expired_share(),
        totals.cancelled_share(),
        totals.cut_short_share(),
        totals.abandoned_share(),
        totals.average_cost(),
    ];
    assert!(shares.into_iter().flatten().all(|share| share.is_finite() && share >= 0.0));
    let _ = totals.average_wait();
    assert!(totals.has_activity());
}

#[tokio::test(start_paused = true)]
async fn totals_near_the_maximum_do_not_panic() {
    let (payments, slot) = held_from_the_line(2);
    let start = payments.status();
    let waiter = waiting(payments.slot());
    advance(SECOND).await;
    drop((slot, waiter));
    let end = payments.status();
    let mut all: Vec<_> = one_at_maximum().into_iter().map(|(_, totals)| totals).collect();
    all.extend([0, 1, 2].map(all_at_maximum));
    for totals in all {
        call_all(&totals);
        let mut later = end.clone();
        later.totals = totals;
        let _ =
            (later.pressure(later.taken_at + SECOND), later.utilization(), later.is_saturated());
        let interval = later.since(&start).unwrap_or_else(|_| {
            let mut start = start.clone();
            start.totals = Totals::default();
            later.since(&start).unwrap()
        });
        call_all(&interval.totals);
        let rates = [
            interval.arrivals_per_second(),
            interval.admissions_per_second(),
            interval.completions_per_second(),
            interval.rejections_per_second(),
            interval.utilization(),
            interval.demand(),
        ];
        assert!(rates.iter().all(|rate| rate.is_some_and(f64::is_finite)), "{rates:?}");
        assert!(interval.pressure() <= interval.elapsed);
        let _ = (interval.drain_rate(), interval.mean_hold());

        let customers = customers(1, 0, 1);
        let start = customers.status();
        let mut later = customers.status();
        (later.created, later.evicted, later.discarded) = (u64::MAX, u64::MAX, u64::MAX);
        (later.partitions, later.active_partitions) = (usize::MAX, usize::MAX);
        (later.totals, later.current_pressure) = (totals, Duration::MAX);
        assert_eq!(later.pressure(), Duration::MAX);
        assert_eq!((later.idle_partitions(), later.free_partitions()), (0, 0));
        assert!(later.is_out_of_partitions() && later.partition_utilization().is_finite());
        let interval = later.since(&start).unwrap();
        call_all(&interval.totals);
        assert_eq!((interval.arrivals_per_second(), interval.mean_hold()), (None, None));
    }
}

#[test]
fn changed_times_do_not_panic() {
    let payments = bulkhead(1, 0);
    let start = payments.status();
    let mut end = payments.status();
    // The later one seems to be taken before the earlier one.
    end.taken_at = start.taken_at.checked_sub(SECOND).unwrap_or(start.taken_at);
    end.under_pressure_since = Some(start.taken_at + SECOND * 1_000);
    let interval = end.since(&start).unwrap();
    assert_eq!((interval.elapsed, interval.pressure()), (Duration::ZERO, Duration::ZERO));
    assert_eq!((interval.arrivals_per_second(), interval.demand()), (None, None));
    let mut no_capacity = payments.status();
    no_capacity.capacity = 0;
    no_capacity.taken_at += SECOND;
    assert_eq!(no_capacity.since(&start).unwrap().utilization(), None);
}
