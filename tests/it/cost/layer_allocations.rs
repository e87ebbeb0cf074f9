//! Allocations of admissions through a layer: none if immediate, one if the request waits in readiness.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bulklink::{
    Bulkhead, BulkheadError, BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use tower::{Layer, Service, util::ServiceFn};

use super::{assert_allocates_nothing, hold, partitioned, poll_once, weighted};
use crate::support::{bulkhead, counting_allocator};

/// Returns the number of allocations this thread makes in `action`.
fn allocations(action: impl FnOnce()) -> u64 {
    counting_allocator::allocations(action).0
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
    assert_eq!(allocations(|| drop(vec![0_u8; 9])), 1);
    assert_eq!(allocations(|| ()), 0);
}

type Inner = ServiceFn<fn(u64) -> Ready<Result<u64, Infallible>>>;

type Answer = Result<u64, BulkheadError<Infallible>>;

fn echo() -> Inner {
    tower::service_fn(|request| ready(Ok(request)))
}

/// Sends one request through a handle, from readiness to the answer.
fn request<S>(handle: &mut S) -> Answer
where
    S: Service<u64, Response = u64, Error = BulkheadError<Infallible>>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(handle.poll_ready(&mut context).is_ready());
    match pin!(handle.call(7)).poll(&mut context) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("not immediate"),
    }
}

/// Asserts that immediate admissions allocate nothing, and that rejections allocate nothing while `occupy`
/// holds the full capacity. Does each with the handle itself and with a clone.
fn assert_immediate_is_free<L, S, Slot>(layer: L, occupy: impl Fn() -> Slot)
where
    L: Layer<Inner, Service = S>,
    S: Service<u64, Response = u64, Error = BulkheadError<Infallible>> + Clone,
{
    let mut handle = layer.layer(echo());
    assert_eq!(request(&mut handle), Ok(7));
    assert_eq!(allocations(|| assert_eq!(request(&mut handle), Ok(7))), 0);
    assert_eq!(allocations(|| assert_eq!(request(&mut handle.clone()), Ok(7))), 0);

    let _slot = occupy();
    assert!(request(&mut handle).is_err());
    assert_eq!(allocations(|| assert!(request(&mut handle).is_err())), 0);
    assert_eq!(allocations(|| assert!(request(&mut handle.clone()).is_err())), 0);
}

#[test]
fn immediate_requests_through_every_layer_allocate_nothing() {
    let plain = Bulkhead::builder("plain").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&plain).into_error();
    assert_immediate_is_free(layer.clone(), || plain.slot_now().unwrap());
    assert_immediate_is_free(layer.per_request(), || plain.slot_now().unwrap());

    let weighted = WeightedBulkhead::builder("weighted").capacity(3).build().unwrap();
    let layer = WeightedBulkheadLayer::fixed(&weighted, 3).into_error();
    assert_immediate_is_free(layer, || weighted.slot_now(3).unwrap());
    let layer = WeightedBulkheadLayer::new(&weighted, |_: &u64| 3).into_error();
    assert_immediate_is_free(layer, || weighted.slot_now(3).unwrap());

    let builder = PartitionedBulkhead::builder("partitioned").parallelism(1).max_partitions(2);
    let partitioned = builder.build().unwrap();
    let layer = PartitionedBulkheadLayer::fixed(&partitioned, 7).into_error();
    assert_immediate_is_free(layer, || partitioned.slot_now(&7).unwrap());
    let layer = PartitionedBulkheadLayer::new(&partitioned, |key: &u64| Some(*key)).into_error();
    assert_immediate_is_free(layer, || partitioned.slot_now(&7).unwrap());
}

/// Returns the number of allocations of a poll of readiness that has to wait.
fn allocations_of_waiting_readiness<S: Service<u64>>(handle: &mut S) -> u64 {
    let mut context = Context::from_waker(Waker::noop());
    allocations(|| assert!(handle.poll_ready(&mut context).is_pending()))
}

#[test]
fn a_wait_in_readiness_allocates_once() {
    let plain = Bulkhead::builder("plain").parallelism(1).waiting_room(2).build().unwrap();
    let layer = BulkheadLayer::new(&plain).into_error();
    let _slot = plain.slot_now().unwrap();
    allocations_of_waiting_readiness(&mut layer.layer(echo()));
    let mut handle = layer.layer(echo());
    assert_eq!(
        allocations_of_waiting_readiness(&mut handle),
        1,
        "the wait itself, held by the handle"
    );
    assert_eq!(allocations_of_waiting_readiness(&mut handle), 0, "another poll of the same wait");
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_readiness_with_a_limit_allocates_once() {
    let builder = Bulkhead::builder("plain").parallelism(1).waiting_room(2);
    let plain = builder.wait_limit(Duration::from_secs(1)).build().unwrap();
    let layer = BulkheadLayer::new(&plain).into_error();
    let _slot = plain.slot_now().unwrap();
    allocations_of_waiting_readiness(&mut layer.layer(echo()));
    assert_eq!(allocations_of_waiting_readiness(&mut layer.layer(echo())), 1);
}

#[test]
fn a_wait_per_request_allocates_nothing() {
    let plain = Bulkhead::builder("plain").parallelism(1).waiting_room(2).build().unwrap();
    let mut handle = BulkheadLayer::new(&plain).per_request().into_error().layer(echo());
    let slot = plain.slot_now().unwrap();
    drop(handle.call(1));
    let mut context = Context::from_waker(Waker::noop());
    let mut slot = Some(slot);
    let waiting = allocations(|| {
        let mut response = pin!(handle.call(7));
        assert!(response.as_mut().poll(&mut context).is_pending());
        drop(slot.take());
        assert_eq!(response.poll(&mut context), Poll::Ready(Ok(7)));
    });
    assert_eq!(waiting, 0);
}

/// Sends one request through a clone of `service`, and returns whether it was admitted.
fn is_admitted<S>(service: &S) -> bool
where
    S: Service<u64, Response = u64> + Clone,
{
    let mut service = service.clone();
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))), "readiness failed");
    poll_once(service.call(7)).is_ok()
}

#[test]
fn an_immediate_decision_through_a_layer_allocates_nothing() {
    let plain = bulkhead(1, 0);
    let service = BulkheadLayer::new(&plain).into_error().layer(echo());
    assert_allocates_nothing(|| is_admitted(&service), hold(&plain));
    let plain = bulkhead(1, 0);
    let service = BulkheadLayer::new(&plain).per_request().into_error().layer(echo());
    assert_allocates_nothing(|| is_admitted(&service), hold(&plain));
    let reports = weighted();
    let service = WeightedBulkheadLayer::fixed(&reports, 4).into_error().layer(echo());
    assert_allocates_nothing(|| is_admitted(&service), || reports.slot_now(1));
    let customers = partitioned();
    let service = PartitionedBulkheadLayer::fixed(&customers, 7).into_error().layer(echo());
    assert_allocates_nothing(|| is_admitted(&service), || customers.slot_now(&7));
}

#[test]
fn the_retry_hint_of_a_layer_allocates_once() {
    let plain = bulkhead(1, 0);
    let layer = BulkheadLayer::new(&plain).retry_after(Duration::from_secs(7)).into_error();
    let service = layer.layer(echo());
    let _held = plain.slot_now().unwrap();
    let reject = || counting_allocator::allocations(|| is_admitted(&service));
    assert_eq!((reject(), reject()), ((1, false), (0, false)));
}

#[test]
fn a_clone_that_waits_in_readiness_allocates_once() {
    let bulkhead = bulkhead(1, 10);
    let service = BulkheadLayer::new(&bulkhead).into_error().layer(echo());
    let _held = bulkhead.slot_now().unwrap();
    let queue = || {
        let mut service = service.clone();
        let poll =
            Service::<u64>::poll_ready(&mut service, &mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
    };
    // The first waiter allocates the line.
    queue();
    assert_eq!(allocations(queue), 1);
}
