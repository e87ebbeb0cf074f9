//! Pausing a gate and resuming it.

use super::*;

/// No operation is admitted once `pause` has returned, not even by the fast path, until the gate is resumed.
#[test]
fn no_operation_is_admitted_after_pause_returns() {
    explore(2, || {
        let gate = SharedGate::plain(2, 1);
        drop([gate.try_enter(1), gate.try_enter(1)]);
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1).map(drop));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        gate.pause();
        let admitted = gate.checked_snapshot().totals.admitted;
        gate.assert_invariants();
        assert!(gate.try_enter(1).is_err());
        assert_eq!(gate.checked_snapshot().totals.admitted, admitted);
        gate.resume();
        let arrived = join_thread(arriving);
        assert!(arrived.err().is_none_or(|reason| reason == RejectionReason::Paused));
        // It waits out the pause, if there was a place.
        assert_eq!(join_thread(waiting), Ok(()));
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.waiting), (0, 0));
        gate.assert_invariants();
    });
}

/// What is released or returned during a pause is handed over when the gate is resumed, whatever comes first.
#[test]
fn a_resume_misses_nobody() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        explore(2, move || {
            let gate = SharedGate::new(1, 2, kind);
            let held = gate.try_enter(1);
            let (_, waker) = WakeFlag::new();
            let leaving = gate.join(1, &waker);
            gate.pause();
            let releasing = thread::spawn(move || drop(held));
            let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
            let resuming = spawn_with(&gate, |gate| gate.resume());
            gate.cancel(leaving);
            join_thread(releasing);
            join_thread(resuming);
            assert_eq!(join_thread(waiting), Ok(()));
            let snapshot = gate.checked_snapshot();
            assert_eq!((snapshot.used, snapshot.waiting), (0, 0));
            gate.assert_invariants();
        });
    }
}

/// A pause, a resume and a drain at once: the drain prevails, and whoever waits is served.
#[test]
fn a_drain_prevails_over_a_pause() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let (flag, waker) = WakeFlag::new();
        let waiter = gate.join(1, &waker);
        let pausing = spawn_with(&gate, |gate| gate.pause());
        let releasing = thread::spawn(move || drop(held));
        gate.drain();
        join_thread(pausing);
        join_thread(releasing);
        assert!(flag.was_woken());
        assert_eq!(gate.poll_outcome(waiter, &waker), Some(Ok(())));
        assert_eq!(gate.phase(), Phase::Closed);
        gate.assert_invariants();
        gate.release(1);
        assert!(gate.is_drained());
    });
}
