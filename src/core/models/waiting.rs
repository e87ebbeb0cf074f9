//! The order of the waiting line, and every way to leave it, racing each other.

use super::*;

/// Waiters are admitted in order of arrival, however releases race.
#[test]
fn two_releases_admit_two_waiters_in_order() {
    explore(3, || {
        let gate = SharedGate::plain(2, 2);
        let held = [gate.try_enter(1), gate.try_enter(1)];
        let ((first_flag, first), (second_flag, second)) = (WakeFlag::new(), WakeFlag::new());
        let tickets = [gate.join(1, &first), gate.join(1, &second)];
        let releases = held.map(|held| thread::spawn(move || drop(held)));
        if gate.poll_outcome(tickets[1], &second) == Some(Ok(())) {
            assert_eq!(gate.poll_outcome(tickets[0], &first), Some(Ok(())), "overtaken");
            releases.into_iter().for_each(join_thread);
        } else {
            releases.into_iter().for_each(join_thread);
            assert!(first_flag.was_woken() && second_flag.was_woken());
            for (ticket, waker) in tickets.into_iter().zip([first, second]) {
                assert_eq!(gate.poll_outcome(ticket, &waker), Some(Ok(())));
            }
        }
        assert_eq!(gate.checked_snapshot().in_flight, 2);
        gate.assert_invariants();
    });
}

/// A released unit goes to the head of the line before a new arrival can see it.
#[test]
fn an_arrival_never_overtakes_a_waiter() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let (flag, waker) = WakeFlag::new();
        let ticket = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let overtaking = spawn_with(&gate, |gate| gate.try_enter(1).map(drop));
        assert!(gate.try_enter(1).is_err(), "overtaken");
        assert!(join_thread(overtaking).is_err(), "overtaken");
        join_thread(releasing);
        assert!(flag.was_woken());
        assert_eq!(gate.poll_outcome(ticket, &waker), Some(Ok(())));
        assert_eq!(gate.checked_snapshot().totals.saturated, 2);
    });
}

/// A limit that passes during the hand-over ends the wait in exactly one way: admitted with the unit, or
/// expired with the unit free for others.
#[test]
fn a_wait_is_admitted_or_expires_but_never_both() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let (flag, waker) = WakeFlag::new();
        let ticket = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let expiring = spawn_with(&gate, move |gate| gate.expire(ticket, Expiry::WaitLimit));
        let during = gate.checked_snapshot();
        let outcome = join_thread(expiring);
        join_thread(releasing);
        let snapshot = gate.checked_snapshot();
        let admitted = outcome.is_ok();
        assert!(outcome.map_or_else(is_wait_limit, |()| true));
        assert!(flag.was_woken());
        assert_eq!(snapshot.in_flight, u32::from(admitted));
        assert_eq!(snapshot.totals.admitted_from_queue + snapshot.totals.expired, 1);
        assert_eq!(snapshot.totals.expired, u64::from(!admitted));
        assert!(during.totals.expired <= snapshot.totals.expired);
        gate.assert_invariants();
        if admitted {
            gate.release(1);
        }
        assert!(gate.try_enter(1).is_ok(), "the unit is not lost");
    });
}

/// A waiter that is dropped during its hand-over passes the unit on to the next waiter.
#[test]
fn a_cancelled_waiter_passes_its_unit_to_the_next_waiter() {
    explore(3, || {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let [(_, first), (flag, second)] = [WakeFlag::new(), WakeFlag::new()];
        let (leaving, staying) = (gate.join(1, &first), gate.join(1, &second));
        let releasing = thread::spawn(move || drop(held));
        let cancelling = spawn_with(&gate, move |gate| gate.cancel(leaving));
        let during = gate.checked_snapshot();
        assert!(during.totals.cancelled + during.totals.abandoned <= 1);
        join_thread(releasing);
        join_thread(cancelling);
        assert!(flag.was_woken());
        assert_eq!(gate.poll_outcome(staying, &second), Some(Ok(())));
        let snapshot = gate.checked_snapshot();
        assert_eq!(
            snapshot.totals.cancelled + snapshot.totals.abandoned,
            1,
            "it ended twice, or not at all"
        );
        assert_eq!((snapshot.in_flight, snapshot.waiting), (1, 0));
        gate.assert_invariants();
    });
}

/// A wait that is dropped while a unit is being handed over leaves no waiter and no used unit behind.
#[test]
fn a_dropped_wait_leaves_no_waiter_and_no_used_unit() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| {
            let (_, waker) = WakeFlag::new();
            let mut wait = Box::pin(gate.wait(1));
            // An admission returned here is dropped before it starts.
            wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        });
        let was_admitted = join_thread(waiting);
        join_thread(releasing);
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.waiting), (0, 0));
        assert_eq!(snapshot.totals.cancelled + snapshot.totals.abandoned, 1);
        assert!(!was_admitted || snapshot.totals.abandoned == 1);
        gate.assert_invariants();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// A waiter polled with a new waker during the hand-over is admitted by that poll or woken by the new
/// waker.
#[test]
fn a_replaced_waker_does_not_miss_the_hand_over() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1);
        let [(former_flag, former), (flag, waker)] = [WakeFlag::new(), WakeFlag::new()];
        let ticket = gate.join(1, &former);
        let releasing = thread::spawn(move || drop(held));
        let outcome = gate.poll_outcome(ticket, &waker);
        join_thread(releasing);
        match outcome {
            Some(outcome) => {
                assert_eq!(outcome, Ok(()));
                assert!(former_flag.was_woken() && !flag.was_woken());
            }
            None => {
                assert!(flag.was_woken() && !former_flag.was_woken());
                assert_eq!(gate.poll_outcome(ticket, &waker), Some(Ok(())));
            }
        }
        gate.release(1);
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// An admission that is dropped before it starts gives its unit to a waiter that joins concurrently.
#[test]
fn an_abandoned_unit_is_handed_to_a_waiter() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let ready = admit_now(gate.clone(), 1, WaitPolicy::NoWait);
        let abandoning = thread::spawn(move || drop(ready));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        let during = gate.checked_snapshot();
        assert!(during.totals.abandoned <= 1);
        join_thread(abandoning);
        assert_eq!(join_thread(waiting), Ok(()));
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.totals.abandoned, snapshot.totals.finished, snapshot.used), (1, 1, 0));
        gate.assert_invariants();
    });
}

/// A cancellation, an expiry and a release race: each waiter ends once, and the line is empty afterwards.
#[test]
fn every_waiter_ends_exactly_once() {
    explore(2, || {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let [(_, first), (_, second)] = [WakeFlag::new(), WakeFlag::new()];
        let (expires, cancels) = (gate.join(1, &first), gate.join(1, &second));
        let releasing = thread::spawn(move || drop(held));
        let cancelling = spawn_with(&gate, move |gate| gate.cancel(cancels));
        let outcome = gate.expire(expires, Expiry::Deadline);
        join_thread(releasing);
        join_thread(cancelling);
        if outcome.is_ok() {
            gate.release(1);
        }
        let snapshot = gate.checked_snapshot();
        let totals = snapshot.totals;
        assert_eq!((snapshot.used, snapshot.waiting, totals.queued), (0, 0, 2));
        assert_eq!(totals.expired, u64::from(outcome.is_err()));
        assert_eq!(totals.cancelled + totals.abandoned, 1);
        assert_eq!(totals.admitted, totals.finished + totals.abandoned);
        gate.assert_invariants();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}
