//! Waiters that are taken out because their limits have passed, before they know: none of them takes its call for an admission,
//! and their places make way for others.

use super::*;

impl SharedGate {
    /// Takes a waiter out of the line as if its limit had passed, if it is there. It is told when it is polled.
    pub(super) fn pass_limit(&self, ticket: Ticket, expiry: Expiry) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self.gate(), self.shared(), &mut effects);
        if let Some(lazy) = section.state.lazy.as_mut() {
            lazy.line.pass_limit(ticket, expiry == Expiry::Deadline);
        }
        section.look_for_overdue();
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Passes the limit of a waiter, and polls it.
    pub(super) fn expire(&self, ticket: Ticket, expiry: Expiry) -> Result<(), RejectionReason> {
        self.pass_limit(ticket, expiry);
        self.poll_outcome(ticket, Waker::noop()).expect("its limit has passed")
    }

    /// Whether a waiter in the line has a limit.
    pub(super) fn has_limit(&self, ticket: Ticket) -> bool {
        let state = self.gate().state.lock();
        state.lazy.as_ref().is_some_and(|lazy| lazy.line.end_of(ticket) != Nanos::NEVER)
    }
}

/// A unit in use, and three waiters.
fn full_gate(kind: GateKind) -> (SharedGate, Admission, [Ticket; 3]) {
    let gate = SharedGate::new(1, 3, kind);
    let held = gate.try_enter(1);
    let tickets = [(); 3].map(|()| gate.join(1, Waker::noop()));
    (gate, held, tickets)
}

const KINDS: [GateKind; 3] = [GateKind::Plain, GateKind::Weighted, GateKind::Partition];

/// The waiter behind is called, and so is the number of the one that was taken out. Whenever that one looks, it is not admitted.
#[test]
fn a_waiter_that_was_taken_out_never_takes_a_later_call_for_its_own() {
    for kind in KINDS {
        explore(4, move || {
            let (gate, held, [first, second, _]) = full_gate(kind);
            let changing = spawn_with(&gate, move |gate| {
                gate.pass_limit(first, Expiry::WaitLimit);
                drop(held);
            });
            let seen = gate.poll_outcome(first, Waker::noop());
            assert!(seen.is_none_or(|outcome| outcome.is_err_and(is_wait_limit)), "{seen:?}");
            join_thread(changing);
            if seen.is_none() {
                let outcome = gate.poll_outcome(first, Waker::noop());
                assert!(outcome.is_some_and(|outcome| outcome.is_err_and(is_wait_limit)));
            }
            assert_eq!(gate.poll_outcome(second, Waker::noop()), Some(Ok(())));
            gate.assert_invariants();
        });
    }
}

/// Two that were taken out learn of it while a third is called: it is admitted, and no mark of them is left.
#[test]
fn the_last_one_to_learn_that_it_was_taken_out_clears_the_mark() {
    for kind in KINDS {
        explore(4, move || {
            let (gate, held, [first, second, third]) = full_gate(kind);
            gate.pass_limit(first, Expiry::WaitLimit);
            gate.pass_limit(second, Expiry::Deadline);
            let learning = spawn_with(&gate, move |gate| gate.poll_outcome(first, Waker::noop()));
            let leaving = spawn_with(&gate, move |gate| gate.cancel(second));
            drop(held);
            assert_eq!(gate.poll_outcome(third, Waker::noop()), Some(Ok(())));
            assert!(join_thread(learning).is_some_and(|outcome| outcome.is_err_and(is_wait_limit)));
            join_thread(leaving);
            gate.release(1);
            let snapshot = gate.checked_snapshot();
            let Totals { expired, cancelled, .. } = snapshot.totals;
            assert_eq!((snapshot.used, snapshot.waiting, expired, cancelled), (0, 0, 2, 0));
            assert_eq!(gate.called.load(Ordering::Relaxed) & SOME_OVERDUE, 0);
            gate.assert_invariants();
        });
    }
}

/// A place that is taken by somebody who does not know yet is not given to another one.
#[test]
fn a_newcomer_takes_the_room_and_not_the_place_of_one_that_was_taken_out() {
    for kind in KINDS {
        explore(3, move || {
            let (gate, held, [first, second, third]) = full_gate(kind);
            let joining = spawn_with(&gate, |gate| {
                let when_full = WhenFull::Join(Some(Waker::noop().clone()), None);
                match gate.arrive(SharedGate::arrival(1, when_full)) {
                    ArrivalOutcome::Queued { ticket, .. } => Some(ticket),
                    ArrivalOutcome::Rejected(_) => None,
                    other => panic!("{other:?}"),
                }
            });
            gate.pass_limit(second, Expiry::WaitLimit);
            let joined = join_thread(joining);
            gate.cancel(first);
            gate.cancel(third);
            drop(held);
            if let Some(joined) = joined {
                assert_eq!(gate.poll_outcome(joined, Waker::noop()), Some(Ok(())));
            }
            let outcome = gate.poll_outcome(second, Waker::noop());
            assert!(outcome.is_some_and(|outcome| outcome.is_err_and(is_wait_limit)));
            gate.assert_invariants();
        });
    }
}
