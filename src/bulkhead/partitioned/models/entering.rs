//! A key is used: what its first users, its users and those who would discard it agree on.

use super::*;

/// Two first users of one key share one partition.
#[test]
fn two_first_users_share_one_partition() {
    explore(3, || {
        let map = Shared::new(2);
        let other = map.beside(|map| map.slot_now((0, 1)).expect("room for two"));
        let own = map.slot_now((0, 1)).expect("room for two");
        let other = ended(other);
        let status = map.assert_settled();
        assert_eq!((status.created, status.active_partitions, status.in_flight), (1, 1, 2));
        assert!(map.slot_now((0, 1)).is_err(), "both hold of the same two");
        drop((own, other));
        assert_eq!(map.assert_settled().active_partitions, 0);
    });
}

/// Keys have nothing to do with one another, in one shard or in two.
#[test]
fn each_key_has_a_partition_of_its_own() {
    explore(2, || {
        let map = Shared::with_idle(4, &[(0, 1), (0, 2)]);
        let use_both = |map: &Shared, known, new| {
            let known = map.slot_now(known).expect("a partition of its own");
            let new = map.slot_now(new).expect("room for all");
            drop((known, new));
        };
        let other = map.beside(move |map| use_both(map, (0, 1), (0, 3)));
        use_both(&map, (0, 2), (1, 4));
        ended(other);
        let status = map.assert_settled();
        assert_eq!((status.created, status.evicted, status.active_partitions), (4, 0, 0));
        assert_eq!((status.totals.admitted, status.totals.finished), (6, 6));
    });
}

/// Pins of one key from several threads are all counted: it is idle after the last and not before.
#[test]
fn no_pin_is_lost() {
    explore(3, || {
        let map = Shared::with_idle(1, &[(0, 1)]);
        let held = map.pin((0, 1)).expect("known");
        let other = map.beside(|map| drop(map.pin((0, 1)).expect("known")));
        drop(map.pin((0, 1)).expect("known"));
        assert!(!map.0.discard(&(0, 1)), "discarded in use");
        ended(other);
        assert!(map.pin((0, 2)).is_err_and(|rejection| is_limit(&rejection)));
        drop(held);
        assert_eq!(map.assert_settled().active_partitions, 0);
        assert!(map.pin((0, 2)).is_ok());
    });
}

/// Of two newcomers with room for one more, one has it.
#[test]
fn room_for_one_more_is_given_once() {
    explore(3, || {
        let map = Shared::new(2);
        let _held = map.pin((0, 1)).expect("room for two");
        let other = map.beside(|map| map.pin((0, 2)));
        let own = map.pin((1, 3));
        let other = ended(other);
        assert_ne!(own.is_ok(), other.is_ok());
        assert_eq!(map.assert_settled().partitions, 2);
    });
}

/// A partition is discarded or used, and if both then one after the other.
#[test]
fn a_partition_is_not_discarded_from_under_its_user() {
    explore(4, || {
        let map = Shared::with_idle(1, &[(0, 1)]);
        let using = map.beside(|map| map.slot_now((0, 1)).expect("room for one"));
        let discarded = map.0.discard(&(0, 1));
        let used = ended(using);
        assert!(map.has((0, 1)), "in use and not there");
        let status = map.assert_settled();
        assert_eq!((status.created, status.in_flight), (1 + u64::from(discarded), 1));
        assert!(!map.0.discard(&(0, 1)));
        drop(used);
        assert!(map.0.discard(&(0, 1)));
        assert_eq!(map.assert_settled().totals.admitted, 2);
    });
}
