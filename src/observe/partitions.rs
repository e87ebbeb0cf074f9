//! `PartitionedStatus`: the status of all partitions of a bulkhead together.

use std::time::Duration;

use super::interval::{IntervalError, check_order};
use crate::{core::gate::counts::Totals, sync::Arc};

/// The status of all partitions of a bulkhead together, including removed ones.
///
/// Each partition is read at a single instant, but different partitions at different instants. The
/// identities of [`Totals`] hold over all of them. A status contains no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionedStatus {
    /// The label of the bulkhead.
    pub label: Arc<str>,
    /// A number that is unique to this bulkhead within the process.
    pub instance: u64,
    /// A number that rises strictly with every status of this bulkhead.
    pub sequence: u64,
    /// Operations that may run at once in a partition, unless `limits_for` specifies otherwise.
    pub parallelism: usize,
    /// Operations that may wait in a partition, unless `limits_for` specifies otherwise.
    pub waiting_room: usize,
    /// The longest time an operation may wait, or `None` if there is no limit.
    pub wait_limit: Option<Duration>,
    /// Partitions that may be retained.
    pub max_partitions: usize,
    /// How long an idle partition is retained.
    pub idle_timeout: Duration,
    /// Partitions retained.
    pub partitions: usize,
    /// Partitions in use.
    pub active_partitions: usize,
    /// Operations running, in all partitions.
    pub in_flight: usize,
    /// Operations waiting, in all partitions.
    pub waiting: usize,
    /// Whether the bulkhead is closed.
    pub is_closed: bool,
    /// Partitions ever created.
    pub created: u64,
    /// Partitions removed to make room for a new key, or because they were idle for the idle timeout.
    pub evicted: u64,
    /// Partitions removed by `discard`.
    pub discarded: u64,
    /// Operations rejected because no partition could be created for their key: all were in use, or
    /// `limits_for` panicked or returned invalid limits.
    pub limit_rejected: u64,
    /// The highest number of partitions ever retained at once.
    pub peak_partitions: usize,
    /// Counters over all partitions, including removed ones.
    pub totals: Totals,
}

/// The difference between two statuses of one partitioned bulkhead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionedInterval {
    /// The earlier status.
    pub start: PartitionedStatus,
    /// The later status.
    pub end: PartitionedStatus,
    /// The counts between the two statuses.
    pub totals: Totals,
}

impl PartitionedStatus {
    /// Returns the interval from `earlier`, a status of the same bulkhead, to this status.
    ///
    /// # Errors
    ///
    /// Returns an [`IntervalError`] if the statuses are of different bulkheads or in reverse order.
    pub fn since(&self, earlier: &Self) -> Result<PartitionedInterval, IntervalError> {
        check_order(
            (&self.label, self.instance, self.sequence),
            (&earlier.label, earlier.instance, earlier.sequence),
        )?;
        let totals = self.totals.minus(&earlier.totals);
        Ok(PartitionedInterval { start: earlier.clone(), end: self.clone(), totals })
    }

    /// Returns `true` if the bulkhead is closed and its last operation has ended.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_closed && self.in_flight == 0
    }
}

/// Counts of partitions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartitionCounts {
    pub(crate) created: u64,
    pub(crate) evicted: u64,
    pub(crate) discarded: u64,
    pub(crate) limit_rejected: u64,
    pub(crate) peak: usize,
}

impl PartitionCounts {
    /// Returns how many partitions are neither evicted nor discarded.
    pub(crate) fn retained(&self) -> usize {
        (self.created - self.evicted - self.discarded) as usize
    }

    pub(crate) fn count_created(&mut self) {
        self.created += 1;
        self.peak = self.peak.max(self.retained());
    }
}
