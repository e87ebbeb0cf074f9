//! Capacity that changes while units come and go, and the counting that a resize takes part in.

use super::*;

/// A shrink beside admissions and releases takes exactly its units, from the free ones or from those
/// that come back.
#[test]
fn a_shrink_takes_its_units_from_whoever_has_them() {
    explore(2, || {
        let gate = Shared::plain(2, 0);
        let held = gate.now(1);
        let releasing = thread::spawn(move || drop(held));
        let arriving = beside(&gate, |gate| gate.now(1));
        gate.resize(1).expect("open");
        let during = gate.look_around();
        assert_eq!(during.capacity, 1);
        gate.assert_settled();
        ended(releasing);
        let admission = ended(arriving);
        assert_eq!(gate.look_around().used, u32::from(admission.is_ok()));
        assert_eq!(gate.now(1).is_ok(), admission.is_err(), "one unit in all");
        drop(admission);
        gate.assert_settled();
        assert!(gate.admit_fast(1), "the debt is paid and the fast path open");
    });
}

/// After a shrink nobody is admitted until the use falls under the new capacity.
#[test]
fn nobody_is_admitted_while_a_debt_is_owed() {
    explore(3, || {
        let gate = Shared::plain(2, 1);
        let held = [gate.now(1), gate.now(1)];
        gate.resize(1).expect("open");
        let [first, second] = held.map(|held| thread::spawn(move || drop(held)));
        let before = gate.snapshot();
        let admission = gate.now(1);
        let after = gate.look_around();
        assert!(after.used <= 2 && after.totals.finished >= before.totals.finished);
        assert!(admission.is_err() || after.totals.finished == 2, "admitted over the capacity");
        ended(first);
        ended(second);
        drop(admission);
        gate.assert_settled();
        assert_eq!(gate.look_around().used, 0);
    });
}

/// A grow admits from the line before it returns, and misses nobody who joins beside it.
#[test]
fn a_grow_does_not_miss_who_joins_beside_it() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let _held = gate.now(1);
        let growing = beside(&gate, |gate| gate.resize(2));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        assert_eq!(ended(growing), Ok(()));
        gate.assert_settled();
        assert_eq!(ended(waiting), Ok(()));
        gate.assert_settled();
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.peaks.used, seen.totals.admitted), (1, 2, 2));
    });
}

/// A grow beside releases and fast admissions leaves every unit where it belongs.
#[test]
fn a_grow_neither_makes_nor_loses_units() {
    explore(2, || {
        let gate = Shared::plain(1, 0);
        drop(gate.now(1));
        let come_and_go = beside(&gate, |gate| gate.now(1).map(drop).is_ok());
        let arriving = beside(&gate, |gate| gate.now(1));
        gate.resize(2).expect("open");
        ended(come_and_go);
        let arrived = ended(arriving);
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.capacity), (u32::from(arrived.is_ok()), 2));
        let rest = [gate.now(1), gate.now(1)].into_iter().filter(|rest| rest.is_ok()).count();
        assert_eq!(rest, 2 - seen.used as usize);
    });
}

/// A capacity that falls and rises while an admission is between its look and its exchange does not
/// hide the peak which that admission sets.
#[test]
fn a_peak_is_not_missed_by_a_shrink_and_a_grow() {
    explore(3, || {
        let gate = Shared::plain(2, 0);
        let _held = gate.now(1);
        let arriving = beside(&gate, |gate| gate.now(1));
        gate.resize(1).expect("open");
        gate.resize(2).expect("open");
        let during = gate.look_around();
        let arrived = ended(arriving);
        let seen = gate.look_around();
        assert_eq!(seen.used, 1 + u32::from(arrived.is_ok()));
        assert_eq!(seen.peaks.used, seen.used as usize, "the peak is what is in use now");
        assert!(during.peaks.used <= seen.peaks.used);
        gate.assert_settled();
    });
}

/// The same where the highest use came before, so that the admissions beside the resizes take no lock.
#[test]
fn a_grown_gate_sees_the_peaks_of_its_fast_path() {
    explore(3, || {
        let gate = Shared::plain(2, 0);
        drop([gate.now(1), gate.now(1)]);
        let arriving = beside(&gate, |gate| [gate.now(1), gate.now(1)]);
        gate.resize(3).expect("open");
        let held = gate.now(1);
        let arrived = ended(arriving);
        let admitted = arrived.iter().chain([&held]).filter(|permit| permit.is_ok()).count();
        let seen = gate.look_around();
        assert_eq!(seen.used as usize, admitted);
        assert_eq!(seen.peaks.used, admitted.max(2));
        gate.assert_settled();
    });
}

/// Two resizes at once leave the capacity of the later and as many units.
#[test]
fn resizes_beside_each_other_happen_one_after_the_other() {
    explore(2, || {
        let gate = Shared::plain(2, 0);
        let held = gate.now(1);
        let shrinking = beside(&gate, |gate| gate.resize(1));
        let growing = beside(&gate, |gate| gate.resize(3));
        drop(held);
        ended(shrinking).expect("open");
        ended(growing).expect("open");
        gate.assert_settled();
        let seen = gate.look_around();
        assert!(matches!(seen.capacity, 1 | 3));
        let held: Vec<_> = (0..4).map_while(|_| gate.now(1).ok()).collect();
        assert_eq!(held.len(), seen.capacity as usize);
    });
}

/// The admissions that no longer fit in the word are counted outside without losing one, whatever
/// comes and goes meanwhile.
#[test]
fn the_count_of_admissions_outgrows_its_word() {
    const AGE: u32 = Word::MOST_ADMISSIONS;
    for kind in [GateKind::Plain, GateKind::Weighted] {
        explore(2, move || {
            let gate = Shared::aged(2, 2, kind, AGE);
            let base = u64::from(AGE);
            let threads =
                [(), ()].map(|()| beside(&gate, |gate| [gate.now(1).is_ok(), gate.now(1).is_ok()]));
            let during = gate.look_around().totals.admitted;
            assert!((base..=base + 4).contains(&during));
            let admitted = threads.into_iter().flat_map(ended).filter(|&admitted| admitted).count();
            let seen = gate.look_around();
            assert!(admitted > 0);
            assert_eq!(seen.totals.admitted, base + admitted as u64);
            assert_eq!((seen.totals.admitted_units, seen.used), (seen.totals.admitted, 0));
            let word = Word::from_bits(gate.word.load(Ordering::Relaxed));
            assert!(word.admissions() < 4, "taken over once");
            gate.assert_settled();
        });
    }
}

/// An admission that was decided on a word which has changed and come back since is still right: it
/// neither loses a count nor hides a peak.
#[test]
fn a_word_that_comes_back_means_the_same() {
    explore(3, || {
        let gate = Shared::plain(2, 0);
        drop([gate.now(1), gate.now(1)]);
        let arriving = beside(&gate, |gate| gate.now(1));
        // Each of these takes over what is counted, and leaves the word as it was before.
        gate.resize(3).expect("open");
        gate.resize(2).expect("open");
        let during = gate.look_around();
        let arrived = ended(arriving);
        assert!(arrived.is_ok(), "there is a unit");
        let seen = gate.look_around();
        assert_eq!((seen.totals.admitted, seen.used, seen.peaks.used), (3, 1, 2));
        assert!(during.totals.admitted <= 3);
        gate.assert_settled();
    });
}
