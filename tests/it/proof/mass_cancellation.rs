//! Mass cancellation: 100,000 waiters leave from anywhere in the line while slots turn over. The waiters
//! that stay are admitted in order and on time.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use bulklink::{Admission, Bulkhead, RejectionReason, Slot};
use tokio::time::Instant;

use crate::support::{Random, Wakes, assert_nothing_left, assert_plain, bulkhead, poll_with};

const WAITERS: usize = 100_000;
/// One in this many waiters stays.
const STAY_EVERY: usize = 100;

fn poll(waiter: &mut Pin<Box<Admission>>, waker: &Waker) -> bool {
    match waiter.as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Ready(slot) => {
            drop(slot.unwrap());
            true
        }
        Poll::Pending => false,
    }
}

#[test]
fn waiters_that_stay_are_admitted_in_order() {
    let payments = bulkhead(4, WAITERS);
    let mut slots: Vec<_> = (0..4).map(|_| payments.slot_now().unwrap()).collect();
    let wakes = Wakes::default();
    let mut staying = Vec::new();
    let mut leaving = Vec::new();
    for number in 0..WAITERS {
        let mut waiter = Box::pin(payments.slot());
        let stays = number % STAY_EVERY == 0;
        let waker = if stays { wakes.waker(number) } else { Waker::noop().clone() };
        assert!(!poll(&mut waiter, &waker));
        if stays { staying.push((waiter, waker)) } else { leaving.push(waiter) }
    }
    let mut random = Random::new(100_000);
    let (mut admitted, mut left) = (0, 0);
    while !leaving.is_empty() {
        // A random waiter leaves. Every so often a slot is released and goes to the head of the line.
        drop(leaving.swap_remove(random.below(leaving.len())));
        left += 1;
        if left % 200 == 0 {
            slots.pop();
            // An admitted waiter passes its slot on.
            while admitted < staying.len() && wakes.order().len() > admitted {
                let (waiter, waker) = &mut staying[admitted];
                assert!(poll(waiter, waker), "woken but not admitted");
                admitted += 1;
            }
            assert_plain(&payments.status());
        }
    }
    drop(slots);
    while admitted < staying.len() {
        let (waiter, waker) = &mut staying[admitted];
        assert!(poll(waiter, waker), "the next waiter is not admitted");
        admitted += 1;
    }
    let in_order: Vec<usize> = (0..WAITERS).step_by(STAY_EVERY).collect();
    assert_eq!(wakes.order(), in_order, "not in order of arrival");
    let status = payments.status();
    let expected = (WAITERS - in_order.len()) as u64;
    assert_eq!(status.totals.cancelled + status.totals.abandoned, expected);
    assert_eq!(status.peaks.waiting, WAITERS);
    assert_nothing_left(&payments);
}

/// Records whether it was woken.
#[derive(Default)]
struct WokenFlag(AtomicBool);

impl Wake for WokenFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Joins and leaves the line at random until `stop` is set.
fn churn(payments: &Bulkhead, stop: &AtomicBool, seed: u64) {
    let mut random = Random::new(seed);
    let mut line: Vec<Pin<Box<Admission>>> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut waiter = Box::pin(payments.slot());
        if !poll(&mut waiter, Waker::noop()) {
            line.push(waiter);
        }
        if line.len() > 1_000 || (random.below(3) == 0 && !line.is_empty()) {
            drop(line.swap_remove(random.below(line.len())));
        }
    }
}

#[test]
fn cancellations_on_other_threads_do_not_delay_the_head_of_the_line() {
    for round in 0..10 {
        let payments = bulkhead(1, 20_000);
        let slot = payments.slot_now().unwrap();
        let woken = Arc::<WokenFlag>::default();
        let waker = Waker::from(woken.clone());
        let mut waiter = Box::pin(payments.slot());
        let stop = AtomicBool::new(false);
        assert!(!poll(&mut waiter, &waker));
        thread::scope(|scope| {
            for seed in 0..2 {
                let (payments, stop) = (&payments, &stop);
                scope.spawn(move || churn(payments, stop, round * 2 + seed));
            }
            while payments.status().waiting < 500 {
                thread::yield_now();
            }
            drop(slot);
            let is_woken = woken.0.load(Ordering::Acquire);
            let is_admitted = poll(&mut waiter, &waker);
            stop.store(true, Ordering::Relaxed);
            assert!(is_woken, "not woken by the release of the slot");
            assert!(is_admitted, "woken but not admitted");
            assert_plain(&payments.status());
        });
        assert_plain(&payments.status());
        assert_nothing_left(&payments);
    }
}

/// A waiter and its limit, if it has one. `None` once it has left the line.
type Entry = Option<(Pin<Box<Admission>>, Option<Duration>)>;

/// Polls the waiters that were woken. Checks that each is admitted in time or expires exactly at its limit,
/// and that no other waiter's limit has passed. Returns the admitted waiters with their slots.
fn settle(
    line: &mut [Entry],
    wakes: &Wakes,
    polled: &mut usize,
    start: Instant,
) -> Vec<(usize, Slot)> {
    let mut admitted = Vec::new();
    loop {
        let woken = wakes.order().split_off(*polled);
        *polled += woken.len();
        if woken.is_empty() {
            break;
        }
        for number in woken {
            // A waiter may be woken twice, for its slot and for its limit.
            let Some((mut waiter, limit)) = line[number].take() else { continue };
            let elapsed = start.elapsed();
            match poll_with(&mut waiter, Waker::noop()) {
                Poll::Ready(Ok(slot)) => {
                    assert!(
                        limit.is_none_or(|limit| elapsed <= limit),
                        "{number} is admitted late"
                    );
                    admitted.push((number, slot));
                }
                Poll::Ready(Err(rejection)) => {
                    let RejectionReason::WaitLimit { waited, .. } = *rejection.reason() else {
                        panic!("{rejection}");
                    };
                    assert_eq!(
                        (Some(waited), waited),
                        (limit, elapsed),
                        "{number} does not expire on time"
                    );
                }
                Poll::Pending => panic!("{number} was woken without an outcome"),
            }
        }
    }
    for (number, entry) in line.iter().enumerate().step_by(STAY_EVERY) {
        if let Some((_, Some(limit))) = entry {
            assert!(start.elapsed() < *limit, "{number} was not woken at its limit");
        }
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn waiters_that_stay_are_admitted_in_order_or_expire_on_time() {
    let payments = bulkhead(8, WAITERS);
    let mut slots: Vec<_> = (0..8).map(|_| payments.slot_now().unwrap()).collect();
    let mut random = Random::new(1_000);
    let wakes = Wakes::default();
    let start = Instant::now();
    let mut line: Vec<Entry> = Vec::new();
    for number in 0..WAITERS {
        let stays = number % STAY_EVERY == 0;
        let limit = stays.then(|| Duration::from_millis(1 + random.below(600) as u64));
        let waiter = limit.map_or_else(|| payments.slot(), |limit| payments.slot_within(limit));
        let mut waiter = Box::pin(waiter);
        assert!(poll_with(&mut waiter, &wakes.waker(number)).is_pending());
        line.push(Some((waiter, limit)));
    }
    let mut leaving: Vec<_> = (0..WAITERS).filter(|number| number % STAY_EVERY != 0).collect();
    let (mut polled, mut order) = (0, Vec::new());
    while !leaving.is_empty() || payments.status().waiting > 0 {
        for _ in 0..200.min(leaving.len()) {
            line[leaving.swap_remove(random.below(leaving.len()))].take();
        }
        slots.truncate(random.below(8));
        for time in [0, 1] {
            tokio::time::advance(Duration::from_millis(time)).await;
            for (number, slot) in settle(&mut line, &wakes, &mut polled, start) {
                order.push(number);
                slots.push(slot);
            }
        }
        assert_plain(&payments.status());
    }
    assert!(order.is_sorted(), "not in order of arrival");
    let admitted = order.iter().filter(|&number| number % STAY_EVERY == 0).count() as u64;
    let totals = payments.status().totals;
    assert_eq!(
        admitted + totals.expired,
        (WAITERS / STAY_EVERY) as u64,
        "a waiter that stayed has no outcome"
    );
    assert!(admitted > 50 && totals.expired > 50, "too few of one outcome: {totals:?}");
    drop(slots);
    assert_nothing_left(&payments);
}
