//! Operations of different costs: no waiter is admitted before the head, however small its cost.

use super::*;

/// Creates a gate of two units and room for two waiters, with both units in use by operations of cost 1.
fn full_gate() -> (SharedGate, [Admission; 2]) {
    let gate = SharedGate::weighted(2, 2);
    let held = [gate.try_enter(1), gate.try_enter(1)];
    (gate, held)
}

/// A small operation that would fit does not overtake a large one at the head.
#[test]
fn a_small_operation_waits_behind_a_large_one() {
    explore(3, || {
        let (gate, held) = full_gate();
        let [(_, large), (_, small)] = [WakeFlag::new(), WakeFlag::new()];
        let (head, behind) = (gate.join(2, &large), gate.join(1, &small));
        let releases = held.map(|held| thread::spawn(move || drop(held)));
        assert_eq!(gate.poll_outcome(behind, &small), None, "overtaken");
        assert!(gate.try_enter(1).is_err(), "overtaken");
        releases.into_iter().for_each(join_thread);
        gate.assert_invariants();
        assert_eq!(gate.poll_outcome(head, &large), Some(Ok(())));
        assert_eq!(gate.poll_outcome(behind, &small), None);
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.in_flight, snapshot.waiting_units), (2, 1, 1));
        gate.release(2);
        assert_eq!(gate.poll_outcome(behind, &small), Some(Ok(())));
        let snapshot = gate.checked_snapshot();
        assert_eq!(
            (snapshot.used, snapshot.totals.admitted_units, snapshot.totals.queued_units),
            (1, 5, 3)
        );
    });
}

/// When a large operation at the head leaves, the waiters behind it that fit are admitted at once.
#[test]
fn waiters_that_fit_are_admitted_when_the_head_leaves() {
    for expires in [false, true] {
        explore(3, move || {
            let (gate, [first, second]) = full_gate();
            let (_, large) = WakeFlag::new();
            let head = gate.join(2, &large);
            let releasing = thread::spawn(move || drop(first));
            let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
            let left = if expires {
                gate.expire(head, Expiry::WaitLimit).is_err()
            } else {
                gate.cancel(head);
                true
            };
            assert!(left, "two units were never free");
            join_thread(releasing);
            assert_eq!(join_thread(waiting), Ok(()));
            gate.assert_invariants();
            drop(second);
            let snapshot = gate.checked_snapshot();
            assert_eq!((snapshot.used, snapshot.in_flight, snapshot.waiting_units), (0, 0, 0));
            assert_eq!(snapshot.totals.finished_units, 3);
        });
    }
}

/// A large release admits as many waiters as fit, in order, and no concurrent arrival.
#[test]
fn one_release_admits_as_many_as_fit() {
    explore(3, || {
        let gate = SharedGate::weighted(2, 2);
        let held = gate.try_enter(2);
        let [(first_mark, first), (second_mark, second)] = [WakeFlag::new(), WakeFlag::new()];
        let tickets = [(gate.join(1, &first), first), (gate.join(1, &second), second)];
        let releasing = thread::spawn(move || drop(held));
        let late = spawn_with(&gate, |gate| gate.try_enter(1).map(drop));
        let snapshot = gate.checked_snapshot();
        assert!(matches!(snapshot.waiting, 0 | 2), "the hand-over is not atomic");
        join_thread(releasing);
        assert!(join_thread(late).is_err());
        assert!(first_mark.was_woken() && second_mark.was_woken());
        for (ticket, waker) in tickets {
            assert_eq!(gate.poll_outcome(ticket, &waker), Some(Ok(())));
        }
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.in_flight, snapshot.peaks.in_flight), (2, 2, 2));
    });
}

/// When a shrink below a cost races the arrival of that cost, one of the two is refused: no operation
/// waits for more units than the capacity.
#[test]
fn no_operation_waits_for_more_than_the_capacity() {
    explore(3, || {
        let gate = SharedGate::weighted(2, 1);
        let held = gate.try_enter(1);
        let waiting = spawn_with(&gate, |gate| gate.enter(2).map(drop));
        let shrunk = gate.resize(1);
        gate.assert_invariants();
        drop(held);
        match (join_thread(waiting), shrunk) {
            (Ok(()), Ok(())) => assert_eq!(gate.checked_snapshot().totals.admitted, 2),
            (Ok(()), refusal) => assert_eq!(refusal, Err(ChangeRefusal::BelowQueuedCost(2))),
            (Err(reason), Ok(())) => {
                assert!(matches!(reason, RejectionReason::CostExceedsCapacity { .. }));
                assert_eq!(gate.checked_snapshot().totals.oversized, 1);
            }
            both => panic!("both the shrink and the operation were refused: {both:?}"),
        }
        gate.assert_invariants();
    });
}

/// The identities of a snapshot hold for units too, while large and small operations run.
#[test]
fn snapshot_identities_hold_for_units_and_operations() {
    explore(2, || {
        let gate = SharedGate::weighted(2, 1);
        let large = spawn_with(&gate, |gate| gate.enter(2).map(drop));
        let small = spawn_with(&gate, |gate| gate.try_enter(1).map(drop));
        let snapshot = gate.checked_snapshot();
        assert!(snapshot.used == 2 * snapshot.in_flight || snapshot.used == 1);
        gate.assert_invariants();
        assert_eq!(join_thread(large), Ok(()));
        let both = join_thread(small).is_ok();
        let totals = gate.checked_snapshot().totals;
        assert_eq!((totals.finished, totals.saturated), (1 + u64::from(both), u64::from(!both)));
        assert_eq!(totals.finished_units, 2 + u64::from(both));
    });
}
