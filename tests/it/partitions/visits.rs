//! Going through all partitions while others come and go: each that is there all along is met once.

use std::{cell::RefCell, collections::BTreeMap};

use bulklink::PartitionedBulkhead;
use proptest::prelude::*;

use crate::support::{cases, customers};

fn fill(customers: &PartitionedBulkhead<u64>, keys: impl IntoIterator<Item = u64>) {
    keys.into_iter().for_each(|key| drop(customers.slot_now(&key).unwrap()));
}

/// Goes through all partitions, and calls `at_each` with how many it has met before each.
fn met(
    customers: &PartitionedBulkhead<u64>,
    mut at_each: impl FnMut(usize, u64),
) -> BTreeMap<u64, usize> {
    let mut met = BTreeMap::new();
    let mut before = 0;
    customers.for_each_partition(|&key, _| {
        at_each(before, key);
        before += 1;
        *met.entry(key).or_default() += 1;
    });
    met
}

#[test]
fn a_visit_that_removes_what_it_meets_meets_all() {
    let customers = customers(1, 0, 10_000);
    fill(&customers, 0..10_000);
    let met = met(&customers, |_, key| assert!(customers.discard(&key)));
    assert_eq!(met, (0..10_000).map(|key| (key, 1)).collect());
    assert_eq!(customers.status().partitions, 0);
}

#[test]
fn a_status_that_is_taken_within_a_visit_counts_each_partition_once() {
    let customers = customers(1, 0, 20_000);
    fill(&customers, 0..5_000);
    let mut admitted = 5_000;
    met(&customers, |before, key| {
        if before % 50 == 0 {
            fill(&customers, [100_000 + key]);
            admitted += 1;
            let status = customers.status();
            assert_eq!(status.totals.admitted, admitted);
        }
        customers.discard(&(key / 2));
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(64) })]

    /// Visits within visits, while partitions are removed and created.
    #[test]
    fn each_partition_that_is_there_all_along_is_met_once(
        steps in prop::collection::vec((0..40_u64, any::<bool>(), 0..4_000_u64), 1..60),
    ) {
        let customers = customers(1, 0, 100_000);
        fill(&customers, 0..3_000);
        let steps = RefCell::new(steps.into_iter());
        // What was removed or made since the outer visit began.
        let changed = RefCell::new(std::collections::BTreeSet::new());
        let step = |at: usize| -> bool {
            if at % 37 != 0 {
                return false;
            }
            let Some((many, makes, key)) = steps.borrow_mut().next() else { return false };
            for key in (key..4_000).step_by(13).take(many as usize) {
                if makes {
                    fill(&customers, [key]);
                } else {
                    customers.discard(&key);
                }
                changed.borrow_mut().insert(key);
            }
            many % 3 == 0
        };
        let assert_once = |met: BTreeMap<u64, usize>, there: &[u64]| {
            let changed = changed.borrow();
            for key in there.iter().filter(|key| !changed.contains(key)) {
                assert_eq!(met.get(key), Some(&1), "{key}");
            }
        };
        let outer: Vec<u64> = (0..3_000).collect();
        let met_outside = met(&customers, |at, _| {
            if step(at) {
                let there: Vec<u64> =
                    (0..4_000).filter(|key| customers.partition_status(key).is_some()).collect();
                let met_inside = met(&customers, |at, _| { step(at); });
                assert_once(met_inside, &there);
            }
        });
        assert_once(met_outside, &outer);
        let status = customers.status();
        prop_assert_eq!(status.in_flight, 0);
        prop_assert_eq!(status.totals.admitted, status.totals.finished);
        let left = (0..4_000).filter(|key| customers.partition_status(key).is_some()).count();
        prop_assert_eq!(status.partitions, left);
    }
}
