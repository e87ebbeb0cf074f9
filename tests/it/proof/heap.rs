//! Checks the heap after enough operations to reveal a leak.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicI64, Ordering},
    task::{Context, Poll, Waker},
    thread,
};

use bulklink::{Bulkhead, PartitionedBulkhead, Rejection, Slot, WeightedBulkhead};

use crate::support::{
    Random,
    counting_allocator::{live, live_bytes},
};

/// Ten million operations, or fewer if the build is not optimized.
const OPERATIONS: usize = if cfg!(debug_assertions) { 200_000 } else { 10_000_000 };

/// The number of concurrent operations, in any state.
const CONCURRENT: usize = 64;

type SlotFuture = Pin<Box<dyn Future<Output = Result<Slot, Rejection>>>>;

enum Op {
    Waiting(SlotFuture),
    Running(#[expect(dead_code, reason = "held for its drop")] Slot),
    Idle,
}

/// Starts, polls and drops operations at random. Nothing is left at the end.
fn churn(
    seed: u64,
    operations: usize,
    arrive: impl Fn(&mut Random) -> SlotFuture,
    disturb: impl Fn(usize),
) {
    let mut random = Random::new(seed);
    let mut ops: Vec<Op> = (0..CONCURRENT).map(|_| Op::Idle).collect();
    let cx = &mut Context::from_waker(Waker::noop());
    for number in 0..operations {
        let op = &mut ops[random.below(CONCURRENT)];
        *op = match std::mem::replace(op, Op::Idle) {
            Op::Idle => poll(arrive(&mut random), cx),
            Op::Waiting(future) if random.below(2) == 0 => poll(future, cx),
            Op::Waiting(_) | Op::Running(_) => Op::Idle,
        };
        if number % 1_000 == 0 {
            disturb(number / 1_000);
        }
    }
}

fn poll(mut future: SlotFuture, cx: &mut Context<'_>) -> Op {
    match future.as_mut().poll(cx) {
        Poll::Ready(Ok(slot)) => Op::Running(slot),
        Poll::Ready(Err(_)) => Op::Idle,
        Poll::Pending => Op::Waiting(future),
    }
}

/// Checks that operations do not grow the heap once it is warm, and that dropping the bulkhead frees
/// everything.
fn check(run: impl Fn(&mut dyn FnMut(&dyn Fn(usize)))) {
    let start = live();
    run(&mut |churn| {
        // The second run finds everything that the first run left to be reused.
        churn(OPERATIONS / 10);
        let warm = live();
        churn(OPERATIONS / 10);
        assert_eq!(live(), warm, "repeating the operations took memory");
        churn(OPERATIONS);
        assert!(live() - warm < 16_384, "{} bytes more", live() - warm);
    });
    assert_eq!(live(), start, "memory is left");
}

#[test]
fn operations_on_a_plain_bulkhead_do_not_grow_the_heap() {
    check(|measure| {
        let payments = Bulkhead::builder("heap").parallelism(8).waiting_room(40).build().unwrap();
        measure(&|operations| {
            let disturb = |number: usize| {
                payments.resize(1 + number % 12).unwrap();
                drop(payments.subscribe(|_| {}));
                drop(payments.status());
            };
            let own = payments.clone();
            churn(8, operations, |_| Box::pin(own.slot()), disturb);
        });
    });
}

#[test]
fn operations_on_a_weighted_bulkhead_do_not_grow_the_heap() {
    check(|measure| {
        let reports =
            WeightedBulkhead::builder("heap").capacity(12).waiting_room(40).build().unwrap();
        measure(&|operations| {
            let arrive =
                |random: &mut Random| -> SlotFuture { Box::pin(reports.slot(1 + random.below(6))) };
            churn(12, operations, arrive, |number| drop(reports.resize(6 + number % 12)));
        });
    });
}

#[test]
fn operations_on_changing_keys_do_not_grow_the_heap() {
    check(|measure| {
        let customers = PartitionedBulkhead::<String>::builder("heap")
            .parallelism(1)
            .waiting_room(2)
            .max_partitions(40)
            .build()
            .unwrap();
        measure(&|operations| {
            let arrive = |random: &mut Random| -> SlotFuture {
                let (own, key) = (customers.clone(), format!("{:03}", random.below(1_000)));
                Box::pin(async move { own.slot(&key).await })
            };
            churn(40, operations, arrive, |_| _ = customers.cleanup_idle());
            // The number of retained partitions is bounded. Discarding all of them leaves none.
            (0..1_000).for_each(|key| _ = customers.discard(&format!("{key:03}")));
            assert_eq!(customers.status().partitions, 0);
        });
    });
}

/// Runs `work` and adds to `bytes_left` the bytes it allocates on this thread minus those it frees.
fn counting_bytes<T>(bytes_left: &AtomicI64, work: impl FnOnce() -> T) -> T {
    let (bytes, output) = live_bytes(work);
    bytes_left.fetch_add(bytes, Ordering::Relaxed);
    output
}

/// Checks that operations from several threads leave no memory. Adds up the bytes of all threads, from the
/// creation of the bulkhead to its drop, because one thread may free what another allocates.
fn check_threads<B: Sync>(
    make: impl FnOnce() -> B,
    arrive: impl Fn(&B, &mut Random) -> SlotFuture + Sync,
) {
    let bytes_left = AtomicI64::new(0);
    let bulkhead = counting_bytes(&bytes_left, make);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (bytes_left, bulkhead, arrive) = (&bytes_left, &bulkhead, &arrive);
            let work =
                move || churn(seed, OPERATIONS / 4, |random| arrive(bulkhead, random), |_| {});
            scope.spawn(move || counting_bytes(bytes_left, work));
        }
    });
    counting_bytes(&bytes_left, move || drop(bulkhead));
    // A thread that parks for the first time allocates memory of its own.
    let left = bytes_left.load(Ordering::Relaxed);
    assert!(left.abs() < 16_384, "{left} bytes are left");
}

#[test]
fn operations_from_many_threads_do_not_grow_the_heap() {
    let plain = || Bulkhead::builder("heap").parallelism(8).waiting_room(60).build().unwrap();
    check_threads(plain, |payments, _| Box::pin(payments.slot()));
    let weighted =
        || WeightedBulkhead::builder("heap").capacity(12).waiting_room(60).build().unwrap();
    check_threads(weighted, |reports, random| Box::pin(reports.slot(1 + random.below(6))));
    let partitioned = || {
        let builder = PartitionedBulkhead::<String>::builder("heap").parallelism(1).waiting_room(2);
        builder.max_partitions(80).build().unwrap()
    };
    check_threads(partitioned, |customers, random| {
        let (own, key) = (customers.clone(), format!("{:03}", random.below(1_000)));
        Box::pin(async move { own.slot(&key).await })
    });
}
