//! What snapshots and subscribers see of what happens beside them.

use super::*;

/// The identities hold in a snapshot taken in the midst of fast admissions and releases, and totals
/// and numbers only ever rise.
#[test]
fn snapshots_beside_the_fast_path_are_of_one_instant() {
    explore(3, || {
        let gate = Shared::plain(2, 0);
        drop([gate.now(1), gate.now(1)]);
        let threads = [(), ()].map(|()| beside(&gate, |gate| gate.now(1).map(drop)));
        let first = gate.look_around();
        gate.assert_settled();
        let second = gate.look_around();
        assert!(first.sequence < second.sequence);
        assert!(first.totals.admitted <= second.totals.admitted);
        assert!(first.totals.finished <= second.totals.finished);
        for thread in threads {
            assert!(ended(thread).is_ok(), "there is a unit for each");
        }
        let last = gate.look_around();
        assert_eq!((last.totals.finished, last.used, last.peaks.used), (4, 0, 2));
    });
}

/// A line that comes and goes beside a snapshot: whoever waits in it does not fit, and the word is
/// slow exactly while it must be.
#[test]
fn snapshots_beside_the_line_are_settled() {
    explore(2, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        let seen = gate.look_around();
        assert!(seen.waiting == 0 || seen.used == 1, "the head of the line fits");
        gate.assert_settled();
        ended(releasing);
        assert_eq!(ended(waiting), Ok(()));
        gate.assert_settled();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// From the instant of subscribing, every change is told with the state it left behind: none is missed
/// on the fast path, and none told that was before.
#[test]
fn a_subscriber_is_told_of_all_that_follows() {
    explore(3, || {
        let gate = Shared::plain(3, 0);
        drop([gate.now(1), gate.now(1)]);
        let held = gate.now(1);
        let recorder = Arc::new(Recorder::default());
        let releasing = thread::spawn(move || drop(held));
        let arriving = beside(&gate, |gate| gate.now(1));
        gate.set_sink(Some(recorder.clone()));
        let subscribed = gate.look_around();
        ended(releasing);
        let arrived = ended(arriving);
        let last = gate.look_around();
        let told = recorder.changes();
        // What happened between the subscription and the snapshot after it has a smaller number.
        let (early, late): (Vec<_>, Vec<_>) =
            told.iter().partition(|change| change.sequence < subscribed.sequence);
        assert!(early.last().is_none_or(|change| change.used == subscribed.used));
        let count = |kind| late.iter().filter(|change| change.kind == kind).count() as u64;
        let crate::core::gate::counts::Totals { admitted, finished, .. } = subscribed.totals;
        assert_eq!(last.totals.admitted, admitted + count(EventKind::Admitted));
        assert_eq!(last.totals.finished, finished + count(EventKind::Released));
        let mut used = subscribed.used;
        for change in late {
            used = match change.kind {
                EventKind::Admitted => used + 1,
                EventKind::Released => used - 1,
                other => panic!("nobody did what was told: {other:?}"),
            };
            assert_eq!((change.used, change.in_flight), (used, used));
        }
        drop(arrived);
        assert!(gate.set_sink(None).is_some());
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// Who unsubscribes beside a hand-over is told of nothing that came after, and the waiter is admitted
/// all the same.
#[test]
fn unsubscribing_changes_nothing_for_others() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let recorder = Arc::new(Recorder::default());
        gate.set_sink(Some(recorder.clone()));
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        gate.set_sink(None);
        let unsubscribed = gate.look_around().sequence;
        ended(releasing);
        assert_eq!(ended(waiting), Ok(()));
        let told = recorder.changes();
        assert!(told.iter().all(|change| change.sequence < unsubscribed));
        gate.assert_settled();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// Events told by several threads are numbered causes before effects.
#[test]
fn a_hand_over_is_told_after_the_release_that_led_to_it() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let recorder = Arc::new(Recorder::default());
        gate.set_sink(Some(recorder.clone()));
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        ended(releasing);
        assert_eq!(ended(waiting), Ok(()));
        let kinds: Vec<_> = recorder.changes().into_iter().map(|change| change.kind).collect();
        use EventKind::{Admitted, Queued, Released};
        if kinds.contains(&Queued) {
            assert_eq!(kinds, [Admitted, Queued, Released, Admitted, Released]);
        } else {
            assert_eq!(kinds, [Admitted, Released, Admitted, Released]);
        }
    });
}
