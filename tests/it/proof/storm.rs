//! A storm of cancellations: 100,000 waiters leave from anywhere while slots turn over, and those who
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
};

use bulklink::{Admission, Bulkhead};

use super::dice::Dice;
use crate::support::{Wakes, assert_nothing_left, assert_plain, bulkhead};

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
fn those_who_stay_through_a_storm_are_served_in_order() {
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
    let mut dice = Dice::new(100_000);
    let (mut served, mut left) = (0, 0);
    while !leaving.is_empty() {
        // A random one leaves; now and then a slot goes to the head of the line, alive or not.
        drop(leaving.swap_remove(dice.below(leaving.len())));
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
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Joins and leaves at random until it is told to end.
fn rage(payments: &Bulkhead, over: &AtomicBool, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut line: Vec<Pin<Box<Admission>>> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let mut waiter = Box::pin(payments.slot());
        if !poll(&mut waiter, Waker::noop()) {
            line.push(waiter);
        }
        if line.len() > 1_000 || (dice.below(3) == 0 && !line.is_empty()) {
            drop(line.swap_remove(dice.below(line.len())));
        }
    }
}

#[test]
fn a_storm_from_other_threads_does_not_keep_the_head_of_the_line_waiting() {
    for round in 0..10 {
        let payments = bulkhead(1, 20_000);
        let slot = payments.slot_now().unwrap();
        let bell = Arc::<Bell>::default();
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
