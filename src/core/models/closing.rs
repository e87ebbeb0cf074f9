//! Closing a gate, and the drain that follows.

use super::*;
use crate::core::operation::milestone::Reached;

/// A wait that begins concurrently with the close ends: it is admitted before the close or rejected by it.
#[test]
fn a_closed_gate_has_no_waiters() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        gate.close();
        let closed = gate.checked_snapshot();
        assert!(closed.phase.is_closed() && closed.waiting == 0);
        let outcome = join_thread(waiting);
        join_thread(releasing);
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.waiting), (0, 0));
        assert_eq!(snapshot.totals.admitted, 1 + u64::from(outcome.is_ok()));
        let rejected = snapshot.totals.closed_before_queue + snapshot.totals.closed_while_waiting;
        assert_eq!(rejected, u64::from(outcome.is_err()));
        assert!(outcome.err().is_none_or(|reason| reason == RejectionReason::Closed));
        gate.assert_invariants();
    });
}

/// No operation is admitted once `close` has returned, not even by the fast path.
#[test]
fn no_operation_is_admitted_after_close_returns() {
    explore(2, || {
        let gate = SharedGate::plain(2, 1);
        drop(gate.try_enter(1));
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1).map(drop));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        gate.close();
        let admitted = gate.checked_snapshot().totals.admitted;
        assert!(gate.try_enter(1).is_err());
        let outcomes = [join_thread(arriving), join_thread(waiting)];
        assert_eq!(gate.checked_snapshot().totals.admitted, admitted);
        assert_eq!(admitted, 1 + outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64);
        gate.assert_invariants();
    });
}

/// A task that waits for the drain is notified whether it starts waiting before the close, between the
/// close and the last release, or after both.
#[test]
fn a_drain_waiter_does_not_miss_the_drain() {
    explore(3, || {
        let gate = SharedGate::plain(1, 0);
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let draining = spawn_with(&gate, |gate| {
            block_on(Reached::drained(&gate));
            let snapshot = gate.checked_snapshot();
            assert!(
                snapshot.phase == Phase::Drained && snapshot.in_flight == 0,
                "the drain wait ended before the drain"
            );
        });
        gate.close();
        join_thread(releasing);
        join_thread(draining);
        gate.assert_invariants();
    });
}

/// Every remaining drain waiter is notified, even if another one leaves.
#[test]
fn the_drain_notifies_every_remaining_drain_waiter() {
    explore(3, || {
        let gate = SharedGate::plain(1, 0);
        let held = gate.try_enter(1);
        let (_, waker) = WakeFlag::new();
        let mut leaving = Box::pin(Reached::drained(&gate));
        assert!(leaving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let staying = spawn_with(&gate, |gate| block_on(Reached::drained(&gate)));
        let releasing = spawn_with(&gate, |gate| {
            gate.close();
            drop(held);
        });
        drop(leaving);
        join_thread(staying);
        join_thread(releasing);
        block_on(Reached::drained(&gate));
    });
}

/// When the close races the end of the last operation, whichever is later emits `Drained`, exactly once.
#[test]
fn the_drained_event_is_emitted_once_and_last() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let recorder = Arc::new(Recorder::default());
        let held = gate.try_enter(1);
        let (_, waker) = WakeFlag::new();
        let ticket = gate.join(1, &waker);
        gate.set_sink(Some(recorder.clone()));
        let releasing = thread::spawn(move || drop(held));
        let cancelling = spawn_with(&gate, move |gate| gate.cancel(ticket));
        gate.close();
        join_thread(releasing);
        join_thread(cancelling);
        let kinds: Vec<_> = recorder.changes().into_iter().map(|change| change.kind).collect();
        let drained = kinds.iter().filter(|&&kind| kind == EventKind::Drained).count();
        assert_eq!((drained, kinds.last()), (1, Some(&EventKind::Drained)), "{kinds:?}");
        assert!(gate.phase().is_closed());
        assert!(gate.is_drained());
    });
}
