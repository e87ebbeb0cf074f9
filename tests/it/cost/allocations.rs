//! What is decided at once allocates nothing, and a queued readiness one thing.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bulklink::{
    Bulkhead, BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, RejectionReason,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use tower::{Layer, Service};

use crate::support::{bulkhead, counting_allocator::allocations};

/// Answers at once and allocates nothing itself.
#[derive(Clone)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

fn poll_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is decided at once is ready at once"),
    }
}

/// One request through a clone of `service`: whether it was admitted.
fn is_admitted<S>(service: &S) -> bool
where
    S: Service<u64, Response = u64> + Clone,
{
    let mut service = service.clone();
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))), "readiness does not fail");
    poll_once(service.call(7)).is_ok()
}

/// The allocations of an operation that is admitted, and of one that is rejected because `hold` keeps
/// all there is. Each is done once before, so that what a thread or a partition makes once is made.
#[track_caller]
fn assert_allocates_nothing<T>(is_admitted: impl Fn() -> bool, hold: impl FnOnce() -> T) {
    assert!(is_admitted());
    assert_eq!(allocations(&is_admitted), (0, true), "an admission");
    let _held = hold();
    assert!(!is_admitted());
    assert_eq!(allocations(&is_admitted), (0, false), "a rejection");
}

fn weighted() -> WeightedBulkhead {
    WeightedBulkhead::builder("reports").capacity(4).build().unwrap()
}

fn partitioned() -> PartitionedBulkhead<u64> {
    PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(4).build().unwrap()
}

fn hold(bulkhead: &Bulkhead) -> impl FnOnce() + use<'_> {
    || std::mem::forget(bulkhead.slot_now().unwrap())
}

#[test]
fn an_immediate_decision_allocates_nothing() {
    let plain = bulkhead(1, 0);
    assert_allocates_nothing(|| plain.slot_now().is_ok(), hold(&plain));
    let plain = bulkhead(1, 0);
    assert_allocates_nothing(|| poll_once(plain.slot()).is_ok(), hold(&plain));
    let plain = bulkhead(1, 0);
    assert_allocates_nothing(|| poll_once(plain.execute(async {})).is_ok(), hold(&plain));
    let reports = weighted();
    assert_allocates_nothing(|| reports.slot_now(4).is_ok(), || reports.slot_now(1));
    let customers = partitioned();
    assert_allocates_nothing(|| customers.slot_now(&7).is_ok(), || customers.slot_now(&7));
}

#[test]
fn an_immediate_decision_through_a_layer_allocates_nothing() {
    let plain = bulkhead(1, 0);
    let service = BulkheadLayer::new(&plain).into_error().layer(Echo);
    assert_allocates_nothing(|| is_admitted(&service), hold(&plain));
    let plain = bulkhead(1, 0);
    let service = BulkheadLayer::new(&plain).per_request().into_error().layer(Echo);
    assert_allocates_nothing(|| is_admitted(&service), hold(&plain));
    let reports = weighted();
    let service = WeightedBulkheadLayer::fixed(&reports, 4).into_error().layer(Echo);
    assert_allocates_nothing(|| is_admitted(&service), || reports.slot_now(1));
    let customers = partitioned();
    let service = PartitionedBulkheadLayer::fixed(&customers, 7).into_error().layer(Echo);
    assert_allocates_nothing(|| is_admitted(&service), || customers.slot_now(&7));
}

#[test]
fn rejections_that_differ_allocate_nothing_unless_one_is_held() {
    let reports = weighted();
    let _held = reports.slot_now(4).unwrap();
    let reject = |cost| reports.slot_now(cost).unwrap_err();
    let different = allocations(|| (1..=6).for_each(|cost| drop(reject(cost))));
    assert_eq!(different.0, 0);
    let (count, (first, second, third)) = allocations(|| (reject(1), reject(2), reject(2)));
    assert_eq!(count, 1, "the second differs from the first, which is held");
    assert!(matches!(first.reason(), RejectionReason::Saturated { cost: 1, .. }), "{first}");
    assert!(matches!(second.reason(), RejectionReason::Saturated { cost: 2, .. }), "{second}");
    assert_eq!(second, third);
}

#[test]
fn the_retry_hint_of_a_layer_allocates_once() {
    let plain = bulkhead(1, 0);
    let layer = BulkheadLayer::new(&plain).retry_after(Duration::from_secs(7)).into_error();
    let service = layer.layer(Echo);
    let _held = plain.slot_now().unwrap();
    let reject = || allocations(|| is_admitted(&service));
    assert_eq!((reject(), reject()), ((1, false), (0, false)));
}

#[test]
fn a_queued_readiness_allocates_once() {
    let bulkhead = bulkhead(1, 10);
    let service = BulkheadLayer::new(&bulkhead).into_error().layer(Echo);
    let _held = bulkhead.slot_now().unwrap();
    let queue = || {
        let mut service = service.clone();
        let poll =
            Service::<u64>::poll_ready(&mut service, &mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
    };
    // The first waiter of all makes the line.
    queue();
    assert_eq!(allocations(queue).0, 1);
}

#[test]
fn waiting_without_a_layer_allocates_nothing_once_there_is_a_line() {
    let bulkhead = bulkhead(1, 10);
    let wait = || {
        let held = bulkhead.slot_now().unwrap();
        let mut waiter = std::pin::pin!(bulkhead.slot());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
        drop(held);
        assert!(waiter.as_mut().poll(&mut cx).is_ready());
    };
    wait();
    assert_eq!(allocations(wait).0, 0);
}
