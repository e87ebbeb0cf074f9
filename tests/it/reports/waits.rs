//! Waits and patience: how long operations waited that were admitted, and that gave up.

use std::time::Duration;

use bulklink::Histogram;
use tokio::time::advance;
use tokio_test::task;

use crate::support::{
    bulkhead, checked_status, customers, full, ms, rejection_of, slot_of, waiting,
};

/// Asserts that a quantile is within 7 % of the true duration.
#[track_caller]
fn assert_close(histogram: &Histogram, q: f64, exact: Duration) {
    let found = histogram.quantile(q).unwrap();
    let error = found.as_secs_f64() / exact.as_secs_f64() - 1.0;
    assert!(error.abs() <= 0.07, "the {q} quantile is {found:?} instead of {exact:?}");
}

#[tokio::test(start_paused = true)]
async fn patience_is_the_time_after_which_waiters_gave_up() {
    let (payments, _slot) = full(100);
    // They arrive at once. 90 of them give up after a second and 10 after ten.
    let mut waiters: Vec<_> = (0..100).map(|_| waiting(payments.slot())).collect();
    advance(ms(1_000)).await;
    waiters.truncate(10);
    let status = checked_status(&payments);
    assert_eq!((status.patience.count(), status.totals.cancelled), (90, 90));
    advance(ms(9_000)).await;
    waiters.clear();
    let status = checked_status(&payments);
    assert_eq!((status.patience.count(), status.totals.cancelled), (100, 100));
    assert_eq!(status.totals.cancelled_wait_time, ms(90 * 1_000 + 10 * 10_000));
    for (q, exact) in [(0.01, 1_000), (0.5, 1_000), (0.9, 1_000), (0.91, 10_000), (1.0, 10_000)] {
        assert_close(&status.patience, q, ms(exact));
    }
    assert!(status.waits.is_empty(), "none was admitted");
}

#[tokio::test(start_paused = true)]
async fn patience_is_within_seven_percent_from_a_millisecond_to_two_minutes() {
    let mut millis = 1;
    while millis < 120_000 {
        let (payments, _slot) = full(1);
        let waiter = waiting(payments.slot());
        advance(ms(millis)).await;
        drop(waiter);
        assert_close(&checked_status(&payments).patience, 0.5, ms(millis));
        millis += 1 + millis / 3;
    }
}

#[tokio::test(start_paused = true)]
async fn waits_are_of_admitted_operations_and_patience_of_those_that_gave_up() {
    let payments = bulkhead(1, 9);
    let slot = payments.slot_now().unwrap();
    let mut admitted = waiting(payments.slot());
    let abandoned = waiting(payments.slot());
    let cancelled = waiting(payments.slot());
    let mut expired = waiting(payments.slot_within(ms(500)));
    let mut closed = waiting(payments.slot());
    let mut saturated = [1, 2, 3, 4].map(|_| waiting(payments.slot()));
    assert!(task::spawn(payments.slot()).poll().is_ready(), "saturated");
    advance(ms(100)).await;
    drop(slot);
    advance(ms(100)).await;
    drop(slot_of(&mut admitted));
    advance(ms(100)).await;
    drop(cancelled);
    advance(ms(200)).await;
    rejection_of(&mut expired);
    payments.close();
    rejection_of(&mut closed);
    saturated.iter_mut().for_each(|waiter| drop(rejection_of(waiter)));
    drop(abandoned);
    let status = checked_status(&payments);
    // An operation that was abandoned was admitted before.
    assert_eq!((status.waits.count(), status.totals.admitted_from_queue), (2, 2));
    assert_close(&status.waits, 0.5, ms(100));
    assert_close(&status.waits, 1.0, ms(200));
    assert_eq!(status.totals.wait_time, ms(300));
    assert_eq!((status.patience.count(), status.totals.cancelled), (1, 1));
    assert_close(&status.patience, 0.5, ms(300));
    assert_eq!(
        (status.totals.cancelled_wait_time, status.totals.expired_wait_time),
        (ms(300), ms(500))
    );
    assert_eq!((status.totals.expired, status.totals.closed_while_waiting), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn partitions_share_their_times() {
    let customers = customers(1, 2, 9);
    let slots = [1, 2].map(|key| customers.slot_now(&key).unwrap());
    let mut admitted = [&1, &2].map(|key| waiting(customers.slot(key)));
    let cancelled = [&1, &2].map(|key| waiting(customers.slot(key)));
    advance(ms(200)).await;
    drop(cancelled);
    drop(slots);
    admitted.iter_mut().for_each(|waiter| drop(slot_of(waiter)));
    let status = customers.status();
    assert_eq!((status.waits.count(), status.patience.count()), (2, 2));
    assert_eq!((status.totals.admitted_from_queue, status.totals.cancelled), (2, 2));
    assert_eq!(status.totals.cancelled_wait_time, ms(400));
    assert_close(&status.waits, 0.5, ms(200));
    assert_close(&status.patience, 0.5, ms(200));
    for key in [1, 2] {
        let partition = customers.partition_status(&key).unwrap();
        assert!(partition.waits.is_empty() && partition.patience.is_empty());
        let totals = partition.totals;
        assert_eq!((totals.wait_time, totals.cancelled_wait_time), (ms(200), Duration::ZERO));
        customers.discard(&key);
    }
    assert_eq!(customers.status().waits, status.waits, "removed partitions leave their times");
}
