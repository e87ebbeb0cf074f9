//! Eviction: the partition that has been idle longest makes room for a new key, and never one in use.

use bulklink::{RejectionReason, Slot};
use proptest::prelude::*;

use crate::support::{assert_all_consistent, cases, customers, retained};

#[test]
fn a_partition_becomes_idle_when_its_last_slot_is_given_back() {
    let customers = customers(2, 0, 3);
    let one = (customers.slot_now(&1).unwrap(), customers.slot_now(&1).unwrap());
    let two = customers.slot_now(&2).unwrap();
    let three = customers.slot_now(&3).unwrap();
    drop(three);
    drop(one.0);
    drop(two);
    drop(one.1);
    for (newcomer, remaining) in [(4, vec![1, 2, 4]), (5, vec![1, 4, 5]), (6, vec![4, 5, 6])] {
        drop(customers.slot_now(&newcomer).unwrap());
        assert_eq!(retained(&customers, 1..10), remaining);
    }
}

#[test]
fn reading_the_status_of_a_partition_does_not_count_as_use() {
    let customers = customers(1, 0, 2);
    drop(customers.slot_now(&1).unwrap());
    drop(customers.slot_now(&2).unwrap());
    assert!(customers.partition_status(&1).is_some());
    let _ = customers.status();
    drop(customers.slot_now(&3).unwrap());
    assert_eq!(retained(&customers, 1..4), [2, 3]);
}

#[test]
fn a_partition_created_again_is_a_new_one() {
    let customers = customers(1, 0, 1);
    drop(customers.slot_now(&1).unwrap());
    let first = customers.partition_status(&1).unwrap();
    assert_eq!((first.totals.admitted, &*first.label), (1, "customers"));
    drop(customers.slot_now(&2).unwrap());
    drop(customers.slot_now(&1).unwrap());
    let again = customers.partition_status(&1).unwrap();
    assert_ne!(first.instance, again.instance);
    assert_eq!(again.totals.admitted, 1, "its counters start at zero");
    assert_eq!(customers.status().totals.admitted, 3, "and the totals of the bulkhead continue");
    assert!(again.since(&first).is_err());
}

#[test]
fn at_the_limit_a_new_key_is_rejected_exactly_while_no_partition_is_idle() {
    let customers = customers(1, 0, 32);
    let mut slots: Vec<_> = (0..32).map(|key| customers.slot_now(&key).unwrap()).collect();
    for known in 0..32 {
        let rejection = customers.slot_now(&known).unwrap_err();
        assert!(matches!(rejection.reason(), RejectionReason::Saturated { .. }), "{rejection}");
    }
    for round in 0..10 {
        let rejection = customers.slot_now(&(100 + round)).unwrap_err();
        assert!(matches!(
            rejection.reason(),
            RejectionReason::PartitionLimit { max_partitions: 32, active_partitions: 32, .. }
        ));
        assert_eq!(
            rejection.to_string(),
            "bulkhead \"customers\" rejected the operation: no partition for a new key: 32 of 32 \
             partitions are in use"
        );
        assert!(rejection.retry_after().is_some());
        drop(slots.pop());
        slots.push(customers.slot_now(&(200 + round)).unwrap());
    }
    let status = customers.status();
    assert_eq!((status.partitions, status.active_partitions, status.evicted), (32, 32, 10));
    assert_eq!((status.totals.partition_limited, status.totals.saturated), (10, 32));
    assert_all_consistent(&status);
}

#[test]
fn a_million_keys_share_a_thousand_partitions_in_constant_memory() {
    const KEYS: u64 = 1_000_000;
    const MAX: u64 = 1_000;
    let customers = customers(1, 0, MAX as usize);
    let mut level = 0;
    for key in 0..KEYS {
        drop(customers.slot_now(&key).unwrap());
        if key % 50_000 == 10_000 {
            let status = customers.status();
            assert_eq!(status.partitions, MAX as usize);
            assert_all_consistent(&status);
            let live = crate::support::counting_allocator::live();
            level = if level == 0 { live } else { level };
            assert!((live - level).abs() < 64 * 1024, "{level} bytes became {live}");
        }
    }
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((status.created, status.evicted), (KEYS, KEYS - MAX));
    assert_eq!((status.peak_partitions, status.active_partitions), (MAX as usize, 0));
    assert_eq!((status.totals.admitted, status.totals.finished), (KEYS, KEYS));
    assert_eq!((status.totals.partition_limited, status.discarded), (0, 0));
    // Exactly the last thousand keys.
    assert_eq!(retained(&customers, KEYS - MAX - 100..KEYS).len(), MAX as usize);
    assert!(customers.partition_status(&(KEYS - MAX)).is_some());
}

#[test]
fn the_totals_keep_the_counts_of_removed_partitions() {
    let customers = customers(1, 1, 1);
    for key in 0..100 {
        let slot = customers.slot_now(&key).unwrap();
        assert!(customers.slot_now(&key).is_err());
        let mut leaving = tokio_test::task::spawn(customers.slot(&key));
        assert!(leaving.poll().is_pending());
        drop(leaving);
        let mut abandoning = tokio_test::task::spawn(customers.slot(&key));
        assert!(abandoning.poll().is_pending());
        drop(slot);
        drop(abandoning);
        let before = customers.status();
        assert!(key % 2 == 0 || customers.discard(&key));
        assert_eq!(customers.status().totals, before.totals);
    }
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((status.evicted, status.discarded), (50, 50));
    let totals = &status.totals;
    assert_eq!((totals.admitted, totals.finished, totals.abandoned), (200, 100, 100));
    assert_eq!((totals.saturated, totals.queued, totals.cancelled), (100, 200, 100));
    assert_eq!(totals.admitted_from_queue, 100);
}

#[derive(Clone, Debug)]
enum Step {
    Use(u64),
    Hold(u64),
    Release(usize),
    Discard(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0u64..12).prop_map(Step::Use),
        3 => (0u64..12).prop_map(Step::Hold),
        3 => any::<usize>().prop_map(Step::Release),
        1 => (0u64..12).prop_map(Step::Discard),
    ]
}

/// A simple model: the keys of the idle partitions, longest idle first, and the key of each slot that is held.
#[derive(Default)]
struct Model {
    max: usize,
    idle: Vec<u64>,
    held: Vec<u64>,
    /// Created, evicted, discarded, rejected.
    counts: [u64; 4],
}

impl Model {
    fn partitions(&self) -> Vec<u64> {
        let mut all: Vec<_> = self.idle.iter().chain(&self.held).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Returns whether the key has a partition now, which is created if necessary.
    fn enter(&mut self, key: u64) -> bool {
        let [created, evicted, _, rejected] = &mut self.counts;
        if let Some(at) = self.idle.iter().position(|&other| other == key) {
            self.idle.remove(at);
        } else if !self.held.contains(&key) {
            let mut busy = self.held.clone();
            busy.sort_unstable();
            busy.dedup();
            if busy.len() + self.idle.len() >= self.max {
                if self.idle.is_empty() {
                    *rejected += 1;
                    return false;
                }
                self.idle.remove(0);
                *evicted += 1;
            }
            *created += 1;
        }
        self.held.push(key);
        true
    }

    fn leave(&mut self, at: usize) {
        let key = self.held.remove(at);
        if !self.held.contains(&key) {
            self.idle.push(key);
        }
    }

    fn discard(&mut self, key: u64) -> bool {
        let at = self.idle.iter().position(|&other| other == key);
        self.counts[2] += u64::from(at.is_some());
        at.map(|at| self.idle.remove(at)).is_some()
    }
}

fn compare(max: usize, steps: &[Step]) {
    let customers = customers(usize::MAX >> 33, 0, max);
    let mut model = Model { max, ..Model::default() };
    let mut slots: Vec<Slot> = Vec::new();
    for step in steps {
        match *step {
            Step::Use(key) => {
                assert_eq!(customers.slot_now(&key).is_ok(), model.enter(key), "{step:?}");
                if model.held.len() > slots.len() {
                    model.leave(slots.len());
                }
            }
            Step::Hold(key) => {
                let slot = customers.slot_now(&key);
                assert_eq!(slot.is_ok(), model.enter(key), "{step:?}");
                slots.extend(slot);
            }
            Step::Release(_) if slots.is_empty() => {}
            Step::Release(which) => {
                let which = which % slots.len();
                drop(slots.remove(which));
                model.leave(which);
            }
            Step::Discard(key) => {
                assert_eq!(customers.discard(&key), model.discard(key), "{step:?}");
            }
        }
        assert_eq!(retained(&customers, 0..12), model.partitions(), "after {step:?}");
        let status = customers.status();
        assert_all_consistent(&status);
        assert_eq!(status.in_flight, model.held.len());
        assert_eq!(status.active_partitions, model.partitions().len() - model.idle.len());
        assert_eq!(
            [status.created, status.evicted, status.discarded, status.totals.partition_limited],
            model.counts
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(1_000) })]

    #[test]
    fn the_partition_idle_longest_is_evicted_in_any_sequence_of_uses(
        max in 1usize..7,
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        compare(max, &steps);
    }
}
