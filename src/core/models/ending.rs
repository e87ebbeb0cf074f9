//! Operations that are timed or cut short, and end beside hand-overs, snapshots and a close.

use super::*;

/// A timed release that races an arrival loses neither its unit nor its hold, and so does the release of the
/// waiter that it hands over to.
#[test]
fn a_timed_release_loses_neither_its_unit_nor_its_hold() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        explore(3, move || {
            let gate = SharedGate::new(1, 1, kind);
            gate.admit(1);
            let releasing = spawn_with(&gate, |gate| gate.release_timed(1));
            let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
            let during = gate.checked_snapshot();
            assert!(during.totals.finished <= 2);
            join_thread(releasing);
            assert_eq!(join_thread(waiting), Ok(()));
            gate.assert_invariants();
            let snapshot = gate.checked_snapshot();
            assert_eq!(
                (snapshot.used, snapshot.totals.finished, snapshot.totals.cut_short),
                (0, 2, 0)
            );
            // Without a wait, the second operation is not timed.
            let timed = gate.times().holds.timed();
            assert_eq!(
                timed,
                1 + snapshot.totals.admitted_from_queue,
                "a hold is lost or recorded twice"
            );
            assert!(gate.admit_fast(1), "the fast path is open again");
        });
    }
}

/// A timed release that races a close hands its unit over before the close or returns it afterwards, and
/// records its hold once.
#[test]
fn a_timed_release_beside_a_close_records_its_hold_once() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        explore(3, move || {
            let gate = SharedGate::new(1, 1, kind);
            gate.admit(1);
            let (flag, waker) = WakeFlag::new();
            let ticket = gate.join(1, &waker);
            let releasing = spawn_with(&gate, |gate| gate.release_timed(1));
            let closing = spawn_with(&gate, |gate| gate.close());
            let during = gate.checked_snapshot();
            join_thread(releasing);
            join_thread(closing);
            assert!(flag.was_woken());
            let outcome = gate.poll_outcome(ticket, &waker).expect("admitted or rejected");
            assert!(outcome.err().is_none_or(|reason| reason == RejectionReason::Closed));
            let admitted = outcome.is_ok();
            let before = gate.checked_snapshot();
            assert_eq!(before.used, u32::from(admitted));
            if admitted {
                gate.release_timed(1);
            }
            gate.assert_invariants();
            let Snapshot { used, totals, .. } = gate.checked_snapshot();
            assert_eq!((used, totals.finished), (0, 1 + u64::from(admitted)));
            assert_eq!(totals.admitted_from_queue, u64::from(admitted));
            assert_eq!(totals.closed_while_waiting, u64::from(!admitted));
            assert_eq!(gate.times().holds.timed(), totals.finished);
            assert!(during.totals.finished <= totals.finished);
            assert!(gate.is_drained(), "not drained");
        });
    }
}

/// The same for timed releases that need no lock for their units, and so record their holds separately.
#[test]
fn timed_releases_of_the_fast_path_record_their_holds_once() {
    for kind in [GateKind::Plain, GateKind::Weighted, GateKind::Partition] {
        explore(2, move || {
            let gate = SharedGate::new(2, 0, kind);
            gate.admit(1);
            gate.admit(1);
            let releases = [(); 2].map(|()| spawn_with(&gate, |gate| gate.release_timed(1)));
            let closing = spawn_with(&gate, |gate| gate.close());
            let during = gate.checked_snapshot();
            releases.into_iter().for_each(join_thread);
            join_thread(closing);
            gate.assert_invariants();
            let snapshot = gate.checked_snapshot();
            assert!(during.totals.finished <= 2);
            assert_eq!((snapshot.used, snapshot.totals.finished), (0, 2));
            assert_eq!(gate.times().holds.timed(), 2);
            assert!(gate.is_drained(), "not drained");
        });
    }
}

/// The hold of a waiter begins with its hand-over, not when it joins the line or is polled.
#[test]
fn a_hold_begins_with_the_hand_over() {
    /// The accuracy of a stamp, twice.
    const ACCURACY: Duration = Duration::from_micros(17);
    PausedClock::explore(3, |clock| {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let (_, waker) = WakeFlag::new();
        let mut wait = Box::pin(gate.wait(1));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        clock.advance(SECOND);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        join_thread(releasing);
        clock.advance(2 * SECOND);
        let permit = block_on(wait).map(Permit::start).expect("handed over");
        clock.advance(4 * SECOND);
        drop(permit);
        assert_eq!(join_thread(waiting), Ok(()));
        // The other one has held its slot for no time.
        let holds = gate.times().holds;
        let hold = holds.mean().expect("timed") * holds.timed() as u32;
        assert!(hold.abs_diff(6 * SECOND) <= ACCURACY, "{hold:?}");
    });
}

/// An operation that is cut short gives its units to the waiters that join concurrently, is counted once, and
/// is not among the holds of completed operations.
#[test]
fn units_of_an_operation_that_is_cut_short_are_handed_over() {
    for kind in [GateKind::Plain, GateKind::Weighted, GateKind::Partition] {
        explore(3, move || {
            let gate = SharedGate::new(1, 1, kind);
            let held = gate.try_enter(1).expect("a free unit");
            let cutting = thread::spawn(move || held.cut_short());
            let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
            let during = gate.checked_snapshot();
            assert!(during.totals.cut_short <= 1);
            assert!(during.totals.completed() <= 1, "finished, and not yet cut short");
            join_thread(cutting);
            assert_eq!(join_thread(waiting), Ok(()));
            gate.assert_invariants();
            let Snapshot { used, totals, .. } = gate.checked_snapshot();
            assert_eq!((used, totals.finished, totals.completed()), (0, 2, 1));
            assert_eq!((totals.cut_short, totals.cut_short_units, totals.abandoned), (1, 1, 0));
            assert_eq!(gate.times().holds.timed(), totals.admitted_from_queue);
            assert!(gate.admit_fast(1), "the fast path is open again");
        });
    }
}

/// A large operation that is cut short admits as many waiters as fit, even while another waiter leaves.
#[test]
fn a_large_operation_that_is_cut_short_admits_as_many_waiters_as_fit() {
    explore(3, || {
        let gate = SharedGate::weighted(2, 2);
        gate.admit(2);
        let [(_, first), (flag, second)] = [WakeFlag::new(), WakeFlag::new()];
        let (leaving, staying) = (gate.join(1, &first), gate.join(1, &second));
        let cutting = spawn_with(&gate, |gate| gate.cut_short(2));
        let cancelling = spawn_with(&gate, move |gate| gate.cancel(leaving));
        let during = gate.checked_snapshot();
        assert!(during.totals.cut_short_units <= 2);
        join_thread(cutting);
        join_thread(cancelling);
        assert!(flag.was_woken());
        assert_eq!(gate.poll_outcome(staying, &second), Some(Ok(())));
        gate.assert_invariants();
        let Snapshot { used, in_flight, totals, .. } = gate.checked_snapshot();
        assert_eq!((used, in_flight), (1, 1));
        assert_eq!((totals.cut_short, totals.cut_short_units, totals.finished_units), (1, 2, 2));
        assert_eq!(totals.cancelled + totals.abandoned, 1);
        assert_eq!(gate.times().holds.timed(), 0);
    });
}
