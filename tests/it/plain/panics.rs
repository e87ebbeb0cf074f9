//! Panics: in protected work they leak nothing, and the documented panics occur as documented.

use std::{
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bulklink::{Bulkhead, Deadline};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{assert_nothing_left, bulkhead, checked_status, limited, must_come};

/// Runs `work`, which must panic, and returns the panic message.
fn panic_message<T>(work: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(work)) else { panic!("no panic") };
    let text = panic.downcast_ref::<&str>().map(|text| String::from(*text));
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap()
}

#[tokio::test]
async fn work_that_panics_gives_its_slot_to_the_next_in_line() {
    let payments = bulkhead(1, 2);
    let held = payments.clone();
    let failing = tokio::spawn(async move {
        let work = async {
            tokio::task::yield_now().await;
            panic!("card reader on fire");
        };
        held.execute(work).await.unwrap();
    });
    let waiting = payments.clone();
    let waiter = tokio::spawn(async move { waiting.execute(async { "served" }).await });
    assert!(must_come(failing).await.unwrap_err().is_panic());
    assert_eq!(must_come(waiter).await.unwrap().unwrap(), "served");
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.admitted, totals.finished, totals.abandoned), (2, 2, 0));
    assert_nothing_left(&payments);
}

#[test]
fn work_that_panicked_gives_its_slot_back_once_it_is_dropped() {
    let payments = bulkhead(1, 0);
    let work = poll_fn(|_| -> Poll<()> { panic!("boom") });
    let mut failing = task::spawn(payments.execute(work));
    assert_eq!(panic_message(|| failing.poll()), "boom");
    drop(failing);
    assert_eq!(checked_status(&payments).totals.finished, 1);
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn a_guarded_function_that_panics_gives_its_slot_back() {
    let payments = bulkhead(1, 0);
    let guarded = payments.guard(|order: u32| {
        assert_ne!(order, 13, "bad luck");
        async move { order }
    });
    assert!(tokio::spawn(guarded(13)).await.unwrap_err().is_panic());
    assert_eq!(checked_status(&payments).totals.finished, 1);
    assert_eq!(guarded(14).await.unwrap(), 14);
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn a_panic_in_the_future_of_a_guarded_function_gives_its_slot_back() {
    let payments = bulkhead(1, 0);
    let guarded = payments.guard(|()| async { panic!("boom") });
    assert!(tokio::spawn(guarded(())).await.unwrap_err().is_panic());
    assert_nothing_left(&payments);
}

/// Work that panics when it is dropped, whether it has completed or not.
struct PanicsOnDrop {
    ready: bool,
}

impl Future for PanicsOnDrop {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("panic in drop");
    }
}

#[test]
fn work_whose_drop_panics_gives_its_slot_back() {
    let payments = bulkhead(1, 1);
    for ready in [true, false] {
        let mut running = task::spawn(payments.execute(PanicsOnDrop { ready }));
        let panic = panic_message(move || {
            assert_pending!(running.poll());
            drop(running);
        });
        assert_eq!(panic, "panic in drop");
        assert_nothing_left(&payments);
    }
    assert_eq!(checked_status(&payments).totals.abandoned, 0);
}

#[test]
fn queued_work_whose_drop_panics_leaves_the_line() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiting = task::spawn(payments.execute(PanicsOnDrop { ready: true }));
    assert_pending!(waiting.poll());
    assert_eq!(panic_message(move || drop(waiting)), "panic in drop");
    assert_eq!((checked_status(&payments).waiting, payments.status().totals.cancelled), (0, 1));
    drop(slot);
    assert_nothing_left(&payments);
}

#[test]
fn a_slot_dropped_by_a_panic_goes_to_the_next_in_line() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    let panic = panic_message(move || -> () {
        let _slot = slot;
        panic!("boom");
    });
    assert_eq!(panic, "boom");
    assert!(waiter.is_woken());
    drop(assert_ready_ok!(waiter.poll()));
    assert_nothing_left(&payments);
}

/// Asserts that a wait with a limit panics at its first poll, and that nothing of it remains.
fn assert_panics_and_leaves_nothing<F: Future>(payments: &Bulkhead, wait: F) {
    let slot = payments.slot_now().unwrap();
    let mut behind = task::spawn(payments.guard(|()| pending::<()>())(()));
    let mut failing = task::spawn(wait);
    panic_message(|| failing.poll().is_pending());
    drop(failing);
    let status = checked_status(payments);
    assert_eq!((status.waiting, status.in_flight), (0, 1));
    drop(slot);
    // The line still works.
    assert_pending!(behind.poll());
    assert_eq!(checked_status(payments).in_flight, 1);
    drop(behind);
    assert_nothing_left(payments);
}

#[test]
fn a_limited_wait_outside_a_runtime_panics_and_leaves_nothing_behind() {
    let payments = limited(2, Duration::from_secs(60));
    assert_panics_and_leaves_nothing(&payments, payments.slot());
    assert_panics_and_leaves_nothing(&payments, payments.execute(pending::<()>()));
    assert_panics_and_leaves_nothing(&payments, payments.slot_within(Duration::from_secs(1)));
    let unlimited = bulkhead(1, 2);
    let deadline = Deadline::after(Duration::from_secs(60));
    assert_panics_and_leaves_nothing(&unlimited, unlimited.slot_before(deadline));
    assert_panics_and_leaves_nothing(&unlimited, unlimited.slot_within(Duration::from_secs(1)));
    assert_eq!(checked_status(&payments).totals.cancelled, 3);
}

#[test]
fn a_limited_wait_in_a_runtime_without_a_timer_panics_and_leaves_nothing_behind() {
    let payments = limited(2, Duration::from_secs(60));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _context = runtime.enter();
    assert_panics_and_leaves_nothing(&payments, payments.slot());
}

#[test]
fn a_wait_that_panicked_has_left_the_line() {
    let payments = limited(2, Duration::from_secs(60));
    let slot = payments.slot_now().unwrap();
    let mut failing = task::spawn(payments.slot());
    panic_message(|| failing.poll().is_pending());
    let status = checked_status(&payments);
    assert_eq!((status.waiting, status.totals.cancelled), (0, 1));
    drop((slot, failing));
    assert_nothing_left(&payments);
}

#[test]
fn outside_a_runtime_only_a_limited_wait_panics() {
    let payments = limited(2, Duration::from_secs(60));
    let slot = assert_ready_ok!(task::spawn(payments.slot()).poll());
    assert!(payments.slot_now().is_err());
    drop(slot);
    let unlimited = bulkhead(1, 1);
    let slot = unlimited.slot_now().unwrap();
    let mut waiter = task::spawn(unlimited.slot());
    assert_pending!(waiter.poll());
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
    assert_nothing_left(&unlimited);
}

#[test]
fn a_future_polled_after_completion_panics_and_is_not_admitted_again() {
    let payments = bulkhead(1, 0);
    let mut wait = task::spawn(payments.slot());
    drop(assert_ready_ok!(wait.poll()));
    panic_message(|| wait.poll().is_pending());
    let mut execute = task::spawn(payments.execute(async {}));
    assert_ready_ok!(execute.poll());
    panic_message(|| execute.poll().is_pending());
    drop((wait, execute));
    assert_eq!(checked_status(&payments).totals.admitted, 2);
    assert_nothing_left(&payments);
}
