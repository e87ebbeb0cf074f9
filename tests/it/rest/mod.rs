//! Weighted and partitioned bulkheads, events, the capacity report and the registry, each by what it
//! promises.

use std::sync::{Arc, Mutex};

use bulklink::{
    Admission, BulkheadEvent, EventKind, PartitionedBulkhead, PartitionedStatus, Rejection, Slot,
    WeightedBulkhead,
};
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{self, Spawn},
};

use crate::support::{assert_identities as assert_consistent, bulkhead as plain};

mod config;
mod event_fields;
mod event_log;
mod event_order;
mod event_reentry;
mod event_subscriptions;
mod model;
mod parity;
mod partition_books;
mod partition_close;
mod partition_cost;
mod partition_eviction;
mod partition_idle;
mod partition_keys;
mod partition_limits;
mod partition_memory;
mod partition_pins;
mod partition_secrets;
mod partition_threads;
mod partitions;
mod registry;
mod registry_shutdown;
mod report_pressure;
mod report_rates;
mod types;
mod weighted;
mod weighted_counts;
mod weighted_resize;

/// A weighted bulkhead without a wait limit.
fn weighted(capacity: usize, room: usize) -> WeightedBulkhead {
    WeightedBulkhead::builder("reports").capacity(capacity).waiting_room(room).build().unwrap()
}

/// Partitions of numbers, without a wait limit.
fn customers(parallelism: usize, room: usize, max: usize) -> PartitionedBulkhead<u64> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(parallelism);
    builder.waiting_room(room).max_partitions(max).build().unwrap()
}

/// Which of these keys have a partition.
fn retained(customers: &PartitionedBulkhead<u64>, keys: impl IntoIterator<Item = u64>) -> Vec<u64> {
    keys.into_iter().filter(|key| customers.partition_status(key).is_some()).collect()
}

/// Polls an admission that must wait.
fn waiting(admission: Admission) -> Spawn<Admission> {
    let mut waiter = task::spawn(admission);
    assert_pending!(waiter.poll());
    waiter
}

/// The slot of a waiter that was woken for it.
fn slot_of(waiter: &mut Spawn<Admission>) -> Slot {
    assert!(waiter.is_woken(), "an admitted waiter is woken");
    assert_ready_ok!(waiter.poll())
}

/// The rejection of a waiter that was woken for it.
fn rejection_of(waiter: &mut Spawn<Admission>) -> Rejection {
    assert!(waiter.is_woken(), "a rejected waiter is woken");
    assert_ready_err!(waiter.poll())
}

/// What a handler was told, in the order of the telling.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<BulkheadEvent>>>);

impl Log {
    fn handler(&self) -> impl Fn(&BulkheadEvent) + Send + Sync + 'static + use<> {
        let log = self.clone();
        move |event| log.0.lock().unwrap().push(event.clone())
    }

    fn take(&self) -> Vec<BulkheadEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn take_kinds(&self) -> Vec<EventKind> {
        self.take().iter().map(|event| event.kind).collect()
    }
}

/// What holds in every status of all partitions together.
#[track_caller]
fn assert_all_consistent(status: &PartitionedStatus) {
    let totals = &status.totals;
    let in_flight = status.in_flight as u64;
    assert_eq!(totals.admitted, in_flight + totals.finished + totals.abandoned, "{status:?}");
    assert_eq!(totals.admitted_units, totals.admitted, "{status:?}");
    assert_eq!(totals.queued, status.waiting as u64 + totals.settled_waiting(), "{status:?}");
    assert_eq!(status.created, status.partitions as u64 + status.evicted + status.discarded);
    assert!(status.partitions <= status.max_partitions, "{} partitions", status.partitions);
    assert!(status.peak_partitions <= status.max_partitions, "{}", status.peak_partitions);
    assert!(status.active_partitions <= status.partitions);
    assert!(status.peak_partitions >= status.partitions);
}

/// This many cases of a property, or as many as `PROPTEST_CASES` says.
fn cases(number: u32) -> proptest::test_runner::Config {
    let mut config = proptest::test_runner::Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = number;
    }
    config
}
