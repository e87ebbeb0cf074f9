//! Threads that admit and release at full speed while another one changes everything that can be changed.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bulklink::{Bulkhead, BulkheadEvent, Change, EventKind, WeightedBulkhead, WeightedChange};
use tokio::runtime;

use crate::support::{Random, assert_identities, assert_nothing_left, assert_plain, ms};

/// Operations of each thread. More of them take proportionally longer.
fn operations() -> usize {
    let set = std::env::var("BULKLINK_STRESS_OPERATIONS").ok();
    set.map_or(50_000, |text| text.parse().expect("a number of operations"))
}

const CAPACITY: usize = 60;

/// The largest cost, so that every capacity that is set admits it.
const COST: usize = 20;

/// Makes operations of costs that no other thread has at the same time.
fn weighted_traffic(reports: &WeightedBulkhead, thread: usize) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut random = Random::new(thread as u64);
    runtime.block_on(async {
        for number in 0..operations() {
            let cost = 1 + (number % (COST / 2)) * 2 + thread;
            match random.below(8) {
                0 => drop(reports.slot_now(cost)),
                1 => {
                    let mut leaving = tokio_test::task::spawn(reports.slot(cost));
                    let _ = leaving.poll();
                }
                2 => drop(reports.slot_within(ms(1), cost).await),
                3 => {
                    // Held while others of this thread wait.
                    let _held = reports.slot_now(cost);
                    drop(reports.slot_within(ms(1), cost).await);
                }
                _ => drop(reports.slot(cost).await),
            }
        }
    });
}

/// What all events say together, replayed in the order of their sequence.
struct Replay {
    capacity: usize,
    used: usize,
    paused: bool,
    /// The costs of those who wait, in order.
    line: VecDeque<usize>,
}

impl Replay {
    fn apply(&mut self, event: &BulkheadEvent) {
        let cost = event.cost.unwrap_or(0);
        match event.kind {
            EventKind::Queued => self.line.push_back(cost),
            EventKind::Admitted => {
                self.used += cost;
                assert!(!self.paused, "admitted during a pause: {event:?}");
                assert!(self.used <= self.capacity, "above the capacity in force: {event:?}");
                if event.from_queue {
                    assert_eq!(self.line.pop_front(), Some(cost), "overtaken: {event:?}");
                } else {
                    assert!(self.line.is_empty(), "overtook a waiter: {event:?}");
                }
            }
            EventKind::Expired | EventKind::Cancelled if event.from_queue => {
                let at = self.line.iter().position(|&waiting| waiting == cost).unwrap();
                self.line.remove(at);
            }
            EventKind::Released | EventKind::Abandoned => self.used -= cost,
            EventKind::Resized | EventKind::Reconfigured => self.capacity = event.capacity,
            EventKind::Paused | EventKind::Resumed => self.paused = event.is_paused,
            _ => {}
        }
        assert_eq!((event.used, event.waiting), (self.used, self.line.len()), "{event:?}");
        assert_eq!((event.capacity, event.is_paused), (self.capacity, self.paused), "{event:?}");
    }
}

#[test]
fn events_of_changes_under_load_are_in_order_and_within_the_bounds_in_force() {
    let builder = WeightedBulkhead::builder("reports").capacity(CAPACITY).waiting_room(4);
    let reports = builder.wait_limit(ms(5)).build().unwrap();
    let events = std::sync::Arc::new(Mutex::new(Vec::new()));
    let log = events.clone();
    let subscription = reports.subscribe(move |event| log.lock().unwrap().push(event.clone()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let traffic = [0, 1].map(|thread| {
            scope.spawn({
                let reports = &reports;
                move || weighted_traffic(reports, thread)
            })
        });
        scope.spawn(|| {
            let mut random = Random::new(7);
            while !is_over.load(Ordering::Relaxed) {
                let change = WeightedChange::new();
                match random.below(6) {
                    0 => reports.resize(COST + random.below(CAPACITY)).unwrap(),
                    1 => reports.reconfigure(change.waiting_room(random.below(6))).unwrap(),
                    2 => reports.reconfigure(change.no_wait_limit()).unwrap(),
                    3 => {
                        let limit = ms(1 + random.below(5) as u64);
                        let change = change.capacity(COST + random.below(CAPACITY));
                        reports.reconfigure(change.wait_limit(limit)).unwrap();
                    }
                    4 => reports.pause(),
                    _ => reports.resume(),
                }
                assert_identities(&reports.status());
                // Nobody waits for ever, whatever was set last.
                reports.resume();
            }
        });
        for thread in traffic {
            thread.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    drop(subscription);
    let mut events = std::mem::take(&mut *events.lock().unwrap());
    events.sort_by_key(|event| event.sequence);
    let first = &events[0];
    let mut replay =
        Replay { capacity: first.capacity, used: 0, paused: false, line: VecDeque::new() };
    // The capacity before the first event, if that is a change of it.
    replay.capacity = CAPACITY;
    events.iter().for_each(|event| replay.apply(event));
    let count = |kind| events.iter().filter(|event| event.kind == kind).count();
    for kind in [EventKind::Reconfigured, EventKind::Paused, EventKind::Expired] {
        assert!(count(kind) > 0, "{kind:?} has not happened");
    }
    let status = reports.status();
    assert_identities(&status);
    assert_eq!((status.used, status.waiting, replay.used), (0, 0, 0));
    assert_eq!(status.totals.admitted, count(EventKind::Admitted) as u64);
}

/// Without a subscriber, admissions and releases need no lock while nobody waits.
#[test]
fn nobody_is_lost_and_no_bound_is_exceeded_beside_the_fast_path() {
    const MOST: usize = 4;
    let payments = Bulkhead::builder("payments").parallelism(2).waiting_room(3);
    let payments = payments.wait_limit(ms(5)).build().unwrap();
    let (running, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = |slot: Result<bulklink::Slot, bulklink::Rejection>| {
        if let Ok(slot) = slot {
            assert!(running.fetch_add(1, Ordering::SeqCst) < MOST, "more run than ever may");
            running.fetch_sub(1, Ordering::SeqCst);
            drop(slot);
        }
    };
    std::thread::scope(|scope| {
        let traffic = [0, 1].map(|thread: u64| {
            let (payments, run) = (&payments, &run);
            scope.spawn(move || {
                let mut random = Random::new(thread);
                let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..4 * operations() {
                        match random.below(4) {
                            0 => run(payments.slot_within(ms(1)).await),
                            1 => run(payments.slot().await),
                            _ => run(payments.slot_now()),
                        }
                    }
                });
            })
        });
        scope.spawn(|| {
            let mut random = Random::new(9);
            while !is_over.load(Ordering::Relaxed) {
                match random.below(5) {
                    0 => payments.resize(1 + random.below(MOST)).unwrap(),
                    1 => {
                        let change = Change::new().waiting_room(random.below(5));
                        payments.reconfigure(change.wait_limit(ms(2))).unwrap();
                    }
                    2 => payments.reconfigure(Change::new().no_wait_limit()).unwrap(),
                    3 => payments.pause(),
                    _ => payments.resume(),
                }
                assert_plain(&payments.status());
                payments.resume();
            }
        });
        for thread in traffic {
            thread.join().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    payments.resume();
    assert_nothing_left(&payments);
}
