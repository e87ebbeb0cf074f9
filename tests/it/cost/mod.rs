//! What operations cost. Allocations and memory are counted, so the results hold on any machine. The time of
//! an eviction is measured only on request.

mod allocations;
mod caught_panics;
mod eviction_time;
mod layer_allocations;
mod partition_memory;
mod sizes;
mod waiter_memory;

use std::task::{Context, Poll, Waker};

use bulklink::{Bulkhead, PartitionedBulkhead, WeightedBulkhead};

use crate::support::counting_allocator::allocations;

fn poll_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("an immediate decision is pending"),
    }
}

/// Asserts that an admission allocates nothing, and that a rejection allocates nothing while `hold` holds the
/// full capacity. Each runs once before it is counted, to exclude one-time allocations of a thread or a
/// partition.
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
