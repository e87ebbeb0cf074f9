//! Work that was cut short: its future was dropped or has panicked before it had an output.

use std::{
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use bulklink::{Bulkhead, Deadline, Totals};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{
    assert_nothing_left, bulkhead, checked_status, customers, full, ms, never_polled, panics,
    slot_of, waiting, weighted,
};

/// Operations that have finished, completed and were cut short.
fn ends(totals: &Totals) -> (u64, u64, u64) {
    (totals.finished, totals.completed(), totals.cut_short)
}

/// Work that panics without printing a message.
async fn panicking() {
    resume_unwind(Box::new(()));
}

#[track_caller]
fn assert_ends(payments: &Bulkhead, expected: (u64, u64, u64)) {
    assert_eq!(ends(&checked_status(payments).totals), expected);
    assert_nothing_left(payments);
}

#[test]
fn work_that_has_an_output_is_completed_even_if_the_output_is_an_error() {
    let payments = bulkhead(1, 0);
    assert_ready_ok!(task::spawn(payments.execute(ready(1))).poll());
    let declined = task::spawn(payments.execute(ready(Err::<(), _>("declined")))).poll();
    assert_eq!(assert_ready_ok!(declined), Err("declined"));
    assert_ready_ok!(task::spawn(payments.guard(|()| ready(3))(())).poll());
    assert_ends(&payments, (3, 3, 0));
}

#[test]
fn an_execution_that_is_dropped_after_its_output_is_completed() {
    let payments = bulkhead(1, 0);
    let mut done = task::spawn(payments.execute(tokio::task::yield_now()));
    assert_pending!(done.poll());
    assert_ready_ok!(done.poll());
    assert_ends(&payments, (1, 1, 0));
    drop(done);
    assert_eq!(ends(&checked_status(&payments).totals).2, 0);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_dropped_while_it_runs_is_cut_short_whichever_method_ran_it() {
    let payments = bulkhead(1, 0);
    let mut running = [
        task::spawn(payments.execute(pending::<()>())),
        task::spawn(payments.execute_now(pending())),
        task::spawn(payments.execute_within(ms(100), pending())),
        task::spawn(payments.execute_before(Deadline::after(ms(100)), pending())),
    ]
    .into_iter();
    for cut_short in 1..=4 {
        let mut work = running.next().unwrap();
        assert_pending!(work.poll());
        assert_eq!(ends(&checked_status(&payments).totals).0, cut_short - 1);
        drop(work);
        assert_eq!(ends(&checked_status(&payments).totals), (cut_short, 0, cut_short));
    }
    let guarded = payments.guard(|()| pending::<()>());
    let mut call = task::spawn(guarded(()));
    assert_pending!(call.poll());
    drop(call);
    assert_eq!(ends(&checked_status(&payments).totals), (5, 0, 5));
}

#[test]
fn work_that_panics_is_cut_short_once_it_is_dropped() {
    let payments = bulkhead(1, 0);
    let mut work = task::spawn(payments.execute(panicking()));
    assert!(panics(|| work.poll()));
    // It holds its slot until then.
    assert_eq!(ends(&checked_status(&payments).totals), (0, 0, 0));
    drop(work);
    assert_eq!(ends(&checked_status(&payments).totals), (1, 0, 1));
    // The call of a guarded function, and its future.
    let function = payments.guard(|()| -> std::future::Ready<()> { resume_unwind(Box::new(())) });
    assert!(panics(|| task::spawn(function(())).poll()));
    assert_eq!(ends(&checked_status(&payments).totals), (2, 0, 2));
    let future = payments.guard(|()| panicking());
    assert!(panics(|| task::spawn(future(())).poll()));
    assert_ends(&payments, (3, 0, 3));
}

#[test]
fn work_that_never_started_is_not_cut_short() {
    let (payments, slot) = full(3);
    // Not polled, rejected, cancelled, and abandoned.
    drop(payments.execute(never_polled()));
    let mut rejected = task::spawn(payments.execute_now(never_polled()));
    assert!(rejected.poll().is_ready());
    drop(rejected);
    let mut cancelled = task::spawn(payments.execute(never_polled()));
    assert_pending!(cancelled.poll());
    drop(cancelled);
    let mut abandoned = task::spawn(payments.execute(never_polled()));
    assert_pending!(abandoned.poll());
    drop(slot);
    assert!(abandoned.is_woken());
    drop(abandoned);
    let totals = checked_status(&payments).totals;
    assert_eq!(ends(&totals), (1, 1, 0));
    assert_eq!((totals.saturated, totals.cancelled, totals.abandoned), (1, 1, 1));
    assert_nothing_left(&payments);
}

#[test]
fn work_from_the_line_that_is_dropped_while_it_runs_is_cut_short() {
    let (payments, slot) = full(1);
    let mut work = task::spawn(payments.execute(pending::<()>()));
    assert_pending!(work.poll());
    drop(slot);
    assert_pending!(work.poll());
    drop(work);
    assert_ends(&payments, (2, 1, 1));
}

#[test]
fn a_slot_counts_as_completed_however_it_is_dropped() {
    let payments = bulkhead(1, 1);
    drop(payments.slot_now().unwrap());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _slot = payments.slot_now().unwrap();
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    drop(slot);
    let slot = slot_of(&mut waiter);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _slot = slot;
        resume_unwind(Box::new(()));
    }));
    assert!(unwound.is_err());
    assert_ends(&payments, (4, 4, 0));
}

#[test]
fn units_of_a_weighted_bulkhead() {
    let reports = weighted(10, 1);
    assert_ready_ok!(task::spawn(reports.execute(2, ready(()))).poll());
    let mut work = task::spawn(reports.execute(5, pending::<()>()));
    assert_pending!(work.poll());
    let mut queued = task::spawn(reports.execute(7, pending::<()>()));
    assert_pending!(queued.poll());
    drop(work);
    assert_pending!(queued.poll());
    let totals = reports.status().totals;
    assert_eq!((totals.finished_units, totals.cut_short_units, totals.cut_short), (7, 5, 1));
    drop(queued);
    let totals = reports.status().totals;
    assert_eq!((totals.finished_units, totals.cut_short_units, totals.cut_short), (14, 12, 2));
    assert_eq!(totals.cut_short_share(), Some(2.0 / 3.0));
}

#[test]
fn work_in_a_partition() {
    let customers = customers(1, 0, 2);
    for key in [1, 2] {
        let mut work = task::spawn(customers.execute(&key, pending::<()>()));
        assert_pending!(work.poll());
        drop(work);
        assert_ready_ok!(task::spawn(customers.execute(&key, ready(()))).poll());
    }
    assert_eq!(ends(&customers.status().totals), (4, 2, 2));
    assert_eq!(ends(&customers.partition_status(&1).unwrap().totals), (2, 1, 1));
}

/// Work whose drop panics.
struct PanicsOnDrop;

impl std::future::Future for PanicsOnDrop {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        std::task::Poll::Pending
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[test]
fn work_whose_drop_panics_is_cut_short() {
    let bulkhead = bulklink::Bulkhead::builder("work").parallelism(1).build().unwrap();
    let mut running = Box::pin(bulkhead.execute(PanicsOnDrop));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(running.as_mut().poll(&mut cx).is_pending());
    assert!(crate::support::panics(|| drop(running)));
    let status = bulkhead.status();
    assert_eq!((status.in_flight, status.totals.finished, status.totals.cut_short), (0, 1, 1));
}
