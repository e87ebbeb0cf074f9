//! New keys at the partition limit: which partition is evicted for them, and when they are rejected.

use super::*;

/// A new key that finds the only partition in use is rejected; if it finds it idle, it evicts it.
#[test]
fn a_partition_that_becomes_idle_is_evicted_or_the_new_key_is_rejected() {
    explore(4, || {
        let map = SharedMap::new(1);
        let held = map.try_enter((0, 1)).expect("room for one");
        let releasing = thread::spawn(move || drop(held));
        let new_key = map.try_enter((0, 2));
        join_thread(releasing);
        let status = map.assert_invariants();
        assert_eq!((map.has((0, 1)), map.has((0, 2))), (new_key.is_err(), new_key.is_ok()));
        assert_eq!(status.evicted, u64::from(new_key.is_ok()));
        assert_eq!(status.totals.finished, 1);
        assert!(new_key.as_ref().err().is_none_or(is_partition_limit));
    });
}

/// When the use of an idle partition races a new key that would evict it, the first of the two succeeds.
#[test]
fn a_partition_in_use_is_not_evicted() {
    explore(4, || {
        let map = SharedMap::with_idle(1, &[(0, 1)]);
        let using = map.spawn(|map| map.try_enter((0, 1)));
        let new_key = map.try_enter((0, 2));
        let using = join_thread(using);
        assert_ne!(using.is_ok(), new_key.is_ok(), "exactly one of the two has room");
        assert_eq!((map.has((0, 1)), map.has((0, 2))), (using.is_ok(), new_key.is_ok()));
        assert_eq!(map.assert_invariants().active_partitions, 1);
    });
}

/// Of two new keys at the limit with one idle partition, one evicts it and the other is rejected.
#[test]
fn one_idle_partition_makes_room_for_one_of_two_new_keys() {
    explore(3, || {
        let map = SharedMap::with_idle(2, &[(0, 1)]);
        let _held = map.pin((1, 2)).expect("room for two");
        let other = map.spawn(|map| map.pin((0, 3)));
        let own = map.pin((1, 4));
        let other = join_thread(other);
        assert_ne!(own.is_ok(), other.is_ok());
        assert!(
            [&own, &other].iter().any(|outcome| outcome.as_ref().is_err_and(is_partition_limit))
        );
        let status = map.assert_invariants();
        assert_eq!((status.evicted, status.active_partitions), (1, 2));
        assert_eq!((status.totals.partition_limited, status.totals.rejected()), (1, 1));
    });
}

/// A new key finds a partition to evict if one is idle at every instant, even if it is never the same one and
/// never in the shard that is being searched.
#[test]
fn an_idle_partition_is_found_while_it_moves_between_shards() {
    // Four threads have too many schedules to explore all of them.
    explore_some(3, Some(200_000), || {
        let (first, second) = ((1, 1), (0, 2));
        let map = SharedMap::with_idle(2, &[first]);
        let held = map.pin(second).expect("room for two");
        // Each thread unpins one partition before it pins the other, so one is idle throughout.
        let swap = |map: &SharedMap, held: Option<OwnedHandle>, next: Key| {
            drop(held);
            map.find(&next)
        };
        let swap_1 = map.spawn(move |map| swap(map, Some(held), first));
        let swap_2 = map.spawn(move |map| swap(map, join_thread(swap_1), second));
        let swap_3 = map.spawn(move |map| swap(map, join_thread(swap_2), first));
        assert!(map.0.shards.remove_oldest().is_some(), "no idle partition was found");
        drop(join_thread(swap_3));
    });
}

/// The partition that has been idle longest is evicted, even if both become idle during the search.
#[test]
fn the_partition_idle_longest_is_evicted() {
    explore(3, || {
        let map = SharedMap::new(2);
        let (first, second) = ((0, 1), (1, 2));
        let held = (map.pin(first).expect("room"), map.pin(second).expect("room"));
        let releasing = thread::spawn(move || {
            drop(held.0);
            drop(held.1);
        });
        let created = map.pin((1, 3)).map(drop);
        join_thread(releasing);
        assert!(map.has(second), "evicted before the one idle longer");
        assert_eq!(map.has(first), created.is_err());
        map.assert_invariants();
    });
}

/// If the oldest idle partition is used during the search, the next oldest of all shards is evicted, not the
/// next of the same shard.
#[test]
fn the_next_oldest_partition_is_evicted_when_the_oldest_is_used() {
    explore(3, || {
        let (first, second, third) = ((0, 1), (1, 2), (0, 3));
        let map = SharedMap::with_idle(3, &[first, second, third]);
        let using = map.spawn(move |map| map.find(&first));
        assert!(map.pin((2, 4)).is_ok());
        let used = join_thread(using).is_some();
        assert_eq!([first, second, third].map(|key| map.has(key)), [used, !used, true]);
        map.assert_invariants();
    });
}
