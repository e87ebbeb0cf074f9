//! `PartitionedStatus`: all partitions of a bulkhead together.

use std::time::Duration;

use super::interval::{IntervalError, check_order};
use crate::{core::gate::counts::Totals, sync::Arc};

/// All partitions of a bulkhead together, those that are gone included.
///
/// Each partition is read at one instant of its own, and the identities of [`Totals`] hold over all
/// of them. No key is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionedStatus {
    /// The bulkhead's name.
    pub label: Arc<str>,
    /// A number that no other bulkhead of this process has.
    pub instance: u64,
    /// Rises strictly with every status of this bulkhead.
    pub sequence: u64,
    /// Operations that may run at once in a partition, where `limits_for` does not say otherwise.
    pub parallelism: usize,
    /// Operations that may wait in a partition, where `limits_for` does not say otherwise.
    pub waiting_room: usize,
    /// Longest time an operation may be in line.
    pub wait_limit: Option<Duration>,
    /// Partitions that may be retained.
    pub max_partitions: usize,
    /// How long a partition is retained idle.
    pub idle_timeout: Duration,
    /// Partitions retained.
    pub partitions: usize,
    /// Partitions in use.
    pub active_partitions: usize,
    /// Operations running, in all partitions.
    pub in_flight: usize,
    /// Operations in line, in all partitions.
    pub waiting: usize,
    /// Whether the bulkhead was closed.
    pub is_closed: bool,
    /// Partitions ever made.
    pub created: u64,
    /// Partitions removed to make room, or because they were idle for the idle timeout.
    pub evicted: u64,
    /// Partitions removed by `discard`.
    pub discarded: u64,
    /// Operations rejected because no partition could be made for their key: all were in use, or
    /// `limits_for` gave no limits.
    pub limit_rejected: u64,
    /// Most partitions ever retained at once.
    pub peak_partitions: usize,
    /// Counters over all partitions, past and present.
    pub totals: Totals,
}

/// What happened between two statuses of one partitioned bulkhead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionedInterval {
    /// The earlier status.
    pub start: PartitionedStatus,
    /// The later status.
    pub end: PartitionedStatus,
    /// What was counted in between.
    pub totals: Totals,
}

impl PartitionedStatus {
    /// What happened since `earlier`, a status of the same bulkhead.
    ///
    /// # Errors
    ///
    /// [`IntervalError`] if the statuses are of different bulkheads or in reverse order.
    pub fn since(&self, earlier: &Self) -> Result<PartitionedInterval, IntervalError> {
        check_order(
            (&self.label, self.instance, self.sequence),
            (&earlier.label, earlier.instance, earlier.sequence),
        )?;
        let totals = self.totals.minus(&earlier.totals);
        Ok(PartitionedInterval { start: earlier.clone(), end: self.clone(), totals })
    }

    /// Whether the bulkhead is closed and its last operation has ended.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_closed && self.in_flight == 0
    }
}

/// What is counted of partitions as such.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartitionCounts {
    pub(crate) created: u64,
    pub(crate) evicted: u64,
    pub(crate) discarded: u64,
    pub(crate) limit_rejected: u64,
    pub(crate) peak: usize,
}

impl PartitionCounts {
    /// Partitions that are neither evicted nor discarded.
    pub(crate) fn retained(&self) -> usize {
        (self.created - self.evicted - self.discarded) as usize
    }

    pub(crate) fn count_created(&mut self) {
        self.created += 1;
        self.peak = self.peak.max(self.retained());
    }
}
