//! The partitioned bulkhead while its partitions are in use: its status, its close and its drop.

use super::*;

/// A status counts a partition exactly once, whether it is evicted before, during or after the read.
#[test]
fn a_status_counts_an_evicted_partition_exactly_once() {
    explore(4, || {
        let map = SharedMap::with_idle(1, &[(0, 1)]);
        let new_key = map.spawn(|map| map.pin((0, 2)).map(drop));
        // One after another: a thread of a model has a small stack.
        let check = |status: PartitionedStatus| {
            assert_eq!((status.totals.admitted, status.totals.finished), (1, 1));
        };
        check(map.checked_status());
        check(map.checked_status());
        assert!(join_thread(new_key).is_ok());
        check(map.assert_invariants());
    });
}

/// A rejection for want of a partition and one for invalid limits are each counted once and for their own reason,
/// whether a partition is evicted before, during or after the read.
#[test]
fn a_status_counts_a_rejection_without_a_partition_exactly_once() {
    explore(3, || {
        let limits_for = |key: &Key| PartitionLimits::new(if key.1 == 4 { 0 } else { 2 });
        let map = SharedMap::with_limits(1, limits_for);
        let held = map.try_enter((0, 1)).expect("room for one");
        let new_key = map.spawn(|map| map.try_enter((0, 3)).map(drop));
        let invalid = map.spawn(|map| map.try_enter((0, 4)).map(drop));
        drop(held);
        let before = map.checked_status();
        let after = map.checked_status();
        let is_limited =
            join_thread(new_key).is_err_and(|rejection| is_partition_limit(&rejection));
        let invalid = join_thread(invalid).map_err(|rejection| *rejection.reason());
        assert!(matches!(invalid, Err(RejectionReason::InvalidLimits { value: 0, .. })));
        let last = map.assert_invariants();
        for (earlier, later) in [(&before, &after), (&after, &last)] {
            assert!(later.since(earlier).is_ok(), "a count decreases");
        }
        let totals = last.totals;
        assert_eq!((totals.partition_limited, totals.invalid_limits), (is_limited.into(), 1));
        assert_eq!((totals.arrived(), totals.rejected()), (3, 1 + u64::from(is_limited)));
        assert_eq!(last.evicted, u64::from(!is_limited));
    });
}

/// The wait and the hold of an operation remain in the status when its partition is evicted.
#[test]
fn times_of_an_evicted_partition_remain_in_the_status() {
    explore(2, || {
        let map = SharedMap::with_limits(1, |_| PartitionLimits::new(1).waiting_room(1));
        let held = map.try_enter((0, 1)).expect("room for one");
        let cx = &mut Context::from_waker(Waker::noop());
        let mut wait = Box::pin(map.wait((0, 1)).expect("known"));
        assert!(wait.as_mut().poll(cx).is_pending());
        let during = map.checked_status();
        assert_eq!((during.waiting, during.partitions_under_pressure), (1, 1));
        let releasing = thread::spawn(move || drop(held));
        let new_key = map.spawn(|map| map.pin((0, 2)).map(drop));
        let admitted = match wait.as_mut().poll(cx) {
            Poll::Ready(slot) => {
                drop(Slot::new(slot.expect("handed over")));
                true
            }
            Poll::Pending => false,
        };
        drop(wait);
        let status = map.checked_status();
        join_thread(releasing);
        let is_evicted = join_thread(new_key).is_ok();
        assert!(map.checked_status().since(&status).is_ok(), "a count decreases");
        let last = map.assert_invariants();
        let totals = last.totals;
        assert_eq!(
            (last.evicted, totals.partition_limited),
            (is_evicted.into(), (!is_evicted).into())
        );
        assert_eq!(totals.finished, 1 + u64::from(admitted));
        assert_eq!(totals.cancelled + totals.abandoned, u64::from(!admitted));
        assert_eq!(last.holds.timed(), u64::from(admitted));
        assert_eq!((last.waiting, last.partitions_under_pressure), (0, 0));
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

/// After a close every partition is removed once it is idle, and counted once: by the close, or when its last
/// operation ends or is rejected.
#[test]
fn a_close_removes_every_partition_once_it_is_idle() {
    explore(2, || {
        let map = SharedMap::with_idle(2, &[(0, 1)]);
        let held = map.try_enter((1, 2)).expect("room for two");
        let releasing = thread::spawn(move || drop(held));
        let closing = map.spawn(|map| map.0.close());
        let late = map.try_enter((0, 1)).map(drop);
        let during = map.checked_status();
        join_thread(releasing);
        join_thread(closing);
        let last = map.assert_invariants();
        assert!(last.is_drained() && last.since(&during).is_ok(), "a count decreases");
        assert_eq!((last.created, last.evicted, last.partitions), (2, 2, 0));
        let totals = last.totals;
        let admitted = 2 + u64::from(late.is_ok());
        assert_eq!((totals.admitted, totals.finished), (admitted, admitted));
        assert_eq!(totals.closed_before_queue, u64::from(late.is_err()));
        assert_eq!(totals.rejected(), totals.closed_before_queue);
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

/// No operation is admitted once `drain` has returned, whoever is in line is served, and the bulkhead ends closed.
#[test]
fn a_drain_serves_the_lines_and_admits_no_newcomer() {
    explore(2, || {
        let map = SharedMap::with_limits(2, |_| PartitionLimits::new(1).waiting_room(1));
        let held = map.try_enter((0, 1)).expect("room for one");
        let cx = &mut Context::from_waker(Waker::noop());
        let mut wait = Box::pin(map.wait((0, 1)).expect("known"));
        assert!(wait.as_mut().poll(cx).is_pending());
        let releasing = thread::spawn(move || drop(held));
        let new = map.spawn(|map| map.try_enter((1, 2)).is_ok());
        map.0.drain();
        let late = [(0, 1), (1, 2), (1, 3)].map(|key| map.try_enter(key).is_err());
        assert_eq!(late, [true; 3]);
        join_thread(releasing);
        assert!(map.0.phase().is_closed(), "nobody waits any more");
        let Poll::Ready(Ok(slot)) = wait.as_mut().poll(cx) else { panic!("it was in line") };
        drop((Slot::new(slot), wait));
        let admitted = 2 + u64::from(join_thread(new));
        let last = map.assert_invariants();
        assert!(last.is_drained());
        assert_eq!((last.totals.admitted, last.partitions), (admitted, 0));
    });
}

/// A pause, a resume and a new key at once: all partitions end in the state that was asked for last.
#[test]
fn a_pause_and_a_resume_agree_in_every_partition() {
    explore(2, || {
        let map = SharedMap::with_idle(3, &[(0, 1)]);
        let pausing = map.spawn(|map| map.0.set_paused(true));
        let new = map.spawn(|map| drop(map.try_enter((1, 2))));
        map.0.set_paused(false);
        join_thread(pausing);
        join_thread(new);
        let is_paused = map.0.phase().is_paused();
        for key in [(0, 1), (1, 2)] {
            assert_eq!(map.try_enter(key).is_err(), is_paused, "{key:?}");
        }
        map.0.set_paused(false);
        assert!([(0, 1), (1, 2)].iter().all(|&key| map.try_enter(key).is_ok()));
        map.assert_invariants();
    });
}

/// Usual limits that change while a partition is created reach it, whichever comes first.
#[test]
fn a_change_of_limits_reaches_a_new_partition() {
    explore(2, || {
        let map = SharedMap::with_idle(3, &[(0, 1)]);
        let new = map.spawn(|map| drop(map.try_enter((1, 2))));
        map.0.reconfigure(|settings| {
            settings.usual.parallelism = 1;
            false
        });
        join_thread(new);
        for key in [(0, 1), (1, 2)] {
            let held = map.try_enter(key).expect("it has one slot");
            assert!(map.try_enter(key).is_err(), "{key:?} has more");
            drop(held);
        }
        map.assert_invariants();
    });
}
