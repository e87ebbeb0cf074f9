//! Closing: final, in order, and waited for by anybody.

use std::{future::pending, pin::Pin, time::Duration};

use bulklink::{Bulkhead, RejectionReason};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};

use crate::support::{Wakes, assert_nothing_left, bulkhead, checked_status, must_come, poll_with};

#[test]
fn waiters_are_rejected_in_the_order_of_the_line() {
    let payments = bulkhead(1, 200);
    let _slot = payments.slot_now().unwrap();
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..200).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    // The order is that of the line, also where places were given up and taken again.
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
fn running_work_goes_on_and_the_last_of_it_drains_the_bulkhead() {
    let payments = bulkhead(2, 1);
    let slot = payments.slot_now().unwrap();
    let (answer, answered) = tokio::sync::oneshot::channel();
    let mut running = task::spawn(payments.execute(answered));
    assert_pending!(running.poll());
    payments.close();
    let status = checked_status(&payments);
    assert!(status.is_closed && !status.is_drained());
    assert_eq!(status.in_flight, 2);
    answer.send("done").unwrap();
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
fn a_waiter_admitted_before_the_close_runs_and_its_drop_drains() {
    let payments = bulkhead(1, 2);
    let slot = payments.slot_now().unwrap();
    let mut admitted = task::spawn(payments.slot());
    let mut dropped = task::spawn(payments.slot());
    assert_pending!(admitted.poll());
    assert_pending!(dropped.poll());
    drop(slot);
    payments.close();
    assert!(dropped.is_woken());
    // Closed in line, and dropped before it saw that: neither cancelled nor abandoned.
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

/// Somebody who waits for the drain.
type Drain<'a> = task::Spawn<Pin<Box<dyn Future<Output = ()> + 'a>>>;

fn drains(payments: &Bulkhead, number: usize) -> Vec<Drain<'_>> {
    (0..number)
        .map(|_| {
            let mut drain: Drain<'_> = task::spawn(Box::pin(payments.wait_closed()));
            assert_pending!(drain.poll());
            drain
        })
        .collect()
}

#[test]
fn any_number_of_tasks_may_wait_for_the_close_before_and_after_it() {
    let payments = bulkhead(1, 0);
    let slot = payments.slot_now().unwrap();
    let mut waiting = drains(&payments, 50);
    payments.close();
    assert!(waiting.iter().all(|drain| !drain.is_woken()), "something runs");
    waiting.extend(drains(&payments, 50));
    drop(slot);
    for drain in &mut waiting {
        assert!(drain.is_woken());
        assert_ready!(drain.poll());
    }
    assert_ready!(task::spawn(payments.wait_closed()).poll());
}

#[test]
fn an_idle_bulkhead_is_drained_by_its_close_and_not_before() {
    let payments = bulkhead(1, 1);
    drop(payments.slot_now().unwrap());
    let mut waiting = drains(&payments, 3);
    drop(payments.slot_now().unwrap());
    // Under the lock or not, running dry is not the end.
    let slot = payments.slot_now().unwrap();
    let mut abandoned = task::spawn(payments.slot());
    assert_pending!(abandoned.poll());
    drop(slot);
    drop(abandoned);
    payments.resize(2).unwrap();
    assert!(waiting.iter().all(|drain| !drain.is_woken()), "idle is not closed");
    assert!(!checked_status(&payments).is_drained());
    payments.close();
    for drain in &mut waiting {
        assert!(drain.is_woken());
        assert_ready!(drain.poll());
    }
}

#[test]
fn waiting_for_the_close_takes_no_place_in_the_line_and_may_be_cancelled() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    let mut waiting = drains(&payments, 3);
    assert_eq!(checked_status(&payments).waiting, 0);
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    drop(waiting.remove(1));
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
    payments.close();
    for mut drain in waiting {
        assert!(drain.is_woken());
        assert_ready!(drain.poll());
    }
    assert_nothing_left(&payments);
}

#[test]
fn close_and_wait_cancelled_midway_leaves_the_bulkhead_closed_and_may_be_called_again() {
    let payments = bulkhead(1, 1);
    let slot = payments.slot_now().unwrap();
    drop(payments.close_and_wait());
    assert!(!payments.is_closed(), "nobody polled it");
    let mut closing = task::spawn(payments.close_and_wait());
    assert_pending!(closing.poll());
    assert!(payments.is_closed());
    drop(closing);
    assert!(payments.is_closed() && payments.slot_now().is_err());
    let mut closing = task::spawn(payments.close_and_wait());
    let mut another = task::spawn(payments.close_and_wait());
    assert_pending!(closing.poll());
    assert_pending!(another.poll());
    drop(slot);
    assert!(closing.is_woken() && another.is_woken());
    assert_ready!(closing.poll());
    assert_ready!(another.poll());
    assert_ready!(task::spawn(payments.close_and_wait()).poll());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn close_and_wait_ends_when_the_work_of_other_threads_has_ended() {
    for _ in 0..50 {
        let payments = bulkhead(2, 100);
        let (begin, begun) = tokio::sync::watch::channel(false);
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (payments, mut begun) = (payments.clone(), begun.clone());
                tokio::spawn(async move {
                    begun.wait_for(|begun| *begun).await.unwrap();
                    payments.execute(tokio::task::yield_now()).await.is_ok()
                })
            })
            .collect();
        begin.send(true).unwrap();
        tokio::task::yield_now().await;
        must_come(payments.close_and_wait()).await;
        let at_the_end = checked_status(&payments);
        assert!(at_the_end.is_drained());
        let mut served = 0;
        for task in tasks {
            served += u64::from(must_come(task).await.unwrap());
        }
        let status = checked_status(&payments);
        assert_eq!((status.totals.finished, status.totals.admitted), (served, served));
        assert_eq!(at_the_end.totals.admitted, served, "nobody was admitted after the drain");
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
