//! Admissions that race other admissions, releases and waiters that join.

use super::{Ordering::Relaxed, *};

/// A unit released concurrently with an arrival is either taken by it or free afterwards.
#[test]
fn a_released_unit_is_taken_by_a_concurrent_arrival_or_stays_free() {
    explore(3, || {
        let gate = SharedGate::plain(1, 0);
        let held = gate.try_enter(1).expect("a free unit");
        let releasing = thread::spawn(move || drop(held));
        let arriving = spawn_with(&gate, |gate| gate.try_enter(1));
        join_thread(releasing);
        let admission = join_thread(arriving);
        assert_eq!(gate.snapshot(None).in_flight, u32::from(admission.is_ok()));
        assert_eq!(
            gate.try_enter(1).is_ok(),
            admission.is_err(),
            "the unit is lost, or used twice"
        );
        drop(admission);
        gate.assert_invariants();
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.totals.admitted, snapshot.totals.saturated), (2, 1));
        assert_eq!(snapshot.peaks.used, 1);
    });
}

/// Of several concurrent arrivals, no more than the capacity run at once.
#[test]
fn concurrent_arrivals_never_exceed_the_capacity() {
    explore(2, || {
        let gate = SharedGate::plain(1, 0);
        let running = Arc::new(StdUsize::new(0));
        let threads = [(), (), ()].map(|()| {
            let running = running.clone();
            spawn_with(&gate, move |gate| {
                let Ok(permit) = gate.try_enter(1) else { return 0 };
                assert_eq!(running.fetch_add(1, Ordering::Relaxed), 0, "two run at once");
                running.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
                1
            })
        });
        let admitted: u64 = threads.into_iter().map(join_thread).sum();
        let snapshot = gate.checked_snapshot();
        assert!(admitted > 0, "the first arrival finds a free unit");
        assert_eq!((snapshot.totals.admitted, snapshot.totals.finished), (admitted, admitted));
        assert_eq!(snapshot.totals.saturated, 3 - admitted);
        gate.assert_invariants();
    });
}

/// An arrival that finds no free unit and joins, concurrently with the release of one, is admitted: the
/// arrival observes the release, or the release observes the waiter.
#[test]
fn a_release_concurrent_with_a_join_admits_the_waiter() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let held = gate.try_enter(1).expect("a free unit");
        let releasing = thread::spawn(move || drop(held));
        let waiting = spawn_with(&gate, |gate| gate.enter(1).map(drop));
        join_thread(releasing);
        assert_eq!(join_thread(waiting), Ok(()));
        gate.assert_invariants();
        let snapshot = gate.checked_snapshot();
        assert_eq!(
            (snapshot.totals.admitted, snapshot.totals.finished, snapshot.waiting),
            (2, 2, 0)
        );
    });
}

/// The same with three operations that share one unit, each waiting for the one before.
#[test]
fn every_waiter_for_a_single_unit_is_admitted() {
    explore(1, || {
        let gate = SharedGate::plain(1, 2);
        let threads = [(), (), ()].map(|()| spawn_with(&gate, |gate| gate.enter(1).map(drop)));
        for thread in threads {
            assert_eq!(join_thread(thread), Ok(()));
        }
        gate.assert_invariants();
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.totals.admitted, snapshot.totals.finished), (3, 3));
        assert_eq!((snapshot.peaks.used, snapshot.totals.saturated), (1, 0));
    });
}

/// An operation sees every write of the previous holder of its unit, whether it was admitted by the fast
/// path or by hand-over.
#[test]
fn an_admission_synchronizes_with_the_previous_release() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let data = Arc::new(LoomUsize::new(0));
        let threads = [(), ()].map(|()| {
            let data = data.clone();
            spawn_with(&gate, move |gate| {
                let permit = gate.enter(1).expect("there is room");
                data.store(data.load(Relaxed) + 1, Relaxed);
                drop(permit);
            })
        });
        threads.into_iter().for_each(join_thread);
        assert_eq!(data.load(Relaxed), 2);
    });
}

/// The same for a waiter that is polled without having been woken and finds its number called: it takes
/// no lock.
#[test]
fn a_waiter_polled_without_a_wake_up_synchronizes_with_the_release() {
    explore(3, || {
        let gate = SharedGate::plain(1, 1);
        let data = Arc::new(LoomUsize::new(0));
        let held = gate.try_enter(1).expect("a free unit");
        let (_, waker) = WakeFlag::new();
        let ticket = gate.join(1, &waker);
        let release = {
            let data = data.clone();
            thread::spawn(move || {
                data.store(1, Relaxed);
                drop(held);
            })
        };
        if gate.poll_outcome(ticket, &waker) == Some(Ok(())) {
            assert_eq!(data.load(Relaxed), 1);
            gate.release(1);
        } else {
            gate.cancel(ticket);
        }
        join_thread(release);
        assert_eq!(gate.checked_snapshot().used, 0);
        gate.assert_invariants();
    });
}

/// The same for a release and an admission that both take the fast path, without the lock.
#[test]
fn the_fast_path_synchronizes_with_the_previous_release() {
    explore(3, || {
        let gate = SharedGate::plain(1, 0);
        // The first admission sets a peak, and so takes the lock.
        drop(gate.try_enter(1));
        let data = Arc::new(LoomUsize::new(0));
        let held = gate.try_enter(1).expect("a free unit");
        let release = {
            let data = data.clone();
            thread::spawn(move || {
                data.store(1, Relaxed);
                drop(held);
            })
        };
        if gate.admit_fast(1) {
            assert_eq!(data.load(Relaxed), 1);
            gate.release(1);
        }
        join_thread(release);
    });
}

/// A thread whose snapshot counts an operation as finished sees every write of that operation.
#[test]
fn a_snapshot_synchronizes_with_the_releases_it_counts() {
    explore(3, || {
        let gate = SharedGate::plain(1, 0);
        let data = Arc::new(LoomUsize::new(0));
        let held = gate.try_enter(1).expect("a free unit");
        let release = {
            let data = data.clone();
            thread::spawn(move || {
                data.store(1, Relaxed);
                drop(held);
            })
        };
        if gate.snapshot(None).totals.finished == 1 {
            assert_eq!(data.load(Relaxed), 1);
        }
        join_thread(release);
    });
}

/// Concurrent admissions never hide the peak that they reach together.
#[test]
fn concurrent_admissions_record_the_exact_peak() {
    explore(3, || {
        let gate = SharedGate::plain(3, 0);
        let held = gate.try_enter(1);
        let readmitted = spawn_with(&gate, |gate| {
            let first = gate.try_enter(1).expect("there is a unit for each");
            drop(first);
            gate.try_enter(1).expect("there is a unit for each")
        });
        let own = gate.try_enter(1).expect("there is a unit for each");
        let peak = gate.checked_snapshot().peaks.used;
        let readmitted = join_thread(readmitted);
        let snapshot = gate.checked_snapshot();
        assert_eq!((snapshot.used, snapshot.peaks.used, snapshot.peaks.in_flight), (3, 3, 3));
        assert!((2..=3).contains(&peak));
        drop((held, own, readmitted));
        gate.assert_invariants();
    });
}
