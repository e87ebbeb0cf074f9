//! Mass cancellation: 100,000 waiters leave from anywhere while slots turn over, and those who
//! stay are served in order and on time.

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
/// Of so many, one stays.
const STAYS: usize = 100;

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
fn waiters_that_stay_are_served_in_order() {
    let payments = bulkhead(4, WAITERS);
    let mut slots: Vec<_> = (0..4).map(|_| payments.slot_now().unwrap()).collect();
    let wakes = Wakes::default();
    let mut staying = Vec::new();
    let mut leaving = Vec::new();
    for number in 0..WAITERS {
        let mut waiter = Box::pin(payments.slot());
        let stays = number % STAYS == 0;
        let waker = if stays { wakes.waker(number) } else { Waker::noop().clone() };
        assert!(!poll(&mut waiter, &waker));
        if stays { staying.push((waiter, waker)) } else { leaving.push(waiter) }
    }
    let mut random = Random::new(100_000);
    let (mut served, mut left) = (0, 0);
    while !leaving.is_empty() {
        // A random one leaves; now and then a slot goes to the head of the line, alive or not.
        drop(leaving.swap_remove(random.below(leaving.len())));
        left += 1;
        if left % 200 == 0 {
            slots.pop();
            // Whoever was served gives the slot on.
            while served < staying.len() && wakes.order().len() > served {
                let (waiter, waker) = &mut staying[served];
                assert!(poll(waiter, waker), "woken, and not served");
                served += 1;
            }
            assert_plain(&payments.status());
        }
    }
    drop(slots);
    while served < staying.len() {
        let (waiter, waker) = &mut staying[served];
        assert!(poll(waiter, waker), "the next in line has a slot");
        served += 1;
    }
    let in_order: Vec<usize> = (0..WAITERS).step_by(STAYS).collect();
    assert_eq!(wakes.order(), in_order, "in the order of their arrival");
    let status = payments.status();
    let expected = (WAITERS - in_order.len()) as u64;
    assert_eq!(status.totals.cancelled + status.totals.abandoned, expected);
    assert_eq!(status.peaks.waiting, WAITERS);
    assert_nothing_left(&payments);
}

/// Notes that it was woken.
#[derive(Default)]
struct WokenFlag(AtomicBool);

impl Wake for WokenFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Joins and leaves at random until it is told to end.
fn rage(payments: &Bulkhead, over: &AtomicBool, seed: u64) {
    let mut random = Random::new(seed);
    let mut line: Vec<Pin<Box<Admission>>> = Vec::new();
    while !over.load(Ordering::Relaxed) {
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
        let bell = Arc::<WokenFlag>::default();
        let waker = Waker::from(bell.clone());
        let mut waiter = Box::pin(payments.slot());
        let over = AtomicBool::new(false);
        assert!(!poll(&mut waiter, &waker));
        thread::scope(|scope| {
            for seed in 0..2 {
                let (payments, over) = (&payments, &over);
                scope.spawn(move || rage(payments, over, round * 2 + seed));
            }
            while payments.status().waiting < 500 {
                thread::yield_now();
            }
            drop(slot);
            let is_woken = bell.0.load(Ordering::Acquire);
            let is_served = poll(&mut waiter, &waker);
            over.store(true, Ordering::Relaxed);
            assert!(is_woken, "woken by whoever gave the slot back");
            assert!(is_served, "and served");
            assert_plain(&payments.status());
        });
        assert_plain(&payments.status());
        assert_nothing_left(&payments);
    }
}

/// A waiter, and the time that it has if it has one.
type Place = Option<(Pin<Box<Admission>>, Option<Duration>)>;

/// Whoever was woken is served or has run out of time, at this instant, and nobody else's time is up.
fn settle(
    line: &mut [Place],
    wakes: &Wakes,
    seen: &mut usize,
    start: Instant,
) -> Vec<(usize, Slot)> {
    let mut served = Vec::new();
    loop {
        let woken = wakes.order().split_off(*seen);
        *seen += woken.len();
        if woken.is_empty() {
            break;
        }
        for number in woken {
            // Its slot and its time may come at once, and wake it twice.
            let Some((mut waiter, limit)) = line[number].take() else { continue };
            let elapsed = start.elapsed();
            match poll_with(&mut waiter, Waker::noop()) {
                Poll::Ready(Ok(slot)) => {
                    assert!(limit.is_none_or(|limit| elapsed <= limit), "{number} is served late");
                    served.push((number, slot));
                }
                Poll::Ready(Err(rejection)) => {
                    let RejectionReason::WaitLimit { waited, .. } = *rejection.reason() else {
                        panic!("{rejection}");
                    };
                    assert_eq!(
                        (Some(waited), waited),
                        (limit, elapsed),
                        "{number} expires on time"
                    );
                }
                Poll::Pending => panic!("{number} was woken for nothing"),
            }
        }
    }
    for (number, place) in line.iter().enumerate().step_by(STAYS) {
        if let Some((_, Some(limit))) = place {
            assert!(start.elapsed() < *limit, "{number} was not told that its time is up");
        }
    }
    served
}

#[tokio::test(start_paused = true)]
async fn waiters_that_stay_are_served_in_order_or_expire_on_time() {
    let payments = bulkhead(8, WAITERS);
    let mut slots: Vec<_> = (0..8).map(|_| payments.slot_now().unwrap()).collect();
    let mut random = Random::new(1_000);
    let wakes = Wakes::default();
    let start = Instant::now();
    let mut line: Vec<Place> = Vec::new();
    for number in 0..WAITERS {
        let stays = number % STAYS == 0;
        let limit = stays.then(|| Duration::from_millis(1 + random.below(600) as u64));
        let waiter = limit.map_or_else(|| payments.slot(), |limit| payments.slot_within(limit));
        let mut waiter = Box::pin(waiter);
        assert!(poll_with(&mut waiter, &wakes.waker(number)).is_pending());
        line.push(Some((waiter, limit)));
    }
    let mut leaving: Vec<_> = (0..WAITERS).filter(|number| number % STAYS != 0).collect();
    let (mut seen, mut order) = (0, Vec::new());
    while !leaving.is_empty() || payments.status().waiting > 0 {
        for _ in 0..200.min(leaving.len()) {
            line[leaving.swap_remove(random.below(leaving.len()))].take();
        }
        slots.truncate(random.below(8));
        for time in [0, 1] {
            tokio::time::advance(Duration::from_millis(time)).await;
            for (number, slot) in settle(&mut line, &wakes, &mut seen, start) {
                order.push(number);
                slots.push(slot);
            }
        }
        assert_plain(&payments.status());
    }
    assert!(order.is_sorted(), "in the order of their arrival");
    let served = order.iter().filter(|&number| number % STAYS == 0).count() as u64;
    let totals = payments.status().totals;
    assert_eq!(served + totals.expired, (WAITERS / STAYS) as u64, "who stayed has had an answer");
    assert!(served > 50 && totals.expired > 50, "a real mix: {totals:?}");
    drop(slots);
    assert_nothing_left(&payments);
}
