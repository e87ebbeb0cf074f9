//! Targets 13 to 18: growth and memory, counted.

use std::task::{Context, Waker};

use bulklink::{
    BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, WeightedBulkhead,
    WeightedBulkheadLayer,
};
use tower::{Layer, Service, ServiceExt};

use crate::{
    alloc::allocations,
    cases::{bulkhead, current_thread, growth, layer::Echo},
};

/// Something counted, and the most that it may be.
pub(crate) struct Count {
    pub(crate) number: &'static str,
    pub(crate) what: &'static str,
    pub(crate) counted: f64,
    pub(crate) at_most: Option<f64>,
}

impl Count {
    pub(crate) fn verdict(&self) -> &'static str {
        match self.at_most {
            None => "",
            Some(at_most) if self.counted <= at_most => "ok",
            Some(_) => "MISSED",
        }
    }
}

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;

pub(crate) fn all() -> Vec<Count> {
    let read = |number, what, counted| Count { number, what, counted, at_most: None };
    let count = |number, what, counted, at_most| Count {
        at_most: Some(at_most),
        ..read(number, what, counted)
    };
    let (few, many) = (growth::median_line(FEW, 31), growth::median_line(MANY, 5));
    let (few_kept, many_kept) = (growth::median_shelf(FEW, 31), growth::median_shelf(MANY, 5));
    let leave_both = |leave| {
        [(FEW, 31), (MANY, 5)].map(|(places, rounds)| growth::median_leave(leave, places, rounds))
    };
    let ([tokio_few, tokio_many], [bare_few, bare_many]) =
        (leave_both(growth::tokio_leave), leave_both(growth::bare_leave));
    vec![
        count("13", "joining: a million waiters against a thousand", many.join / few.join, 3.0),
        count("13", "leaving from anywhere: the same", many.leave / few.leave, 3.0),
        read("13a", "leaving tokio's semaphore: the same", tokio_many / tokio_few),
        read("13a", "taking a place out of a bare list: the same", bare_many / bare_few),
        read("13b", "leaving, of a million: ns", many.leave),
        read("13b", "leaving tokio's semaphore, of a million: ns", tokio_many),
        read("13b", "taking a place out of a bare list, of a million: ns", bare_many),
        count("13", "admitting: the same", many.admit / few.admit, 3.0),
        count("14", "bytes a waiter, of a million", many.bytes, 96.0),
        count("14", "bytes a waiter, of a thousand", few.bytes, 96.0),
        count("15", "allocations: 1,000 immediate admissions and rejections", immediate(), 0.0),
        count("16", "bytes an idle partition, of a million", many_kept.bytes, 256.0),
        count(
            "17",
            "evicting: a million partitions against a thousand",
            many_kept.evict / few_kept.evict,
            3.0,
        ),
        count("18", "allocations: one queued poll_ready", queued_poll_ready(), 1.0),
    ]
}

/// Allocations of a thousand admissions and a thousand rejections, direct and through each layer.
fn immediate() -> f64 {
    let plain = bulkhead(1, 0, None);
    let weighted = WeightedBulkhead::builder("bench").capacity(4).build().expect("valid settings");
    let keyed = PartitionedBulkhead::<u64>::builder("bench").parallelism(1).max_partitions(1);
    let keyed = keyed.build().expect("valid settings");
    let plain_service = BulkheadLayer::new(&plain).into_error().layer(Echo);
    let weighted_service = WeightedBulkheadLayer::fixed(&weighted, 4).into_error().layer(Echo);
    let keyed_service = PartitionedBulkheadLayer::fixed(&keyed, 7).into_error().layer(Echo);
    let runtime = current_thread();
    let all = |admits: bool| {
        for _ in 0..1_000 {
            assert_eq!(plain.slot_now().is_ok(), admits);
            assert_eq!(weighted.slot_now(4).is_ok(), admits);
            assert_eq!(keyed.slot_now(&7).is_ok(), admits);
            runtime.block_on(async {
                assert_eq!(plain.execute(async {}).await.is_ok(), admits);
                assert_eq!(plain_service.clone().oneshot(7).await.is_ok(), admits);
                assert_eq!(weighted_service.clone().oneshot(7).await.is_ok(), admits);
                assert_eq!(keyed_service.clone().oneshot(7).await.is_ok(), admits);
            });
        }
    };
    // The first time makes the partition, and whatever a thread makes once.
    all(true);
    let (admitting, ()) = allocations(|| all(true));
    let _held = (plain.slot_now(), weighted.slot_now(4), keyed.slot_now(&7));
    all(false);
    let (rejecting, ()) = allocations(|| all(false));
    (admitting + rejecting) as f64
}

/// Allocations of a `poll_ready` that is queued, once the line has had somebody in it before.
fn queued_poll_ready() -> f64 {
    let bulkhead = bulkhead(1, 10, None);
    let _held = bulkhead.slot_now();
    let service = BulkheadLayer::new(&bulkhead).into_error().layer(Echo);
    let queue = || {
        let mut waiting = service.clone();
        let mut cx = Context::from_waker(Waker::noop());
        let poll = Service::<u64>::poll_ready(&mut waiting, &mut cx);
        assert!(poll.is_pending());
    };
    queue();
    let (count, ()) = allocations(queue);
    count as f64
}
