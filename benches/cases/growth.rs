//! How cost and memory grow with the number of waiters and partitions.

use std::{
    hint::black_box,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Instant,
};

use bulklink::{Admission, PartitionedBulkhead, Slot};
use tokio::sync::Semaphore;

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

/// A future in a place of its own, which stays when the future goes.
type Place<F> = Pin<Box<Option<F>>>;

/// Measures a line of `waiters`: all join, a quarter leaves from random places, the rest is admitted one
/// by one. Leaving includes the drop of the future, but not of its memory, which is its owner's.
pub(crate) fn line(waiters: usize) -> LineCost {
    let bulkhead = bulkhead(1, waiters, None);
    let slot = bulkhead.slot_now().expect("a free slot");
    let mut line: Vec<Place<Admission>> =
        (0..waiters).map(|_| Box::pin(Some(bulkhead.slot()))).collect();
    let (bytes, join) = live_bytes(|| join_all(&mut line));
    let leave = leave_at_random(&mut line);
    let admit = admit_in_turn(&mut line, slot);
    LineCost { join, leave, admit, bytes: bytes as f64 / waiters as f64 }
}

/// What it costs to leave the line of tokio's semaphore from a random place, in the same way.
pub(crate) fn tokio_leave(waiters: usize) -> f64 {
    let semaphore = Arc::new(Semaphore::new(0));
    let mut line: Vec<Place<_>> =
        (0..waiters).map(|_| Box::pin(Some(semaphore.clone().acquire_owned()))).collect();
    join_all(&mut line);
    leave_at_random(&mut line)
}

fn join_all<F: Future>(line: &mut [Place<F>]) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for place in line.iter_mut() {
        let waiter = place.as_mut().as_pin_mut().expect("nobody has left");
        assert!(waiter.poll(&mut cx).is_pending());
    }
    start.elapsed().as_nanos() as f64 / line.len() as f64
}

fn leave_at_random<F>(line: &mut [Place<F>]) -> f64 {
    at_random(line.len(), |at| line[at].set(None))
}

/// What it costs to take a random place out of nothing but a list of places as large as a cache line.
pub(crate) fn bare_leave(places: usize) -> f64 {
    #[repr(align(64))]
    struct Bare {
        prev: usize,
        next: usize,
    }
    // A ring: the neighbours of every place are there.
    let around = |at: usize, by: usize| (at + by) % places;
    let mut list: Vec<Bare> =
        (0..places).map(|at| Bare { prev: around(at, places - 1), next: around(at, 1) }).collect();
    at_random(places, |at| {
        let Bare { prev, next } = list[at];
        list[prev].next = next;
        list[next].prev = prev;
    })
}

/// Nanoseconds for each of a quarter of so many places, chosen at random.
fn at_random(places: usize, mut leave: impl FnMut(usize)) -> f64 {
    // Who leaves is settled before: the generator's own way through memory is not what is measured.
    let mut random = Random(0x9E37_79B9);
    let mut order: Vec<usize> = (0..places).collect();
    for at in 0..places / 4 {
        let other = at + random.below((places - at) as u64) as usize;
        order.swap(at, other);
    }
    order.truncate(places / 4);
    let start = Instant::now();
    for &at in &order {
        leave(at);
    }
    start.elapsed().as_nanos() as f64 / order.len() as f64
}

fn admit_in_turn(line: &mut [Place<Admission>], mut slot: Slot) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut admitted = 0;
    let start = Instant::now();
    for place in line {
        let Some(waiter) = place.as_mut().as_pin_mut() else { continue };
        drop(slot);
        slot = match waiter.poll(&mut cx) {
            std::task::Poll::Ready(Ok(slot)) => slot,
            other => panic!("the head of the line has its slot: {other:?}"),
        };
        admitted += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(admitted)
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

/// The median of several measurements with so many places.
pub(crate) fn median_leave(leave: fn(usize) -> f64, places: usize, rounds: usize) -> f64 {
    median((0..rounds).map(|_| leave(places)).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
