//! Panics in the `Hash`, `Eq`, `Clone` or `Drop` of a key, and in the function that returns its limits.

use std::hash::{Hash, Hasher};

use bulklink::{PartitionLimits, PartitionedBulkhead};
use tokio_test::{assert_pending, task};

use super::{Switch, fault};
use crate::support::panics;

/// A key that panics in the places whose switch is on.
#[derive(Default)]
pub(super) struct Key {
    number: u64,
    hash: Switch,
    eq: Switch,
    clone: Switch,
    pub(super) drop: Switch,
}

impl Key {
    pub(super) fn new(number: u64) -> Self {
        let mut key = Self::default();
        key.number = number;
        key
    }

    /// Returns the switch of every place.
    pub(super) fn switches(&self) -> [Switch; 4] {
        [&self.hash, &self.eq, &self.clone, &self.drop].map(Clone::clone)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.pass_once();
        self.number.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.eq.pass_once();
        other.eq.pass_once();
        self.number == other.number
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        self.clone.pass_once();
        let Self { number, hash, eq, clone, drop } = self;
        let (hash, eq, clone, drop) = (hash.clone(), eq.clone(), clone.clone(), drop.clone());
        Self { number: *number, hash, eq, clone, drop }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.drop.pass_once();
    }
}

pub(super) fn customers(max: usize) -> PartitionedBulkhead<Key> {
    PartitionedBulkhead::builder("customers")
        .parallelism(1)
        .waiting_room(1)
        .max_partitions(max)
        .build()
        .unwrap()
}

/// Asserts that nothing is in use, that every partition can be evicted for a new key, and that the totals add
/// up.
#[track_caller]
pub(super) fn assert_all_idle(customers: &PartitionedBulkhead<Key>) {
    let status = customers.status();
    assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0));
    let new = 1_000..1_000 + status.max_partitions as u64;
    let slots: Vec<_> = new
        .map(|key| customers.slot_now(&Key::new(key)).expect("every partition is idle"))
        .collect();
    drop(slots);
    let status = customers.status();
    assert_eq!(status.totals.admitted, status.totals.finished + status.totals.abandoned);
    let removed = status.evicted + status.discarded;
    assert_eq!(status.created, status.partitions as u64 + removed);
    assert_eq!(status.active_partitions, 0);
}

#[test]
fn a_key_whose_hash_eq_or_clone_panics_holds_no_partition() {
    for place in 0..3 {
        let customers = customers(2);
        drop(customers.slot_now(&Key::new(1)).unwrap());
        for number in [1, 2] {
            let key = Key::new(number);
            [&key.hash, &key.eq, &key.clone][place].set(true);
            let panicked = panics(|| customers.slot_now(&key).map(drop).ok());
            // A key with a partition is not cloned. One without a partition need not be compared.
            assert!(panicked || (place, number) == (2, 1) || (place, number) == (1, 2));
            let key = Key::new(number);
            [&key.hash, &key.eq, &key.clone][place].set(true);
            panics(|| customers.discard(&key));
            panics(|| customers.partition_status(&key).is_some());
            panics(|| customers.resize_partition(&key, 3).is_ok());
        }
        assert_all_idle(&customers);
    }
}

#[test]
fn a_discarded_key_whose_drop_panics_leaves_the_counts_right() {
    let customers = customers(2);
    let failing = Key::new(1);
    drop(customers.slot_now(&failing).unwrap());
    failing.drop.set(true);
    assert!(panics(|| customers.discard(&failing)));
    failing.drop.set(false);
    assert_eq!(customers.status().discarded, 1);
    assert_all_idle(&customers);
}

#[test]
fn a_waiter_of_one_key_survives_the_faults_of_other_keys() {
    let customers = customers(2);
    let own = Key::new(1);
    let slot = customers.slot_now(&own).unwrap();
    let mut waiter = task::spawn(customers.slot(&own));
    assert_pending!(waiter.poll());
    for number in [1, 2, 3] {
        let key = Key::new(number);
        key.hash.set(true);
        assert!(panics(|| customers.slot_now(&key).is_ok()));
        key.eq.set(true);
        panics(|| customers.slot_now(&key).is_ok());
    }
    drop(slot);
    assert!(waiter.is_woken());
    assert!(matches!(waiter.poll(), std::task::Poll::Ready(Ok(_))));
    drop(waiter);
    assert_all_idle(&customers);
}

#[test]
fn limits_that_panic_reject_their_key_each_time_and_hold_nothing() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(1)
        .max_partitions(1)
        .limits_for(|&key| if key == 0 { fault() } else { PartitionLimits::new(1) })
        .build()
        .unwrap();
    for _ in 0..3 {
        assert!(customers.slot_now(&0).is_err());
        drop(customers.slot_now(&1).unwrap());
    }
    let status = customers.status();
    assert_eq!((status.totals.invalid_limits, status.partitions, status.created), (3, 1, 1));
}
