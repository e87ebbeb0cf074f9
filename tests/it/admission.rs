//! The rows of the table of admission, each as its own test.

use std::time::Duration;

use bulklink::{Bulkhead, Deadline, RejectionReason};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

fn bulkhead(parallelism: usize, room: usize) -> Bulkhead {
    Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room).build().unwrap()
}

#[test]
fn a_free_slot_is_taken_at_once_and_given_back_on_drop() {
    let payments = bulkhead(2, 0);
    let first = assert_ready_ok!(task::spawn(payments.slot()).poll());
    let second = payments.slot_now().unwrap();
    assert_eq!(payments.status().in_flight, 2);
    drop((first, second));
    let status = payments.status();
    assert_eq!((status.in_flight, status.totals.admitted, status.totals.finished), (0, 2, 2));
    assert_eq!((status.peaks.used, status.peaks.in_flight), (2, 2));
}

#[test]
fn without_a_slot_and_without_room_the_operation_is_saturated_with_the_numbers() {
    let payments = bulkhead(1, 1);
    let _slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    let rejection = assert_ready_err!(task::spawn(payments.slot()).poll());
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
        "bulkhead \"payments\" rejected the operation: saturated: cost 1 with 1 of 1 units in use \
         and 1 of 1 waiting"
    );
    assert_eq!(payments.status().totals.saturated, 1);
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
    let slot = assert_ready_ok!(first.poll());
    assert_pending!(second.poll());
    drop(slot);
    drop(assert_ready_ok!(second.poll()));
    let totals = payments.status().totals;
    assert_eq!((totals.queued, totals.admitted_from_queue, totals.finished), (2, 2, 3));
}

#[tokio::test(start_paused = true)]
async fn an_expired_deadline_is_rejected_even_if_a_slot_is_free() {
    let payments = bulkhead(1, 1);
    let rejection = payments.slot_before(Deadline::at(Instant::now())).await.unwrap_err();
    assert_eq!(rejection.reason().to_string(), "deadline passed after waiting 0ns");
    let rejection = payments.slot_within(Duration::ZERO).await.unwrap_err();
    assert!(matches!(rejection.reason(), RejectionReason::WaitLimit { .. }));
    assert_eq!(payments.status().totals.expired_before_queue, 2);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_leaves_at_its_limit() {
    let payments = bulkhead(1, 1);
    let _slot = payments.slot_now().unwrap();
    let begun = Instant::now();
    let rejection = payments.slot_within(Duration::from_millis(250)).await.unwrap_err();
    assert!(matches!(rejection.reason(), RejectionReason::WaitLimit { .. }));
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    let status = payments.status();
    assert_eq!((status.waiting, status.totals.expired), (0, 1));
}

#[test]
fn an_unpolled_future_has_not_arrived() {
    let payments = bulkhead(1, 1);
    drop(payments.slot());
    let _ = assert_ready!(task::spawn(payments.execute(async {})).poll());
    assert_eq!(payments.status().totals.admitted, 1);
}
