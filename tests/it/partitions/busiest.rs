//! Who is asking: the partitions with their keys, for code that is allowed to know them.

use std::collections::BTreeMap;

use crate::support::customers;

#[test]
fn the_busiest_partitions_come_first_and_of_equals_those_with_more_arrivals() {
    let customers = customers(5, 0, 100);
    let mut slots = Vec::new();
    // As many running as the key says, and of those without any the higher keys have arrived more often.
    for key in 0..5 {
        slots.extend((0..key).map(|_| customers.slot_now(&key).unwrap()));
    }
    for key in 5..8 {
        (4..=key).for_each(|_| drop(customers.slot_now(&key).unwrap()));
    }
    drop(customers.slot_now(&0).unwrap());
    let keys = |n| customers.busiest(n).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(100), [4, 3, 2, 1, 7, 6, 5, 0]);
    assert_eq!(keys(3), [4, 3, 2]);
    assert_eq!(keys(0), [0_u64; 0]);
    let (key, status) = &customers.busiest(1)[0];
    assert_eq!((*key, status.in_flight, status.totals.admitted), (4, 4, 4));
}

#[test]
fn every_partition_is_visited_once_and_visiting_is_no_use() {
    let customers = customers(1, 0, 1_000);
    (0..1_000).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    let mut visited = BTreeMap::new();
    customers.for_each_partition(|&key, status| {
        *visited.entry(key).or_insert(0) += 1;
        assert_eq!(status.totals.admitted, 1);
        // No lock is held.
        assert!(customers.partition_status(&key).is_some());
    });
    assert!(visited.len() == 1_000 && visited.values().all(|&times| times == 1));
    // The partition idle longest is still the first.
    drop(customers.slot_now(&1_000).unwrap());
    assert!(customers.partition_status(&0).is_none() && customers.partition_status(&1).is_some());
}
