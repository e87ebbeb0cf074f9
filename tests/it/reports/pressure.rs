//! Pressure: for how long operations were waiting.

use std::time::Duration;

use bulklink::BulkheadStatus;
use tokio::time::{Instant, advance};

use crate::support::{
    assert_identities, bulkhead, customers, full, rejection_of, slot_of, waiting, weighted,
};

const SECOND: Duration = Duration::from_secs(1);

/// The time under pressure: of the periods that have ended, of all up to now, and since when the present one goes on.
#[track_caller]
fn pressure(status: &BulkheadStatus) -> (Duration, Duration, Option<Duration>) {
    assert_identities(status);
    let since = status.under_pressure_since.map(|since| Instant::now() - since);
    (status.totals.pressure_time, status.pressure(Instant::now()), since)
}

const NONE: (Duration, Duration, Option<Duration>) = (Duration::ZERO, Duration::ZERO, None);

/// Of periods that have ended.
fn ended(time: Duration) -> (Duration, Duration, Option<Duration>) {
    (time, time, None)
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_without_waiters_is_under_no_pressure() {
    let (payments, slot) = full(2);
    advance(SECOND).await;
    assert!(payments.slot_now().is_err());
    assert_eq!(pressure(&payments.status()), NONE);
    drop(slot);
    assert_eq!(pressure(&payments.status()), NONE);
}

#[tokio::test(start_paused = true)]
async fn a_period_lasts_from_the_first_waiter_to_the_last() {
    let (payments, slot) = full(2);
    advance(SECOND).await;
    let mut first = waiting(payments.slot());
    assert_eq!(
        pressure(&payments.status()),
        (Duration::ZERO, Duration::ZERO, Some(Duration::ZERO))
    );
    advance(SECOND * 2).await;
    let mut second = waiting(payments.slot());
    advance(SECOND * 3).await;
    drop(slot);
    let slot = slot_of(&mut first);
    // One of the two still waits: the period goes on.
    assert_eq!(pressure(&payments.status()), (Duration::ZERO, SECOND * 5, Some(SECOND * 5)));
    advance(SECOND).await;
    drop(slot);
    assert_eq!(pressure(&payments.status()), ended(SECOND * 6));
    advance(SECOND * 9).await;
    assert_eq!(pressure(&payments.status()), ended(SECOND * 6));
    drop(slot_of(&mut second));
    assert_eq!(pressure(&payments.status()), ended(SECOND * 6));
}

#[tokio::test(start_paused = true)]
async fn periods_add_up_and_the_present_one_is_added_to_them() {
    let (payments, mut slot) = full(2);
    for period in 1..=2 {
        let mut waiter = waiting(payments.slot());
        advance(SECOND * period).await;
        drop(slot);
        slot = slot_of(&mut waiter);
        advance(SECOND * 10).await;
    }
    assert_eq!(pressure(&payments.status()), ended(SECOND * 3));
    let _waiter = waiting(payments.slot());
    advance(SECOND * 4).await;
    let status = payments.status();
    assert_eq!(pressure(&status), (SECOND * 3, SECOND * 7, Some(SECOND * 4)));
    // Of the same status, later: it holds no running time.
    advance(SECOND).await;
    assert_eq!(pressure(&status), (SECOND * 3, SECOND * 8, Some(SECOND * 5)));
    // Before the period began.
    let before = status.under_pressure_since.unwrap() - SECOND;
    assert_eq!(status.pressure(before), SECOND * 3);
}

#[tokio::test(start_paused = true)]
async fn a_period_ends_with_its_last_waiter_whatever_ends_the_wait() {
    // Expiry.
    let (payments, slot) = full(1);
    let mut waiter = waiting(payments.slot_within(SECOND));
    advance(SECOND).await;
    rejection_of(&mut waiter);
    assert_eq!(pressure(&payments.status()), ended(SECOND));
    // Cancellation.
    let waiter = waiting(payments.slot());
    advance(SECOND).await;
    drop(waiter);
    assert_eq!(pressure(&payments.status()), ended(SECOND * 2));
    // A resize.
    let mut waiter = waiting(payments.slot());
    advance(SECOND).await;
    payments.resize(2).unwrap();
    let slots = (slot, slot_of(&mut waiter));
    assert_eq!(pressure(&payments.status()), ended(SECOND * 3));
    // The close.
    let mut waiter = waiting(payments.slot());
    advance(SECOND).await;
    payments.close();
    assert_eq!(pressure(&payments.status()), ended(SECOND * 4));
    rejection_of(&mut waiter);
    drop(slots);
    advance(SECOND).await;
    assert_eq!(pressure(&payments.status()), ended(SECOND * 4));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_fit_is_pressure_although_units_are_free() {
    let reports = weighted(10, 3);
    let running = reports.slot_now(6).unwrap();
    let large = waiting(reports.slot(8));
    let mut small = waiting(reports.slot(5));
    advance(SECOND).await;
    assert_eq!(reports.status().free(), 4);
    assert_eq!(pressure(&reports.status()), (Duration::ZERO, SECOND, Some(SECOND)));
    // A waiter that leaves does not end it while another waits.
    drop(large);
    advance(SECOND).await;
    assert_eq!(pressure(&reports.status()), (Duration::ZERO, SECOND * 2, Some(SECOND * 2)));
    drop(running);
    assert_eq!(pressure(&reports.status()), ended(SECOND * 2));
    drop(slot_of(&mut small));
}

#[tokio::test(start_paused = true)]
async fn the_pressure_of_partitions_is_added_up() {
    let customers = customers(1, 1, 9);
    let pressure = || {
        let status = customers.status();
        let current = (status.partitions_under_pressure, status.current_pressure);
        (status.totals.pressure_time, current, status.pressure())
    };
    let slots = [1, 2].map(|key| customers.slot_now(&key).unwrap());
    let mut first = waiting(customers.slot(&1));
    advance(SECOND).await;
    let second = waiting(customers.slot(&2));
    advance(SECOND).await;
    assert_eq!(pressure(), (Duration::ZERO, (2, SECOND * 3), SECOND * 3));
    drop(slots);
    assert_eq!(pressure(), (SECOND * 3, (0, Duration::ZERO), SECOND * 3));
    drop((slot_of(&mut first), second));
    for key in [1, 2] {
        assert!(customers.discard(&key));
        assert_eq!(pressure(), (SECOND * 3, (0, Duration::ZERO), SECOND * 3));
    }
}

#[tokio::test(start_paused = true)]
async fn an_interval_has_the_pressure_in_between() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    advance(SECOND).await;
    let start = payments.status();
    advance(SECOND * 2).await;
    let middle = payments.status();
    assert_eq!(middle.since(&start).unwrap().pressure(), SECOND * 2);
    drop(slot);
    drop(slot_of(&mut waiter));
    advance(SECOND * 4).await;
    let end = payments.status();
    assert_eq!(end.since(&middle).unwrap().pressure(), Duration::ZERO);
    assert_eq!(end.since(&start).unwrap().pressure(), SECOND * 2);
}
