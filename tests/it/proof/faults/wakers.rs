//! Wakers that panic when they are cloned, woken or dropped.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Waker},
};

use bulklink::Bulkhead;
use tokio_test::{assert_pending, assert_ready_ok, task};

use super::{Switch, fault};
use crate::support::{
    Hook, Wakes, assert_nothing_left, bulkhead, checked_status, full, panics, poll_with,
};

#[test]
fn a_waker_clone_that_panics_on_joining_leaves_nothing_in_the_line() {
    let (payments, slot) = full(2);
    let waker = Hook::new().on_clone(|| fault()).waker();
    let mut failing = Box::pin(payments.slot());
    assert!(panics(|| poll_with(&mut failing, &waker).is_pending()));
    drop(failing);
    assert_eq!(checked_status(&payments).waiting, 0);
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn a_waker_clone_that_panics_in_a_later_poll_keeps_the_waiter_in_the_line() {
    let (payments, slot) = full(2);
    let wakes = Wakes::default();
    let mut waiter = Box::pin(payments.slot());
    assert_pending!(poll_with(&mut waiter, &wakes.waker(1)));
    let failing = Hook::new().on_clone(|| fault()).waker();
    assert!(panics(|| poll_with(&mut waiter, &failing).is_pending()));
    assert_eq!(checked_status(&payments).waiting, 1);
    drop(slot);
    assert_eq!(wakes.order(), [1], "the previous waker must be woken");
    drop(assert_ready_ok!(poll_with(&mut waiter, &wakes.waker(2))));
    assert_nothing_left(&payments);
}

#[test]
fn a_wake_that_panics_does_not_prevent_other_wakes() {
    let payments = bulkhead(1, 4);
    let slot = payments.slot_now().unwrap();
    let wakes = Wakes::default();
    let failing = Hook::new().on_wake(|| fault()).waker();
    let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        let own = wakes.waker(number);
        assert_pending!(poll_with(waiter, if number % 2 == 0 { &failing } else { &own }));
    }
    payments.resize(4).unwrap();
    assert_eq!(wakes.order(), [1]);
    drop(slot);
    assert_eq!(wakes.order(), [1, 3]);
    drop(waiters);
    assert_eq!(checked_status(&payments).totals.abandoned, 4);
    assert_nothing_left(&payments);
}

#[test]
fn a_replaced_waker_that_panics_when_dropped_changes_nothing() {
    let (payments, slot) = full(1);
    let armed = Switch::default();
    let failing = Hook::new().on_drop({
        let armed = armed.clone();
        move || armed.pass_once()
    });
    let failing = failing.waker();
    let mut rejected = task::spawn(payments.slot());
    let mut waiting = Box::pin(payments.slot());
    assert_pending!(poll_with(&mut waiting, &failing));
    assert!(is_ready_err(rejected.poll()));
    armed.set(true);
    assert_pending!(poll_with(&mut waiting, std::task::Waker::noop()));
    drop(slot);
    drop(assert_ready_ok!(poll_with(&mut waiting, std::task::Waker::noop())));
    assert_nothing_left(&payments);
}

/// Joins the line with wakers that run the task on the spot, which takes the slot and gives it back at once.
fn join_with_wakers_that_run_the_task(payments: &Bulkhead, waiters: usize) -> Wakes {
    let order = Wakes::default();
    for number in 0..waiters {
        let task = Arc::new(Mutex::new(Some(Box::pin({
            let payments = payments.clone();
            async move { payments.slot().await.map(drop) }
        }))));
        let (own, order) = (task.clone(), order.clone());
        let waker = Hook::new().on_wake(move || {
            order.waker(number).wake();
            let mut task = own.lock().unwrap().take().unwrap();
            assert_ready_ok!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        });
        let mut task = task.lock().unwrap();
        assert_pending!(poll_with(task.as_mut().unwrap(), &waker.waker()));
    }
    order
}

#[test]
fn wakers_that_run_their_tasks_on_the_spot_do_not_overflow_the_stack() {
    const WAITERS: usize = 20_000;
    let (payments, slot) = full(WAITERS);
    let order = join_with_wakers_that_run_the_task(&payments, WAITERS);
    // Nested all the way, a wake and its task would have 13 bytes of stack.
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    small.spawn(|| drop(slot)).unwrap().join().unwrap();
    assert_eq!(order.order(), (0..WAITERS).collect::<Vec<_>>());
    assert_eq!(checked_status(&payments).totals.admitted_from_queue, WAITERS as u64);
    assert_nothing_left(&payments);
}

#[test]
fn a_panic_in_a_nested_wake_does_not_prevent_other_wakes() {
    let (payments, slot) = full(100);
    let order = join_with_wakers_that_run_the_task(&payments, 50);
    let mut failing = Box::pin(payments.slot());
    assert_pending!(poll_with(&mut failing, &Hook::new().on_wake(|| fault()).waker()));
    let after = join_with_wakers_that_run_the_task(&payments, 49);
    drop(slot);
    assert_eq!(order.order().len(), 50);
    drop(failing);
    assert_eq!(after.order().len(), 49);
    assert_nothing_left(&payments);
}

fn is_ready_err<T, E>(poll: std::task::Poll<Result<T, E>>) -> bool {
    matches!(poll, std::task::Poll::Ready(Err(_)))
}
