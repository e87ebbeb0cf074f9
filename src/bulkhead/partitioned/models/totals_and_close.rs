//! The whole beside what its partitions do: its statuses, its close and its end.

use super::*;

/// A status counts a partition once, whether it goes before it is looked at, after, or meanwhile.
#[test]
fn a_status_counts_nothing_twice_and_leaves_nothing_out() {
    explore(4, || {
        let map = Shared::with_idle(1, &[(0, 1)]);
        let newcomer = map.beside(|map| map.pin((0, 2)).map(drop));
        let before = map.look_around();
        let after = map.look_around();
        assert!(ended(newcomer).is_ok());
        for status in [before, after, map.assert_settled()] {
            assert_eq!((status.totals.admitted, status.totals.finished), (1, 1));
        }
    });
}

/// Statuses where operations run meanwhile, and two look at once: what a status with a later number says
/// is not less.
#[test]
fn statuses_beside_creation_and_eviction_add_up() {
    explore(2, || {
        let map = Shared::with_idle(2, &[(0, 1), (1, 2)]);
        let running = map.beside(|map| drop(map.slot_now((0, 3)).expect("one is idle")));
        let other = map.beside(Shared::look_around);
        let mut seen = [map.look_around(), ended(other)];
        ended(running);
        seen.sort_by_key(|status| status.sequence);
        let admitted = seen.map(|status| status.totals.admitted);
        assert!(2 <= admitted[0] && admitted[0] <= admitted[1] && admitted[1] <= 3);
        assert_eq!(map.assert_settled().totals.finished, 3);
    });
}

/// Once `close` has returned nobody is admitted: in a partition that was there, in one that is made
/// beside the close, or in one that would be made after it.
#[test]
fn nobody_is_admitted_after_the_close() {
    explore(3, || {
        let map = Shared::with_idle(2, &[(0, 1)]);
        let known = map.beside(|map| map.slot_now((0, 1)).is_ok());
        let new = map.beside(|map| map.slot_now((1, 2)).is_ok());
        map.0.close();
        let closed = map.look_around();
        assert!(closed.is_closed);
        let late = [(0, 1), (1, 2), (1, 3)].map(|key| map.slot_now(key));
        let closed_to = |outcome: &Result<Slot, Rejection>| {
            outcome.as_ref().is_err_and(|error| *error.reason() == RejectionReason::Closed)
        };
        assert!(late.iter().all(closed_to), "{late:?}");
        let admitted = u64::from(ended(known)) + u64::from(ended(new));
        assert_eq!(closed.totals.admitted, 1 + admitted);
        assert_eq!(map.assert_settled().totals.admitted, 1 + admitted);
    });
}

/// The bulkhead and its last user go in either order, and nothing is left of it.
#[test]
fn the_last_to_go_leaves_nothing_behind() {
    explore(4, || {
        let map = Shared::with_idle(2, &[(0, 1)]);
        let shards = Arc::downgrade(&map.0.shards);
        let held = map.slot_now((1, 2)).expect("room for two");
        let releasing = thread::spawn(move || drop(held));
        drop(map);
        ended(releasing);
        assert!(shards.upgrade().is_none(), "partitions and their keeper hold each other");
    });
}
