//! Two threads on one bulkhead.

use std::{
    hint::{black_box, spin_loop},
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bulklink::{Bulkhead, PartitionedBulkhead};
use tokio::sync::Semaphore;

use super::{Case, PARALLELISM, Random, bulkhead, partitions};

/// Half of the operations on each of two threads that begin together. The time is that of the slower.
pub(crate) fn on_two(name: &'static str, work: impl Fn(u64) + Sync + 'static) -> Case {
    Case::timed(name, move |times| {
        let half = times.div_ceil(2);
        let start = Barrier::new(2);
        let timed = || {
            start.wait();
            let start = Instant::now();
            work(half);
            start.elapsed()
        };
        thread::scope(|scope| {
            let other = scope.spawn(timed);
            timed().max(other.join().expect("the other thread ends"))
        })
    })
}

pub(crate) fn slot_now() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 0, None);
    on_two("slot_now, two threads", move |times| {
        for _ in 0..times {
            drop(black_box(bulkhead.slot_now().expect("a free slot")));
        }
    })
}

pub(crate) fn tokio_try_acquire_owned() -> Case {
    let semaphore = Arc::new(Semaphore::new(PARALLELISM));
    on_two("tokio try_acquire_owned, two threads", move |times| {
        for _ in 0..times {
            drop(black_box(semaphore.clone().try_acquire_owned().expect("a free permit")));
        }
    })
}

/// What it takes a word to be changed by another processor and be seen by this one, which is what two
/// threads pay whenever they meet. It depends on where the two processors are.
pub(crate) fn round_trip() -> Case {
    Case::timed("a word to the other processor and back", |times| {
        let (start, turn) = (Barrier::new(2), AtomicU64::new(0));
        let play = |first: u64| {
            start.wait();
            let start = Instant::now();
            for own in (first..).step_by(2).take(times as usize) {
                while turn.load(Ordering::Acquire) != own {
                    spin_loop();
                }
                turn.store(own + 1, Ordering::Release);
            }
            start.elapsed()
        };
        thread::scope(|scope| {
            scope.spawn(|| play(1));
            play(0)
        })
    })
}

/// 100 hot keys from two threads.
pub(crate) fn hot_keys() -> Case {
    let bulkhead: PartitionedBulkhead<u64> = partitions::bulkhead(100);
    on_two("partition hit, 100 hot keys, two threads", move |times| {
        let mut random = Random(0x9E37_79B9);
        for _ in 0..times {
            drop(black_box(bulkhead.slot_now(&random.below(100)).expect("a free slot")));
        }
    })
}

pub(crate) fn dashmap_hot_keys() -> Case {
    let map = partitions::dashmap(100);
    on_two("DashMap + try_acquire_owned, 100 hot keys, two threads", move |times| {
        let mut random = Random(0x9E37_79B9);
        for _ in 0..times {
            drop(black_box(partitions::take(&map, random.below(100))));
        }
    })
}

/// One thread admits and releases; beside it another does `beside` every so often.
fn beside(
    name: &'static str,
    every: Duration,
    beside: impl Fn(&Bulkhead) + Sync + 'static,
) -> Case {
    let bulkhead = bulkhead(PARALLELISM, 0, None);
    Case::timed(name, move |times| {
        let (start, done) = (Barrier::new(2), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let mut next = Instant::now();
                while !done.load(Ordering::Relaxed) {
                    if Instant::now() >= next {
                        beside(&bulkhead);
                        next += every;
                    }
                    spin_loop();
                }
            });
            start.wait();
            let start = Instant::now();
            for _ in 0..times {
                drop(black_box(bulkhead.slot_now().expect("a free slot")));
            }
            let elapsed = start.elapsed();
            done.store(true, Ordering::Relaxed);
            elapsed
        })
    })
}

pub(crate) fn with_status() -> Case {
    beside("status() every 10 us beside slot_now", Duration::from_micros(10), |bulkhead| {
        black_box(bulkhead.status());
    })
}

pub(crate) fn with_rare_status() -> Case {
    beside("status() at 1 kHz beside slot_now", Duration::from_millis(1), |bulkhead| {
        black_box(bulkhead.status());
    })
}

pub(crate) fn without_status() -> Case {
    beside("nothing beside slot_now", Duration::from_micros(10), |bulkhead| {
        black_box(bulkhead);
    })
}

pub(crate) fn with_resizes() -> Case {
    beside("a resize every 100 us beside slot_now", Duration::from_micros(100), |bulkhead| {
        let parallelism = if bulkhead.parallelism() == 100 { 50 } else { 100 };
        bulkhead.resize(parallelism).expect("a valid parallelism");
    })
}
