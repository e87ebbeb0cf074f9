//! Uses of a key that race its first use, other uses and a discard.

use super::*;

/// Two threads that race for the first use of a key share one partition.
#[test]
fn two_first_uses_of_a_key_share_one_partition() {
    explore(3, || {
        let map = SharedMap::new(2);
        let other = map.spawn(|map| map.try_enter((0, 1)).expect("room for two"));
        let own = map.try_enter((0, 1)).expect("room for two");
        let other = join_thread(other);
        let status = map.assert_invariants();
        assert_eq!((status.created, status.active_partitions, status.in_flight), (1, 1, 2));
        assert!(map.try_enter((0, 1)).is_err(), "the two slots are those of one partition");
        drop((own, other));
        assert_eq!(map.assert_invariants().active_partitions, 0);
    });
}

/// Keys are independent of each other, in one shard or in two.
#[test]
fn each_key_has_a_partition_of_its_own() {
    explore(2, || {
        let map = SharedMap::with_idle(4, &[(0, 1), (0, 2)]);
        let use_both = |map: &SharedMap, known, new| {
            let known = map.try_enter(known).expect("a partition of its own");
            let new = map.try_enter(new).expect("room for all");
            drop((known, new));
        };
        let other = map.spawn(move |map| use_both(map, (0, 1), (0, 3)));
        use_both(&map, (0, 2), (1, 4));
        join_thread(other);
        let status = map.assert_invariants();
        assert_eq!((status.created, status.evicted, status.active_partitions), (4, 0, 0));
        assert_eq!((status.totals.admitted, status.totals.finished), (6, 6));
    });
}

/// Concurrent pins of one key are all counted: its partition is idle after the last is dropped, not before.
#[test]
fn no_pin_is_lost() {
    explore(3, || {
        let map = SharedMap::with_idle(1, &[(0, 1)]);
        let held = map.pin((0, 1)).expect("known");
        let other = map.spawn(|map| drop(map.pin((0, 1)).expect("known")));
        drop(map.pin((0, 1)).expect("known"));
        assert!(!map.0.discard(&(0, 1)), "discarded in use");
        join_thread(other);
        assert!(map.pin((0, 2)).is_err_and(|rejection| is_partition_limit(&rejection)));
        drop(held);
        assert_eq!(map.assert_invariants().active_partitions, 0);
        assert!(map.pin((0, 2)).is_ok());
    });
}

/// Of two new keys with room for one more partition, exactly one gets it.
#[test]
fn room_for_one_more_partition_goes_to_one_of_two_new_keys() {
    explore(3, || {
        let map = SharedMap::new(2);
        let _held = map.pin((0, 1)).expect("room for two");
        let other = map.spawn(|map| map.pin((0, 2)));
        let own = map.pin((1, 3));
        let other = join_thread(other);
        assert_ne!(own.is_ok(), other.is_ok());
        assert_eq!(map.assert_invariants().partitions, 2);
    });
}

/// A partition is discarded or used; if both, then one after the other.
#[test]
fn a_partition_in_use_is_not_discarded() {
    explore(4, || {
        let map = SharedMap::with_idle(1, &[(0, 1)]);
        let using = map.spawn(|map| map.try_enter((0, 1)).expect("room for one"));
        let discarded = map.0.discard(&(0, 1));
        let used = join_thread(using);
        assert!(map.has((0, 1)), "discarded in use");
        let status = map.assert_invariants();
        assert_eq!((status.created, status.in_flight), (1 + u64::from(discarded), 1));
        assert!(!map.0.discard(&(0, 1)));
        drop(used);
        assert!(map.0.discard(&(0, 1)));
        assert_eq!(map.assert_invariants().totals.admitted, 2);
    });
}
