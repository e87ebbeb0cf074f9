//! The reference for a bulkhead of any kind, and its comparison with the real one.

use std::time::Duration;

use bulklink::{Bulkhead, BulkheadStatus, PartitionedBulkhead, WeightedBulkhead};

use self::{
    bulkhead::{Id, Model, Outcome, Terms},
    partitioned::{Key, PartitionedModel},
};
use crate::support::{assert_identities, assert_plain};

pub(crate) mod bulkhead;
pub(crate) mod observed;
pub(crate) mod partitioned;

pub(crate) enum Reference {
    Plain(Model),
    Weighted(Model),
    Partitioned(PartitionedModel),
}

/// Runs `$act` on the reference of any kind.
macro_rules! either {
    ($self:expr, $reference:ident => $act:expr) => {
        match $self {
            Reference::Plain($reference) | Reference::Weighted($reference) => $act,
            Reference::Partitioned($reference) => $act,
        }
    };
}

impl Reference {
    pub(crate) fn arrive(&mut self, id: Id, key: Key, terms: Terms) -> Outcome {
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.arrive(id, terms),
            Self::Partitioned(partitioned) => partitioned.arrive(id, key, terms),
        }
    }

    pub(crate) fn poll_waiter(&mut self, id: Id) -> Outcome {
        either!(self, reference => reference.poll_waiter(id))
    }

    pub(crate) fn release(&mut self, id: Id) {
        either!(self, reference => reference.release(id));
    }

    pub(crate) fn leave(&mut self, id: Id) {
        either!(self, reference => reference.leave(id));
    }

    pub(crate) fn resize(&mut self, key: Key, capacity: usize) -> bool {
        match self {
            Self::Plain(model) => model.resize(capacity, false),
            Self::Weighted(model) => model.resize(capacity, true),
            Self::Partitioned(partitioned) => partitioned.resize(key, capacity),
        }
    }

    pub(crate) fn close(&mut self) {
        either!(self, reference => reference.close());
    }

    pub(crate) fn bypass(&mut self) {
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.totals.bypassed += 1,
            Self::Partitioned(partitioned) => partitioned.bypassed += 1,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        either!(self, reference => reference.now)
    }

    /// Advances time, and returns the waiters whose limit or deadline has passed meanwhile.
    pub(crate) fn advance(&mut self, time: Duration) -> Vec<Id> {
        let before = self.now();
        either!(self, reference => reference.now += time);
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.due(before),
            Self::Partitioned(partitioned) => {
                let now = partitioned.now;
                let due = |partition: &mut Model| {
                    partition.now = now;
                    partition.due(before)
                };
                partitioned.partitions.values_mut().flat_map(due).collect()
            }
        }
    }

    /// Returns the waiters that were admitted or rejected by the close since the last call, in order.
    pub(crate) fn take_called(&mut self) -> Vec<Id> {
        either!(self, reference => std::mem::take(&mut reference.called))
    }

    pub(crate) fn is_drained(&self) -> bool {
        either!(self, reference => reference.is_drained())
    }
}

/// The bulkhead under test.
#[derive(Clone)]
pub(crate) enum Real {
    Plain(Bulkhead),
    Weighted(WeightedBulkhead),
    Partitioned(PartitionedBulkhead<Key>),
}

impl Real {
    pub(crate) fn close(&self) {
        match self {
            Self::Plain(bulkhead) => bulkhead.close(),
            Self::Weighted(bulkhead) => bulkhead.close(),
            Self::Partitioned(bulkhead) => bulkhead.close(),
        }
    }

    /// Resizes, and returns whether that was possible.
    pub(crate) fn resize(&self, key: Key, capacity: usize) -> bool {
        match self {
            Self::Plain(bulkhead) => bulkhead.resize(capacity).is_ok(),
            Self::Weighted(bulkhead) => bulkhead.resize(capacity).is_ok(),
            Self::Partitioned(bulkhead) => bulkhead.resize_partition(&key, capacity).is_ok(),
        }
    }

    /// Waits until the bulkhead is closed and drained.
    pub(crate) async fn wait_closed(self) {
        match self {
            Self::Plain(bulkhead) => bulkhead.wait_closed().await,
            Self::Weighted(bulkhead) => bulkhead.wait_closed().await,
            Self::Partitioned(bulkhead) => bulkhead.wait_closed().await,
        }
    }
}

/// Compares everything that a status shows, and returns the sequence number of the status.
#[track_caller]
pub(crate) fn compare(real: &Real, reference: &Reference) -> u64 {
    match (real, reference) {
        (Real::Plain(bulkhead), Reference::Plain(model)) => {
            let status = bulkhead.status();
            assert_plain(&status);
            compare_one(&status, model);
            status.sequence
        }
        (Real::Weighted(bulkhead), Reference::Weighted(model)) => {
            let status = bulkhead.status();
            compare_one(&status, model);
            status.sequence
        }
        (Real::Partitioned(bulkhead), Reference::Partitioned(partitioned)) => {
            compare_partitioned(bulkhead, partitioned)
        }
        _ => unreachable!("the kinds differ"),
    }
}

#[track_caller]
fn compare_one(status: &BulkheadStatus, model: &Model) {
    assert_identities(status);
    assert_eq!(status.capacity, model.capacity, "capacity");
    assert_eq!(status.waiting_room, model.room, "waiting room");
    assert_eq!(status.used, model.used(), "used");
    assert_eq!(status.in_flight, model.in_flight(), "in flight");
    assert_eq!(status.waiting, model.waiting(), "waiting");
    assert_eq!(status.waiting_units, model.waiting_units(), "waiting units");
    assert_eq!(status.is_closed, model.is_closed, "closed");
    assert_eq!(status.is_drained(), model.is_drained(), "drained");
    assert_eq!(status.totals, model.totals, "totals");
    assert_eq!(status.peaks, model.peaks, "peaks");
}

#[track_caller]
fn compare_partitioned(bulkhead: &PartitionedBulkhead<Key>, partitioned: &PartitionedModel) -> u64 {
    let status = bulkhead.status();
    assert_eq!(status.partitions, partitioned.partitions.len(), "partitions");
    assert_eq!(status.active_partitions, partitioned.active(), "active partitions");
    assert_eq!(status.in_flight, partitioned.sum(Model::in_flight), "in flight");
    assert_eq!(status.waiting, partitioned.sum(Model::waiting), "waiting");
    assert_eq!(status.is_closed, partitioned.is_closed, "closed");
    assert_eq!(status.created, partitioned.created, "created");
    assert_eq!(status.evicted, partitioned.evicted, "evicted");
    assert_eq!(status.discarded, partitioned.discarded, "discarded");
    assert_eq!(status.peak_partitions, partitioned.peak, "peak partitions");
    assert_eq!(status.totals, partitioned.totals(), "totals");
    for key in 0..6 {
        let partition = bulkhead.partition_status(&key);
        assert_eq!(
            partition.is_some(),
            partitioned.partitions.contains_key(&key),
            "partition {key}"
        );
        if let (Some(status), Some(model)) = (partition, partitioned.partitions.get(&key)) {
            assert_plain(&status);
            compare_one(&status, model);
        }
    }
    status.sequence
}
