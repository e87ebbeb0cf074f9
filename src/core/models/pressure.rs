//! The pressure on a gate: it begins and ends with the waiting line, whatever joins and leaves concurrently.
//!
//! The clock stands still while the threads run. So a period that ends a moment too early or too late, or
//! begins anew while there are waiters, adds a wrong number of seconds.

use super::*;

/// A gate whose unit is in use and whose first waiter has waited for a second.
struct PressedGate {
    gate: SharedGate,
    held: Admission,
    first: Ticket,
    since: Instant,
}

impl PressedGate {
    fn new(clock: &PausedClock, kind: GateKind) -> Self {
        let gate = SharedGate::new(1, 2, kind);
        let held = gate.try_enter(1);
        assert!(gate.checked_snapshot().under_pressure_since.is_none());
        let since = Instant::now();
        let (_, waker) = WakeFlag::new();
        let first = gate.join(1, &waker);
        assert_eq!(gate.checked_snapshot().under_pressure_since, Some(since));
        clock.advance(SECOND);
        Self { gate, held, first, since }
    }
}

/// Returns how long operations had been waiting when the snapshot was taken.
fn pressure(snapshot: &Snapshot) -> Duration {
    let current = snapshot.under_pressure_since.map(|since| snapshot.taken_at - since);
    snapshot.totals.pressure_time + current.unwrap_or_default()
}

/// Asserts that the pressure has lasted for a second, and lasts for another one with the waiter that is left,
/// and no longer.
fn assert_pressed_by_last_waiter(clock: &PausedClock, gate: &SharedGate, last: Ticket) {
    clock.advance(SECOND);
    let snapshot = gate.checked_snapshot();
    assert_eq!((snapshot.waiting, pressure(&snapshot)), (1, 2 * SECOND));
    gate.cancel(last);
    clock.advance(SECOND);
    assert_pressure_has_ended(gate, 2 * SECOND);
}

fn assert_pressure_has_ended(gate: &SharedGate, after: Duration) {
    gate.assert_invariants();
    let snapshot = gate.checked_snapshot();
    assert_eq!((snapshot.waiting, snapshot.totals.pressure_time), (0, after));
}

/// The last waiter is admitted and another one joins: the pressure goes on or begins anew, without a gap.
#[test]
fn pressure_goes_on_if_a_waiter_joins_before_the_last_one_is_admitted() {
    for kind in [GateKind::Plain, GateKind::Weighted, GateKind::Partition] {
        PausedClock::explore(4, move |clock| {
            let PressedGate { gate, held, since, .. } = PressedGate::new(clock, kind);
            let releasing = thread::spawn(move || drop(held));
            let (_, waker) = WakeFlag::new();
            let joining = spawn_with(&gate, move |gate| gate.join(1, &waker));
            let during = gate.checked_snapshot();
            assert_eq!(pressure(&during), SECOND);
            join_thread(releasing);
            let second = join_thread(joining);
            let snapshot = gate.checked_snapshot();
            let has_begun_anew = snapshot.under_pressure_since != Some(since);
            assert_eq!(has_begun_anew, snapshot.totals.pressure_time == SECOND);
            assert_pressed_by_last_waiter(clock, &gate, second);
        });
    }
}

/// The same if the last waiter expires.
#[test]
fn pressure_goes_on_if_a_waiter_joins_before_the_last_one_expires() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        PausedClock::explore(4, move |clock| {
            let PressedGate { gate, held: _held, first, .. } = PressedGate::new(clock, kind);
            let expiring = spawn_with(&gate, move |gate| gate.expire(first, Expiry::Deadline));
            let (_, waker) = WakeFlag::new();
            let joining = spawn_with(&gate, move |gate| gate.join(1, &waker));
            let during = gate.checked_snapshot();
            assert_eq!(pressure(&during), SECOND);
            assert!(join_thread(expiring).is_err(), "there was no free unit");
            let second = join_thread(joining);
            let totals = gate.checked_snapshot().totals;
            assert_eq!((totals.expired, totals.expired_by_deadline), (1, 1));
            if gate.shared().is_none() {
                assert_eq!(totals.expired_wait_time, SECOND);
            }
            assert_pressed_by_last_waiter(clock, &gate, second);
        });
    }
}

/// A cancellation that races a hand-over ends the pressure once, and so do both if they concern two waiters.
#[test]
fn pressure_ends_once_when_a_cancellation_races_a_hand_over() {
    for (kind, waiters) in [GateKind::Plain, GateKind::Partition]
        .into_iter()
        .flat_map(|kind| [1, 2].map(|waiters| (kind, waiters)))
    {
        PausedClock::explore(4, move |clock| {
            let PressedGate { gate, held, first, .. } = PressedGate::new(clock, kind);
            let (_, waker) = WakeFlag::new();
            let leaving = if waiters == 1 { first } else { gate.join(1, &waker) };
            let releasing = thread::spawn(move || drop(held));
            let cancelling = spawn_with(&gate, move |gate| gate.cancel(leaving));
            let during = gate.checked_snapshot();
            assert_eq!(pressure(&during), SECOND);
            join_thread(releasing);
            join_thread(cancelling);
            clock.advance(SECOND);
            assert_pressure_has_ended(&gate, SECOND);
            let totals = gate.checked_snapshot().totals;
            assert_eq!(totals.admitted_from_queue + totals.cancelled, waiters);
        });
    }
}

/// A close that races a hand-over or a waiter that joins ends the pressure for good.
#[test]
fn a_close_ends_the_pressure() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        PausedClock::explore(3, move |clock| {
            let PressedGate { gate, held, .. } = PressedGate::new(clock, kind);
            let releasing = thread::spawn(move || drop(held));
            let joining = spawn_with(&gate, |gate| {
                let (_, waker) = WakeFlag::new();
                let when_full = WhenFull::Join(Some(waker), None);
                gate.arrive(SharedGate::arrival(1, when_full));
            });
            gate.close();
            let closed = gate.checked_snapshot();
            assert_eq!((closed.waiting, closed.totals.pressure_time), (0, SECOND));
            join_thread(releasing);
            join_thread(joining);
            clock.advance(SECOND);
            assert_pressure_has_ended(&gate, SECOND);
        });
    }
}

/// A grow that admits all waiters ends the pressure, and a waiter that joins concurrently does not get lost.
#[test]
fn a_grow_ends_the_pressure() {
    PausedClock::explore(4, |clock| {
        let PressedGate { gate, held: _held, .. } = PressedGate::new(clock, GateKind::Plain);
        let growing = spawn_with(&gate, |gate| gate.resize(3));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        let during = gate.checked_snapshot();
        assert_eq!(pressure(&during), SECOND);
        assert_eq!(join_thread(growing), Ok(()));
        assert_eq!(join_thread(waiting), Ok(()));
        clock.advance(SECOND);
        assert_pressure_has_ended(&gate, SECOND);
    });
}
