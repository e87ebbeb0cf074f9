//! Polls operations by hand and checks what they return.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bulklink::{Rejection, Slot};
use tokio::{sync::mpsc, task::coop};
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
    assert_ready_ok!(with_budget(|| waiter.poll()))
}

/// Returns the rejection of a waiter, after asserting that the waiter was woken.
pub(crate) fn rejection_of<F>(waiter: &mut Spawn<F>) -> Rejection
where
    F: Future<Output = Result<Slot, Rejection>>,
{
    assert!(waiter.is_woken(), "a rejected waiter is woken");
    assert_ready_err!(with_budget(|| waiter.poll()))
}

/// Polls as if the task had any budget: a test polls more in one of its polls than a task has.
fn with_budget<T>(poll: impl FnOnce() -> T) -> T {
    let mut poll = Some(poll);
    let polled = poll_fn(|_| Poll::Ready(poll.take().map(|poll| poll())));
    let polled = poll_with(&mut Box::pin(coop::unconstrained(polled)), Waker::noop());
    let Poll::Ready(Some(polled)) = polled else { unreachable!("it is polled once") };
    polled
}

/// Uses up the cooperative budget of the task that is being polled.
pub(crate) fn spend_budget(cx: &mut Context<'_>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for _ in 0..100_000 {
        sender.send(()).unwrap();
        if receiver.poll_recv(cx).is_pending() {
            assert!(!coop::has_budget_remaining());
            return;
        }
    }
    panic!("the budget never runs out");
}
