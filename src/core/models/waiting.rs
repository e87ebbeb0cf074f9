//! Leaving the line, in all ways and against each other, and the order in it.

use super::*;
use crate::core::limits::Expiry;

/// Takes `waited` out of a reason, so that models need not know the time.
fn is_limit(reason: RejectionReason) -> bool {
    matches!(reason, RejectionReason::WaitLimit { waited } if waited < Duration::from_secs(60))
}

/// Those who wait are admitted in the order in which they came, whatever releases race.
#[test]
fn two_releases_admit_two_waiters_in_order() {
    explore(3, || {
        let gate = Shared::plain(2, 2);
        let held = [gate.now(1), gate.now(1)];
        let ((first_mark, first), (second_mark, second)) = (Mark::new(), Mark::new());
        let tickets = [gate.join(1, &first), gate.join(1, &second)];
        let releases = held.map(|held| thread::spawn(move || drop(held)));
        if gate.find(tickets[1], &second) == Some(Ok(())) {
            assert_eq!(gate.find(tickets[0], &first), Some(Ok(())), "overtaken");
            releases.into_iter().for_each(ended);
        } else {
            releases.into_iter().for_each(ended);
            assert!(first_mark.was_woken() && second_mark.was_woken());
            for (ticket, waker) in tickets.into_iter().zip([first, second]) {
                assert_eq!(gate.find(ticket, &waker), Some(Ok(())));
            }
        }
        assert_eq!(gate.look_around().in_flight, 2);
        gate.assert_settled();
    });
}

/// A released unit belongs to the head of the line before a newcomer can see it.
#[test]
fn a_newcomer_never_overtakes_a_waiter() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1);
        let (mark, waker) = Mark::new();
        let ticket = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let overtaking = beside(&gate, |gate| gate.now(1).map(drop));
        assert!(gate.now(1).is_err(), "the unit is the waiter's");
        assert!(ended(overtaking).is_err(), "the unit is the waiter's");
        ended(releasing);
        assert!(mark.was_woken());
        assert_eq!(gate.find(ticket, &waker), Some(Ok(())));
        assert_eq!(gate.look_around().totals.saturated, 2);
    });
}

/// A timer that fires beside the hand-over ends the wait one way: admitted with the unit, or expired
/// with the unit free for others.
#[test]
fn a_limit_passes_before_or_after_the_admission() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1);
        let (mark, waker) = Mark::new();
        let ticket = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let expiring = beside(&gate, move |gate| gate.expire(ticket, Expiry::WaitLimit));
        let during = gate.look_around();
        let outcome = ended(expiring);
        ended(releasing);
        let seen = gate.look_around();
        let admitted = outcome.is_ok();
        assert!(outcome.map_or_else(is_limit, |()| true));
        assert_eq!(mark.was_woken(), admitted);
        assert_eq!(seen.in_flight, u32::from(admitted));
        assert_eq!(seen.totals.admitted_from_queue + seen.totals.expired, 1);
        assert_eq!(seen.totals.expired, u64::from(!admitted));
        assert!(during.totals.expired <= seen.totals.expired);
        gate.assert_settled();
        if admitted {
            gate.release(1);
        }
        assert!(gate.now(1).is_ok(), "the unit is not lost");
    });
}

/// A waiter that is dropped beside its hand-over passes the unit on to the one behind it.
#[test]
fn a_cancelled_waiter_passes_on_what_it_was_admitted_to() {
    explore(3, || {
        let gate = Shared::plain(1, 2);
        let held = gate.now(1);
        let [(_, first), (mark, second)] = [Mark::new(), Mark::new()];
        let (leaving, staying) = (gate.join(1, &first), gate.join(1, &second));
        let releasing = thread::spawn(move || drop(held));
        let cancelling = beside(&gate, move |gate| gate.cancel(leaving));
        let during = gate.look_around();
        assert!(during.totals.cancelled + during.totals.abandoned <= 1);
        ended(releasing);
        ended(cancelling);
        assert!(mark.was_woken());
        assert_eq!(gate.find(staying, &second), Some(Ok(())));
        let seen = gate.look_around();
        assert_eq!(seen.totals.cancelled + seen.totals.abandoned, 1, "it ends once");
        assert_eq!((seen.in_flight, seen.waiting), (1, 0));
        gate.assert_settled();
    });
}

/// A wait that is dropped while a unit is on its way leaves neither a place nor a unit behind.
#[test]
fn a_dropped_wait_undoes_exactly_what_was_done() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| {
            let (_, waker) = Mark::new();
            let mut wait = Box::pin(gate.wait(1));
            // An admission found here is dropped without having started.
            wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        });
        let was_admitted = ended(waiting);
        ended(releasing);
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.waiting), (0, 0));
        assert_eq!(seen.totals.cancelled + seen.totals.abandoned, 1);
        assert!(!was_admitted || seen.totals.abandoned == 1);
        gate.assert_settled();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// A task that moves to another waker while the unit is handed over learns of it: at once, or by the
/// new waker.
#[test]
fn a_replaced_waker_does_not_miss_the_hand_over() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1);
        let [(former_mark, former), (mark, waker)] = [Mark::new(), Mark::new()];
        let ticket = gate.join(1, &former);
        let releasing = thread::spawn(move || drop(held));
        let outcome = gate.find(ticket, &waker);
        ended(releasing);
        match outcome {
            Some(outcome) => {
                assert_eq!(outcome, Ok(()));
                assert!(former_mark.was_woken() && !mark.was_woken());
            }
            None => {
                assert!(mark.was_woken() && !former_mark.was_woken());
                assert_eq!(gate.find(ticket, &waker), Some(Ok(())));
            }
        }
        gate.release(1);
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// An admission whose work never starts gives its unit to the one who joins beside it.
#[test]
fn an_abandoned_admission_goes_to_the_line() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let ready = admit_now(gate.clone(), 1, WaitPolicy::NoWait);
        let abandoning = thread::spawn(move || drop(ready));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        let during = gate.look_around();
        assert!(during.totals.abandoned <= 1);
        ended(abandoning);
        assert_eq!(ended(waiting), Ok(()));
        let seen = gate.look_around();
        assert_eq!((seen.totals.abandoned, seen.totals.finished, seen.used), (1, 1, 0));
        gate.assert_settled();
    });
}

/// Cancelling, expiring and releasing at once: everybody ends once and the last place is empty.
#[test]
fn everybody_who_waits_ends_exactly_once() {
    explore(2, || {
        let gate = Shared::plain(1, 2);
        let held = gate.now(1);
        let [(_, first), (_, second)] = [Mark::new(), Mark::new()];
        let (expires, cancels) = (gate.join(1, &first), gate.join(1, &second));
        let releasing = thread::spawn(move || drop(held));
        let cancelling = beside(&gate, move |gate| gate.cancel(cancels));
        let outcome = gate.expire(expires, Expiry::Deadline);
        ended(releasing);
        ended(cancelling);
        if outcome.is_ok() {
            gate.release(1);
        }
        let seen = gate.look_around();
        let totals = seen.totals;
        assert_eq!((seen.used, seen.waiting, totals.queued), (0, 0, 2));
        assert_eq!(totals.expired, u64::from(outcome.is_err()));
        assert_eq!(totals.cancelled + totals.abandoned, 1);
        assert_eq!(totals.admitted, totals.finished + totals.abandoned);
        gate.assert_settled();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// A gate that gives up its line whenever nobody is in it counts those as in it who were called and have
/// not looked.
#[test]
fn a_frugal_gate_gives_up_its_line_only_when_nobody_is_in_it() {
    explore(2, || {
        let gate = Shared::new(2, 2, GateKind::Partition);
        let held = [gate.now(1), gate.now(1)];
        let (_, waker) = Mark::new();
        let leaving = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        gate.cancel(leaving);
        gate.assert_settled();
        ended(releasing);
        assert_eq!(ended(waiting), Ok(()));
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.waiting), (0, 0));
        assert_eq!(seen.totals.cancelled + seen.totals.abandoned, 1);
        assert!(gate.state.lock().lazy.is_none(), "nobody needs it");
        gate.assert_settled();
    });
}

/// Who leaves such a gate takes neither its counts away nor those who wait for its drain.
#[test]
fn a_frugal_gate_keeps_its_counts_and_who_waits_for_its_drain() {
    explore(2, || {
        let gate = Shared::new(1, 1, GateKind::Partition);
        let held = gate.now(1);
        let [(drain_mark, drained), (_, waker)] = [Mark::new(), Mark::new()];
        let drain = gate.join_drain(drained.clone()).expect("open");
        let leaving = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let cancelling = beside(&gate, move |gate| gate.cancel(leaving));
        assert!(gate.now(2).is_err(), "more than there is");
        ended(releasing);
        ended(cancelling);
        gate.close();
        assert!(drain_mark.was_woken());
        assert!(gate.poll_drain(drain, &drained));
        assert!(gate.now(1).is_err());
        let seen = gate.look_around();
        assert_eq!((seen.totals.oversized, seen.totals.closed_before_queue), (1, 1));
    });
}
