//! Backpressure: handles that stay pending in front of a full bulkhead.

use std::{convert::Infallible, future::ready};

use bulklink::{
    BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, WeightedBulkheadLayer,
};
use http::{Request, Response};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{
    assert_nothing_left, bulkhead, checked_status, customers, full, ms, waiting, weighted,
};

type Shop = tower::util::ServiceFn<
    fn(Request<()>) -> std::future::Ready<Result<Response<String>, Infallible>>,
>;

fn shop() -> Shop {
    service_fn(|_| ready(Ok(Response::new(String::new()))))
}

#[tokio::test]
async fn a_handle_stays_pending_while_the_bulkhead_is_full() {
    for room in [0, 1] {
        let (payments, slot) = full(room);
        let layer = BulkheadLayer::new(&payments).backpressure();
        let mut handles: Vec<_> = (0..3).map(|_| layer.layer(shop())).collect();
        let waiter = (room > 0).then(|| waiting(payments.slot()));
        let mut polls: Vec<_> =
            handles.iter_mut().map(|handle| task::spawn(handle.ready())).collect();
        for _ in 0..2 {
            polls.iter_mut().for_each(|poll| assert_pending!(poll.poll()));
        }
        let status = checked_status(&payments);
        assert_eq!((status.in_flight, status.waiting), (1, room), "they take no place");
        // Whoever comes without backpressure is rejected as ever.
        assert!(payments.slot_now().is_err());
        match waiter {
            // A place in the room is enough.
            Some(waiter) => drop(waiter),
            None => drop(slot),
        }
        assert!(polls.iter().all(|poll| poll.is_woken()), "all of them are woken");
        let outcomes: Vec<_> = polls.iter_mut().map(|poll| poll.poll().is_ready()).collect();
        match room {
            0 => assert_eq!(outcomes, [true, false, false], "the first to ask is admitted"),
            _ => assert_eq!(outcomes, [false; 3]),
        }
        let status = checked_status(&payments);
        assert_eq!((status.in_flight, status.waiting), (1, room));
        assert_eq!(status.totals.saturated, 1, "not counted for those who stand there");
        drop(polls);
        drop(handles);
        assert_eq!(checked_status(&payments).waiting, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn it_stands_there_beyond_every_limit_and_through_a_pause() {
    let payments = crate::support::limited(1, ms(50));
    let slot = payments.slot_now().unwrap();
    let in_line = waiting(payments.slot());
    let mut handle = BulkheadLayer::new(&payments).backpressure().layer(shop());
    let mut poll = task::spawn(handle.ready());
    assert_pending!(poll.poll());
    advance(ms(50)).await;
    // The place of the waiter whose limit has passed.
    assert!(in_line.is_woken() && poll.is_woken());
    assert_pending!(poll.poll());
    assert_eq!(checked_status(&payments).waiting, 1, "it is in the line now");
    advance(ms(50)).await;
    drop(poll);
    drop((handle, in_line, slot));

    let payments = bulkhead(1, 0);
    payments.pause();
    let mut handle = BulkheadLayer::new(&payments).backpressure().layer(shop());
    let mut poll = task::spawn(handle.ready());
    assert_pending!(poll.poll());
    payments.resume();
    assert!(poll.is_woken());
    assert_ready_ok!(poll.poll());
}

#[tokio::test]
async fn a_drain_a_close_and_a_larger_bulkhead_wake_it() {
    let payments = bulkhead(1, 0);
    let slot = payments.slot_now().unwrap();
    let mut handle = BulkheadLayer::new(&payments).backpressure().layer(shop());
    let mut poll = task::spawn(handle.ready());
    assert_pending!(poll.poll());
    payments.resize(2).unwrap();
    assert!(poll.is_woken());
    assert_ready_ok!(poll.poll());
    drop(poll);
    let other = payments.slot_now();
    assert!(other.is_err());
    let mut late = BulkheadLayer::new(&payments).backpressure().into_error().layer(shop());
    let mut poll = task::spawn(late.ready());
    assert_pending!(poll.poll());
    payments.drain();
    assert!(poll.is_woken());
    assert_ready_ok!(poll.poll());
    drop(poll);
    let error = late.call(Request::new(())).await.unwrap_err();
    assert!(error.rejection().is_some());
    drop((slot, handle, late));
}

#[tokio::test]
async fn a_dropped_handle_leaves_nothing_behind() {
    let (payments, slot) = full(0);
    let layer = BulkheadLayer::new(&payments).backpressure();
    let (mut first, mut second) = (layer.layer(shop()), layer.layer(shop()));
    assert_pending!(task::spawn(first.ready()).poll());
    let mut second_poll = task::spawn(second.ready());
    assert_pending!(second_poll.poll());
    drop(first);
    drop(slot);
    assert!(second_poll.is_woken());
    assert_ready_ok!(second_poll.poll());
    drop(second_poll);
    drop(second);
    assert_nothing_left(&payments);
    // A call without readiness: nobody stands there any more, and it is admitted.
    let slot = payments.slot_now().unwrap();
    let mut handle = layer.layer(shop());
    let mut poll = task::spawn(handle.ready());
    assert_pending!(poll.poll());
    drop(poll);
    drop(slot);
    assert_eq!(handle.call(Request::new(())).await.unwrap().status(), 200);
    drop(handle);
    assert_nothing_left(&payments);
}

#[tokio::test]
async fn costs_and_keys_have_their_own_idea_of_full() {
    let jobs = weighted(10, 0);
    let most = jobs.slot_now(8).unwrap();
    let more = jobs.slot_now(1).unwrap();
    let mut large = WeightedBulkheadLayer::fixed(&jobs, 3).backpressure().layer(shop());
    let mut poll = task::spawn(large.ready());
    assert_pending!(poll.poll());
    // Not yet enough for it: it stands there in peace.
    drop(more);
    assert!(!poll.is_woken());
    let mut small = WeightedBulkheadLayer::fixed(&jobs, 2).backpressure().layer(shop());
    assert_ready_ok!(task::spawn(small.ready()).poll());
    let mut second = WeightedBulkheadLayer::fixed(&jobs, 2).backpressure().layer(shop());
    let mut second_poll = task::spawn(second.ready());
    assert_pending!(second_poll.poll());
    drop(small);
    // Enough for the other one. Both are woken, and the large one asks in vain once.
    assert!(second_poll.is_woken() && poll.is_woken());
    assert_pending!(poll.poll());
    assert!(!poll.is_woken());
    assert_ready_ok!(second_poll.poll());
    drop(second_poll);
    drop(second);
    drop(most);
    assert!(poll.is_woken());
    assert_ready_ok!(poll.poll());
    // What can never be admitted any more is told so.
    drop(poll);
    let shrunk = weighted(5, 0);
    let held = shrunk.slot_now(3).unwrap();
    let mut all = WeightedBulkheadLayer::fixed(&shrunk, 5).backpressure().layer(shop());
    let mut all_poll = task::spawn(all.ready());
    assert_pending!(all_poll.poll());
    shrunk.resize(4).unwrap();
    assert!(all_poll.is_woken());
    assert_ready_ok!(all_poll.poll());
    drop(held);
    // What can never be admitted is rejected.
    let mut oversized = WeightedBulkheadLayer::fixed(&jobs, 11).backpressure().layer(shop());
    let response = oversized.ready().await.unwrap().call(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 413);

    let customers: PartitionedBulkhead<u64> = customers(1, 0, 9);
    let slot = customers.slot_now(&1).unwrap();
    let layer = |key| PartitionedBulkheadLayer::fixed(&customers, key).backpressure();
    let (mut one, mut two) = (layer(1).layer(shop()), layer(2).layer(shop()));
    let mut poll = task::spawn(one.ready());
    assert_pending!(poll.poll());
    assert_ready_ok!(task::spawn(two.ready()).poll());
    drop(slot);
    assert!(poll.is_woken());
    assert_ready_ok!(poll.poll());
    drop(poll);
    drop((one, two));
    assert_eq!(customers.status().in_flight, 0);
}
