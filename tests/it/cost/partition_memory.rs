//! How much memory partitions take. Counted on this thread alone, which does everything here.

use bulklink::PartitionedBulkhead;
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{
    counting_allocator::{live, live_bytes},
    customers,
};

/// Few, where what a shard takes for itself counts most, and many.
const SIZES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Bytes of heap for each of so many idle partitions, each used once by `touch`.
fn bytes_each(partitions: u64, touch: impl Fn(&PartitionedBulkhead<u64>, u64)) -> f64 {
    let customers = customers(1, 4, partitions as usize);
    let before = live();
    (0..partitions).for_each(|key| touch(&customers, key));
    let taken = live() - before;
    let status = customers.status();
    assert_eq!((status.partitions as u64, status.active_partitions), (partitions, 0));
    taken as f64 / partitions as f64
}

fn at_once(customers: &PartitionedBulkhead<u64>, key: u64) {
    drop(customers.slot_now(&key).unwrap());
}

fn after_queueing(customers: &PartitionedBulkhead<u64>, key: u64) {
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
fn an_idle_partition_takes_at_most_256_bytes() {
    for partitions in SIZES {
        let bytes = bytes_each(partitions, at_once);
        println!("{bytes:.1} bytes each, of {partitions}, admitted at once");
        assert!(bytes <= 256.0, "{bytes} bytes each of {partitions}");
    }
}

#[test]
fn an_idle_partition_takes_at_most_256_bytes_also_after_it_had_a_line() {
    for partitions in SIZES {
        let bytes = bytes_each(partitions, after_queueing);
        println!("{bytes:.1} bytes each, of {partitions}, after queueing");
        assert!(bytes <= 256.0, "{bytes} bytes each of {partitions}");
    }
}

#[test]
fn discarded_partitions_give_their_memory_back() {
    let customers = customers(1, 4, 10_000);
    let fill = || (0..5_000).for_each(|key| after_queueing(&customers, key));
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

#[test]
fn dropping_a_bulkhead_and_its_slots_frees_everything() {
    let once = || {
        let customers = customers(2, 4, 100);
        let slots: Vec<_> = (0..50).map(|key| customers.slot_now(&key).unwrap()).collect();
        (50..300).for_each(|key| after_queueing_two(&customers, key));
        drop(customers);
        drop(slots);
    };
    once();
    let before = live();
    once();
    assert_eq!(live() - before, 0, "bytes leaked");
}

fn after_queueing_two(customers: &PartitionedBulkhead<u64>, key: u64) {
    let _slot = customers.slot_now(&key).unwrap();
    after_queueing(customers, key);
}

const PARTITIONS: usize = 10_000;

#[test]
fn ten_thousand_idle_partitions_take_at_most_256_bytes_each() {
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
    assert!(bytes <= 256 * PARTITIONS as i64, "{} bytes a partition", bytes / PARTITIONS as i64);
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
