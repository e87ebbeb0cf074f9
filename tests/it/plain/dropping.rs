//! An operation that is dropped, at any stage, gives back exactly what it holds.

use std::{
    future::{Ready, pending, ready},
    sync::mpsc,
    thread,
    time::Duration,
};

use bulklink::{Admission, Bulkhead, Slot};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{
    Wakes, assert_nothing_left, bulkhead, checked_status, must_come, never_polled, poll_with,
};

/// Takes the only slot and queues this many waiters behind it.
fn line(payments: &Bulkhead, waiters: usize) -> (Slot, Vec<task::Spawn<Admission>>) {
    let slot = payments.slot_now().unwrap();
    let mut line: Vec<_> = (0..waiters).map(|_| task::spawn(payments.slot())).collect();
    for waiter in &mut line {
        assert_pending!(waiter.poll());
    }
    (slot, line)
}

#[test]
fn an_operation_dropped_before_its_first_poll_is_not_counted() {
    let payments = bulkhead(1, 1);
    let before = checked_status(&payments);
    drop(payments.slot());
    drop(payments.slot_within(Duration::from_secs(1)));
    drop(payments.slot_before(std::time::Instant::now()));
    drop(payments.execute(pending::<()>()));
    drop(payments.guard(|()| pending::<()>())(()));
    assert!(!checked_status(&payments).since(&before).unwrap().totals.has_activity());
    assert_nothing_left(&payments);
}

#[test]
fn a_dropped_waiter_leaves_the_line_from_any_position() {
    for position in 0..5 {
        let payments = bulkhead(1, 5);
        let (mut slot, mut waiters) = line(&payments, 5);
        drop(waiters.remove(position));
        let status = checked_status(&payments);
        assert_eq!((status.waiting, status.totals.cancelled, status.totals.abandoned), (4, 1, 0));
        for waiter in &mut waiters {
            assert!(!waiter.is_woken());
            drop(slot);
            assert!(waiter.is_woken(), "the line moves up in order without position {position}");
            slot = assert_ready_ok!(waiter.poll());
        }
        drop(slot);
        assert_nothing_left(&payments);
        drop(waiters);
        assert_nothing_left(&payments);
    }
}

#[test]
fn once_all_waiters_are_dropped_the_slot_is_free_for_newcomers() {
    let payments = bulkhead(1, 2);
    let (slot, waiters) = line(&payments, 2);
    drop(waiters);
    assert_eq!(checked_status(&payments).totals.cancelled, 2);
    drop(slot);
    assert_nothing_left(&payments);
    assert_eq!(checked_status(&payments).totals.admitted_from_queue, 0);
}

#[test]
fn a_waiter_dropped_after_its_admission_is_abandoned_and_its_slot_goes_to_the_next_in_line() {
    let payments = bulkhead(1, 3);
    let (slot, mut waiters) = line(&payments, 3);
    drop(slot);
    assert!(waiters[0].is_woken() && !waiters[1].is_woken());
    drop(waiters.remove(0));
    assert!(waiters[0].is_woken() && !waiters[1].is_woken());
    assert!(payments.slot_now().is_err(), "no newcomer overtakes");
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.abandoned, totals.cancelled, totals.finished), (1, 0, 1));
    drop(waiters.remove(0));
    drop(assert_ready_ok!(waiters[0].poll()));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.admitted, totals.abandoned, totals.finished), (4, 2, 2));
    assert_eq!((totals.queued, totals.admitted_from_queue), (3, 3));
    assert_nothing_left(&payments);
}

#[test]
fn a_line_dropped_from_its_head_after_a_release_is_abandoned_one_by_one() {
    let payments = bulkhead(1, 100);
    let (slot, waiters) = line(&payments, 100);
    drop(slot);
    for waiter in waiters {
        assert_eq!(checked_status(&payments).in_flight, 1);
        drop(waiter);
    }
    assert_eq!(checked_status(&payments).totals.abandoned, 100);
    assert_nothing_left(&payments);
}

#[test]
fn an_execute_dropped_in_line_leaves_the_line_and_never_polls_its_work() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    let mut waiting = task::spawn(payments.execute(never_polled()));
    let guarded = payments.guard(|()| -> Ready<()> { unreachable!("called without a slot") });
    let mut calling = task::spawn(guarded(()));
    assert_pending!(waiting.poll());
    assert_pending!(calling.poll());
    drop(waiting);
    assert_eq!((checked_status(&payments).waiting, payments.status().totals.cancelled), (1, 1));
    drop(slot);
    assert!(calling.is_woken());
    drop(calling);
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.cancelled, totals.abandoned, totals.finished), (1, 1, 1));
    assert_nothing_left(&payments);
}

#[test]
fn an_execute_dropped_while_it_runs_counts_as_finished() {
    let payments = bulkhead(2, 2);
    let mut running = task::spawn(payments.execute(pending::<()>()));
    let mut called = task::spawn(payments.guard(|()| pending::<()>())(()));
    assert_pending!(running.poll());
    assert_pending!(called.poll());
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    drop(running);
    drop(called);
    let slot = assert_ready_ok!(waiter.poll());
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.finished, totals.abandoned), (2, 0));
    drop(slot);
    assert_nothing_left(&payments);
}

/// Yields to the other tasks until one of them waits in line.
async fn until_one_waits(payments: &Bulkhead) {
    while payments.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_aborted_task_gives_back_its_slot_or_its_place_in_line() {
    let payments = bulkhead(1, 2);
    let held = payments.clone();
    let running = tokio::spawn(async move { held.execute(pending::<()>()).await });
    let queued = payments.clone();
    let waiting = tokio::spawn(async move { queued.execute(pending::<()>()).await });
    must_come(until_one_waits(&payments)).await;
    waiting.abort();
    assert!(must_come(waiting).await.unwrap_err().is_cancelled());
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.waiting, status.totals.cancelled), (1, 0, 1));
    running.abort();
    assert!(must_come(running).await.unwrap_err().is_cancelled());
    assert_eq!(checked_status(&payments).totals.finished, 1);
    assert_nothing_left(&payments);
}

#[test]
fn waits_and_slots_outlive_the_handle_that_created_them() {
    let payments = bulkhead(1, 2);
    let other_handle = payments.clone();
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    let unpolled = payments.slot();
    drop(payments);
    assert_pending!(waiter.poll());
    drop(slot);
    let slot = assert_ready_ok!(waiter.poll());
    drop(unpolled);
    assert_eq!(checked_status(&other_handle).in_flight, 1);
    drop(other_handle);
    // The slot is the last reference to the bulkhead, which is freed with it.
    drop(slot);
}

#[test]
fn a_slot_sent_to_another_thread_is_given_back_there() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    let (sender, receiver) = mpsc::channel::<Slot>();
    let thread = thread::spawn(move || drop(receiver.recv().unwrap()));
    sender.send(slot).unwrap();
    thread.join().unwrap();
    assert!(waiter.is_woken());
    drop(assert_ready_ok!(waiter.poll()));
    assert_nothing_left(&payments);
}

#[test]
fn a_slot_dropped_in_one_runtime_wakes_a_waiter_in_another() {
    let limited = Bulkhead::builder("payments")
        .parallelism(1)
        .waiting_room(1)
        .wait_limit(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let (slot_sender, slot_receiver) = tokio::sync::oneshot::channel::<Slot>();
    let other = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { drop(slot_receiver.await.unwrap()) });
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let admitted = runtime.block_on(async {
        let slot = limited.slot().await.unwrap();
        let waiter = tokio::spawn(limited.slot());
        must_come(until_one_waits(&limited)).await;
        slot_sender.send(slot).unwrap();
        must_come(waiter).await.unwrap().unwrap()
    });
    drop(runtime);
    other.join().unwrap();
    // The slot outlives the runtime in which its operation waited.
    assert_eq!(checked_status(&limited).in_flight, 1);
    drop(admitted);
    assert_nothing_left(&limited);
}

#[test]
fn a_wait_that_moves_between_tasks_wakes_the_one_that_polled_it_last() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let wakes = Wakes::default();
    let mut waiter = Box::pin(payments.slot());
    assert!(poll_with(&mut waiter, &wakes.waker(1)).is_pending());
    assert!(poll_with(&mut waiter, &wakes.waker(2)).is_pending());
    drop(slot);
    assert_eq!(wakes.order(), [2]);
    assert!(poll_with(&mut waiter, &wakes.waker(3)).is_ready());
}

#[test]
fn dropping_a_completed_wait_changes_nothing() {
    let payments = bulkhead(1, 1);
    let mut done = task::spawn(payments.slot());
    let slot = assert_ready_ok!(done.poll());
    let mut waited = task::spawn(payments.slot());
    assert_pending!(waited.poll());
    drop(slot);
    let slot = assert_ready_ok!(waited.poll());
    let mut execute = task::spawn(payments.execute(ready(())));
    assert_pending!(execute.poll());
    drop((done, waited));
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.waiting, status.totals.abandoned), (1, 1, 0));
    drop(slot);
    assert_ready_ok!(execute.poll());
    assert_nothing_left(&payments);
}
