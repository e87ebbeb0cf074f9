//! How cost and memory grow with the number of waiters and partitions.

use std::{
    hint::black_box,
    pin::Pin,
    task::{Context, Waker},
    time::Instant,
};

use bulklink::{Admission, PartitionedBulkhead, Slot};

use super::{Random, bulkhead};
use crate::alloc::live_bytes;

/// What a line of this length costs: nanoseconds an operation, and bytes a waiter beyond its future.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineCost {
    pub(crate) join: f64,
    pub(crate) leave: f64,
    pub(crate) admit: f64,
    pub(crate) bytes: f64,
}

/// What so many partitions cost: nanoseconds an operation, and bytes an idle partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShelfCost {
    pub(crate) create: f64,
    pub(crate) hit: f64,
    pub(crate) evict: f64,
    pub(crate) bytes: f64,
}

type Waiter = Pin<Box<Admission>>;

/// Measures a line of `waiters`: all join, a quarter leaves from random places, the rest is admitted one
/// by one. Leaving includes the drop of the future itself, which lies anywhere in memory too.
pub(crate) fn line(waiters: usize) -> LineCost {
    let bulkhead = bulkhead(1, waiters, None);
    let slot = bulkhead.slot_now().expect("a free slot");
    let mut line: Vec<Option<Waiter>> =
        (0..waiters).map(|_| Some(Box::pin(bulkhead.slot()))).collect();
    let (bytes, join) = live_bytes(|| join_all(&mut line));
    let leave = leave_at_random(&mut line);
    let admit = admit_in_turn(line.into_iter().flatten().collect(), slot);
    LineCost { join, leave, admit, bytes: bytes as f64 / waiters as f64 }
}

fn join_all(line: &mut [Option<Waiter>]) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for waiter in line.iter_mut().flatten() {
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
    }
    start.elapsed().as_nanos() as f64 / line.len() as f64
}

fn leave_at_random(line: &mut [Option<Waiter>]) -> f64 {
    let mut random = Random(0x9E37_79B9);
    let leavers = line.len() / 4;
    let start = Instant::now();
    for _ in 0..leavers {
        drop(line[random.below(line.len() as u64) as usize].take());
    }
    start.elapsed().as_nanos() as f64 / leavers as f64
}

fn admit_in_turn(line: Vec<Waiter>, mut slot: Slot) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let admitted = line.len();
    let start = Instant::now();
    for mut waiter in line {
        drop(slot);
        slot = match waiter.as_mut().poll(&mut cx) {
            std::task::Poll::Ready(Ok(slot)) => slot,
            other => panic!("the head of the line has its slot: {other:?}"),
        };
    }
    start.elapsed().as_nanos() as f64 / admitted as f64
}

/// Measures a bulkhead of so many partitions.
pub(crate) fn shelf(partitions: usize) -> ShelfCost {
    let bulkhead: PartitionedBulkhead<u64> = PartitionedBulkhead::builder("bench")
        .parallelism(3)
        .max_partitions(partitions)
        .build()
        .expect("valid settings");
    let keys = partitions as u64;
    let enter = |key: u64| drop(black_box(bulkhead.slot_now(&key).expect("a free slot")));
    let timed = |operations: u64, key: &mut dyn FnMut(u64) -> u64| {
        let start = Instant::now();
        for number in 0..operations {
            enter(key(number));
        }
        start.elapsed().as_nanos() as f64 / operations as f64
    };
    let (bytes, create) = live_bytes(|| timed(keys, &mut |number| number));
    let mut random = Random(0x9E37_79B9);
    let hit = timed(keys.max(100_000), &mut |_| random.below(keys));
    let evict = timed(keys.clamp(10_000, 100_000), &mut |number| keys + number);
    ShelfCost { create, hit, evict, bytes: bytes as f64 / partitions as f64 }
}

/// The medians of several measurements of a line.
pub(crate) fn median_line(waiters: usize, rounds: usize) -> LineCost {
    let costs: Vec<LineCost> = (0..rounds).map(|_| line(waiters)).collect();
    let of = |part: fn(&LineCost) -> f64| median(costs.iter().map(part).collect());
    LineCost {
        join: of(|cost| cost.join),
        leave: of(|cost| cost.leave),
        admit: of(|cost| cost.admit),
        bytes: of(|cost| cost.bytes),
    }
}

/// The medians of several measurements of a shelf.
pub(crate) fn median_shelf(partitions: usize, rounds: usize) -> ShelfCost {
    let costs: Vec<ShelfCost> = (0..rounds).map(|_| shelf(partitions)).collect();
    let of = |part: fn(&ShelfCost) -> f64| median(costs.iter().map(part).collect());
    ShelfCost {
        create: of(|cost| cost.create),
        hit: of(|cost| cost.hit),
        evict: of(|cost| cost.evict),
        bytes: of(|cost| cost.bytes),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
