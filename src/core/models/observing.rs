//! Snapshots and subscribers that observe a gate in use.

use super::*;

/// The identities hold in a snapshot taken during fast admissions and releases, and totals and sequence
/// numbers never decrease.
#[test]
fn snapshots_during_fast_admissions_are_consistent() {
    explore(3, || {
        let gate = SharedGate::plain(2, 0);
        drop([gate.try_enter(1), gate.try_enter(1)]);
        let threads = [(), ()].map(|()| spawn_with(&gate, |gate| gate.try_enter(1).map(drop)));
        let first = gate.checked_snapshot();
        gate.assert_invariants();
        let second = gate.checked_snapshot();
        assert!(first.sequence < second.sequence);
        assert!(first.totals.admitted <= second.totals.admitted);
        assert!(first.totals.finished <= second.totals.finished);
        for thread in threads {
            assert!(join_thread(thread).is_ok(), "a unit is free for each");
        }
        let last = gate.checked_snapshot();
        assert_eq!((last.totals.finished, last.used, last.peaks.used), (4, 0, 2));
    });
}

/// In a snapshot taken while the line fills and empties, no waiter fits, and the word is slow exactly when
/// it must be.
#[test]
fn snapshots_while_the_line_fills_and_empties_are_consistent() {
    explore(2, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        let snapshot = gate.checked_snapshot();
        assert!(snapshot.waiting == 0 || snapshot.used == 1, "the head of the line fits");
        gate.assert_invariants();
        join_thread(releasing);
        assert_eq!(join_thread(waiting), Ok(()));
        gate.assert_invariants();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// A subscriber receives every change from the instant it subscribes, with the state after the change: no
/// change on the fast path is missed, and no earlier change is delivered.
#[test]
fn a_subscriber_receives_every_change_after_it_subscribes() {
    explore(3, || {
        let gate = SharedGate::plain(3, 0);
        drop([gate.try_enter(1), gate.try_enter(1)]);
        let held = gate.try_enter(1);
        let recorder = Arc::new(Recorder::default());
        let releasing = thread::spawn(move || drop(held));
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1));
        gate.set_sink(Some(recorder.clone()));
        let subscribed = gate.checked_snapshot();
        join_thread(releasing);
        let arrived = join_thread(arriving);
        let last = gate.checked_snapshot();
        let changes = recorder.changes();
        // A change between the subscription and the snapshot after it has a smaller number.
        let (early, late): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.sequence < subscribed.sequence);
        assert!(early.last().is_none_or(|change| change.used == subscribed.used));
        let count = |kind| late.iter().filter(|change| change.kind == kind).count() as u64;
        let Totals { admitted, finished, .. } = subscribed.totals;
        assert_eq!(last.totals.admitted, admitted + count(EventKind::Admitted));
        assert_eq!(last.totals.finished, finished + count(EventKind::Released));
        let mut used = subscribed.used;
        for change in late {
            used = match change.kind {
                EventKind::Admitted => used + 1,
                EventKind::Released => used - 1,
                other => panic!("a change that did not happen: {other:?}"),
            };
            assert_eq!((change.used, change.in_flight), (used, used));
        }
        drop(arrived);
        assert!(gate.set_sink(None).is_some());
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// A subscriber that unsubscribes during a hand-over receives no later change, and the waiter is still
/// admitted.
#[test]
fn unsubscribing_ends_delivery_and_does_not_affect_waiters() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let recorder = Arc::new(Recorder::default());
        gate.set_sink(Some(recorder.clone()));
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        gate.set_sink(None);
        let unsubscribed = gate.checked_snapshot().sequence;
        join_thread(releasing);
        assert_eq!(join_thread(waiting), Ok(()));
        let changes = recorder.changes();
        assert!(changes.iter().all(|change| change.sequence < unsubscribed));
        gate.assert_invariants();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// Sequence numbers of events from several threads put a cause before its effects.
#[test]
fn a_hand_over_event_follows_the_event_of_its_release() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let recorder = Arc::new(Recorder::default());
        gate.set_sink(Some(recorder.clone()));
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        join_thread(releasing);
        assert_eq!(join_thread(waiting), Ok(()));
        let kinds: Vec<_> = recorder.changes().into_iter().map(|change| change.kind).collect();
        use EventKind::{Admitted, Queued, Released};
        if kinds.contains(&Queued) {
            assert_eq!(kinds, [Admitted, Queued, Released, Admitted, Released]);
        } else {
            assert_eq!(kinds, [Admitted, Released, Admitted, Released]);
        }
    });
}
