//! Every snapshot belongs to one instant, however busy the bulkhead is beside it.

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

/// How long a wait may last on the slowest of machines.
const FORGOTTEN: Duration = Duration::from_secs(20);

/// What one thread has seen at its end of the bulkhead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    admitted: u64,
    saturated: u64,
    cancelled: u64,
}

impl std::iter::Sum for Seen {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, seen| Self {
            admitted: sum.admitted + seen.admitted,
            saturated: sum.saturated + seen.saturated,
            cancelled: sum.cancelled + seen.cancelled,
        })
    }
}

/// How many slots are held, as the threads that hold them know it: never more than there are, since
/// a slot is counted after its admission and until before its release.
#[derive(Default)]
struct Held {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Held {
    fn take(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn give_back(&self, slot: Slot) {
        self.now.fetch_sub(1, Ordering::SeqCst);
        drop(slot);
    }
}

/// Every counter rises or stays.
fn assert_none_fell(before: &Totals, after: &Totals) {
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

/// Runs two workers, and looks at the bulkhead until both are done.
fn watch(
    payments: &Bulkhead,
    work: impl Fn(&Held) -> Seen + Sync,
    mut look: impl FnMut(&BulkheadStatus),
) -> Seen {
    let held = Held::default();
    let seen = thread::scope(|scope| {
        let workers = [scope.spawn(|| work(&held)), scope.spawn(|| work(&held))];
        let mut last = payments.status();
        let mut looks = 0;
        while looks < 100 || !workers.iter().all(|worker| worker.is_finished()) {
            let status = payments.status();
            assert_plain(&status);
            assert!(status.sequence > last.sequence, "{last:?}, then {status:?}");
            assert_none_fell(&last.totals, &status.totals);
            look(&status);
            last = status;
            looks += 1;
        }
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let status = checked_status(payments);
    assert!(status.peaks.used >= held.most.into_inner(), "{status:?}");
    seen
}

#[test]
fn two_million_admissions_leave_no_snapshot_that_contradicts_itself() {
    const EACH: u64 = 1_000_000;
    let payments = bulkhead(3, 0);
    // Each thread holds up to two slots, so together they want one more than there are.
    let work = |held: &Held| {
        let mut seen = Seen::default();
        let mut slots = VecDeque::with_capacity(2);
        while seen.admitted < EACH {
            if slots.len() == 2 {
                held.give_back(slots.pop_front().unwrap());
            }
            match payments.slot_now() {
                Ok(slot) => {
                    held.take();
                    slots.push_back(slot);
                    seen.admitted += 1;
                }
                Err(_) => {
                    seen.saturated += 1;
                    held.give_back(slots.pop_front().unwrap());
                }
            }
        }
        slots.into_iter().for_each(|slot| held.give_back(slot));
        seen
    };
    let seen = watch(&payments, work, |status| assert!(status.used <= 3, "{status:?}"));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.admitted, totals.finished), (2 * EACH, 2 * EACH));
    assert_eq!((seen.admitted, totals.saturated), (2 * EACH, seen.saturated));
    assert_eq!((totals.abandoned, totals.queued), (0, 0));
    assert!(totals.saturated > 0, "the two never met");
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

/// Takes a slot as a task would, and gives up now and then, at its first poll or after some.
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
    let begun = Instant::now();
    loop {
        if let Poll::Ready(outcome) = poll_with(&mut wait, &waker) {
            return Some(outcome.unwrap());
        }
        thread::park_timeout(FORGOTTEN);
        assert!(begun.elapsed() < FORGOTTEN, "forgotten in line");
    }
}

#[test]
fn waits_and_cancellations_leave_no_snapshot_that_contradicts_itself() {
    const EACH: u64 = 20_000;
    let payments = bulkhead(1, 2);
    let work = |held: &Held| {
        let mut seen = Seen::default();
        for turn in 0..EACH {
            match slot_or_give_up(&payments, turn) {
                Some(slot) => {
                    held.take();
                    // Now and then the other one finds the slot taken for longer than a moment.
                    for _ in 0..turn % 256 {
                        std::hint::spin_loop();
                    }
                    held.give_back(slot);
                    seen.admitted += 1;
                }
                None => seen.cancelled += 1,
            }
        }
        seen
    };
    let seen = watch(&payments, work, |status| assert!(status.used <= 1, "{status:?}"));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.finished, totals.saturated), (seen.admitted, 0));
    assert_eq!(totals.cancelled + totals.abandoned, seen.cancelled);
    assert_eq!(totals.admitted, seen.admitted + totals.abandoned);
    assert!(totals.queued > 0, "nobody ever waited");
    assert_nothing_left(&payments);
}

#[test]
fn resizes_leave_no_snapshot_that_contradicts_itself() {
    const EACH: u64 = 100_000;
    let payments = bulkhead(3, 2);
    let work = |held: &Held| {
        let mut seen = Seen::default();
        let mut slots = VecDeque::with_capacity(2);
        for turn in 0..EACH {
            if slots.len() == 2 {
                held.give_back(slots.pop_front().unwrap());
            }
            // Who waits for good holds nothing, or two of them could wait for each other.
            let admitted = if slots.is_empty() && turn % 2 == 0 {
                slot_or_give_up(&payments, turn)
            } else {
                payments.slot_now().ok()
            };
            if let Some(slot) = admitted {
                held.take();
                slots.push_back(slot);
                seen.admitted += 1;
            }
        }
        slots.into_iter().for_each(|slot| held.give_back(slot));
        seen
    };
    let mut turn = 0;
    let seen = watch(&payments, work, |status| {
        assert!(status.used <= 4, "{status:?}");
        turn += 1;
        payments.resize([1, 3, 2, 4][turn % 4]).unwrap();
    });
    let totals = checked_status(&payments).totals;
    assert_eq!(
        (totals.finished, totals.admitted),
        (seen.admitted, seen.admitted + totals.abandoned)
    );
    payments.resize(4).unwrap();
    assert_nothing_left(&payments);
}
