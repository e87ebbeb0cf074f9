//! The exact order of the line: with many waiters, on both kinds of runtime, and without cooperative budget.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use bulklink::Bulkhead;
use tokio::sync::oneshot;
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{
    Wakes, assert_nothing_left, bulkhead, checked_status, limited, must_come, poll_with,
    spend_budget,
};

const WAITERS: usize = 10_000;

/// Never reached. A waiter with a limit has a timer, which consumes cooperative budget.
const WAIT_LIMIT: Duration = Duration::from_secs(3_600);

/// What a task does with its cooperative budget in the poll in which its operation arrives.
#[derive(Clone, Copy)]
enum Budget {
    Kept,
    Spent,
    /// Every other waiter has none left, so that the others could overtake it.
    SpentByEveryOther,
}

/// Queues `WAITERS` tasks one after the other, and checks that they run in the order in which they
/// arrived. Each task is started only after the previous one has arrived.
async fn assert_admitted_in_order_of_arrival(bulkhead: Bulkhead, budget: Budget) {
    let slot = bulkhead.slot().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::with_capacity(WAITERS)));
    let mut tasks = Vec::with_capacity(WAITERS);
    for number in 0..WAITERS {
        let (joined, has_joined) = oneshot::channel();
        let (bulkhead, order) = (bulkhead.clone(), order.clone());
        let spend = match budget {
            Budget::Kept => false,
            Budget::Spent => true,
            Budget::SpentByEveryOther => number % 2 == 0,
        };
        tasks.push(tokio::spawn(async move {
            let mut wait = pin!(bulkhead.slot());
            let mut joined = Some(joined);
            let slot = poll_fn(|cx| {
                let is_first = joined.is_some();
                if is_first && spend {
                    spend_budget(cx);
                }
                let polled = wait.as_mut().poll(cx);
                if let Some(joined) = joined.take() {
                    assert!(polled.is_pending());
                    // In this very poll: some polls later, the order could be different.
                    assert_eq!(
                        bulkhead.status().waiting,
                        number + 1,
                        "the operation arrives at its first poll"
                    );
                    joined.send(()).unwrap();
                }
                polled
            })
            .await
            .unwrap();
            // There is one slot, so this is the order of admission.
            order.lock().unwrap().push(number);
            drop(slot);
        }));
        must_come(has_joined).await.unwrap();
    }
    assert_eq!(checked_status(&bulkhead).waiting, WAITERS);
    drop(slot);
    for task in tasks {
        must_come(task).await.unwrap();
    }
    let order = order.lock().unwrap();
    assert!(order.iter().copied().eq(0..WAITERS), "overtaken: {:?}", first_overtaken(&order));
    let status = checked_status(&bulkhead);
    assert_eq!(status.totals.admitted_from_queue, WAITERS as u64);
    assert_eq!((status.peaks.waiting, status.peaks.used), (WAITERS, 1));
    assert_nothing_left(&bulkhead);
}

fn first_overtaken(order: &[usize]) -> Option<(usize, usize)> {
    order.iter().copied().enumerate().find(|(position, number)| position != number)
}

fn unlimited() -> Bulkhead {
    bulkhead(1, WAITERS)
}

#[tokio::test(flavor = "current_thread")]
async fn ten_thousand_waiters_are_admitted_in_order_on_one_thread() {
    assert_admitted_in_order_of_arrival(unlimited(), Budget::Kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_waiters_are_admitted_in_order_on_many_threads() {
    assert_admitted_in_order_of_arrival(unlimited(), Budget::Kept).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_spent_budget_does_not_cost_a_place_in_line_on_one_thread() {
    assert_admitted_in_order_of_arrival(unlimited(), Budget::Spent).await;
    assert_admitted_in_order_of_arrival(limited(WAITERS, WAIT_LIMIT), Budget::SpentByEveryOther)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_spent_budget_does_not_cost_a_place_in_line_on_many_threads() {
    assert_admitted_in_order_of_arrival(unlimited(), Budget::SpentByEveryOther).await;
    assert_admitted_in_order_of_arrival(limited(WAITERS, WAIT_LIMIT), Budget::Spent).await;
}

#[test]
fn waiters_of_every_method_share_one_line() {
    let payments = bulkhead(1, 9);
    let mut slot = Some(payments.slot_now().unwrap());
    let order = Mutex::new(Vec::new());
    let record = |number| order.lock().unwrap().push(number);
    let wakes = Wakes::default();
    let guarded = payments.guard(|number| async move { record(number) });
    let mut first = Box::pin(payments.execute(async { record(0) }));
    let mut second = Box::pin(payments.slot());
    let mut third = Box::pin(guarded(2));
    assert!(poll_with(&mut first, &wakes.waker(0)).is_pending());
    assert!(poll_with(&mut second, &wakes.waker(1)).is_pending());
    assert!(poll_with(&mut third, &wakes.waker(2)).is_pending());
    slot.take();
    assert_eq!(wakes.order(), [0]);
    assert!(poll_with(&mut second, &wakes.waker(1)).is_pending());
    assert!(poll_with(&mut third, &wakes.waker(2)).is_pending());
    assert!(poll_with(&mut first, &wakes.waker(0)).is_ready());
    let Poll::Ready(Ok(slot)) = poll_with(&mut second, &wakes.waker(1)) else {
        panic!("second is not the next")
    };
    record(1);
    drop(slot);
    assert!(poll_with(&mut third, &wakes.waker(2)).is_ready());
    assert_eq!((order.lock().unwrap().clone(), wakes.order()), (vec![0, 1, 2], vec![0, 1, 2]));
}

#[test]
fn several_slots_released_at_once_go_to_the_first_in_line_in_order() {
    let payments = bulkhead(3, 9);
    let slots: Vec<_> = (0..3).map(|_| payments.slot_now().unwrap()).collect();
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    drop(slots);
    assert_eq!(wakes.order(), [0, 1, 2]);
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.waiting), (3, 2));
}

#[test]
fn no_operation_overtakes_a_waiter() {
    let payments = bulkhead(2, 9);
    let (first, second) = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
    let mut waiter = task::spawn(payments.slot());
    assert_pending!(waiter.poll());
    drop(first);
    // The slot belongs to the waiter, although it has not been polled since.
    assert!(payments.slot_now().is_err());
    drop(second);
    let newcomer = payments.slot_now().unwrap();
    drop(assert_ready_ok!(waiter.poll()));
    drop(newcomer);
    assert_nothing_left(&payments);
}
