//! How cost and memory grow with the number of waiters and partitions.

use std::{
    hint::black_box,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use bulklink::{Admission, PartitionedBulkhead, Slot};
use tokio::sync::Semaphore;

use super::{Random, bulkhead};
use crate::alloc::live_bytes;

/// The cost of a waiting line: nanoseconds per operation, and bytes per waiter besides its future.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineCost {
    pub(crate) join: f64,
    pub(crate) leave: f64,
    pub(crate) admit: f64,
    pub(crate) bytes: f64,
}

/// The cost of partitions: nanoseconds per operation, and bytes per idle partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionCost {
    pub(crate) create: f64,
    pub(crate) hit: f64,
    pub(crate) evict: f64,
    pub(crate) bytes: f64,
}

/// The cost of keys that wait for a capacity which they share: nanoseconds per operation, and the longest of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingKeysCost {
    pub(crate) join: f64,
    pub(crate) hand_over: f64,
    pub(crate) longest: Duration,
}

/// Memory for a future that outlives it: dropping the future does not free the memory.
type FutureCell<F> = Pin<Box<Option<F>>>;

/// Measures a line of `waiters`: all join, a quarter leave from random positions, the rest are admitted
/// one by one. Leaving includes dropping the future, but not freeing its memory, which belongs to the
/// caller.
fn line_cost(waiters: usize) -> LineCost {
    let bulkhead = bulkhead(1, waiters, None);
    let slot = bulkhead.slot_now().expect("a free slot");
    let mut line: Vec<FutureCell<Admission>> =
        (0..waiters).map(|_| Box::pin(Some(bulkhead.slot()))).collect();
    let (bytes, join) = live_bytes(|| join_all(&mut line));
    let leave = leave_at_random(&mut line);
    let admit = admit_in_turn(&mut line, slot);
    LineCost { join, leave, admit, bytes: bytes as f64 / waiters as f64 }
}

/// Measures leaving the line of tokio's semaphore from random positions, in the same way.
pub(crate) fn tokio_leave(waiters: usize) -> f64 {
    let semaphore = Arc::new(Semaphore::new(0));
    let mut line: Vec<FutureCell<_>> =
        (0..waiters).map(|_| Box::pin(Some(semaphore.clone().acquire_owned()))).collect();
    join_all(&mut line);
    leave_at_random(&mut line)
}

fn join_all<F: Future>(line: &mut [FutureCell<F>]) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let start = Instant::now();
    for cell in line.iter_mut() {
        let waiter = cell.as_mut().as_pin_mut().expect("no waiter has left");
        assert!(waiter.poll(&mut cx).is_pending());
    }
    start.elapsed().as_nanos() as f64 / line.len() as f64
}

fn leave_at_random<F>(line: &mut [FutureCell<F>]) -> f64 {
    leave_quarter(line.len(), |index| line[index].set(None))
}

/// The baseline for leaving: unlinks random nodes from a linked list whose nodes are one cache line each.
pub(crate) fn baseline_leave(nodes: usize) -> f64 {
    #[repr(align(64))]
    struct Node {
        prev: usize,
        next: usize,
    }
    // A circular list, so that every node has both neighbours.
    let wrap = |index: usize, offset: usize| (index + offset) % nodes;
    let mut list: Vec<Node> = (0..nodes)
        .map(|index| Node { prev: wrap(index, nodes - 1), next: wrap(index, 1) })
        .collect();
    leave_quarter(nodes, |index| {
        let Node { prev, next } = list[index];
        list[prev].next = next;
        list[next].prev = prev;
    })
}

/// Calls `leave` for a quarter of the indices below `len`, chosen at random. Returns nanoseconds per call.
fn leave_quarter(len: usize, mut leave: impl FnMut(usize)) -> f64 {
    // The indices are chosen beforehand, so that the shuffle's memory accesses are not measured.
    let mut random = Random(0x9E37_79B9);
    let mut order: Vec<usize> = (0..len).collect();
    for index in 0..len / 4 {
        let other = index + random.below((len - index) as u64) as usize;
        order.swap(index, other);
    }
    order.truncate(len / 4);
    let start = Instant::now();
    for &index in &order {
        leave(index);
    }
    start.elapsed().as_nanos() as f64 / order.len() as f64
}

fn admit_in_turn(line: &mut [FutureCell<Admission>], mut slot: Slot) -> f64 {
    let mut cx = Context::from_waker(Waker::noop());
    let mut admitted = 0;
    let start = Instant::now();
    for cell in line {
        let Some(waiter) = cell.as_mut().as_pin_mut() else { continue };
        drop(slot);
        slot = match waiter.poll(&mut cx) {
            std::task::Poll::Ready(Ok(slot)) => slot,
            other => panic!("the head of the line was not admitted: {other:?}"),
        };
        admitted += 1;
    }
    start.elapsed().as_nanos() as f64 / f64::from(admitted)
}

/// Measures a bulkhead with this many partitions.
fn partition_cost(partitions: usize) -> PartitionCost {
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
    PartitionCost { create, hit, evict, bytes: bytes as f64 / partitions as f64 }
}

/// Notes who was woken last.
struct Woken(usize, Arc<AtomicUsize>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.store(self.0, Ordering::Relaxed);
    }
}

/// Measures keys that share one slot: one operation of each joins, and then the slot goes from key to key.
pub(crate) fn waiting_keys_cost(keys: usize) -> WaitingKeysCost {
    let customers: PartitionedBulkhead<usize> = PartitionedBulkhead::builder("bench")
        .parallelism(1)
        .waiting_room(1)
        .max_partitions(keys + 1)
        .total_parallelism(1)
        .total_waiting_room(1 << 20)
        .build()
        .expect("valid settings");
    let mut slot = customers.slot_now(&keys).expect("a free slot");
    let woken = Arc::new(AtomicUsize::new(0));
    let wakers: Vec<Waker> =
        (0..keys).map(|key| Arc::new(Woken(key, woken.clone())).into()).collect();
    let mut waiting: Vec<_> = (0..keys)
        .map(|key| {
            let customers = &customers;
            Box::pin(async move { customers.slot(&key).await })
        })
        .collect();
    let mut longest = Duration::ZERO;
    let mut timed = |step: &mut dyn FnMut()| {
        let start = Instant::now();
        step();
        longest = longest.max(start.elapsed());
    };
    let start = Instant::now();
    for (waiter, waker) in waiting.iter_mut().zip(&wakers) {
        let mut cx = Context::from_waker(waker);
        timed(&mut || assert!(waiter.as_mut().poll(&mut cx).is_pending()));
    }
    let join = start.elapsed().as_nanos() as f64 / keys as f64;
    let start = Instant::now();
    for _ in 0..keys {
        let mut given = Some(slot);
        timed(&mut || drop(given.take()));
        let mut cx = Context::from_waker(Waker::noop());
        slot = match waiting[woken.load(Ordering::Relaxed)].as_mut().poll(&mut cx) {
            Poll::Ready(Ok(slot)) => slot,
            other => panic!("whoever was woken was not admitted: {other:?}"),
        };
    }
    let hand_over = start.elapsed().as_nanos() as f64 / keys as f64;
    WaitingKeysCost { join, hand_over, longest }
}

/// Returns the medians of `rounds` measurements of a line.
pub(crate) fn median_line_cost(waiters: usize, rounds: usize) -> LineCost {
    let costs: Vec<LineCost> = (0..rounds).map(|_| line_cost(waiters)).collect();
    let of = |field: fn(&LineCost) -> f64| median(costs.iter().map(field).collect());
    LineCost {
        join: of(|cost| cost.join),
        leave: of(|cost| cost.leave),
        admit: of(|cost| cost.admit),
        bytes: of(|cost| cost.bytes),
    }
}

/// Returns the medians of `rounds` measurements of partitions.
pub(crate) fn median_partition_cost(partitions: usize, rounds: usize) -> PartitionCost {
    let costs: Vec<PartitionCost> = (0..rounds).map(|_| partition_cost(partitions)).collect();
    let of = |field: fn(&PartitionCost) -> f64| median(costs.iter().map(field).collect());
    PartitionCost {
        create: of(|cost| cost.create),
        hit: of(|cost| cost.hit),
        evict: of(|cost| cost.evict),
        bytes: of(|cost| cost.bytes),
    }
}

/// Returns the median of `rounds` measurements of `leave` with a line of `len` waiters.
pub(crate) fn median_leave(leave: fn(usize) -> f64, len: usize, rounds: usize) -> f64 {
    median((0..rounds).map(|_| leave(len)).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
