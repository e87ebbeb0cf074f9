//! Builds bulkheads of every kind for the tests.

use std::time::Duration;

use bulklink::{Bulkhead, PartitionedBulkhead, Slot, WeightedBulkhead};

/// Returns a bulkhead without a wait limit.
pub(crate) fn bulkhead(parallelism: usize, room: usize) -> Bulkhead {
    Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room).build().unwrap()
}

/// Returns a bulkhead that has been full before, so that taking one of its slots takes no lock.
pub(crate) fn practised(parallelism: usize, room: usize) -> Bulkhead {
    let bulkhead = bulkhead(parallelism, room);
    drop((0..parallelism).map(|_| bulkhead.slot_now().unwrap()).collect::<Vec<_>>());
    bulkhead
}

/// Returns a weighted bulkhead without a wait limit.
pub(crate) fn weighted(capacity: usize, room: usize) -> WeightedBulkhead {
    WeightedBulkhead::builder("reports").capacity(capacity).waiting_room(room).build().unwrap()
}

/// Returns a bulkhead partitioned by number, without a wait limit.
pub(crate) fn customers(parallelism: usize, room: usize, max: usize) -> PartitionedBulkhead<u64> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(parallelism);
    builder.waiting_room(room).max_partitions(max).build().unwrap()
}

/// Returns those of `keys` that have a partition.
pub(crate) fn retained(
    customers: &PartitionedBulkhead<u64>,
    keys: impl IntoIterator<Item = u64>,
) -> Vec<u64> {
    keys.into_iter().filter(|key| customers.partition_status(key).is_some()).collect()
}

/// Returns a bulkhead with one slot and a wait limit.
pub(crate) fn limited(room: usize, limit: Duration) -> Bulkhead {
    let builder = Bulkhead::builder("payments").parallelism(1).waiting_room(room);
    builder.wait_limit(limit).build().unwrap()
}

/// Returns a bulkhead whose only slot is held, and that slot.
pub(crate) fn full(room: usize) -> (Bulkhead, Slot) {
    let bulkhead = bulkhead(1, room);
    let slot = bulkhead.slot_now().unwrap();
    (bulkhead, slot)
}
