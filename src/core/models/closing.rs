//! The end of a gate: close, and the drain that follows it.

use super::*;
use crate::core::operation::drain::Drain;

/// A wait that begins beside the close ends: admitted before it, or rejected by it.
#[test]
fn nobody_waits_at_a_closed_gate() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        gate.close();
        let closed = gate.look_around();
        assert!(closed.is_closed && closed.waiting == 0);
        let outcome = ended(waiting);
        ended(releasing);
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.waiting), (0, 0));
        assert_eq!(seen.totals.admitted, 1 + u64::from(outcome.is_ok()));
        let rejected = seen.totals.closed_before_queue + seen.totals.closed_while_waiting;
        assert_eq!(rejected, u64::from(outcome.is_err()));
        assert!(outcome.err().is_none_or(|reason| reason == RejectionReason::Closed));
        gate.assert_settled();
    });
}

/// Once `close` has returned nobody is admitted, by the fast path neither.
#[test]
fn nobody_is_admitted_after_the_close() {
    explore(2, || {
        let gate = Shared::plain(2, 1);
        drop(gate.now(1));
        let arriving = beside(&gate, |gate| gate.now(1).map(drop));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        gate.close();
        let admitted = gate.look_around().totals.admitted;
        assert!(gate.now(1).is_err());
        let outcomes = [ended(arriving), ended(waiting)];
        assert_eq!(gate.look_around().totals.admitted, admitted);
        assert_eq!(admitted, 1 + outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64);
        gate.assert_settled();
    });
}

/// Whoever waits for the drain learns of it, whether it begins to wait before the close, between the
/// close and the last release, or after both.
#[test]
fn the_drain_is_not_missed() {
    explore(3, || {
        let gate = Shared::plain(1, 0);
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let draining = beside(&gate, |gate| {
            block_on(Drain::new(&gate));
            let seen = gate.look_around();
            assert!(seen.is_closed && seen.in_flight == 0, "drained too early");
        });
        gate.close();
        ended(releasing);
        ended(draining);
        gate.assert_settled();
    });
}

/// Every one of several learns of it, and one that leaves keeps it from nobody.
#[test]
fn the_drain_reaches_everybody_who_still_waits_for_it() {
    explore(3, || {
        let gate = Shared::plain(1, 0);
        let held = gate.now(1);
        let (_, waker) = Mark::new();
        let mut leaving = Box::pin(Drain::new(&gate));
        assert!(leaving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let staying = beside(&gate, |gate| block_on(Drain::new(&gate)));
        let releasing = beside(&gate, |gate| {
            gate.close();
            drop(held);
        });
        drop(leaving);
        ended(staying);
        ended(releasing);
        block_on(Drain::new(&gate));
    });
}

/// Of the close and the last end beside it, the later is told as what drained the gate, once.
#[test]
fn the_drain_is_told_once_and_last() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let recorder = Arc::new(Recorder::default());
        let held = gate.now(1);
        let (_, waker) = Mark::new();
        let ticket = gate.join(1, &waker);
        gate.set_sink(Some(recorder.clone()));
        let releasing = thread::spawn(move || drop(held));
        let cancelling = beside(&gate, move |gate| gate.cancel(ticket));
        gate.close();
        ended(releasing);
        ended(cancelling);
        let kinds: Vec<_> = recorder.changes().into_iter().map(|change| change.kind).collect();
        let drain_waiters = kinds.iter().filter(|&&kind| kind == EventKind::Drained).count();
        assert_eq!((drain_waiters, kinds.last()), (1, Some(&EventKind::Drained)), "{kinds:?}");
        assert!(gate.is_closed());
        assert!(gate.join_drain(Waker::noop().clone()).is_none());
    });
}
