//! Which traits the public types implement, and which futures are `Send`.

use std::{
    error::Error,
    fmt::Debug,
    future::{Future, Pending, Ready, ready},
    hash::Hash,
    rc::Rc,
    time::Duration,
};

use bulklink::{
    Admission, Bulkhead, BulkheadBuilder, BulkheadEvent, BulkheadInterval, BulkheadRegistry,
    BulkheadStatus, CapacityFinding, CapacityReport, ConfigError, Deadline, EventKind, Execute,
    FindingCode, Guarded, IntervalError, PartitionLimits, PartitionedBulkhead,
    PartitionedBulkheadBuilder, PartitionedInterval, PartitionedStatus, Peaks, RegistryError,
    RegistryStatus, Rejection, RejectionReason, ResizeError, Severity, Slot, Subscription, Totals,
    WeightedBulkhead, WeightedBulkheadBuilder,
};

use crate::support::bulkhead;

const fn handle<T: Clone + Send + Sync + Debug + Unpin + 'static>() {}
const fn owned<T: Send + Sync + Debug + 'static>() {}
const fn value<T: Clone + PartialEq + Send + Sync + Debug + 'static>() {}
const fn small<T: Copy + Eq + Hash + Send + Sync + Debug + 'static>() {}
const fn error<T: Error + Clone + PartialEq + Send + Sync + 'static>() {}
const fn shared<T: Send + Sync + Debug>() {}
const fn key<T: Copy + Ord + Hash + Send + Sync + Debug + 'static>() {}
const fn sendable<T: Send + 'static>() {}
const fn debug<T: Debug>() {}

/// A key with only the traits that a key needs. It does not implement `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key(u64);

const _: () = {
    handle::<Bulkhead>();
    handle::<BulkheadBuilder>();
    handle::<WeightedBulkhead>();
    handle::<WeightedBulkheadBuilder>();
    handle::<PartitionedBulkhead<Key>>();
    handle::<PartitionedBulkhead<String>>();
    handle::<BulkheadRegistry>();
    owned::<PartitionedBulkheadBuilder<Key>>();
    owned::<Subscription>();
    owned::<Slot>();
    sendable::<Admission>();
    shared::<Admission>();
    shared::<Execute<'static, Ready<()>>>();
    sendable::<Execute<'static, Ready<()>>>();
    shared::<Guarded<fn(u32) -> Ready<u32>, u32, Ready<u32>>>();
    sendable::<Guarded<fn(u32) -> Ready<u32>, u32, Ready<u32>>>();
    // The inner future and the argument need not be `Send`.
    debug::<Execute<'static, Pending<Rc<()>>>>();
    debug::<Guarded<fn(u32) -> Pending<Rc<()>>, Rc<()>, Pending<Rc<()>>>>();
    value::<BulkheadEvent>();
    value::<BulkheadStatus>();
    value::<BulkheadInterval>();
    value::<PartitionedStatus>();
    value::<PartitionedInterval>();
    value::<PartitionLimits>();
    value::<RegistryStatus>();
    value::<CapacityReport>();
    value::<CapacityFinding>();
    value::<Rejection>();
    value::<RejectionReason>();
    value::<Totals>();
    value::<Peaks>();
    small::<EventKind>();
    small::<FindingCode>();
    small::<Severity>();
    small::<Deadline>();
    key::<Deadline>();
    error::<ConfigError>();
    error::<RegistryError>();
    error::<ResizeError>();
    error::<IntervalError>();
    error::<Rejection>();
};

fn require_send<F: Future + Send>(future: F) -> F {
    future
}

fn require_send_sync<F: Future + Send + Sync + 'static>(future: F) -> F {
    future
}

/// The futures of `async fn` methods are `Send`, too.
#[test]
fn futures_that_wait_for_the_close_are_send() {
    fn assert_send<T: Send>(_: &T) {}
    let payments = bulkhead(1, 0);
    assert_send(&payments.wait_closed());
    assert_send(&payments.close_and_wait());
    assert_send(&payments.guard(|order: u32| ready(order)));
}

#[tokio::test]
async fn futures_of_a_weighted_bulkhead_are_send() {
    let reports = WeightedBulkhead::builder("reports").capacity(1).build().unwrap();
    let limit = Duration::from_secs(1);
    drop(require_send_sync(reports.slot(1)).await.unwrap());
    drop(require_send_sync(reports.slot_within(limit, 1)));
    drop(require_send_sync(reports.slot_before(Deadline::after(limit), 1)));
    assert_eq!(require_send(reports.execute(1, async { 7 })).await.unwrap(), 7);
    drop(require_send(reports.execute_now(1, async {})));
    drop(require_send(reports.execute_within(limit, 1, async {})));
    drop(require_send(reports.execute_before(Deadline::after(limit), 1, async {})));
    let guarded = reports.guard(1, |n: u32| async move { n + 1 });
    assert_eq!(require_send(guarded.clone()(1)).await.unwrap(), 2);
    fn assert_owned_function<F: Fn(u32) -> R + Clone + Send + Sync + 'static, R>(_: &F) {}
    assert_owned_function(&guarded);
    drop(require_send(reports.wait_closed()));
    require_send(reports.close_and_wait()).await;
}

#[tokio::test]
async fn futures_of_a_partitioned_bulkhead_are_send_if_the_key_is_sync() {
    let customers = PartitionedBulkhead::<Key>::builder("customers")
        .parallelism(1)
        .max_partitions(1)
        .build()
        .unwrap();
    let (key, limit) = (Key(7), Duration::from_secs(1));
    drop(require_send(customers.slot(&key)).await.unwrap());
    drop(require_send(customers.slot_within(limit, &key)));
    drop(require_send(customers.slot_before(Deadline::after(limit), &key)));
    assert_eq!(require_send(customers.execute(&key, async { 7 })).await.unwrap(), 7);
    drop(require_send(customers.execute_now(&key, async {})));
    drop(require_send(customers.execute_within(limit, &key, async {})));
    drop(require_send(customers.execute_before(Deadline::after(limit), &key, async {})));
    drop(require_send(customers.wait_closed()));
    // In a spawned task, with a clone of the handle.
    let task = tokio::spawn({
        let customers = customers.clone();
        async move { customers.execute(&Key(7), async { 8 }).await }
    });
    assert_eq!(task.await.unwrap().unwrap(), 8);
    require_send(customers.close_and_wait()).await;
}

#[tokio::test]
async fn futures_of_a_registry_are_send() {
    let registry = BulkheadRegistry::default();
    registry.create(WeightedBulkhead::builder("reports").capacity(1)).unwrap();
    require_send(registry.remove("reports")).await.unwrap();
    drop(require_send(registry.wait_closed()));
    require_send(registry.close_and_wait()).await;
}

#[tokio::test]
async fn work_that_is_not_send_can_be_executed() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(1)
        .max_partitions(1)
        .build()
        .unwrap();
    let here = std::rc::Rc::new(5);
    assert_eq!(*customers.execute(&1, async { here.clone() }).await.unwrap(), 5);
    let ready: Ready<u8> = std::future::ready(3);
    assert_eq!(customers.execute_now(&1, ready).await.unwrap(), 3);
}
