//! Compact gates, which are partitions: their times go to records that they share, and they free the state that
//! they do not need.

use super::*;

/// A compact gate frees its empty line, but not while a waiter that was called has yet to be polled.
#[test]
fn a_compact_gate_frees_its_line_only_when_no_waiter_needs_it() {
    explore(2, || {
        let gate = SharedGate::new(2, 2, GateKind::Partition);
        let held = [gate.try_enter(1), gate.try_enter(1)];
        let (_, waker) = WakeFlag::new();
        let leaving = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        gate.cancel(leaving);
        gate.assert_invariants();
        join_thread(releasing);
        assert_eq!(join_thread(waiting), Ok(()));
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.waiting), (0, 0));
        assert_eq!(snapshot.totals.cancelled + snapshot.totals.abandoned, 1);
        assert!(gate.state.lock().lazy.is_none(), "the line is not freed");
        gate.assert_invariants();
    });
}

/// The last waiter that leaves a compact gate removes neither its counts nor its drain waiters.
#[test]
fn a_compact_gate_keeps_its_counts_and_drain_waiters() {
    explore(2, || {
        let gate = SharedGate::new(1, 1, GateKind::Partition);
        let held = gate.try_enter(1);
        let [(drain_flag, drained), (_, waker)] = [WakeFlag::new(), WakeFlag::new()];
        let drain = gate.join_milestone(Milestone::Drained, drained.clone()).expect("open");
        let leaving = gate.join(1, &waker);
        let releasing = thread::spawn(move || drop(held));
        let cancelling = spawn_with(&gate, move |gate| gate.cancel(leaving));
        assert!(gate.try_enter(2).is_err(), "a cost of 2 exceeds the capacity of 1");
        join_thread(releasing);
        join_thread(cancelling);
        gate.close();
        assert!(drain_flag.was_woken());
        assert!(gate.poll_milestone(Milestone::Drained, drain, &drained));
        assert!(gate.try_enter(1).is_err());
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.totals.oversized, snapshot.totals.closed_before_queue), (1, 1));
    });
}

/// Two partitions that share their records lose no wait, hold or patience, however their operations race.
#[test]
fn partitions_share_their_times() {
    explore(4, || {
        let rejections = RejectionCache::new("model".into(), 1, true);
        let records = Arc::new(SharedRecords::new(rejections, WaitLimit::new(None), None));
        let gates = [(); 2].map(|()| SharedGate::partition(1, 2, records.clone()));
        let busy = gates.clone().map(|gate| {
            gate.admit(1);
            let [(_, first), (flag, second)] = [WakeFlag::new(), WakeFlag::new()];
            let (leaving, staying) = (gate.join(1, &first), gate.join(1, &second));
            let running = spawn_with(&gate, move |gate| {
                gate.cancel(leaving);
                gate.release_timed(1);
                assert!(flag.was_woken());
                assert_eq!(gate.poll_outcome(staying, &second), Some(Ok(())));
                gate.cut_short(1);
            });
            (gate, running)
        });
        let during = records.times.lock().snapshot();
        assert!(during.waits.count() <= 2 && during.patience.count() <= 2);
        for (gate, running) in busy {
            join_thread(running);
            gate.assert_invariants();
            let Snapshot { used, totals, .. } = gate.checked_snapshot();
            assert_eq!((used, totals.finished, totals.cut_short), (0, 2, 1));
        }
        let times = records.times.lock().snapshot();
        let counts = (times.waits.count(), times.patience.count(), times.holds.timed());
        assert_eq!(counts, (2, 2, 2));
    });
}

/// A compact gate frees its line after a period of pressure, whose length it remembers.
#[test]
fn a_compact_gate_remembers_its_pressure_and_frees_its_line() {
    PausedClock::explore(3, |clock| {
        let gate = SharedGate::new(1, 1, GateKind::Partition);
        for periods in 1..=2 {
            let held = gate.try_enter(1);
            let (_, waker) = WakeFlag::new();
            let leaving = gate.join(1, &waker);
            clock.advance(SECOND);
            let releasing = thread::spawn(move || drop(held));
            let expiring = spawn_with(&gate, move |gate| {
                if gate.expire(leaving, Expiry::WaitLimit).is_ok() {
                    gate.release_timed(1);
                }
            });
            join_thread(releasing);
            join_thread(expiring);
            clock.advance(SECOND);
            gate.assert_invariants();
            assert!(gate.state.lock().lazy.is_none(), "the line is not freed");
            let Snapshot { used, totals, .. } = gate.checked_snapshot();
            assert_eq!((used, totals.pressure_time), (0, periods * SECOND));
            let times = gate.times();
            assert_eq!(times.waits.count(), totals.admitted_from_queue);
            assert_eq!(times.holds.timed(), totals.admitted_from_queue);
        }
    });
}

/// A compact gate that is closed keeps only which of its waiters it has rejected: one that is polled late is
/// not taken for admitted. Operations that arrive later are counted without that state.
#[test]
fn a_compact_gate_rejects_its_waiters_however_late_they_are_polled() {
    explore(3, || {
        let gate = SharedGate::new(1, 1, GateKind::Partition);
        gate.admit(1);
        let (flag, waker) = WakeFlag::new();
        let ticket = gate.join(1, &waker);
        let closing = spawn_with(&gate, |gate| gate.close());
        let releasing = spawn_with(&gate, |gate| gate.release_timed(1));
        let early = gate.poll_outcome(ticket, &waker);
        join_thread(closing);
        join_thread(releasing);
        gate.assert_invariants();
        assert_eq!(gate.try_enter(1).map(drop), Err(RejectionReason::Closed));
        assert!(flag.was_woken());
        let outcome = gate.poll_outcome(ticket, &waker);
        assert!(early.is_none() || early == outcome, "{early:?}, later {outcome:?}");
        let admitted = match outcome {
            Some(Ok(())) => true,
            Some(Err(RejectionReason::Closed)) => false,
            other => panic!("neither admitted nor rejected by the close: {other:?}"),
        };
        let has_lazy = gate.state.lock().lazy.is_some();
        assert_eq!(has_lazy, !admitted, "kept exactly for waiters that were rejected");
        if admitted {
            gate.release(1);
        }
        gate.assert_invariants();
        let Snapshot { used, totals, .. } = gate.checked_snapshot();
        assert_eq!((used, totals.closed_before_queue), (0, 1));
        assert_eq!(totals.closed_while_waiting, u64::from(!admitted));
        assert_eq!(gate.times().waits.count(), u64::from(admitted));
        assert_eq!(gate.times().holds.timed(), 1);
    });
}
