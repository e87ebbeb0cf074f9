//! The `Debug` output of the public types.

use std::{fmt::Debug, time::Duration};

use bulklink::{Bulkhead, Deadline};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::bulkhead;

#[track_caller]
fn assert_shows(value: &dyn Debug, words: &[&str]) {
    let text = format!("{value:?}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[test]
fn a_handle_shows_the_settings_and_use_of_its_bulkhead() {
    let payments = Bulkhead::builder("payments").parallelism(11).waiting_room(22);
    assert_shows(&payments, &["BulkheadBuilder", "payments", "11", "22"]);
    let payments = payments.wait_limit(Duration::from_secs(33)).build().unwrap();
    let _slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    assert_shows(
        &payments,
        &[
            "Bulkhead {",
            "label: \"payments\"",
            "capacity: 11",
            "used: 2",
            "waiting: 0",
            "waiting_room: 22",
            "wait_limit: Some(33s)",
            "is_closed: false",
        ],
    );
}

#[test]
fn a_slot_and_a_wait_show_their_state() {
    let payments = bulkhead(1, 2);
    let mut wait = task::spawn(payments.slot());
    assert_shows(&wait, &["Admission", "not arrived"]);
    let slot = assert_ready_ok!(wait.poll());
    assert_shows(&slot, &["Slot", "payments", "cost: 1"]);
    assert_shows(&wait, &["done"]);
    let mut queued = task::spawn(payments.slot());
    assert_pending!(queued.poll());
    assert_shows(&queued, &["queued"]);
    drop(slot);
    drop(assert_ready_ok!(queued.poll()));
    assert_shows(&queued, &["done"]);
}

#[test]
fn an_execute_and_a_guarded_call_show_their_state() {
    let payments = bulkhead(1, 2);
    let guarded = payments.guard(|answer: tokio::sync::oneshot::Receiver<()>| answer);
    let (answer, answered) = tokio::sync::oneshot::channel();
    let mut execute = task::spawn(payments.execute(answered));
    let (call_answer, call_answered) = tokio::sync::oneshot::channel();
    let mut call = task::spawn(guarded(call_answered));
    assert_shows(&execute, &["Execute", "not arrived"]);
    assert_shows(&call, &["Guarded", "not arrived"]);
    assert_pending!(execute.poll());
    assert_pending!(call.poll());
    assert_shows(&execute, &["running"]);
    assert_shows(&call, &["queued"]);
    answer.send(()).unwrap();
    assert_ready_ok!(execute.poll()).unwrap();
    assert_shows(&execute, &["done"]);
    assert_pending!(call.poll());
    assert_shows(&call, &["running"]);
    call_answer.send(()).unwrap();
    assert_ready_ok!(call.poll()).unwrap();
    assert_shows(&call, &["done"]);
}

#[test]
fn values_and_errors_show_their_numbers() {
    let payments = bulkhead(1, 7);
    let _slot = payments.slot_now().unwrap();
    let before = payments.status();
    assert_shows(
        &before,
        &["BulkheadStatus", "payments", "in_flight: 1", "waiting_room: 7", "totals"],
    );
    assert_shows(&before.totals, &["Totals", "admitted: 1", "wait_time: 0ns"]);
    assert_shows(&before.peaks, &["Peaks", "used: 1"]);
    assert_shows(&payments.status().since(&before).unwrap(), &["BulkheadInterval", "start", "end"]);
    assert_shows(
        &before.since(&payments.status()).unwrap_err(),
        &["ReverseOrder", "earlier_sequence"],
    );
    let rejection = payments.slot_now().unwrap_err();
    assert_shows(&rejection, &["Rejection", "payments", "Saturated", "waiting_room: 7"]);
    assert_shows(&payments.resize(0).unwrap_err(), &["Zero", "parallelism"]);
    let error = Bulkhead::builder("payments").build().unwrap_err();
    assert_shows(&error, &["Missing", "payments", "parallelism"]);
    assert_shows(&Deadline::after(Duration::from_secs(1)), &["Deadline"]);
}
