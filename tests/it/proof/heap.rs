//! Operations in numbers that would show a leak: the heap is where it was.

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

/// Ten million operations, or fewer where the build is not optimized.
const OPERATIONS: usize = if cfg!(debug_assertions) { 200_000 } else { 10_000_000 };

/// As many operations at once, in any state.
const AT_ONCE: usize = 64;

type Asking = Pin<Box<dyn Future<Output = Result<Slot, Rejection>>>>;

enum Op {
    Waiting(Asking),
    Running(#[expect(dead_code, reason = "held for its drop")] Slot),
    Over,
}

/// Arrives, looks again and leaves at random. In the end nothing is left.
fn churn(seed: u64, operations: usize, ask: impl Fn(&mut Random) -> Asking, shake: impl Fn(usize)) {
    let mut random = Random::new(seed);
    let mut ops: Vec<Op> = (0..AT_ONCE).map(|_| Op::Over).collect();
    let cx = &mut Context::from_waker(Waker::noop());
    for number in 0..operations {
        let place = &mut ops[random.below(AT_ONCE)];
        *place = match std::mem::replace(place, Op::Over) {
            Op::Over => poll(ask(&mut random), cx),
            Op::Waiting(asking) if random.below(2) == 0 => poll(asking, cx),
            Op::Waiting(_) | Op::Running(_) => Op::Over,
        };
        if number % 1_000 == 0 {
            shake(number / 1_000);
        }
    }
}

fn poll(mut asking: Asking, cx: &mut Context<'_>) -> Op {
    match asking.as_mut().poll(cx) {
        Poll::Ready(Ok(slot)) => Op::Running(slot),
        Poll::Ready(Err(_)) => Op::Over,
        Poll::Pending => Op::Waiting(asking),
    }
}

/// The heap before and after: of the operations once all is warm, and of the bulkhead and all.
fn check(run: impl Fn(&mut dyn FnMut(&dyn Fn(usize)))) {
    let start = live();
    run(&mut |churn| {
        // Twice the same, so that what is kept for the next time is there.
        churn(OPERATIONS / 10);
        let warm = live();
        churn(OPERATIONS / 10);
        assert_eq!(live(), warm, "the same again takes no memory");
        churn(OPERATIONS);
        assert!(live() - warm < 16_384, "{} bytes more", live() - warm);
    });
    assert_eq!(live(), start, "everything is given back");
}

#[test]
fn operations_on_a_plain_bulkhead_do_not_grow_the_heap() {
    check(|measure| {
        let payments = Bulkhead::builder("heap").parallelism(8).waiting_room(40).build().unwrap();
        measure(&|operations| {
            let shake = |number: usize| {
                payments.resize(1 + number % 12).unwrap();
                drop(payments.subscribe(|_| {}));
                drop(payments.status());
            };
            let asking = payments.clone();
            churn(8, operations, |_| Box::pin(asking.slot()), shake);
        });
    });
}

#[test]
fn operations_on_a_weighted_bulkhead_do_not_grow_the_heap() {
    check(|measure| {
        let reports =
            WeightedBulkhead::builder("heap").capacity(12).waiting_room(40).build().unwrap();
        measure(&|operations| {
            let ask =
                |random: &mut Random| -> Asking { Box::pin(reports.slot(1 + random.below(6))) };
            churn(12, operations, ask, |number| drop(reports.resize(6 + number % 12)));
        });
    });
}

#[test]
fn operations_on_ever_new_keys_do_not_grow_the_heap() {
    check(|measure| {
        let customers = PartitionedBulkhead::<String>::builder("heap")
            .parallelism(1)
            .waiting_room(2)
            .max_partitions(40)
            .build()
            .unwrap();
        measure(&|operations| {
            let ask = |random: &mut Random| -> Asking {
                let (own, key) = (customers.clone(), format!("{:03}", random.below(1_000)));
                Box::pin(async move { own.slot(&key).await })
            };
            churn(40, operations, ask, |_| _ = customers.cleanup_idle());
            // What is retained is bounded, and goes when it is told to.
            (0..1_000).for_each(|key| _ = customers.discard(&format!("{key:03}")));
            assert_eq!(customers.status().partitions, 0);
        });
    });
}

/// Puts on the account what `work` allocates on this thread and does not free.
fn on_account<T>(account: &AtomicI64, work: impl FnOnce() -> T) -> T {
    let (bytes, output) = live_bytes(work);
    account.fetch_add(bytes, Ordering::Relaxed);
    output
}

/// The account of all threads together, from the first of a bulkhead to its drop: what one of them
/// allocates another may free.
fn check_threads<B: Sync>(
    make: impl FnOnce() -> B,
    ask: impl Fn(&B, &mut Random) -> Asking + Sync,
) {
    let account = AtomicI64::new(0);
    let bulkhead = on_account(&account, make);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (account, bulkhead, ask) = (&account, &bulkhead, &ask);
            let work = move || churn(seed, OPERATIONS / 4, |random| ask(bulkhead, random), |_| {});
            scope.spawn(move || on_account(account, work));
        }
    });
    on_account(&account, move || drop(bulkhead));
    // Threads that park for the first time make something for themselves.
    let left = account.load(Ordering::Relaxed);
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
