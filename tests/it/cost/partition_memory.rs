//! Memory of partitions. Counts this thread only, which does all the work.

use bulklink::{PartitionedBulkhead, PartitionedChange};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{
    counting_allocator::{live, live_bytes},
    customers,
};

/// Numbers of partitions. With few partitions, the fixed memory of the shards weighs most.
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Returns the heap bytes per partition, for `partitions` idle partitions that `touch` has used once each.
fn bytes_per_partition(partitions: u64, touch: impl Fn(&PartitionedBulkhead<u64>, u64)) -> f64 {
    bytes_per_partition_of(&customers(1, 4, partitions as usize), partitions, touch)
}

fn bytes_per_partition_of(
    customers: &PartitionedBulkhead<u64>,
    partitions: u64,
    touch: impl Fn(&PartitionedBulkhead<u64>, u64),
) -> f64 {
    let before = live();
    (0..partitions).for_each(|key| touch(customers, key));
    let used = live() - before;
    let status = customers.status();
    assert_eq!((status.partitions as u64, status.active_partitions), (partitions, 0));
    used as f64 / partitions as f64
}

fn without_waiting(customers: &PartitionedBulkhead<u64>, key: u64) {
    drop(customers.slot_now(&key).unwrap());
}

fn after_waiting(customers: &PartitionedBulkhead<u64>, key: u64) {
    let slot = customers.slot_now(&key).unwrap();
    let mut leaving = task::spawn(customers.slot(&key));
    let mut waiter = task::spawn(customers.slot(&key));
    assert_pending!(leaving.poll());
    assert_pending!(waiter.poll());
    assert!(customers.slot_now(&key).is_err());
    drop(leaving);
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn an_idle_partition_takes_at_most_272_bytes() {
    for partitions in SIZES {
        let bytes = bytes_per_partition(partitions, without_waiting);
        println!("{bytes:.1} bytes per partition, {partitions} partitions, used without waiting");
        assert!(bytes <= 272.0, "{bytes} bytes per partition, {partitions} partitions");
    }
}

#[test]
fn an_idle_partition_that_had_waiters_takes_at_most_272_bytes() {
    for partitions in SIZES {
        let bytes = bytes_per_partition(partitions, after_waiting);
        println!("{bytes:.1} bytes per partition, {partitions} partitions, used after waiting");
        assert!(bytes <= 272.0, "{bytes} bytes per partition, {partitions} partitions");
    }
}

/// What its pool knows of it is beside it.
#[test]
fn an_idle_partition_with_a_shared_capacity_takes_at_most_400_bytes() {
    for partitions in [1_000, 1_000_000] {
        let builder = PartitionedBulkhead::builder("customers").parallelism(1).waiting_room(4);
        let builder = builder.max_partitions(partitions as usize).total_parallelism(1);
        let customers = builder.total_waiting_room(4).build().unwrap();
        let bytes = bytes_per_partition_of(&customers, partitions, without_waiting);
        println!("{bytes:.1} bytes per partition, {partitions} partitions, with a shared capacity");
        assert!(bytes <= 400.0, "{bytes} bytes per partition, {partitions} partitions");
    }
}

#[test]
fn discarding_partitions_frees_their_memory() {
    let customers = customers(1, 4, 10_000);
    let fill = || (0..5_000).for_each(|key| after_waiting(&customers, key));
    let empty = || (0..5_000).for_each(|key| assert!(customers.discard(&key)));
    fill();
    empty();
    let before = live();
    for _ in 0..5 {
        fill();
        assert!(live() > before);
        empty();
    }
    let left = live() - before;
    assert!(left.abs() < 1024, "{left} bytes left by 25,000 partitions");
    drop(customers);
}

/// The memory that many partitions have left behind.
fn left_behind(survives: impl Fn(u64) -> bool) -> i64 {
    const MANY: u64 = 200_000;
    let customers = customers(1, 4, MANY as usize);
    let before = live();
    (0..MANY).for_each(|key| without_waiting(&customers, key));
    let filled = live() - before;
    let gone = (0..MANY).filter(|&key| !survives(key));
    gone.for_each(|key| assert!(customers.discard(&key)));
    let left = live() - before;
    println!("{} partitions have left {left} of {filled} bytes", customers.status().partitions);
    assert!((0..MANY).all(|key| customers.partition_status(&key).is_some() == survives(key)));
    left
}

#[test]
fn partitions_that_are_gone_leave_no_memory_behind() {
    // Each of 64 shards keeps a few entries of storage, and a small table.
    assert!(left_behind(|_| false) < 64 * 2_048);
    // Those that stay were made from the first to the last.
    assert!(left_behind(|key| key % 1_000 == 0) < 64 * 2_048 + 200 * 272);
    assert!(left_behind(|key| key >= 199_000) < 64 * 2_048 + 1_000 * 272);
}

#[test]
fn idle_partitions_that_are_removed_give_their_memory_back_at_once() {
    let customers = customers(1, 4, 100_000);
    let before = live();
    (0..100_000).for_each(|key| without_waiting(&customers, key));
    customers.reconfigure(PartitionedChange::new().max_partitions(100)).unwrap();
    let left = live() - before;
    assert_eq!(customers.status().partitions, 100);
    assert!(left < 64 * 2_048 + 100 * 272, "{left} bytes left");
}

#[test]
fn dropping_a_bulkhead_and_its_slots_frees_everything() {
    let once = || {
        let customers = customers(2, 4, 100);
        let slots: Vec<_> = (0..50).map(|key| customers.slot_now(&key).unwrap()).collect();
        (50..300).for_each(|key| after_waiting_behind_another_slot(&customers, key));
        drop(customers);
        drop(slots);
    };
    once();
    let before = live();
    once();
    assert_eq!(live() - before, 0, "bytes leaked");
}

fn after_waiting_behind_another_slot(customers: &PartitionedBulkhead<u64>, key: u64) {
    let _slot = customers.slot_now(&key).unwrap();
    after_waiting(customers, key);
}

const PARTITIONS: usize = 10_000;

#[test]
fn ten_thousand_idle_partitions_take_at_most_272_bytes_each() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(3)
        .waiting_room(10)
        .max_partitions(PARTITIONS)
        .build()
        .unwrap();
    let (bytes, ()) = live_bytes(|| {
        for key in 0..PARTITIONS as u64 {
            drop(customers.slot_now(&key).unwrap());
        }
    });
    assert_eq!(customers.status().partitions, PARTITIONS);
    assert!(bytes <= 272 * PARTITIONS as i64, "{} bytes per partition", bytes / PARTITIONS as i64);
}

#[test]
fn dropping_a_bulkhead_frees_its_partitions() {
    let (bytes, ()) = live_bytes(|| {
        let customers = PartitionedBulkhead::<u64>::builder("customers")
            .parallelism(3)
            .max_partitions(PARTITIONS);
        let customers = customers.build().unwrap();
        for key in 0..2 * PARTITIONS as u64 {
            drop(customers.slot_now(&key).unwrap());
        }
    });
    assert_eq!(bytes, 0);
}
