//! When a rejected operation is told to try again.

use bulklink::{Bulkhead, BulkheadLayer, PartitionedBulkhead, Rejection};
use http::{Request, header::RETRY_AFTER};
use tokio::time::advance;
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};

use crate::support::{bulkhead, customers, http_service::shop, ms, rejection_of, slot_of, waiting};

fn seconds(rejection: &Rejection) -> u64 {
    let hint = rejection.retry_after().unwrap();
    assert_eq!(hint.subsec_nanos(), 0);
    hint.as_secs()
}

/// Four wait, and each is served in three seconds: a fifth has its turn after fifteen.
#[tokio::test(start_paused = true)]
async fn the_hint_is_the_time_in_which_the_line_is_served() {
    let payments = bulkhead(1, 4);
    let mut slot = payments.slot_now().unwrap();
    let mut line: Vec<_> = (0..4).map(|_| waiting(payments.slot())).collect();
    assert_eq!(seconds(&payments.slot_now().unwrap_err()), 1, "nothing is known");
    for _ in 0..5 {
        advance(ms(3_000)).await;
        drop(slot);
        slot = slot_of(&mut line.remove(0));
        line.push(waiting(payments.slot()));
    }
    assert_eq!(seconds(&payments.slot_now().unwrap_err()), 15);
    let answer = BulkheadLayer::new(&payments).per_request().layer(shop());
    let Ok(response) = answer.clone().oneshot(Request::new(())).await;
    assert_eq!(response.headers()[RETRY_AFTER], "15");
    let grpc = Request::builder().header("content-type", "application/grpc").body(()).unwrap();
    let Ok(response) = answer.oneshot(grpc).await;
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "15000");
    line.drain(..2);
    let late = payments.slot_within(std::time::Duration::ZERO);
    let mut late = task::spawn(late);
    let std::task::Poll::Ready(Err(late)) = late.poll() else { panic!("its limit is over") };
    assert_eq!(seconds(&late), 9);
    // A layer that says something else is believed.
    let layer = BulkheadLayer::new(&payments).retry_after(ms(7_000)).per_request();
    line.push(waiting(payments.slot()));
    line.push(waiting(payments.slot()));
    let Ok(response) = layer.layer(shop()).oneshot(Request::new(())).await;
    assert_eq!(response.headers()[RETRY_AFTER], "7");
}

/// Serves the line of a bulkhead with four slots, one after the other.
async fn served_each(payments: &Bulkhead, time: u64, count: usize) {
    let mut slots: Vec<_> = (0..4).map(|_| payments.slot_now().unwrap()).collect();
    let mut line = Vec::new();
    for _ in 0..count {
        line.push(waiting(payments.slot()));
        line.push(waiting(payments.slot()));
        advance(ms(time)).await;
        drop(slots.remove(0));
        slots.push(slot_of(&mut line.remove(0)));
        line.pop();
    }
}

/// Times without a line count for nothing, and what happened long ago for little.
#[tokio::test(start_paused = true)]
async fn the_hint_follows_the_pace_of_the_line() {
    let payments = bulkhead(4, 2);
    served_each(&payments, 10, 2_000).await;
    advance(ms(3_600_000)).await;
    let fill = || -> (Vec<_>, Vec<_>) {
        let slots = (0..4).map(|_| payments.slot_now().unwrap()).collect();
        (slots, (0..2).map(|_| waiting(payments.slot())).collect())
    };
    let full = fill();
    assert_eq!(seconds(&payments.slot_now().unwrap_err()), 1);
    drop(full);
    served_each(&payments, 5_000, 2_000).await;
    let full = fill();
    assert_eq!(seconds(&payments.slot_now().unwrap_err()), 15);
    // Standing still in a pause is not a pace.
    drop(full);
    let full = fill();
    payments.pause();
    advance(ms(600_000)).await;
    payments.resume();
    assert_eq!(seconds(&payments.slot_now().unwrap_err()), 15);
    drop(full);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_too_long_and_a_key_have_hints_of_their_own() {
    let customers: PartitionedBulkhead<u64> = customers(1, 2, 9);
    let mut slot = customers.slot_now(&1).unwrap();
    let _other = customers.slot_now(&2).unwrap();
    let mut first = task::spawn(customers.slot(&1));
    let mut second = task::spawn(customers.slot_within(ms(8_000), &1));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    advance(ms(4_000)).await;
    drop(slot);
    slot = slot_of(&mut first);
    assert_eq!(seconds(&customers.slot_now(&1).unwrap_err()), 8);
    assert_eq!(seconds(&customers.slot_now(&2).unwrap_err()), 1);
    advance(ms(4_000)).await;
    assert_eq!(seconds(&rejection_of(&mut second)), 4, "nobody else waits");
    drop(slot);
}
