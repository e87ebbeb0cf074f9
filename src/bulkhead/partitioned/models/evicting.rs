//! A newcomer at the limit: whose room it takes, and when it is rejected.

use super::*;

/// A newcomer finds the one partition in use, and is rejected, or idle, and takes its room.
#[test]
fn a_partition_that_becomes_idle_beside_a_newcomer_is_evicted_or_stays() {
    explore(4, || {
        let map = Shared::new(1);
        let held = map.slot_now((0, 1)).expect("room for one");
        let releasing = thread::spawn(move || drop(held));
        let newcomer = map.slot_now((0, 2));
        ended(releasing);
        let status = map.assert_settled();
        assert_eq!((map.has((0, 1)), map.has((0, 2))), (newcomer.is_err(), newcomer.is_ok()));
        assert_eq!(status.evicted, u64::from(newcomer.is_ok()));
        assert_eq!(status.totals.finished, 1);
        assert!(newcomer.as_ref().err().is_none_or(is_limit));
    });
}

/// A user of an idle key and a newcomer that would take its room: whoever comes first has it.
#[test]
fn a_partition_is_not_evicted_from_under_its_user() {
    explore(4, || {
        let map = Shared::with_idle(1, &[(0, 1)]);
        let using = map.beside(|map| map.slot_now((0, 1)));
        let newcomer = map.slot_now((0, 2));
        let using = ended(using);
        assert_ne!(using.is_ok(), newcomer.is_ok(), "there is room for one, and always for one");
        assert_eq!((map.has((0, 1)), map.has((0, 2))), (using.is_ok(), newcomer.is_ok()));
        assert_eq!(map.assert_settled().active_partitions, 1);
    });
}

/// Of two newcomers at the limit with one idle partition, one takes its room and the other is rejected.
#[test]
fn one_idle_partition_makes_room_for_one_of_two_newcomers() {
    explore(3, || {
        let map = Shared::with_idle(2, &[(0, 1)]);
        let _held = map.pin((1, 2)).expect("room for two");
        let other = map.beside(|map| map.pin((0, 3)));
        let own = map.pin((1, 4));
        let other = ended(other);
        assert_ne!(own.is_ok(), other.is_ok());
        assert!([&own, &other].iter().any(|outcome| outcome.as_ref().is_err_and(is_limit)));
        let status = map.assert_settled();
        assert_eq!((status.evicted, status.limit_rejected, status.active_partitions), (1, 1, 2));
    });
}

/// A newcomer is not rejected while one partition is idle at every instant, though never the same one
/// and never where it just looks.
#[test]
fn none_is_rejected_while_one_is_idle_somewhere() {
    // Four threads have more orders than anybody waits for.
    explore_some(3, Some(200_000), || {
        let (first, second) = ((1, 1), (0, 2));
        let map = Shared::with_idle(2, &[first]);
        let held = map.pin(second).expect("room for two");
        // Each thread lets one go before it takes the other, so that one is idle throughout.
        let swap = |map: &Shared, held: Option<OwnedHandle>, next: Key| {
            drop(held);
            map.0.find(&next)
        };
        let there = map.beside(move |map| swap(map, Some(held), first));
        let back = map.beside(move |map| swap(map, ended(there), second));
        let again = map.beside(move |map| swap(map, ended(back), first));
        assert!(map.0.shards.remove_oldest().is_some(), "one was idle");
        drop(ended(again));
    });
}

/// The partition that makes room is the one that has been idle longest, also where both become idle
/// while the newcomer looks.
#[test]
fn whoever_has_been_idle_longest_makes_room() {
    explore(3, || {
        let map = Shared::new(2);
        let (first, second) = ((0, 1), (1, 2));
        let held = (map.pin(first).expect("room"), map.pin(second).expect("room"));
        let releasing = thread::spawn(move || {
            drop(held.0);
            drop(held.1);
        });
        let made = map.pin((1, 3)).map(drop);
        ended(releasing);
        assert!(map.has(second), "it was idle for less long, if at all");
        assert_eq!(map.has(first), made.is_err());
        map.assert_settled();
    });
}

/// If the oldest is used just then, the one to go is the next oldest, wherever it is, and not the next of
/// the same shard.
#[test]
fn the_next_oldest_makes_room_where_the_oldest_is_used() {
    explore(3, || {
        let (first, second, third) = ((0, 1), (1, 2), (0, 3));
        let map = Shared::with_idle(3, &[first, second, third]);
        let using = map.beside(move |map| map.0.find(&first));
        assert!(map.pin((2, 4)).is_ok());
        let used = ended(using).is_some();
        assert_eq!([first, second, third].map(|key| map.has(key)), [used, !used, true]);
        map.assert_settled();
    });
}
