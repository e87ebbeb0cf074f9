//! What a partition knows of the whole, and the whole of itself without its keys.

use std::{fmt, time::Duration};

use crate::{
    bulkhead::error::Rejection,
    core::{drain::Drain, gate::Gate, reason::RejectionReason},
    sync::{Arc, AtomicU32, Ordering, Weak},
};

/// What all partitions of one bulkhead share.
pub(crate) struct Family {
    pub(super) label: Arc<str>,
    pub(super) wait_limit: Option<Duration>,
    /// The gate that nobody passes. It counts what concerns no partition, numbers the statuses, and
    /// its close is the whole's.
    pub(super) lobby: Gate,
    /// Weak, because the keeper holds the partitions, which hold this.
    pub(super) keeper: Weak<dyn Keeper>,
}

/// Who keeps partitions that nobody uses.
pub(crate) trait Keeper: Send + Sync {
    /// Gives up what seems to be the last pin of a partition.
    fn unpin_last(&self, part: &Part);
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

    pub(crate) fn count_bypass(&self) {
        self.lobby.count_bypass();
    }

    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        Rejection::new(self.label.clone(), reason, true)
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
    /// How many operations hold on to it. From 0 and to 0 under the shard's lock only.
    pub(super) pins: AtomicU32,
    /// Where its entry is in its shard.
    pub(super) at: u32,
    /// Which shard, and where in its table.
    pub(super) hash: u32,
}

impl Part {
    /// Gives up a pin: without a lock, unless it may be the last.
    #[inline]
    pub(crate) fn unpin(&self) {
        let mut pins = self.pins.load(Ordering::Relaxed);
        while pins > 1 {
            let fewer = self.pins.compare_exchange_weak(
                pins,
                pins - 1,
                Ordering::Release,
                Ordering::Relaxed,
            );
            match fewer {
                Ok(_) => return,
                Err(seen) => pins = seen,
            }
        }
        // Where the keeper is gone, so is everything that could be found by a key.
        if let Some(keeper) = self.family.keeper.upgrade() {
            keeper.unpin_last(self);
        }
    }
}
