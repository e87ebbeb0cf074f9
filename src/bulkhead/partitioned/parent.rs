//! What a partition knows of the whole, and the whole of itself without its keys.

use std::{fmt, time::Duration};

use crate::{
    core::{
        gate::Gate,
        operation::drain::Drain,
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    sync::{Arc, Mutex},
};

/// What all partitions of one bulkhead share.
pub(crate) struct PartitionParent {
    pub(super) label: Arc<str>,
    pub(super) wait_limit: Option<Duration>,
    /// The gate that nobody passes. It counts what concerns no partition, numbers the statuses, and
    /// its close is the whole's.
    pub(super) root_gate: Gate,
    /// Who writes the rejections of all.
    pub(super) rejections: Mutex<RejectionCache>,
    /// Counted like any other, so that giving up a pin costs no look at whether it is still there. The
    /// keeper holds the partitions, which hold this: the shelf parts them when it goes.
    pub(super) pin_counter: Arc<dyn PinCounter>,
}

/// Who keeps count of the pins.
pub(crate) trait PinCounter: Send + Sync {
    /// Gives up a pin of a partition.
    fn unpin(&self, link: &PartitionLink);
}

impl PartitionParent {
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(crate) fn wait_limit(&self) -> Option<Duration> {
        self.wait_limit
    }

    /// Waits until the whole is closed.
    pub(super) fn wait_closed(&self) -> Drain<'_> {
        Drain::new(&self.root_gate)
    }

    #[inline]
    pub(crate) fn rejections(&self) -> &Mutex<RejectionCache> {
        &self.rejections
    }

    pub(crate) fn count_bypass(&self) {
        self.root_gate.count_bypass();
    }

    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        self.rejections.lock().reject(reason)
    }
}

impl fmt::Debug for PartitionParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("label", &self.label).finish_non_exhaustive()
    }
}

/// What a compartment knows of itself as a partition. The key is not part of it.
#[derive(Debug)]
pub(crate) struct PartitionLink {
    pub(crate) parent: Arc<PartitionParent>,
    pub(crate) instance: u64,
    /// Where its entry is in its shard.
    pub(super) at: u32,
    /// Which shard, and where in its table.
    pub(super) hash: u32,
}

impl PartitionLink {
    /// Gives up a pin.
    #[inline]
    pub(crate) fn unpin(&self) {
        self.parent.pin_counter.unpin(self);
    }
}
