//! Admission against admission, release and joining.

use super::{Ordering::Relaxed, *};

/// A unit that is released beside an arrival is either taken by it or free afterwards.
#[test]
fn a_unit_is_released_to_the_newcomer_or_to_the_next_and_never_to_both() {
    explore(3, || {
        let gate = Shared::plain(1, 0);
        let held = gate.now(1).expect("a free unit");
        let releasing = thread::spawn(move || drop(held));
        let arriving = beside(&gate, |gate| gate.now(1));
        ended(releasing);
        let admission = ended(arriving);
        assert_eq!(gate.snapshot().in_flight, u32::from(admission.is_ok()));
        assert_eq!(gate.now(1).is_ok(), admission.is_err(), "the unit is somewhere");
        drop(admission);
        gate.assert_settled();
        let seen = gate.look_around();
        assert_eq!((seen.totals.admitted, seen.totals.saturated), (2, 1));
        assert_eq!(seen.peaks.used, 1);
    });
}

/// However many arrive at once, no more than the capacity run.
#[test]
fn never_more_than_the_capacity_run() {
    explore(2, || {
        let gate = Shared::plain(1, 0);
        let inside = Arc::new(Number::new(0));
        let threads = [(), (), ()].map(|()| {
            let inside = inside.clone();
            beside(&gate, move |gate| {
                let Ok(permit) = gate.now(1) else { return 0 };
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two inside at once");
                inside.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
                1
            })
        });
        let admitted: u64 = threads.into_iter().map(ended).sum();
        let seen = gate.look_around();
        assert!(admitted > 0, "whoever comes first finds a free unit");
        assert_eq!((seen.totals.admitted, seen.totals.finished), (admitted, admitted));
        assert_eq!(seen.totals.saturated, 3 - admitted);
        gate.assert_settled();
    });
}

/// An arrival that finds too little and joins, beside the release that would have been enough, is
/// admitted: one of the two sees the other.
#[test]
fn a_waiter_is_not_left_behind_by_the_release_beside_its_arrival() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let held = gate.now(1).expect("a free unit");
        let releasing = thread::spawn(move || drop(held));
        let waiting = beside(&gate, |gate| gate.enter(1).map(drop));
        ended(releasing);
        assert_eq!(ended(waiting), Ok(()));
        gate.assert_settled();
        let seen = gate.look_around();
        assert_eq!((seen.totals.admitted, seen.totals.finished, seen.waiting), (2, 2, 0));
    });
}

/// The same where three come and go through one unit, each waiting for the one before.
#[test]
fn everybody_in_a_line_gets_a_turn() {
    explore(1, || {
        let gate = Shared::plain(1, 2);
        let threads = [(), (), ()].map(|()| beside(&gate, |gate| gate.enter(1).map(drop)));
        for thread in threads {
            assert_eq!(ended(thread), Ok(()));
        }
        gate.assert_settled();
        let seen = gate.look_around();
        assert_eq!((seen.totals.admitted, seen.totals.finished), (3, 3));
        assert_eq!((seen.peaks.used, seen.totals.saturated), (1, 0));
    });
}

/// Whoever is admitted to a unit sees all that its former holder did, by the fast path and by
/// hand-over alike.
#[test]
fn work_sees_what_the_work_before_it_did() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let datum = Arc::new(Datum::new(0));
        let threads = [(), ()].map(|()| {
            let datum = datum.clone();
            beside(&gate, move |gate| {
                let permit = gate.enter(1).expect("there is room");
                datum.store(datum.load(Relaxed) + 1, Relaxed);
                drop(permit);
            })
        });
        threads.into_iter().for_each(ended);
        assert_eq!(datum.load(Relaxed), 2);
    });
}

/// Whoever finds its number called without having been woken sees it too, though it takes no lock.
#[test]
fn a_waiter_that_looks_by_chance_sees_what_the_work_before_it_did() {
    explore(3, || {
        let gate = Shared::plain(1, 1);
        let datum = Arc::new(Datum::new(0));
        let held = gate.now(1).expect("a free unit");
        let (_, waker) = Mark::new();
        let ticket = gate.join(1, &waker);
        let release = {
            let datum = datum.clone();
            thread::spawn(move || {
                datum.store(1, Relaxed);
                drop(held);
            })
        };
        if gate.find(ticket, &waker) == Some(Ok(())) {
            assert_eq!(datum.load(Relaxed), 1);
            gate.release(1);
        } else {
            gate.cancel(ticket);
        }
        ended(release);
        assert_eq!(gate.look_around().used, 0);
        gate.assert_settled();
    });
}

/// A unit that was used before passes on what its holder did although nobody takes the lock.
#[test]
fn the_fast_path_alone_passes_on_what_the_work_before_it_did() {
    explore(3, || {
        let gate = Shared::plain(1, 0);
        // The first admission of all sets a peak, and so takes the lock.
        drop(gate.now(1));
        let datum = Arc::new(Datum::new(0));
        let held = gate.now(1).expect("a free unit");
        let release = {
            let datum = datum.clone();
            thread::spawn(move || {
                datum.store(1, Relaxed);
                drop(held);
            })
        };
        if gate.admit_fast(1) {
            assert_eq!(datum.load(Relaxed), 1);
            gate.release(1);
        }
        ended(release);
    });
}

/// Who finds in a snapshot that an operation has ended sees what it did.
#[test]
fn a_snapshot_that_counts_an_end_sees_what_the_work_did() {
    explore(3, || {
        let gate = Shared::plain(1, 0);
        let datum = Arc::new(Datum::new(0));
        let held = gate.now(1).expect("a free unit");
        let release = {
            let datum = datum.clone();
            thread::spawn(move || {
                datum.store(1, Relaxed);
                drop(held);
            })
        };
        if gate.snapshot().totals.finished == 1 {
            assert_eq!(datum.load(Relaxed), 1);
        }
        ended(release);
    });
}

/// Two admissions at once never hide the peak they set together.
#[test]
fn the_highest_use_is_exact() {
    explore(3, || {
        let gate = Shared::plain(3, 0);
        let held = gate.now(1);
        let come_and_go = beside(&gate, |gate| {
            let first = gate.now(1).expect("there is a unit for each");
            drop(first);
            gate.now(1).expect("there is a unit for each")
        });
        let staying = gate.now(1).expect("there is a unit for each");
        let most = gate.look_around().peaks.used;
        let came = ended(come_and_go);
        let seen = gate.look_around();
        assert_eq!((seen.used, seen.peaks.used, seen.peaks.in_flight), (3, 3, 3));
        assert!((2..=3).contains(&most));
        drop((held, staying, came));
        gate.assert_settled();
    });
}
