//! `execute` and `guard`: work is not polled before it is admitted, and it holds its slot until it is dropped.

use std::{
    cell::Cell,
    future::{Future, pending, ready},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bulklink::{Bulkhead, Deadline, Execute, RejectionReason};
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

use crate::support::{
    assert_nothing_left, bulkhead, checked_status, must_come, never_polled, panics,
};

const LONG: Duration = Duration::from_secs(60);

type Work<'a> = Pin<Box<dyn Future<Output = u32> + 'a>>;

/// The four `execute` methods.
const EXECUTES: [for<'a> fn(&'a Bulkhead, Work<'a>) -> Execute<'a, Work<'a>>; 4] = [
    |bulkhead, work| bulkhead.execute(work),
    |bulkhead, work| bulkhead.execute_now(work),
    |bulkhead, work| bulkhead.execute_within(LONG, work),
    |bulkhead, work| bulkhead.execute_before(Deadline::after(LONG), work),
];

/// Work that counts its polls and reads the status of its bulkhead, when polled and when dropped.
struct Probe<'a> {
    bulkhead: &'a Bulkhead,
    polls: &'a Cell<u32>,
    in_flight_at_drop: &'a Cell<usize>,
}

impl Future for Probe<'_> {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        assert_eq!(self.bulkhead.status().in_flight, 1, "polled while it holds a slot");
        self.polls.set(self.polls.get() + 1);
        if self.polls.get() == 2 { Poll::Ready(7) } else { Poll::Pending }
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.in_flight_at_drop.set(self.bulkhead.status().in_flight);
    }
}

#[tokio::test]
async fn work_runs_in_a_slot_and_is_dropped_before_the_slot_is_given_back() {
    for execute in EXECUTES {
        let payments = bulkhead(1, 1);
        let (polls, in_flight_at_drop) = (Cell::new(0), Cell::new(0));
        let work =
            Probe { bulkhead: &payments, polls: &polls, in_flight_at_drop: &in_flight_at_drop };
        let mut running = task::spawn(execute(&payments, Box::pin(work)));
        assert_eq!(checked_status(&payments).totals.admitted, 0);
        assert_pending!(running.poll());
        assert_eq!((polls.get(), checked_status(&payments).in_flight), (1, 1));
        assert_eq!(assert_ready_ok!(running.poll()), 7);
        // The slot is back, although the future still exists.
        assert_eq!((in_flight_at_drop.get(), checked_status(&payments).in_flight), (1, 0));
        let totals = checked_status(&payments).totals;
        assert_eq!((totals.admitted, totals.finished, totals.abandoned), (1, 1, 0));
        drop(running);
        assert_nothing_left(&payments);
    }
}

#[tokio::test]
async fn unfinished_work_is_dropped_before_its_slot_is_given_back() {
    for execute in EXECUTES {
        let payments = bulkhead(1, 0);
        let (polls, in_flight_at_drop) = (Cell::new(0), Cell::new(0));
        let work =
            Probe { bulkhead: &payments, polls: &polls, in_flight_at_drop: &in_flight_at_drop };
        let mut running = task::spawn(execute(&payments, Box::pin(work)));
        assert_pending!(running.poll());
        drop(running);
        assert_eq!((in_flight_at_drop.get(), checked_status(&payments).in_flight), (1, 0));
    }
}

#[tokio::test]
async fn queued_work_is_not_polled_before_it_is_admitted() {
    for (index, execute) in EXECUTES.into_iter().enumerate() {
        let payments = bulkhead(1, 1);
        let slot = payments.slot_now().unwrap();
        let polls = Cell::new(0);
        let work = async {
            polls.set(polls.get() + 1);
            7
        };
        let mut waiting = task::spawn(execute(&payments, Box::pin(work)));
        // `execute_now` does not wait.
        if index == 1 {
            let rejection = assert_ready_err!(waiting.poll());
            assert!(matches!(rejection.reason(), RejectionReason::Saturated { .. }));
            assert_eq!((polls.get(), checked_status(&payments).totals.saturated), (0, 1));
            continue;
        }
        assert_pending!(waiting.poll());
        assert_pending!(waiting.poll());
        assert_eq!((polls.get(), checked_status(&payments).waiting), (0, 1));
        drop(slot);
        assert!(waiting.is_woken());
        assert_eq!(polls.get(), 0);
        assert_eq!(assert_ready_ok!(waiting.poll()), 7);
        assert_eq!(checked_status(&payments).totals.finished, 1 + 1);
    }
}

#[tokio::test]
async fn rejected_work_is_never_polled() {
    for execute in EXECUTES {
        let full = bulkhead(1, 0);
        let _slot = full.slot_now().unwrap();
        let work = Box::pin(async {
            never_polled().await;
            0
        });
        let rejection = assert_ready_err!(task::spawn(execute(&full, work)).poll());
        assert!(matches!(rejection.reason(), RejectionReason::Saturated { .. }));
        let closed = bulkhead(1, 1);
        closed.close();
        let work = Box::pin(async {
            never_polled().await;
            0
        });
        let rejection = assert_ready_err!(task::spawn(execute(&closed, work)).poll());
        assert_eq!(rejection.reason(), &RejectionReason::Closed);
        assert_eq!(checked_status(&closed).totals.closed_before_queue, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn work_whose_deadline_has_passed_is_never_polled() {
    let payments = bulkhead(1, 1);
    let now = tokio::time::Instant::now();
    let rejection = payments.execute_before(now, never_polled()).await.unwrap_err();
    assert!(matches!(rejection.reason(), RejectionReason::Deadline { .. }));
    let rejection = payments.execute_within(Duration::ZERO, never_polled()).await.unwrap_err();
    assert!(matches!(rejection.reason(), RejectionReason::WaitLimit { .. }));
    assert_eq!(checked_status(&payments).totals.expired_before_queue, 2);
}

#[tokio::test]
async fn the_output_of_the_work_is_returned_unchanged() {
    let payments = bulkhead(1, 0);
    let failed: Result<Result<(), &str>, _> = payments.execute(ready(Err("card declined"))).await;
    assert_eq!(failed.unwrap(), Err("card declined"));
    // Neither the work nor its output has to be `Send` or `'static`.
    let name = String::from("order");
    let shared = Rc::new(&name);
    let echoed = payments.execute(async { Rc::clone(&shared) }).await.unwrap();
    assert!(Rc::ptr_eq(&shared, &echoed));
    assert_eq!(checked_status(&payments).totals.finished, 2);
}

#[tokio::test]
async fn no_more_operations_run_at_once_than_the_parallelism_allows() {
    let payments = bulkhead(3, 100);
    let running = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (payments, running) = (payments.clone(), running.clone());
            tokio::spawn(async move {
                let work = async {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::task::yield_now().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                    now
                };
                payments.execute(work).await.unwrap()
            })
        })
        .collect();
    let mut peak = 0;
    for task in tasks {
        peak = peak.max(must_come(task).await.unwrap());
    }
    let status = checked_status(&payments);
    assert_eq!((peak, status.peaks.in_flight, status.totals.finished), (3, 3, 50));
}

#[tokio::test]
async fn a_guarded_function_is_not_called_before_admission() {
    let payments = bulkhead(1, 1);
    let calls = Cell::new(0);
    let guarded = payments.guard(|order: u32| {
        calls.set(calls.get() + 1);
        assert_eq!(payments.status().in_flight, 1, "called while it holds a slot");
        ready(order * 2)
    });
    let slot = payments.slot_now().unwrap();
    let mut waiting = task::spawn(guarded(21));
    assert_pending!(waiting.poll());
    assert_pending!(waiting.poll());
    let rejection = assert_ready_err!(task::spawn(guarded(1)).poll());
    assert!(matches!(rejection.reason(), RejectionReason::Saturated { .. }));
    drop(guarded(2));
    assert_eq!(calls.get(), 0);
    drop(slot);
    assert_eq!(assert_ready_ok!(waiting.poll()), 42);
    assert_eq!((calls.get(), checked_status(&payments).in_flight), (1, 0));
}

#[tokio::test]
async fn every_call_of_a_guarded_function_takes_its_own_slot() {
    let payments = bulkhead(2, 0);
    let guarded = payments.guard(|answer: oneshot::Receiver<u32>| async { answer.await.unwrap() });
    let again = guarded.clone();
    let (first_answer, first) = oneshot::channel();
    let (second_answer, second) = oneshot::channel();
    let (mut first, mut second) = (task::spawn(guarded(first)), task::spawn(again(second)));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert_eq!(checked_status(&payments).in_flight, 2);
    let (_unused, third) = oneshot::channel();
    assert_ready_err!(task::spawn(guarded(third)).poll());
    first_answer.send(1).unwrap();
    second_answer.send(2).unwrap();
    assert!(first.is_woken() && second.is_woken());
    assert_eq!(assert_ready_ok!(first.poll()), 1);
    assert_eq!(checked_status(&payments).in_flight, 1);
    assert_eq!(assert_ready_ok!(second.poll()), 2);
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn a_guarded_function_and_its_calls_outlive_the_handle() {
    let guarded = bulkhead(1, 0).guard(|order: u32| async move { order + 1 });
    let call = guarded(1);
    drop(guarded);
    assert_eq!(tokio::spawn(call).await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_guarded_function_of_a_closed_bulkhead_is_not_called() {
    let payments = bulkhead(1, 1);
    let guarded = payments.guard(|()| -> std::future::Pending<()> { unreachable!("called") });
    payments.close();
    assert_eq!(guarded(()).await.unwrap_err().reason(), &RejectionReason::Closed);
}

#[test]
fn a_completed_execute_holds_no_slot_and_does_not_run_again() {
    let payments = bulkhead(1, 0);
    let mut done = task::spawn(payments.execute(ready(1)));
    assert_eq!(assert_ready!(done.poll()).unwrap(), 1);
    let running = payments.execute(pending::<()>());
    let mut running = task::spawn(running);
    assert_pending!(running.poll());
    assert_eq!(checked_status(&payments).totals.admitted, 2);
    drop(done);
    assert_eq!(checked_status(&payments).in_flight, 1);
}

#[test]
fn a_rejected_execute_polled_again_panics_and_does_not_run_its_work() {
    let payments = bulkhead(1, 0);
    let _slot = payments.slot_now().unwrap();
    let runs = Cell::new(0);
    let work = async { runs.set(runs.get() + 1) };
    let mut rejected = task::spawn(payments.execute(work));
    assert_ready_err!(rejected.poll());
    let panicked = panics(|| rejected.poll().is_ready());
    assert_eq!(runs.get(), 0, "the work ran without a slot");
    assert!(panicked, "a future polled after completion panics");
}
