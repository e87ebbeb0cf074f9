//! What operations cost: allocations and memory, which are counted and so hold on any machine, and the
//! time of an eviction, which is measured only on request.

mod allocations;
mod eviction_time;
mod layer_allocations;
mod partition_memory;
mod waiter_memory;

use std::task::{Context, Poll, Waker};

use bulklink::{Bulkhead, PartitionedBulkhead, WeightedBulkhead};

use crate::support::counting_allocator::allocations;

fn poll_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("what is decided at once is ready at once"),
    }
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
