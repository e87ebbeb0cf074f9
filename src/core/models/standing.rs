//! Those who stand in front of a full gate: none of them sleeps while it is not full, whatever changes concurrently.

use super::*;

impl SharedGate {
    fn stand(&self, waker: &Waker) -> Option<Ticket> {
        self.stand_for(1, waker)
    }

    /// Stands in front of the gate. Returns `None` if it is not full: what was admitted or has joined the line is left again.
    fn stand_for(&self, cost: u32, waker: &Waker) -> Option<Ticket> {
        let when_full = WhenFull::Join(Some(waker.clone()), None);
        match self.arrive(Arrival { stands: true, ..Self::arrival(cost as usize, when_full) }) {
            ArrivalOutcome::Standing(ticket) => return Some(ticket),
            ArrivalOutcome::Admitted => self.release(cost),
            ArrivalOutcome::Queued { ticket, .. } => self.cancel(ticket),
            ArrivalOutcome::Rejected(rejection) => assert!(matches!(
                reason(rejection),
                RejectionReason::Closed | RejectionReason::CostExceedsCapacity { .. }
            )),
            ArrivalOutcome::NeedsWaker => panic!("it has one"),
        }
        None
    }

    fn leave_standing(&self, ticket: Ticket) {
        self.gate().leave_standing(ticket, self.shared());
    }
}

const KINDS: [GateKind; 3] = [GateKind::Plain, GateKind::Weighted, GateKind::Partition];

/// The fast path does not release past somebody who stands there.
#[test]
fn a_release_wakes_whoever_stands_there() {
    for kind in KINDS {
        for room in [0, 1] {
            explore(4, move || {
                let gate = SharedGate::new(1, room, kind);
                let held = gate.try_enter(1);
                let waiter = (room > 0).then(|| gate.join(1, Waker::noop()));
                let releasing = thread::spawn(move || drop(held));
                let flags = [WakeFlag::new(), WakeFlag::new()];
                let other = spawn_with(&gate, {
                    let waker = flags[1].1.clone();
                    move |gate| gate.stand(&waker).is_some()
                });
                let stood = [gate.stand(&flags[0].1).is_some(), join_thread(other)];
                join_thread(releasing);
                for (stood, (flag, _)) in stood.iter().zip(&flags) {
                    assert_eq!(*stood, flag.was_woken(), "it sleeps in front of a free place");
                }
                gate.assert_invariants();
                waiter.into_iter().for_each(|waiter| gate.cancel(waiter));
                let snapshot = gate.checked_snapshot();
                assert_eq!((snapshot.used, snapshot.waiting, snapshot.totals.saturated), (0, 0, 0));
                gate.assert_invariants();
            });
        }
    }
}

/// Whoever leaves takes nobody along, and leaves nothing behind.
#[test]
fn whoever_leaves_is_not_missed() {
    for kind in KINDS {
        explore(4, move || {
            let gate = SharedGate::new(1, 0, kind);
            let held = gate.try_enter(1);
            let [(_, first), (flag, second)] = [WakeFlag::new(), WakeFlag::new()];
            let leaving = gate.stand(&first).expect("it is full");
            let staying = gate.stand(&second).expect("it is full");
            let releasing = thread::spawn(move || drop(held));
            gate.leave_standing(leaving);
            gate.assert_invariants();
            join_thread(releasing);
            assert!(flag.was_woken());
            gate.leave_standing(staying);
            assert_eq!(gate.checked_snapshot().used, 0);
            gate.assert_invariants();
        });
    }
}

/// A close, and a place in the line that becomes free because a limit has passed.
#[test]
fn a_close_and_a_limit_that_passes_wake_whoever_stands_there() {
    for kind in KINDS {
        for closes in [true, false] {
            explore(3, move || {
                let gate = SharedGate::new(1, 1, kind);
                let held = gate.try_enter(1);
                let waiting = gate.join(1, Waker::noop());
                let (flag, waker) = WakeFlag::new();
                let changing = spawn_with(&gate, move |gate| match closes {
                    true => gate.close(),
                    false => gate.pass_limit(waiting, Expiry::WaitLimit),
                });
                let stood = gate.stand(&waker).is_some();
                join_thread(changing);
                assert_eq!(stood, flag.was_woken());
                gate.assert_invariants();
                gate.cancel(waiting);
                drop(held);
                gate.assert_invariants();
            });
        }
    }
}

/// Of two who need different numbers of units, the one who fits or has become too large is woken, whoever came first.
#[test]
fn costs_have_their_own_idea_of_full() {
    for shrinks in [false, true] {
        explore(4, move || {
            let gate = SharedGate::new(4, 0, GateKind::Weighted);
            let [one, three] = [1, 3].map(|cost| gate.try_enter(cost));
            let changing = spawn_with(&gate, move |gate| match shrinks {
                true => gate.resize(3).unwrap(),
                false => drop(one),
            });
            let [(small_flag, small), (large_flag, large)] = [WakeFlag::new(), WakeFlag::new()];
            let other = spawn_with(&gate, move |gate| gate.stand_for(1, &small).is_some());
            let large_stood = gate.stand_for(4, &large).is_some();
            let small_stood = join_thread(other);
            join_thread(changing);
            match shrinks {
                // A place for the small one. The large one is woken too, if it stood beside it.
                false => assert_eq!(small_flag.was_woken(), small_stood),
                true => assert_eq!(large_flag.was_woken(), large_stood, "it is too large for ever"),
            }
            gate.assert_invariants();
            drop(three);
            gate.assert_invariants();
        });
    }
}
