//! The admission table: each row, and the order of the rows.

use std::time::Duration;

use bulklink::{Admission, Bulkhead, BulkheadStatus, Deadline, Rejection, RejectionReason, Slot};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

use crate::support::{assert_nothing_left, bulkhead, checked_status, practised};

const LONG: Duration = Duration::from_secs(60);

/// The methods that wait for a slot. Only `slot_now` does not.
const WAITING_METHODS: [fn(&Bulkhead) -> Admission; 3] = [
    |bulkhead| bulkhead.slot(),
    |bulkhead| bulkhead.slot_within(LONG),
    |bulkhead| bulkhead.slot_before(Deadline::after(LONG)),
];

/// Calls every method and polls it once, which settles all of them.
fn call_every_method(bulkhead: &Bulkhead) -> Vec<Result<Slot, Rejection>> {
    let mut outcomes: Vec<_> = WAITING_METHODS
        .iter()
        .map(|method| assert_ready!(task::spawn(method(bulkhead)).poll()))
        .collect();
    outcomes.push(bulkhead.slot_now());
    outcomes
}

/// The only total that rose between two statuses, and by how much.
fn only_rise(before: &BulkheadStatus, after: &BulkheadStatus) -> (&'static str, u64) {
    let totals = after.since(before).unwrap().totals;
    let counters = [
        ("closed_before_queue", totals.closed_before_queue),
        ("oversized", totals.oversized),
        ("expired_before_queue", totals.expired_before_queue),
        ("admitted", totals.admitted),
        ("saturated", totals.saturated),
        ("queued", totals.queued),
        ("expired", totals.expired),
        ("cancelled", totals.cancelled),
        ("closed_while_waiting", totals.closed_while_waiting),
        ("abandoned", totals.abandoned),
        ("bypassed", totals.bypassed),
        ("finished", totals.finished),
    ];
    let mut rises = counters.into_iter().filter(|&(_, by)| by > 0);
    let only = rises.next().unwrap_or(("nothing", 0));
    assert_eq!(rises.next(), None, "not only {only:?}: {totals:?}");
    only
}

#[tokio::test]
async fn a_closed_bulkhead_rejects_every_method_and_counts_the_rejections() {
    for payments in [bulkhead(1, 1), practised(1, 1)] {
        payments.close();
        let before = checked_status(&payments);
        for outcome in call_every_method(&payments) {
            let rejection = outcome.unwrap_err();
            assert_eq!(rejection.reason(), &RejectionReason::Closed);
            assert_eq!(rejection.retry_after(), None);
        }
        let after = checked_status(&payments);
        assert_eq!(only_rise(&before, &after), ("closed_before_queue", 4));
        assert_eq!((after.totals.closed(), after.totals.rejected()), (4, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn closed_takes_precedence_over_an_expired_deadline() {
    for payments in [bulkhead(1, 1), practised(1, 1)] {
        payments.close();
        let rejection = payments.slot_before(Instant::now()).await.unwrap_err();
        assert_eq!(rejection.reason(), &RejectionReason::Closed);
        let rejection = payments.slot_within(Duration::ZERO).await.unwrap_err();
        assert_eq!(rejection.reason(), &RejectionReason::Closed);
        assert_eq!(checked_status(&payments).totals.closed_before_queue, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_deadline_is_rejected_even_if_a_slot_is_free() {
    for payments in [bulkhead(1, 1), practised(1, 1)] {
        let before = checked_status(&payments);
        let rejection = payments.slot_before(Deadline::at(Instant::now())).await.unwrap_err();
        assert_eq!(rejection.reason().to_string(), "deadline passed after waiting 0ns");
        assert!(matches!(
            rejection.reason(),
            RejectionReason::Deadline { waited: Duration::ZERO, .. }
        ));
        assert_eq!(rejection.retry_after(), None);
        let rejection = payments.slot_within(Duration::ZERO).await.unwrap_err();
        assert!(matches!(
            rejection.reason(),
            RejectionReason::WaitLimit { waited: Duration::ZERO, .. }
        ));
        assert!(rejection.retry_after().is_some());
        let after = checked_status(&payments);
        assert_eq!(only_rise(&before, &after), ("expired_before_queue", 2));
        assert_eq!(after.totals.rejected(), 2);
        assert_nothing_left(&payments);
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_deadline_takes_precedence_over_saturation() {
    let payments = bulkhead(1, 0);
    let _slot = payments.slot_now().unwrap();
    let rejection = payments.slot_before(Instant::now()).await.unwrap_err();
    assert!(matches!(rejection.reason(), RejectionReason::Deadline { .. }));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.expired_before_queue, totals.saturated), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_checked_when_the_operation_arrives() {
    for payments in [bulkhead(1, 1), practised(1, 1)] {
        let late = payments.slot_before(Deadline::after(Duration::from_millis(10)));
        tokio::time::advance(Duration::from_millis(10)).await;
        assert!(matches!(late.await.unwrap_err().reason(), RejectionReason::Deadline { .. }));
        assert_eq!(checked_status(&payments).totals.expired_before_queue, 1);
    }
}

#[tokio::test]
async fn every_method_takes_a_free_slot_at_once() {
    for payments in [bulkhead(4, 0), practised(4, 0)] {
        let before = checked_status(&payments);
        let slots: Vec<_> = call_every_method(&payments).into_iter().map(Result::unwrap).collect();
        let after = checked_status(&payments);
        assert_eq!(only_rise(&before, &after), ("admitted", 4));
        assert_eq!((after.in_flight, after.peaks.used, after.totals.queued), (4, 4, 0));
        drop(slots);
        assert_eq!(only_rise(&after, &checked_status(&payments)), ("finished", 4));
        assert_nothing_left(&payments);
    }
}

#[tokio::test]
async fn without_room_every_method_is_rejected_as_saturated_with_the_numbers() {
    for payments in [bulkhead(1, 1), practised(1, 1)] {
        let _slot = payments.slot_now().unwrap();
        let mut waiter = task::spawn(payments.slot());
        assert_pending!(waiter.poll());
        let before = checked_status(&payments);
        for outcome in call_every_method(&payments) {
            let rejection = outcome.unwrap_err();
            assert!(matches!(
                rejection.reason(),
                RejectionReason::Saturated {
                    cost: 1,
                    used: 1,
                    capacity: 1,
                    waiting: 1,
                    waiting_room: 1,
                    ..
                }
            ));
            assert_eq!(
                rejection.to_string(),
                "bulkhead \"payments\" rejected the operation: saturated: cost 1 with 1 of 1 units in \
             use and 1 of 1 waiting"
            );
            assert_eq!(rejection.label(), "payments");
            assert!(rejection.retry_after().is_some());
        }
        assert_eq!(only_rise(&before, &checked_status(&payments)), ("saturated", 4));
    }
}

#[test]
fn slot_now_is_rejected_as_saturated_even_if_there_is_room_to_wait() {
    for payments in [bulkhead(1, 5), practised(1, 5)] {
        let _slot = payments.slot_now().unwrap();
        let before = checked_status(&payments);
        let rejection = payments.slot_now().unwrap_err();
        assert!(matches!(
            rejection.reason(),
            RejectionReason::Saturated { waiting: 0, waiting_room: 5, .. }
        ));
        assert_eq!(only_rise(&before, &checked_status(&payments)), ("saturated", 1));
    }
}

#[tokio::test]
async fn every_waiting_method_waits_if_there_is_room() {
    for method in WAITING_METHODS {
        let payments = bulkhead(1, 1);
        let slot = payments.slot_now().unwrap();
        let before = checked_status(&payments);
        let mut waiter = task::spawn(method(&payments));
        assert_pending!(waiter.poll());
        let after = checked_status(&payments);
        assert_eq!(only_rise(&before, &after), ("queued", 1));
        assert_eq!((after.waiting, after.peaks.waiting), (1, 1));
        drop(slot);
        assert!(waiter.is_woken());
        drop(assert_ready_ok!(waiter.poll()));
        assert_eq!(checked_status(&payments).totals.admitted_from_queue, 1);
        assert_nothing_left(&payments);
    }
}

#[test]
fn a_released_slot_goes_to_the_head_of_the_line_before_any_newcomer() {
    let payments = bulkhead(1, 5);
    let slot = payments.slot_now().unwrap();
    let mut first = task::spawn(payments.slot());
    let mut second = task::spawn(payments.slot());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(slot);
    assert!(first.is_woken() && !second.is_woken());
    assert!(payments.slot_now().is_err());
    let mut third = task::spawn(payments.slot());
    assert_pending!(third.poll());
    let slot = assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    drop(slot);
    assert!(second.is_woken() && !third.is_woken());
    drop(assert_ready_ok!(second.poll()));
    drop(assert_ready_ok!(third.poll()));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.queued, totals.admitted_from_queue, totals.finished), (3, 3, 4));
}

#[test]
fn a_place_in_the_waiting_room_is_free_again_once_its_waiter_has_left() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut first = task::spawn(payments.slot());
    assert_pending!(first.poll());
    assert_ready_err!(task::spawn(payments.slot()).poll());
    drop(first);
    let mut second = task::spawn(payments.slot());
    assert_pending!(second.poll());
    drop(slot);
    // `second` is admitted, although not polled since. Its place in the waiting room is free already.
    let mut third = task::spawn(payments.slot());
    assert_pending!(third.poll());
    drop(assert_ready_ok!(second.poll()));
    drop(assert_ready_ok!(third.poll()));
    assert_nothing_left(&payments);
}

#[test]
fn an_operation_arrives_at_its_first_poll_and_not_before() {
    let payments = bulkhead(1, 2);
    let mut early = task::spawn(payments.slot());
    drop(payments.slot());
    drop(payments.execute(async {}));
    assert_eq!(checked_status(&payments).totals, bulkhead(1, 2).status().totals);
    let slot = payments.slot_now().unwrap();
    let mut late = task::spawn(payments.slot());
    assert_pending!(late.poll());
    assert_pending!(early.poll());
    drop(slot);
    assert!(late.is_woken() && !early.is_woken(), "waiters are ordered by their first poll");
}
