//! Resizes that race admissions and releases, and the counters of the word, which a resize moves.

use super::*;

/// A shrink that races admissions and releases removes exactly its units: free ones, or used ones as they
/// are released.
#[test]
fn a_shrink_removes_free_units_or_units_as_they_are_released() {
    explore(2, || {
        let gate = SharedGate::plain(2, 0);
        let held = gate.try_enter(1);
        let releasing = thread::spawn(move || drop(held));
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1));
        gate.resize(1).expect("open");
        let during = gate.checked_snapshot();
        assert_eq!(during.settings.capacity, 1);
        gate.assert_invariants();
        join_thread(releasing);
        let admission = join_thread(arriving);
        assert_eq!(gate.checked_snapshot().used, u32::from(admission.is_ok()));
        assert_eq!(gate.try_enter(1).is_ok(), admission.is_err(), "not one unit in all");
        drop(admission);
        gate.assert_invariants();
        assert!(gate.admit_fast(1), "the fast path is open again");
    });
}

/// After a shrink no operation is admitted until use falls below the new capacity.
#[test]
fn no_operation_is_admitted_until_use_falls_below_a_shrunk_capacity() {
    explore(3, || {
        let gate = SharedGate::plain(2, 1);
        let held = [gate.try_enter(1), gate.try_enter(1)];
        gate.resize(1).expect("open");
        let [first, second] = held.map(|held| thread::spawn(move || drop(held)));
        let before = gate.snapshot(None);
        let admission = gate.try_enter(1);
        let after = gate.checked_snapshot();
        assert!(after.used <= 2 && after.totals.finished >= before.totals.finished);
        assert!(admission.is_err() || after.totals.finished == 2, "admitted over the capacity");
        join_thread(first);
        join_thread(second);
        drop(admission);
        gate.assert_invariants();
        assert_eq!(gate.checked_snapshot().used, 0);
    });
}

/// A grow admits waiters before it returns, and does not miss one that joins concurrently.
#[test]
fn a_grow_does_not_miss_a_waiter_that_joins_concurrently() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let _held = gate.try_enter(1);
        let growing = spawn_with(&gate, |gate| gate.resize(2));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        assert_eq!(join_thread(growing), Ok(()));
        gate.assert_invariants();
        assert_eq!(join_thread(waiting), Ok(()));
        gate.assert_invariants();
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.peaks.used, snapshot.totals.admitted), (1, 2, 2));
    });
}

/// A grow that races releases and fast admissions adds exactly its units.
#[test]
fn a_grow_neither_makes_nor_loses_units() {
    explore(2, || {
        let gate = SharedGate::plain(1, 0);
        drop(gate.try_enter(1));
        let running = spawn_with(&gate, |gate| gate.try_enter(1).map(drop).is_ok());
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1));
        gate.resize(2).expect("open");
        join_thread(running);
        let arrived = join_thread(arriving);
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.settings.capacity), (u32::from(arrived.is_ok()), 2));
        let rest =
            [gate.try_enter(1), gate.try_enter(1)].into_iter().filter(|rest| rest.is_ok()).count();
        assert_eq!(rest, 2 - snapshot.used as usize);
    });
}

/// A capacity that falls and rises between the load and the compare-exchange of an admission does not
/// hide the peak that the admission sets.
#[test]
fn a_shrink_and_a_grow_do_not_hide_a_peak() {
    explore(3, || {
        let gate = SharedGate::plain(2, 0);
        let _held = gate.try_enter(1);
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1));
        gate.resize(1).expect("open");
        gate.resize(2).expect("open");
        let during = gate.checked_snapshot();
        let arrived = join_thread(arriving);
        let snapshot = gate.checked_snapshot();
        assert_eq!(snapshot.used, 1 + u32::from(arrived.is_ok()));
        assert_eq!(snapshot.peaks.used, snapshot.used as usize, "the peak is not what is in use");
        assert!(during.peaks.used <= snapshot.peaks.used);
        gate.assert_invariants();
    });
}

/// The same when the peak was reached before, so that admissions during the resize take no lock.
#[test]
fn a_grow_does_not_hide_a_peak_of_the_fast_path() {
    explore(3, || {
        let gate = SharedGate::plain(2, 0);
        drop([gate.try_enter(1), gate.try_enter(1)]);
        let arriving = spawn_with(&gate, |gate| [gate.try_enter(1), gate.try_enter(1)]);
        gate.resize(3).expect("open");
        let held = gate.try_enter(1);
        let arrived = join_thread(arriving);
        let admitted = arrived.iter().chain([&held]).filter(|permit| permit.is_ok()).count();
        let snapshot = gate.checked_snapshot();
        assert_eq!(snapshot.used as usize, admitted);
        assert_eq!(snapshot.peaks.used, admitted.max(2));
        gate.assert_invariants();
    });
}

/// Two concurrent resizes leave the capacity of the later one, and as many units.
#[test]
fn concurrent_resizes_take_effect_one_after_the_other() {
    explore(2, || {
        let gate = SharedGate::plain(2, 0);
        let held = gate.try_enter(1);
        let shrinking = spawn_with(&gate, |gate| gate.resize(1));
        let growing = spawn_with(&gate, |gate| gate.resize(3));
        drop(held);
        join_thread(shrinking).expect("open");
        join_thread(growing).expect("open");
        gate.assert_invariants();
        let snapshot = gate.checked_snapshot();
        assert!(matches!(snapshot.settings.capacity, 1 | 3));
        let held: Vec<_> = (0..4).map_while(|_| gate.try_enter(1).ok()).collect();
        assert_eq!(held.len(), snapshot.settings.capacity as usize);
    });
}

/// When the admission count no longer fits in the word it moves to the state, and no concurrent admission
/// is lost.
#[test]
fn no_admission_is_lost_when_its_count_outgrows_the_word() {
    const PAST_ADMISSIONS: u32 = Word::MOST_ADMISSIONS;
    for kind in [GateKind::Plain, GateKind::Weighted] {
        explore(2, move || {
            let gate = SharedGate::with_past_admissions(2, 2, kind, PAST_ADMISSIONS);
            let base = u64::from(PAST_ADMISSIONS);
            let threads = [(), ()].map(|()| {
                spawn_with(&gate, |gate| [gate.try_enter(1).is_ok(), gate.try_enter(1).is_ok()])
            });
            let during = gate.checked_snapshot().totals.admitted;
            assert!((base..=base + 4).contains(&during));
            let admitted =
                threads.into_iter().flat_map(join_thread).filter(|&admitted| admitted).count();
            let snapshot = gate.checked_snapshot();
            assert!(admitted > 0);
            assert_eq!(snapshot.totals.admitted, base + admitted as u64);
            assert_eq!(
                (snapshot.totals.admitted_units, snapshot.used),
                (snapshot.totals.admitted, 0)
            );
            let word = Word::from_bits(gate.word.load(Ordering::Relaxed));
            assert!(word.admissions() < 4, "the count has not moved to the state");
            gate.assert_invariants();
        });
    }
}

/// An admission is still correct if the word has changed and changed back between its load and its
/// compare-exchange (ABA): it neither loses a count nor hides a peak.
#[test]
fn an_admission_is_correct_after_the_word_changes_and_changes_back() {
    explore(3, || {
        let gate = SharedGate::plain(2, 0);
        drop([gate.try_enter(1), gate.try_enter(1)]);
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1));
        // Each resize moves the counts to the state and leaves the word as it was.
        gate.resize(3).expect("open");
        gate.resize(2).expect("open");
        let during = gate.checked_snapshot();
        let arrived = join_thread(arriving);
        assert!(arrived.is_ok(), "a unit is free");
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.totals.admitted, snapshot.used, snapshot.peaks.used), (3, 1, 2));
        assert!(during.totals.admitted <= 3);
        gate.assert_invariants();
    });
}

/// A change of all settings takes effect at one instant: an operation that joins the line concurrently finds either all of
/// the old ones or all of the new ones, and the limit that it gets is that of its own instant.
#[test]
fn a_reconfiguration_takes_effect_at_one_instant() {
    explore(3, || {
        let gate = SharedGate::plain(1, 0);
        let _held = gate.try_enter(1);
        let change =
            GateChange { capacity: None, room: Some(1), wait_limit: Some(Some(2 * SECOND)) };
        let changing = spawn_with(&gate, move |gate| gate.reconfigure(&change));
        let joining = spawn_with(&gate, |gate| {
            let when_full = WhenFull::Join(Some(Waker::noop().clone()), None);
            match gate.arrive(SharedGate::arrival(1, when_full)) {
                ArrivalOutcome::Queued { ticket, .. } => Ok(gate.has_limit(ticket)),
                ArrivalOutcome::Rejected(rejection) => Err(reason(rejection)),
                other => panic!("no unit is free: {other:?}"),
            }
        });
        let during = gate.checked_snapshot();
        assert!(matches!(
            (during.settings.room, during.settings.wait_limit),
            (0, None) | (1, Some(_))
        ));
        assert!(during.waiting <= during.settings.room);
        assert_eq!(join_thread(changing), Ok(()));
        match join_thread(joining) {
            Ok(has_limit) => assert!(has_limit),
            Err(reason) => {
                assert!(matches!(reason, RejectionReason::Saturated { waiting_room: 0, .. }));
            }
        }
        gate.assert_invariants();
    });
}

/// A room that becomes smaller than the line throws no waiter out, and nobody joins until there is a place, whatever is
/// released concurrently.
#[test]
fn a_smaller_room_throws_nobody_out_and_admits_nobody_to_the_line() {
    for kind in [GateKind::Plain, GateKind::Partition] {
        explore(3, move || {
            let gate = SharedGate::new(1, 2, kind);
            let held = gate.try_enter(1);
            let waiters = [WakeFlag::new(), WakeFlag::new()];
            let tickets = waiters.each_ref().map(|(_, waker)| gate.join(1, waker));
            let releasing = thread::spawn(move || drop(held));
            let change = GateChange { room: Some(1), ..GateChange::default() };
            assert_eq!(gate.reconfigure(&change), Ok(()));
            let arriving = spawn_with(&gate, |gate| {
                let when_full = WhenFull::Join(Some(Waker::noop().clone()), None);
                gate.arrive(SharedGate::arrival(1, when_full))
            });
            let arrived = join_thread(arriving);
            assert!(
                matches!(arrived, ArrivalOutcome::Rejected(_)),
                "joined a line without a place: {arrived:?}"
            );
            join_thread(releasing);
            gate.assert_invariants();
            let waiting = tickets
                .iter()
                .filter(|&&ticket| gate.poll_outcome(ticket, Waker::noop()).is_none());
            assert_eq!(waiting.count(), 1, "the release admits one, and the other one waits on");
            let totals = gate.checked_snapshot().totals;
            assert_eq!((totals.admitted_from_queue, totals.saturated), (1, 1));
        });
    }
}
