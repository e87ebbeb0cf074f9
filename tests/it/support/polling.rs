//! Polls operations by hand and checks what they return.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bulklink::{Admission, Rejection, Slot};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{self, Spawn},
};

/// One poll with a waker of one's own.
pub(crate) fn poll_with<F: Future + ?Sized>(
    future: &mut Pin<Box<F>>,
    waker: &Waker,
) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Work that shall not begin.
pub(crate) async fn never_polled() {
    unreachable!("polled without a slot");
}

/// Polls an admission that must wait.
pub(crate) fn waiting(admission: Admission) -> Spawn<Admission> {
    let mut waiter = task::spawn(admission);
    assert_pending!(waiter.poll());
    waiter
}

/// The slot of a waiter that was woken for it.
pub(crate) fn slot_of(waiter: &mut Spawn<Admission>) -> Slot {
    assert!(waiter.is_woken(), "an admitted waiter is woken");
    assert_ready_ok!(waiter.poll())
}

/// The rejection of a waiter that was woken for it.
pub(crate) fn rejection_of(waiter: &mut Spawn<Admission>) -> Rejection {
    assert!(waiter.is_woken(), "a rejected waiter is woken");
    assert_ready_err!(waiter.poll())
}
