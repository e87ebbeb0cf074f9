//! Targets 13 to 20: growth, memory, allocations, and what a status takes.

use std::{
    hint::black_box,
    task::{Context, Waker},
    time::Instant,
};

use bulklink::{
    BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, WeightedBulkhead,
    WeightedBulkheadLayer,
};
use tower::{Layer, Service, ServiceExt};

use crate::{
    alloc::allocations,
    cases::{bulkhead, current_thread, growth, layer::Echo},
};

/// A count, with the highest allowed value if it has one.
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
    let untargeted = |number, what, counted| Count { number, what, counted, at_most: None };
    let target = |number, what, counted, at_most| Count {
        at_most: Some(at_most),
        ..untargeted(number, what, counted)
    };
    let (few, many) = (growth::median_line_cost(FEW, 31), growth::median_line_cost(MANY, 5));
    let (few_partitions, many_partitions) =
        (growth::median_partition_cost(FEW, 31), growth::median_partition_cost(MANY, 5));
    let leave_both = |leave| {
        [(FEW, 31), (MANY, 5)].map(|(len, rounds)| growth::median_leave(leave, len, rounds))
    };
    let ([tokio_few, tokio_many], [baseline_few, baseline_many]) =
        (leave_both(growth::tokio_leave), leave_both(growth::baseline_leave));
    vec![
        target("13", "joining: 1,000,000 waiters vs 1,000", many.join / few.join, 3.0),
        target(
            "13",
            "leaving from random positions: 1,000,000 waiters vs 1,000",
            many.leave / few.leave,
            3.0,
        ),
        untargeted(
            "13a",
            "leaving tokio's semaphore: 1,000,000 waiters vs 1,000",
            tokio_many / tokio_few,
        ),
        untargeted(
            "13a",
            "baseline: unlinking from a list: 1,000,000 nodes vs 1,000",
            baseline_many / baseline_few,
        ),
        untargeted("13b", "leaving, of 1,000,000 waiters: ns", many.leave),
        untargeted("13b", "leaving tokio's semaphore, of 1,000,000 waiters: ns", tokio_many),
        untargeted("13b", "baseline: unlinking from a list, of 1,000,000 nodes: ns", baseline_many),
        target("13", "admitting: 1,000,000 waiters vs 1,000", many.admit / few.admit, 3.0),
        target("14", "bytes per waiter, of 1,000,000", many.bytes, 96.0),
        target("14", "bytes per waiter, of 1,000", few.bytes, 96.0),
        target("15", "allocations: 1,000 immediate admissions and rejections", immediate(), 0.0),
        target("16", "bytes per idle partition, of 1,000,000", many_partitions.bytes, 272.0),
        target(
            "17",
            "evicting: 1,000,000 partitions vs 1,000",
            many_partitions.evict / few_partitions.evict,
            3.0,
        ),
        target("18", "allocations: one queued poll_ready", queued_poll_ready(), 1.0),
        target("20", "status(): ns", status(), 2_000.0),
    ]
}

/// Returns the allocations of 1,000 immediate admissions and 1,000 rejections by each method and each layer.
fn immediate() -> f64 {
    let plain = bulkhead(1, 0, None);
    let weighted = WeightedBulkhead::builder("bench").capacity(4).build().expect("valid settings");
    let keyed = PartitionedBulkhead::<u64>::builder("bench").parallelism(1).max_partitions(1);
    let keyed = keyed.build().expect("valid settings");
    let plain_service = BulkheadLayer::new(&plain).into_error().layer(Echo);
    let weighted_service = WeightedBulkheadLayer::fixed(&weighted, 4).into_error().layer(Echo);
    let keyed_service = PartitionedBulkheadLayer::fixed(&keyed, 7).into_error().layer(Echo);
    let runtime = current_thread();
    let run = |admits: bool| {
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
    // The first run creates the partition, and whatever a thread initializes once.
    run(true);
    let (for_admissions, ()) = allocations(|| run(true));
    let _held = (plain.slot_now(), weighted.slot_now(4), keyed.slot_now(&7));
    run(false);
    let (for_rejections, ()) = allocations(|| run(false));
    (for_admissions + for_rejections) as f64
}

/// Returns the time of a status in nanoseconds, the median of several rounds.
fn status() -> f64 {
    let bulkhead = bulkhead(10, 100, None);
    drop(bulkhead.slot_now());
    let round = || {
        let start = Instant::now();
        (0..1_000).for_each(|_| drop(black_box(bulkhead.status())));
        start.elapsed().as_nanos() as f64 / 1_000.0
    };
    let mut rounds: Vec<f64> = (0..101).map(|_| round()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Returns the allocations of a queued `poll_ready`, after the line has had a waiter before.
fn queued_poll_ready() -> f64 {
    let bulkhead = bulkhead(1, 10, None);
    let _held = bulkhead.slot_now();
    let service = BulkheadLayer::new(&bulkhead).into_error().layer(Echo);
    let queue = || {
        let mut service = service.clone();
        let mut cx = Context::from_waker(Waker::noop());
        let poll = Service::<u64>::poll_ready(&mut service, &mut cx);
        assert!(poll.is_pending());
    };
    queue();
    let (count, ()) = allocations(queue);
    count as f64
}
