//! Two threads using one bulkhead.

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

/// Creates a case that runs half of the operations on each of two threads, which start together. The
/// elapsed time is that of the slower thread.
pub(crate) fn on_two_threads(name: &'static str, work: impl Fn(u64) + Sync + 'static) -> Case {
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
            timed().max(other.join().expect("the other thread finishes"))
        })
    })
}

pub(crate) fn slot_now() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 0, None);
    on_two_threads("slot_now, two threads", move |times| {
        for _ in 0..times {
            drop(black_box(bulkhead.slot_now().expect("a free slot")));
        }
    })
}

pub(crate) fn tokio_try_acquire_owned() -> Case {
    let semaphore = Arc::new(Semaphore::new(PARALLELISM));
    on_two_threads("tokio try_acquire_owned, two threads", move |times| {
        for _ in 0..times {
            drop(black_box(semaphore.clone().try_acquire_owned().expect("a free permit")));
        }
    })
}

/// A word's round trip between two processors: each waits for the other's write, then writes. Two threads
/// pay this cost whenever they contend for a word. It depends on where the two processors are.
pub(crate) fn round_trip() -> Case {
    Case::timed("a word's round trip between two processors", |times| {
        let (start, word) = (Barrier::new(2), AtomicU64::new(0));
        let alternate = |first: u64| {
            start.wait();
            let start = Instant::now();
            for expected in (first..).step_by(2).take(times as usize) {
                while word.load(Ordering::Acquire) != expected {
                    spin_loop();
                }
                word.store(expected + 1, Ordering::Release);
            }
            start.elapsed()
        };
        thread::scope(|scope| {
            scope.spawn(|| alternate(1));
            alternate(0)
        })
    })
}

/// Two threads using the same 100 hot keys.
pub(crate) fn hot_keys() -> Case {
    let bulkhead: PartitionedBulkhead<u64> = partitions::bulkhead(100);
    on_two_threads("partition hit, 100 hot keys, two threads", move |times| {
        let mut random = Random(0x9E37_79B9);
        for _ in 0..times {
            drop(black_box(bulkhead.slot_now(&random.below(100)).expect("a free slot")));
        }
    })
}

pub(crate) fn dashmap_hot_keys() -> Case {
    let map = partitions::dashmap(100);
    on_two_threads("DashMap + try_acquire_owned, 100 hot keys, two threads", move |times| {
        let mut random = Random(0x9E37_79B9);
        for _ in 0..times {
            drop(black_box(partitions::acquire(&map, random.below(100))));
        }
    })
}

/// Creates a case in which one thread admits and releases, while another thread calls `background` once
/// every `interval`.
fn slot_now_alongside(
    name: &'static str,
    interval: Duration,
    background: impl Fn(&Bulkhead) + Sync + 'static,
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
                        background(&bulkhead);
                        next += interval;
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

pub(crate) fn slot_now_and_frequent_status() -> Case {
    slot_now_alongside(
        "slot_now, status() every 10 us alongside",
        Duration::from_micros(10),
        |bulkhead| {
            black_box(bulkhead.status());
        },
    )
}

pub(crate) fn slot_now_and_infrequent_status() -> Case {
    slot_now_alongside(
        "slot_now, status() every 1 ms alongside",
        Duration::from_millis(1),
        |bulkhead| {
            black_box(bulkhead.status());
        },
    )
}

/// The second thread only spins.
pub(crate) fn slot_now_alone() -> Case {
    slot_now_alongside("slot_now, nothing alongside", Duration::from_micros(10), |bulkhead| {
        black_box(bulkhead);
    })
}

pub(crate) fn slot_now_and_resizes() -> Case {
    slot_now_alongside(
        "slot_now, resize() every 100 us alongside",
        Duration::from_micros(100),
        |bulkhead| {
            let parallelism = if bulkhead.parallelism() == 100 { 50 } else { 100 };
            bulkhead.resize(parallelism).expect("a valid parallelism");
        },
    )
}
