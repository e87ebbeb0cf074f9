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

/// A key that asks for no more than a key has to be; it has no `Debug`.
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
    // What is inside has to be nothing but what it is.
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

fn sent<F: Future + Send>(future: F) -> F {
    future
}

fn anywhere<F: Future + Send + Sync + 'static>(future: F) -> F {
    future
}

/// The futures of the methods that are `async fn` can be sent, too.
#[test]
fn futures_that_wait_for_the_close_are_send() {
    fn sends<T: Send>(_: &T) {}
    let payments = bulkhead(1, 0);
    sends(&payments.wait_closed());
    sends(&payments.close_and_wait());
    sends(&payments.guard(|order: u32| ready(order)));
}

#[tokio::test]
async fn futures_of_a_weighted_bulkhead_are_send() {
    let reports = WeightedBulkhead::builder("reports").capacity(1).build().unwrap();
    let limit = Duration::from_secs(1);
    drop(anywhere(reports.slot(1)).await.unwrap());
    drop(anywhere(reports.slot_within(limit, 1)));
    drop(anywhere(reports.slot_before(Deadline::after(limit), 1)));
    assert_eq!(sent(reports.execute(1, async { 7 })).await.unwrap(), 7);
    drop(sent(reports.execute_now(1, async {})));
    drop(sent(reports.execute_within(limit, 1, async {})));
    drop(sent(reports.execute_before(Deadline::after(limit), 1, async {})));
    let guarded = reports.guard(1, |n: u32| async move { n + 1 });
    assert_eq!(sent(guarded.clone()(1)).await.unwrap(), 2);
    fn owned_function<F: Fn(u32) -> R + Clone + Send + Sync + 'static, R>(_: &F) {}
    owned_function(&guarded);
    drop(sent(reports.wait_closed()));
    sent(reports.close_and_wait()).await;
}

#[tokio::test]
async fn futures_of_a_partitioned_bulkhead_are_send_if_the_key_is_sync() {
    let customers = PartitionedBulkhead::<Key>::builder("customers")
        .parallelism(1)
        .max_partitions(1)
        .build()
        .unwrap();
    let (key, limit) = (Key(7), Duration::from_secs(1));
    drop(sent(customers.slot(&key)).await.unwrap());
    drop(sent(customers.slot_within(limit, &key)));
    drop(sent(customers.slot_before(Deadline::after(limit), &key)));
    assert_eq!(sent(customers.execute(&key, async { 7 })).await.unwrap(), 7);
    drop(sent(customers.execute_now(&key, async {})));
    drop(sent(customers.execute_within(limit, &key, async {})));
    drop(sent(customers.execute_before(Deadline::after(limit), &key, async {})));
    drop(sent(customers.wait_closed()));
    // In a task of its own, with its own handle.
    let task = tokio::spawn({
        let customers = customers.clone();
        async move { customers.execute(&Key(7), async { 8 }).await }
    });
    assert_eq!(task.await.unwrap().unwrap(), 8);
    sent(customers.close_and_wait()).await;
}

#[tokio::test]
async fn futures_of_a_registry_are_send() {
    let registry = BulkheadRegistry::default();
    registry.create(WeightedBulkhead::builder("reports").capacity(1)).unwrap();
    sent(registry.remove("reports")).await.unwrap();
    drop(sent(registry.wait_closed()));
    sent(registry.close_and_wait()).await;
}

#[tokio::test]
async fn work_that_is_not_send_runs_in_place() {
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
