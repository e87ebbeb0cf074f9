//! Draining a gate, alone and as one of several partitions.

use super::*;
use crate::core::operation::milestone::Reached;

/// A wait that begins concurrently with the drain is served or rejected, and the gate ends drained in any case.
#[test]
fn whoever_is_in_line_is_served() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        explore(3, move || {
            let gate = SharedGate::new(1, 1, kind);
            let held = gate.try_enter(1);
            let releasing = thread::spawn(move || drop(held));
            let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
            gate.drain();
            let during = gate.checked_snapshot();
            assert!(during.phase.turns_away());
            assert!(gate.try_enter(1).is_err());
            let outcome = join_thread(waiting);
            join_thread(releasing);
            assert!(outcome.err().is_none_or(|reason| reason == RejectionReason::Closed));
            assert!(gate.is_drained());
            let snapshot = gate.checked_snapshot();
            assert_eq!((snapshot.used, snapshot.waiting), (0, 0));
            assert_eq!(snapshot.totals.closed_while_waiting, 0);
            gate.assert_invariants();
        });
    }
}

/// Those who wait for the closing and for the drain are woken, whether the last waiter is admitted, expires or leaves, and
/// whether a close comes in between.
#[test]
fn no_milestone_is_missed() {
    explore(3, || {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let (_, waker) = WakeFlag::new();
        let (leaving, expiring) = (gate.join(1, &waker), gate.join(1, &waker));
        let closing = spawn_with(&gate, |gate| {
            block_on(Reached::closing(gate));
            assert!(gate.phase().turns_away());
        });
        let draining = spawn_with(&gate, |gate| {
            gate.drain();
            block_on(Reached::drained(gate));
            assert!(gate.is_drained());
        });
        gate.cancel(leaving);
        if gate.expire(expiring, Expiry::WaitLimit).is_ok() {
            gate.release(1);
        }
        drop(held);
        join_thread(closing);
        join_thread(draining);
        gate.assert_invariants();
    });
}

/// A close during a drain: every waiter has one outcome, and both callers find the gate drained.
#[test]
fn a_close_ends_a_drain() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let (flag, waker) = WakeFlag::new();
        let waiter = gate.join(1, &waker);
        let closing = spawn_with(&gate, |gate| gate.close());
        let releasing = thread::spawn(move || drop(held));
        gate.drain();
        join_thread(closing);
        join_thread(releasing);
        assert!(flag.was_woken());
        match gate.poll_outcome(waiter, &waker) {
            Some(Ok(())) => gate.release(1),
            Some(Err(reason)) => assert_eq!(reason, RejectionReason::Closed),
            None => panic!("it still waits"),
        }
        assert!(gate.is_drained());
        gate.assert_invariants();
    });
}

/// Of several partitions that drain at once, exactly the last one that empties its line ends the drain of all.
#[test]
fn partitions_are_drained_once_none_has_a_line() {
    explore(3, || {
        let rejections = RejectionCache::new("model".into(), 1, true);
        let records = Arc::new(SharedRecords::new(rejections, WaitLimit::new(None), None));
        let gates = [0, 1].map(|_| SharedGate::partition(1, 1, records.clone()));
        let held = [gates[0].try_enter(1), gates[1].try_enter(1)];
        let (_, waker) = WakeFlag::new();
        let waiters = [gates[0].join(1, &waker), gates[1].join(1, &waker)];
        let [one, other] = held;
        let releasing = thread::spawn(move || drop(one));
        let leaving = spawn_with(&gates[1], move |gate| gate.cancel(waiters[1]));
        // As the map does it.
        records.undrained.add();
        gates.iter().for_each(|gate| gate.drain());
        let _ = records.drained_one();
        if !records.undrained.any() {
            assert!(gates.iter().all(|gate| gate.phase().is_closed()));
            assert!(!records.undrained.add_to_some(), "what is closed stays so");
        }
        join_thread(releasing);
        join_thread(leaving);
        assert!(!records.undrained.any());
        assert_eq!(gates[0].poll_outcome(waiters[0], &waker), Some(Ok(())));
        gates[0].release(1);
        drop(other);
        assert!(gates.iter().all(|gate| gate.is_drained()));
        gates.iter().for_each(SharedGate::assert_invariants);
    });
}
