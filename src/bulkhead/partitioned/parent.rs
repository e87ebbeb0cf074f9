//! `PartitionParent`, what all partitions of a bulkhead share, and `PartitionLink`, a partition's reference to
//! it.
//!
//! It owns no partition and knows no keys; `map` does.

use std::fmt;

use crate::{
    core::{
        gate::{Gate, records::SharedRecords, trace},
        limits::wait_limit::WaitLimit,
        operation::milestone::Reached,
        rejection::{Rejection, cache::ONE_SECOND, reason::RejectionReason},
    },
    sync::{Arc, Ordering, UnexploredU32},
};

/// What all partitions of one bulkhead share.
pub(crate) struct PartitionParent {
    pub(super) label: Arc<str>,
    /// A gate that admits no operation. It counts what belongs to no partition and numbers the statuses, and
    /// all partitions are draining or closed when this gate is closed.
    pub(super) root_gate: Gate,
    pub(super) records: SharedRecords,
    /// A strong reference, so that releasing a pin need not check whether the counter still exists. The counter
    /// holds the partitions, which hold this parent; the map breaks the cycle when it is dropped.
    pub(super) pin_counter: Arc<dyn PinCounter>,
}

/// Counts the pins of partitions.
pub(crate) trait PinCounter: Send + Sync {
    /// Releases a pin of a partition.
    fn unpin(&self, link: &PartitionLink);
}

impl PartitionParent {
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(crate) fn wait_limit(&self) -> &WaitLimit {
        &self.records.wait_limit
    }

    /// Waits until all partitions are draining or closed.
    pub(super) fn wait_closed(&self) -> Reached<'_> {
        Reached::drained(&self.root_gate)
    }

    /// Waits until the bulkhead is draining or closed.
    pub(super) fn closing(&self) -> Reached<'_> {
        Reached::closing(&self.root_gate)
    }

    #[inline]
    pub(crate) fn records(&self) -> &SharedRecords {
        &self.records
    }

    pub(crate) fn count_bypass(&self) {
        self.root_gate.count_bypass();
    }

    /// Makes a rejection that is counted already.
    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        let rejection = self.records.rejections.lock().reject(reason, ONE_SECOND);
        trace::rejected(rejection)
    }

    /// Rejects an operation that belongs to no partition, and counts it.
    pub(crate) fn count_rejected(&self, reason: RejectionReason) -> Rejection {
        self.root_gate.count_rejected(&reason);
        self.reject(reason)
    }
}

impl fmt::Debug for PartitionParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionParent").field("label", &self.label).finish_non_exhaustive()
    }
}

/// What makes a compartment a partition of a bulkhead. It does not contain the key.
#[derive(Debug)]
pub(crate) struct PartitionLink {
    pub(crate) parent: Arc<PartitionParent>,
    pub(crate) instance: u64,
    /// The index of its entry in its shard. Read and written under the lock of the shard.
    at: UnexploredU32,
    /// The hash of its key, which determines the shard and the position in the shard's index.
    pub(crate) hash: u32,
}

impl PartitionLink {
    pub(super) fn new(parent: Arc<PartitionParent>, instance: u64, at: u32, hash: u32) -> Self {
        Self { parent, instance, at: UnexploredU32::new(at), hash }
    }

    #[inline]
    pub(super) fn index(&self) -> u32 {
        self.at.load(Ordering::Relaxed)
    }

    pub(super) fn set_index(&self, at: u32) {
        self.at.store(at, Ordering::Relaxed);
    }

    /// Releases a pin.
    #[inline]
    pub(crate) fn unpin(&self) {
        self.parent.pin_counter.unpin(self);
    }
}
