//! What a partition knows of the whole, and the whole of itself without its keys.

use std::{fmt, time::Duration};

use crate::{
    core::{
        gate::Gate,
        operation::drain::Drain,
        rejection::{Clerk, Rejection, reason::RejectionReason},
    },
    sync::{Arc, Mutex},
};

/// What all partitions of one bulkhead share.
pub(crate) struct Family {
    pub(super) label: Arc<str>,
    pub(super) wait_limit: Option<Duration>,
    /// The gate that nobody passes. It counts what concerns no partition, numbers the statuses, and
    /// its close is the whole's.
    pub(super) lobby: Gate,
    /// Who writes the rejections of all.
    pub(super) clerk: Mutex<Clerk>,
    /// Counted like any other, so that giving up a pin costs no look at whether it is still there. The
    /// keeper holds the partitions, which hold this: the shelf parts them when it goes.
    pub(super) keeper: Arc<dyn Keeper>,
}

/// Who keeps count of the pins.
pub(crate) trait Keeper: Send + Sync {
    /// Gives up a pin of a partition.
    fn unpin(&self, part: &Part);
}

impl Family {
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(crate) fn wait_limit(&self) -> Option<Duration> {
        self.wait_limit
    }

    /// Waits until the whole is closed.
    pub(super) fn wait_closed(&self) -> Drain<'_> {
        Drain::new(&self.lobby)
    }

    #[inline]
    pub(crate) fn clerk(&self) -> &Mutex<Clerk> {
        &self.clerk
    }

    pub(crate) fn count_bypass(&self) {
        self.lobby.count_bypass();
    }

    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        self.clerk.lock().reject(reason)
    }
}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("label", &self.label).finish_non_exhaustive()
    }
}

/// What a compartment knows of itself as a partition. The key is not part of it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) family: Arc<Family>,
    pub(crate) instance: u64,
    /// Where its entry is in its shard.
    pub(super) at: u32,
    /// Which shard, and where in its table.
    pub(super) hash: u32,
}

impl Part {
    /// Gives up a pin.
    #[inline]
    pub(crate) fn unpin(&self) {
        self.family.keeper.unpin(self);
    }
}
