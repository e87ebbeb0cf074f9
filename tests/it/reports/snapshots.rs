//! Every snapshot describes a single instant, however busy the bulkhead is.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Wake},
    thread,
    time::{Duration, Instant},
};

use bulklink::{Bulkhead, BulkheadStatus, Slot, Totals};

use crate::support::{assert_nothing_left, assert_plain, bulkhead, checked_status, poll_with};

/// No wait takes this long, even on the slowest machine.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The outcomes that one thread has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outcomes {
    admitted: u64,
    saturated: u64,
    cancelled: u64,
}

impl std::iter::Sum for Outcomes {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, outcomes| Self {
            admitted: sum.admitted + outcomes.admitted,
            saturated: sum.saturated + outcomes.saturated,
            cancelled: sum.cancelled + outcomes.cancelled,
        })
    }
}

/// How many slots the threads hold by their own count. Never more than are really held, since a slot is counted
/// only after its admission and until just before its release.
#[derive(Default)]
struct Held {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Held {
    fn take(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
    }

    fn give_back(&self, slot: Slot) {
        self.now.fetch_sub(1, Ordering::SeqCst);
        drop(slot);
    }
}

/// Asserts that no counter has decreased.
fn assert_none_decreased(before: &Totals, after: &Totals) {
    let counters = |totals: &Totals| {
        [
            totals.admitted,
            totals.admitted_from_queue,
            totals.abandoned,
            totals.queued,
            totals.saturated,
            totals.cancelled,
            totals.finished,
            u64::try_from(totals.wait_time.as_nanos()).unwrap(),
        ]
    };
    let pairs = counters(before).into_iter().zip(counters(after));
    assert!(pairs.into_iter().all(|(before, after)| before <= after), "{before:?}, then {after:?}");
}

/// Runs two workers, and checks snapshots of the bulkhead until both are done.
fn check_snapshots(
    payments: &Bulkhead,
    work: impl Fn(&Held) -> Outcomes + Sync,
    mut check: impl FnMut(&BulkheadStatus),
) -> Outcomes {
    let held = Held::default();
    let outcomes = thread::scope(|scope| {
        let workers = [scope.spawn(|| work(&held)), scope.spawn(|| work(&held))];
        let mut last = payments.status();
        let mut snapshots = 0;
        while snapshots < 100 || !workers.iter().all(|worker| worker.is_finished()) {
            let status = payments.status();
            assert_plain(&status);
            assert!(status.sequence > last.sequence, "{last:?}, then {status:?}");
            assert_none_decreased(&last.totals, &status.totals);
            check(&status);
            last = status;
            snapshots += 1;
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let status = checked_status(payments);
    assert!(status.peaks.used >= held.peak.into_inner(), "{status:?}");
    outcomes
}

#[test]
fn every_snapshot_is_consistent_during_two_million_admissions() {
    const EACH: u64 = 1_000_000;
    let payments = bulkhead(3, 0);
    // Each thread holds up to two slots, so together they want one more than there are.
    let work = |held: &Held| {
        let mut outcomes = Outcomes::default();
        let mut slots = VecDeque::with_capacity(2);
        while outcomes.admitted < EACH {
            if slots.len() == 2 {
                held.give_back(slots.pop_front().unwrap());
            }
            match payments.slot_now() {
                Ok(slot) => {
                    held.take();
                    slots.push_back(slot);
                    outcomes.admitted += 1;
                }
                Err(_) => {
                    outcomes.saturated += 1;
                    held.give_back(slots.pop_front().unwrap());
                }
            }
        }
        slots.into_iter().for_each(|slot| held.give_back(slot));
        outcomes
    };
    let outcomes =
        check_snapshots(&payments, work, |status| assert!(status.used <= 3, "{status:?}"));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.admitted, totals.finished), (2 * EACH, 2 * EACH));
    assert_eq!((outcomes.admitted, totals.saturated), (2 * EACH, outcomes.saturated));
    assert_eq!((totals.abandoned, totals.queued), (0, 0));
    assert!(totals.saturated > 0, "the two threads never collided");
    assert!(payments.status().peaks.used <= 3);
    assert_nothing_left(&payments);
}

/// Wakes a thread that waits for a slot.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Takes a slot as a task would. Every fifth turn gives up if it is not admitted within one to three polls.
fn slot_or_give_up(payments: &Bulkhead, turn: u64) -> Option<Slot> {
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut wait = Box::pin(payments.slot());
    if turn % 5 == 0 {
        for _ in 0..=turn % 3 {
            if let Poll::Ready(outcome) = poll_with(&mut wait, &waker) {
                return Some(outcome.unwrap());
            }
        }
        return None;
    }
    let start = Instant::now();
    loop {
        if let Poll::Ready(outcome) = poll_with(&mut wait, &waker) {
            return Some(outcome.unwrap());
        }
        thread::park_timeout(MAX_WAIT);
        assert!(start.elapsed() < MAX_WAIT, "a waiter was never admitted");
    }
}

#[test]
fn every_snapshot_is_consistent_during_waits_and_cancellations() {
    const EACH: u64 = 20_000;
    let payments = bulkhead(1, 2);
    let work = |held: &Held| {
        let mut outcomes = Outcomes::default();
        for turn in 0..EACH {
            match slot_or_give_up(&payments, turn) {
                Some(slot) => {
                    held.take();
                    // Holds the slot longer at times, so that the other thread finds it taken.
                    for _ in 0..turn % 256 {
                        std::hint::spin_loop();
                    }
                    held.give_back(slot);
                    outcomes.admitted += 1;
                }
                None => outcomes.cancelled += 1,
            }
        }
        outcomes
    };
    let outcomes =
        check_snapshots(&payments, work, |status| assert!(status.used <= 1, "{status:?}"));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.finished, totals.saturated), (outcomes.admitted, 0));
    assert_eq!(totals.cancelled + totals.abandoned, outcomes.cancelled);
    assert_eq!(totals.admitted, outcomes.admitted + totals.abandoned);
    assert!(totals.queued > 0, "no operation ever waited");
    assert_nothing_left(&payments);
}

#[test]
fn every_snapshot_is_consistent_during_resizes() {
    const EACH: u64 = 100_000;
    let payments = bulkhead(3, 2);
    let work = |held: &Held| {
        let mut outcomes = Outcomes::default();
        let mut slots = VecDeque::with_capacity(2);
        for turn in 0..EACH {
            if slots.len() == 2 {
                held.give_back(slots.pop_front().unwrap());
            }
            // A thread that waits without giving up holds no slot, or the two could wait for each other.
            let admitted = if slots.is_empty() && turn % 2 == 0 {
                slot_or_give_up(&payments, turn)
            } else {
                payments.slot_now().ok()
            };
            if let Some(slot) = admitted {
                held.take();
                slots.push_back(slot);
                outcomes.admitted += 1;
            }
        }
        slots.into_iter().for_each(|slot| held.give_back(slot));
        outcomes
    };
    let mut turn = 0;
    let outcomes = check_snapshots(&payments, work, |status| {
        assert!(status.used <= 4, "{status:?}");
        turn += 1;
        payments.resize([1, 3, 2, 4][turn % 4]).unwrap();
    });
    let totals = checked_status(&payments).totals;
    assert_eq!(
        (totals.finished, totals.admitted),
        (outcomes.admitted, outcomes.admitted + totals.abandoned)
    );
    payments.resize(4).unwrap();
    assert_nothing_left(&payments);
}
