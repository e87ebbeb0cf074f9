//! The partitioned bulkhead while its partitions are in use: its status, its close and its drop.

use super::*;

/// A status counts a partition exactly once, whether it is evicted before, during or after the read.
#[test]
fn a_status_counts_an_evicted_partition_exactly_once() {
    explore(4, || {
        let map = SharedMap::with_idle(1, &[(0, 1)]);
        let new_key = map.spawn(|map| map.pin((0, 2)).map(drop));
        let before = map.checked_status();
        let after = map.checked_status();
        assert!(join_thread(new_key).is_ok());
        for status in [before, after, map.assert_invariants()] {
            assert_eq!((status.totals.admitted, status.totals.finished), (1, 1));
        }
    });
}

/// With operations in progress and two concurrent statuses, totals never decrease from a status to one with
/// a later sequence number.
#[test]
fn totals_do_not_decrease_during_creation_and_eviction() {
    explore(2, || {
        let map = SharedMap::with_idle(2, &[(0, 1), (1, 2)]);
        let running = map.spawn(|map| drop(map.try_enter((0, 3)).expect("one is idle")));
        let other = map.spawn(SharedMap::checked_status);
        let mut statuses = [map.checked_status(), join_thread(other)];
        join_thread(running);
        statuses.sort_by_key(|status| status.sequence);
        let admitted = statuses.map(|status| status.totals.admitted);
        assert!(2 <= admitted[0] && admitted[0] <= admitted[1] && admitted[1] <= 3);
        assert_eq!(map.assert_invariants().totals.finished, 3);
    });
}

/// No operation is admitted once `close` has returned: not in an existing partition, not in one created
/// during the close, and not in one that would be created after it.
#[test]
fn no_operation_is_admitted_after_close_returns() {
    explore(3, || {
        let map = SharedMap::with_idle(2, &[(0, 1)]);
        let known = map.spawn(|map| map.try_enter((0, 1)).is_ok());
        let new = map.spawn(|map| map.try_enter((1, 2)).is_ok());
        map.0.close();
        let closed = map.checked_status();
        assert!(closed.is_closed);
        let late = [(0, 1), (1, 2), (1, 3)].map(|key| map.try_enter(key));
        let is_rejected_as_closed = |outcome: &Result<Slot, Rejection>| {
            outcome.as_ref().is_err_and(|error| *error.reason() == RejectionReason::Closed)
        };
        assert!(late.iter().all(is_rejected_as_closed), "{late:?}");
        let admitted = u64::from(join_thread(known)) + u64::from(join_thread(new));
        assert_eq!(closed.totals.admitted, 1 + admitted);
        assert_eq!(map.assert_invariants().totals.admitted, 1 + admitted);
    });
}

/// The bulkhead and its last slot can be dropped in either order, and everything is freed.
#[test]
fn dropping_the_map_and_the_last_slot_frees_everything() {
    explore(4, || {
        let map = SharedMap::with_idle(2, &[(0, 1)]);
        let shards = Arc::downgrade(&map.0.shards);
        let held = map.try_enter((1, 2)).expect("room for two");
        let releasing = thread::spawn(move || drop(held));
        drop(map);
        join_thread(releasing);
        assert!(
            shards.upgrade().is_none(),
            "the partitions and their pin counter keep each other alive"
        );
    });
}
