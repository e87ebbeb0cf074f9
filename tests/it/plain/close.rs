//! Closing: it is final, it rejects the waiters in order, and any task may wait for its end.

use std::{future::pending, pin::Pin, time::Duration};

use bulklink::{Bulkhead, RejectionReason};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

use crate::support::{Wakes, assert_nothing_left, bulkhead, checked_status, must_come, poll_with};

#[test]
fn waiters_are_rejected_in_line_order() {
    let payments = bulkhead(1, 200);
    let _slot = payments.slot_now().unwrap();
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..200).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    // Every third waiter leaves and joins the line again, at its end.
    let mut expected: Vec<_> = (0..200).filter(|number| number % 3 != 0).collect();
    for number in (0..200).step_by(3) {
        waiters[number] = Box::pin(payments.slot());
    }
    for number in (0..200).step_by(3).rev() {
        assert!(poll_with(&mut waiters[number], &wakes.waker(number)).is_pending());
        expected.push(number);
    }
    payments.close();
    assert_eq!(wakes.order(), expected);
    let status = checked_status(&payments);
    assert_eq!((status.waiting, status.totals.closed_while_waiting), (0, 200));
    assert_eq!((status.in_flight, status.totals.cancelled), (1, 67));
    for mut waiter in waiters {
        let rejection = assert_ready_err!(poll_with(&mut waiter, &wakes.waker(0)));
        assert_eq!(rejection.reason(), &RejectionReason::Closed);
        assert_eq!(rejection.to_string(), "bulkhead \"payments\" rejected the operation: closed");
    }
    assert_eq!(checked_status(&payments).totals.closed(), 200);
}

#[test]
fn closing_again_does_nothing() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    payments.close();
    payments.clone().close();
    assert_eq!(checked_status(&payments).totals.closed_while_waiting, 1);
    assert!(payments.is_closed());
    drop(slot);
    payments.close();
    assert!(checked_status(&payments).is_drained());
}

#[test]
fn running_work_continues_and_the_last_to_finish_drains_the_bulkhead() {
    let payments = bulkhead(2, 1);
    let slot = payments.slot_now().unwrap();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut running = task::spawn(payments.execute(receiver));
    assert_pending!(running.poll());
    payments.close();
    let status = checked_status(&payments);
    assert!(status.is_closed && !status.is_drained());
    assert_eq!(status.in_flight, 2);
    sender.send("done").unwrap();
    assert_eq!(assert_ready_ok!(running.poll()), Ok("done"));
    assert!(!checked_status(&payments).is_drained());
    drop(slot);
    let status = checked_status(&payments);
    assert!(status.is_drained());
    assert_eq!(status.totals.finished, 2);
}

#[test]
fn newcomers_are_rejected_after_the_bulkhead_has_drained() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    payments.close();
    assert_eq!(payments.slot_now().unwrap_err().reason(), &RejectionReason::Closed);
    drop(slot);
    assert_eq!(payments.slot_now().unwrap_err().reason(), &RejectionReason::Closed);
    let rejection = assert_ready_err!(task::spawn(payments.execute(pending::<()>())).poll());
    assert_eq!(rejection.reason(), &RejectionReason::Closed);
    assert_eq!(checked_status(&payments).totals.closed_before_queue, 3);
}

#[test]
fn a_waiter_admitted_before_the_close_runs_and_its_release_drains_the_bulkhead() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    let mut admitted = task::spawn(payments.slot());
    let mut dropped = task::spawn(payments.slot());
    assert_pending!(admitted.poll());
    assert_pending!(dropped.poll());
    drop(slot);
    payments.close();
    assert!(dropped.is_woken());
    // Rejected by the close and dropped before it was polled: neither cancelled nor abandoned.
    drop(dropped);
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.closed_while_waiting, totals.cancelled, totals.abandoned), (1, 0, 0));
    let slot = assert_ready_ok!(admitted.poll());
    assert!(!checked_status(&payments).is_drained());
    drop(slot);
    assert!(checked_status(&payments).is_drained());
}

#[test]
fn a_waiter_admitted_before_the_close_and_dropped_after_it_drains_the_bulkhead() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut admitted = task::spawn(payments.slot());
    assert_pending!(admitted.poll());
    drop(slot);
    payments.close();
    let mut closed = task::spawn(payments.wait_closed());
    assert_pending!(closed.poll());
    drop(admitted);
    assert!(closed.is_woken());
    assert_ready!(closed.poll());
    assert_eq!(checked_status(&payments).totals.abandoned, 1);
    assert_nothing_left(&payments);
}

/// A task that waits until the bulkhead is closed and drained.
type CloseWaiter<'a> = task::Spawn<Pin<Box<dyn Future<Output = ()> + 'a>>>;

fn close_waiters(payments: &Bulkhead, number: usize) -> Vec<CloseWaiter<'_>> {
    (0..number)
        .map(|_| {
            let mut close_waiter: CloseWaiter<'_> = task::spawn(Box::pin(payments.wait_closed()));
            assert_pending!(close_waiter.poll());
            close_waiter
        })
        .collect()
}

#[test]
fn any_number_of_tasks_may_wait_for_the_close_before_and_after_it() {
    let payments = bulkhead(1, 0);
    let slot = payments.slot_now().unwrap();
    let mut waiting = close_waiters(&payments, 50);
    payments.close();
    assert!(waiting.iter().all(|close_waiter| !close_waiter.is_woken()), "work is still running");
    waiting.extend(close_waiters(&payments, 50));
    drop(slot);
    for close_waiter in &mut waiting {
        assert!(close_waiter.is_woken());
        assert_ready!(close_waiter.poll());
    }
    assert_ready!(task::spawn(payments.wait_closed()).poll());
}

#[test]
fn an_idle_bulkhead_drains_when_it_is_closed_and_not_before() {
    let payments = bulkhead(1, 1);
    drop(payments.slot_now().unwrap());
    let mut waiting = close_waiters(&payments, 3);
    drop(payments.slot_now().unwrap());
    // Becoming idle drains nothing, neither on the fast path nor on the slow path.
    let slot = payments.slot_now().unwrap();
    let mut abandoned = task::spawn(payments.slot());
    assert_pending!(abandoned.poll());
    drop(slot);
    drop(abandoned);
    payments.resize(2).unwrap();
    assert!(waiting.iter().all(|close_waiter| !close_waiter.is_woken()), "idle, but not closed");
    assert!(!checked_status(&payments).is_drained());
    payments.close();
    for close_waiter in &mut waiting {
        assert!(close_waiter.is_woken());
        assert_ready!(close_waiter.poll());
    }
}

#[test]
fn waiting_for_the_close_takes_no_place_in_the_line_and_may_be_cancelled() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiting = close_waiters(&payments, 3);
    assert_eq!(checked_status(&payments).waiting, 0);
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    drop(waiting.remove(1));
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
    payments.close();
    for mut close_waiter in waiting {
        assert!(close_waiter.is_woken());
        assert_ready!(close_waiter.poll());
    }
    assert_nothing_left(&payments);
}

#[test]
fn a_cancelled_close_and_wait_leaves_the_bulkhead_closed_and_may_be_called_again() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    drop(payments.close_and_wait());
    assert!(!payments.is_closed(), "it was never polled");
    let mut closing = task::spawn(payments.close_and_wait());
    assert_pending!(closing.poll());
    assert!(payments.is_closed());
    drop(closing);
    assert!(payments.is_closed() && payments.slot_now().is_err());
    let mut closing = task::spawn(payments.close_and_wait());
    let mut other = task::spawn(payments.close_and_wait());
    assert_pending!(closing.poll());
    assert_pending!(other.poll());
    drop(slot);
    assert!(closing.is_woken() && other.is_woken());
    assert_ready!(closing.poll());
    assert_ready!(other.poll());
    assert_ready!(task::spawn(payments.close_and_wait()).poll());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn close_and_wait_returns_once_the_work_of_other_threads_has_finished() {
    for _ in 0..50 {
        let payments = bulkhead(2, 100);
        let (start, started) = tokio::sync::watch::channel(false);
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (payments, mut started) = (payments.clone(), started.clone());
                tokio::spawn(async move {
                    started.wait_for(|started| *started).await.unwrap();
                    payments.execute(tokio::task::yield_now()).await.is_ok()
                })
            })
            .collect();
        start.send(true).unwrap();
        tokio::task::yield_now().await;
        must_come(payments.close_and_wait()).await;
        let when_drained = checked_status(&payments);
        assert!(when_drained.is_drained());
        let mut served = 0;
        for task in tasks {
            served += u64::from(must_come(task).await.unwrap());
        }
        let status = checked_status(&payments);
        assert_eq!((status.totals.finished, status.totals.admitted), (served, served));
        assert_eq!(
            when_drained.totals.admitted, served,
            "no operation is admitted after the drain"
        );
        assert_eq!(status.totals.closed(), 20 - served);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_with_a_limit_is_rejected_by_the_close_and_not_by_its_timer() {
    let payments = bulkhead(1, 1);
    let _slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot_within(Duration::from_millis(10)));
    assert_pending!(waiter.poll());
    payments.close();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(assert_ready_err!(waiter.poll()).reason(), &RejectionReason::Closed);
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.expired, totals.closed_while_waiting), (0, 1));
}
