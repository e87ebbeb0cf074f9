//! One request through a layer: clones the service and drives it to its response, as a router does.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    sync::Arc,
    task::{Context, Poll},
};

use bulklink::{
    BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer, WeightedBulkhead,
    WeightedBulkheadLayer,
};
use tokio::sync::Semaphore;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};
use tower_resilience_bulkhead::BulkheadLayer as ResilienceLayer;

use super::{Case, PARALLELISM, WAIT_LIMIT, bulkhead};

/// The service behind every layer, which responds immediately.
#[derive(Clone)]
pub(crate) struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

fn requests<S>(name: &'static str, service: S) -> Case
where
    S: Service<u64> + Clone + 'static,
{
    Case::repeat_async(name, async move || {
        let response = black_box(&service).clone().oneshot(black_box(7)).await;
        assert!(black_box(response).is_ok());
    })
}

fn rejections<S>(name: &'static str, service: S) -> Case
where
    S: Service<u64> + Clone + 'static,
{
    Case::repeat_async(name, async move || {
        let response = black_box(&service).clone().oneshot(black_box(7)).await;
        assert!(black_box(response).is_err());
    })
}

pub(crate) fn no_layer() -> Case {
    requests("no layer", Echo)
}

pub(crate) fn plain() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 100, Some(WAIT_LIMIT));
    requests("BulkheadLayer", BulkheadLayer::new(&bulkhead).into_error().layer(Echo))
}

pub(crate) fn per_request() -> Case {
    let bulkhead = bulkhead(PARALLELISM, 100, Some(WAIT_LIMIT));
    let layer = BulkheadLayer::new(&bulkhead).per_request().into_error();
    requests("BulkheadLayer, per request", layer.layer(Echo))
}

pub(crate) fn weighted() -> Case {
    let bulkhead = WeightedBulkhead::builder("bench").capacity(PARALLELISM).waiting_room(100);
    let bulkhead = bulkhead.build().expect("valid settings");
    requests(
        "WeightedBulkheadLayer",
        WeightedBulkheadLayer::fixed(&bulkhead, 4).into_error().layer(Echo),
    )
}

pub(crate) fn partitioned() -> Case {
    let bulkhead = PartitionedBulkhead::<u64>::builder("bench").parallelism(PARALLELISM);
    let bulkhead = bulkhead.waiting_room(100).max_partitions(100).build().expect("valid settings");
    requests(
        "PartitionedBulkheadLayer",
        PartitionedBulkheadLayer::fixed(&bulkhead, 7).into_error().layer(Echo),
    )
}

pub(crate) fn concurrency_limit() -> Case {
    requests("tower ConcurrencyLimit", ConcurrencyLimitLayer::new(PARALLELISM).layer(Echo))
}

/// The usual hand-written alternative, built from tower's own layers.
pub(crate) fn tower_stack() -> Case {
    let stack = ServiceBuilder::new()
        .load_shed()
        .timeout(WAIT_LIMIT)
        .layer(GlobalConcurrencyLimitLayer::new(PARALLELISM));
    requests("tower load_shed + timeout + GlobalConcurrencyLimit", stack.service(Echo))
}

pub(crate) fn resilience_waiting() -> Case {
    let layer = ResilienceLayer::builder()
        .max_concurrent_calls(PARALLELISM)
        .max_wait_duration(WAIT_LIMIT)
        .build();
    requests("tower-resilience, wait mode", layer.expect("valid settings").layer(Echo))
}

pub(crate) fn resilience_backpressure() -> Case {
    let layer = ResilienceLayer::builder().max_concurrent_calls(PARALLELISM).backpressure().build();
    requests("tower-resilience, backpressure mode", layer.expect("valid settings").layer(Echo))
}

/// A full bulkhead with no waiting room.
pub(crate) fn plain_rejection() -> Case {
    let bulkhead = bulkhead(1, 0, None);
    // The slot is held until the program ends.
    std::mem::forget(bulkhead.slot_now().expect("a free slot"));
    rejections("BulkheadLayer, full", BulkheadLayer::new(&bulkhead).into_error().layer(Echo))
}

pub(crate) fn tower_stack_rejection() -> Case {
    let semaphore = Arc::new(Semaphore::new(0));
    let stack = ServiceBuilder::new()
        .load_shed()
        .timeout(WAIT_LIMIT)
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(semaphore));
    rejections("tower load_shed + timeout + GlobalConcurrencyLimit, full", stack.service(Echo))
}

/// The peer that rejects without waiting, with no timeout layer around it.
pub(crate) fn load_shed_rejection() -> Case {
    let semaphore = Arc::new(Semaphore::new(0));
    let stack = ServiceBuilder::new()
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::with_semaphore(semaphore));
    rejections("tower load_shed + GlobalConcurrencyLimit, full", stack.service(Echo))
}
