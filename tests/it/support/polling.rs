//! Polls operations by hand and checks what they return.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bulklink::{Rejection, Slot};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{self, Spawn},
};

/// Polls `future` once with `waker`.
pub(crate) fn poll_with<F: Future + ?Sized>(
    future: &mut Pin<Box<F>>,
    waker: &Waker,
) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Work that must not be polled.
pub(crate) async fn never_polled() {
    unreachable!("polled without a slot");
}

/// Polls `admission` once and asserts that it waits.
pub(crate) fn waiting<F: Future<Output = Result<Slot, Rejection>>>(admission: F) -> Spawn<F> {
    let mut waiter = task::spawn(admission);
    assert_pending!(waiter.poll());
    waiter
}

/// Returns the slot of an admitted waiter, after asserting that the waiter was woken.
pub(crate) fn slot_of<F>(waiter: &mut Spawn<F>) -> Slot
where
    F: Future<Output = Result<Slot, Rejection>>,
{
    assert!(waiter.is_woken(), "an admitted waiter is woken");
    assert_ready_ok!(waiter.poll())
}

/// Returns the rejection of a waiter, after asserting that the waiter was woken.
pub(crate) fn rejection_of<F>(waiter: &mut Spawn<F>) -> Rejection
where
    F: Future<Output = Result<Slot, Rejection>>,
{
    assert!(waiter.is_woken(), "a rejected waiter is woken");
    assert_ready_err!(waiter.poll())
}
