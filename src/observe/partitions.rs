//! `PartitionedStatus`: the status of all partitions of a bulkhead together.

use std::time::Duration;

use tokio::time::Instant;

use super::interval::{IntervalError, check_order, per_second};
use crate::{
    core::gate::{counts::Totals, histogram::Histogram, times::HoldTimes},
    sync::Arc,
};

/// The status of all partitions of a bulkhead together, including removed ones.
///
/// Each partition is read at a single instant, but different partitions at different instants. The
/// identities of [`Totals`] hold over all of them. A status contains no keys.
///
/// Two statuses are equal if the bulkhead was in the same state: `sequence`, `taken_at`, `age` and `current_pressure` are
/// not compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartitionedStatus {
    /// The label of the bulkhead.
    pub label: Arc<str>,
    /// A number that is unique to this bulkhead within the process.
    pub instance: u64,
    /// A number that rises strictly with every status of this bulkhead.
    pub sequence: u64,
    /// Operations that may run at once in a partition, unless `limits_for` or `set_limits` specifies otherwise.
    pub parallelism: usize,
    /// Operations that may wait in a partition, unless `limits_for` or `set_limits` specifies otherwise.
    pub waiting_room: usize,
    /// The longest time an operation may wait, or `None` if there is no limit.
    pub wait_limit: Option<Duration>,
    /// What all keys share, if the bulkhead has a `total_parallelism`.
    pub total: Option<TotalStatus>,
    /// Partitions that may be retained. More are while some of them are in use after this was lowered.
    pub max_partitions: usize,
    /// How long an idle partition is retained.
    pub idle_timeout: Duration,
    /// Keys with limits of their own, given by `set_limits` or `resize_partition`.
    pub overrides: usize,
    /// Partitions retained.
    pub partitions: usize,
    /// Partitions in use.
    pub active_partitions: usize,
    /// Operations running, in all partitions.
    pub in_flight: usize,
    /// Operations waiting, in all partitions.
    pub waiting: usize,
    /// Whether the bulkhead is paused: no operation is admitted until it is resumed.
    pub is_paused: bool,
    /// Whether the bulkhead is draining: newcomers are rejected, and it is closed once nobody waits in any partition.
    pub is_draining: bool,
    /// Whether the bulkhead is closed.
    pub is_closed: bool,
    /// Partitions ever created.
    pub created: u64,
    /// Partitions removed to make room for a new key, or because they were idle for the idle timeout.
    pub evicted: u64,
    /// Partitions removed by `discard`.
    pub discarded: u64,
    /// The highest number of partitions ever retained at once.
    pub peak_partitions: usize,
    /// Counters over all partitions, including removed ones.
    pub totals: Totals,
    /// When the status was taken, by tokio's clock.
    pub taken_at: Instant,
    /// How long the bulkhead existed then.
    pub age: Duration,
    /// Partitions in which operations were waiting.
    pub partitions_under_pressure: usize,
    /// How long operations had been waiting in these partitions, added up over the current period of each.
    pub current_pressure: Duration,
    /// How long the operations waited that were admitted from a waiting line, over all partitions.
    pub waits: Histogram,
    /// How long the operations waited that were cancelled, over all partitions.
    pub patience: Histogram,
    /// How long operations held their slots, over all partitions.
    pub holds: HoldTimes,
}

/// What is known of a partitioned bulkhead without reading its partitions. See
/// [`PartitionedBulkhead::gauges`](crate::PartitionedBulkhead::gauges).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PartitionGauges {
    /// Partitions that are retained, idle ones included.
    pub partitions: usize,
    /// Partitions in which operations run or wait, or that are held by a handle.
    pub active_partitions: usize,
    /// The most partitions that may be retained.
    pub max_partitions: usize,
    /// What all keys share, if they share a capacity: also how many operations run and wait, of all keys together.
    pub total: Option<TotalStatus>,
}

/// The capacity that all keys of a partitioned bulkhead share, at a single instant.
///
/// Two are equal if the bulkhead was in the same state: `pressure` is not compared.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TotalStatus {
    /// Operations of all keys together that may run at once.
    pub parallelism: usize,
    /// Operations of all keys together that may wait. Keys that do not use what they are guaranteed may wait beyond it.
    pub waiting_room: usize,
    /// Operations running, of all keys.
    pub in_flight: usize,
    /// Operations waiting, of all keys.
    pub waiting: usize,
    /// Keys of which somebody was waiting.
    pub waiting_keys: usize,
    /// Slots that the retained keys are guaranteed, together.
    pub guaranteed: usize,
    /// Most operations running at once.
    pub peak_in_flight: usize,
    /// Most operations waiting at once.
    pub peak_waiting: usize,
    /// Most keys of which somebody was waiting at once.
    pub peak_waiting_keys: usize,
    /// How long somebody was waiting who could have run but for the shared capacity. The time in which keys compete; a key that
    /// is only held up by its own parallelism does not count.
    pub pressure: Duration,
}

/// What a key competes with for the capacity that all keys share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionShare {
    /// Its weight.
    pub weight: usize,
    /// Operations of it that come before those of others.
    pub guaranteed: usize,
    /// For how long it held slots while keys competed, added up over all of them, since its partition was created.
    pub seat_time: Duration,
}

impl PartialEq for TotalStatus {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            parallelism,
            waiting_room,
            in_flight,
            waiting,
            waiting_keys,
            guaranteed,
            peak_in_flight,
            peak_waiting,
            peak_waiting_keys,
            pressure: _,
        } = *self;
        parallelism == other.parallelism
            && waiting_room == other.waiting_room
            && in_flight == other.in_flight
            && waiting == other.waiting
            && peak_in_flight == other.peak_in_flight
            && peak_waiting == other.peak_waiting
            && waiting_keys == other.waiting_keys
            && guaranteed == other.guaranteed
            && peak_waiting_keys == other.peak_waiting_keys
    }
}

impl PartialEq for PartitionedStatus {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            label,
            instance,
            sequence: _,
            parallelism,
            waiting_room,
            wait_limit,
            total,
            max_partitions,
            idle_timeout,
            overrides,
            partitions,
            active_partitions,
            in_flight,
            waiting,
            is_paused,
            is_draining,
            is_closed,
            created,
            evicted,
            discarded,
            peak_partitions,
            totals,
            taken_at: _,
            age: _,
            partitions_under_pressure,
            current_pressure: _,
            waits,
            patience,
            holds,
        } = self;
        *label == other.label
            && *instance == other.instance
            && *parallelism == other.parallelism
            && *waiting_room == other.waiting_room
            && *wait_limit == other.wait_limit
            && *total == other.total
            && *max_partitions == other.max_partitions
            && *idle_timeout == other.idle_timeout
            && *overrides == other.overrides
            && *partitions == other.partitions
            && *active_partitions == other.active_partitions
            && *in_flight == other.in_flight
            && *waiting == other.waiting
            && *is_paused == other.is_paused
            && *is_draining == other.is_draining
            && *is_closed == other.is_closed
            && *created == other.created
            && *evicted == other.evicted
            && *discarded == other.discarded
            && *peak_partitions == other.peak_partitions
            && *totals == other.totals
            && *partitions_under_pressure == other.partitions_under_pressure
            && *waits == other.waits
            && *patience == other.patience
            && *holds == other.holds
    }
}

/// The difference between two statuses of one partitioned bulkhead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PartitionedInterval {
    /// The earlier status.
    pub start: PartitionedStatus,
    /// The later status.
    pub end: PartitionedStatus,
    /// The counts between the two statuses.
    pub totals: Totals,
    /// The time between them.
    pub elapsed: Duration,
    /// Partitions that were created.
    pub created: u64,
    /// Partitions that were evicted.
    pub evicted: u64,
    /// Partitions that were discarded.
    pub discarded: u64,
    /// How long the operations waited that were admitted from a waiting line.
    pub waits: Histogram,
    /// How long the operations waited that were cancelled.
    pub patience: Histogram,
    /// How long operations held their slots.
    pub holds: HoldTimes,
}

impl PartitionedInterval {
    /// Returns how long keys competed for the capacity that they share, or `None` if they share none: somebody was waiting who
    /// could have run but for it.
    #[must_use]
    pub fn competed(&self) -> Option<Duration> {
        let (start, end) = (self.start.total?, self.end.total?);
        Some(end.pressure.saturating_sub(start.pressure).min(self.elapsed))
    }

    /// Returns how long operations were waiting in the interval, added up over all partitions.
    #[must_use]
    pub fn pressure(&self) -> Duration {
        self.end.pressure().saturating_sub(self.start.pressure())
    }

    /// Returns how many operations arrived per second; `None` if the interval has no length.
    #[must_use]
    pub fn arrivals_per_second(&self) -> Option<f64> {
        per_second(self.totals.arrived() as f64, self.elapsed)
    }

    /// Returns how many operations were admitted per second; `None` if the interval has no length.
    #[must_use]
    pub fn admissions_per_second(&self) -> Option<f64> {
        per_second(self.totals.admitted as f64, self.elapsed)
    }

    /// Returns how many operations completed per second; `None` if the interval has no length.
    #[must_use]
    pub fn completions_per_second(&self) -> Option<f64> {
        per_second(self.totals.completed() as f64, self.elapsed)
    }

    /// Returns how many operations were rejected per second; `None` if the interval has no length.
    #[must_use]
    pub fn rejections_per_second(&self) -> Option<f64> {
        per_second(self.totals.rejected() as f64, self.elapsed)
    }

    /// Returns the mean time for which completed operations held their slots: an estimate, see [`HoldTimes`]. `None` if
    /// none was timed.
    #[must_use]
    pub fn mean_hold(&self) -> Option<Duration> {
        self.holds.mean()
    }

    /// Returns whether any operation was counted, or any partition created or removed.
    #[must_use]
    pub fn has_activity(&self) -> bool {
        self.totals.has_activity() || self.created > 0 || self.evicted > 0 || self.discarded > 0
    }
}

impl PartitionedStatus {
    /// Returns the interval from `earlier`, a status of the same bulkhead, to this status.
    ///
    /// # Errors
    ///
    /// Returns an [`IntervalError`] if the statuses are of different bulkheads or in reverse order, or a counter has
    /// decreased.
    pub fn since(&self, earlier: &Self) -> Result<PartitionedInterval, IntervalError> {
        check_order(
            (&self.label, self.instance, self.sequence),
            (&earlier.label, earlier.instance, earlier.sequence),
        )?;
        let decreased = || IntervalError::CountersDecreased { label: self.label.clone() };
        let counted = |later: u64, earlier| later.checked_sub(earlier).ok_or_else(decreased);
        Ok(PartitionedInterval {
            elapsed: self.taken_at.saturating_duration_since(earlier.taken_at),
            totals: self.totals.since(&earlier.totals).ok_or_else(decreased)?,
            created: counted(self.created, earlier.created)?,
            evicted: counted(self.evicted, earlier.evicted)?,
            discarded: counted(self.discarded, earlier.discarded)?,
            waits: self.waits.since(&earlier.waits).ok_or_else(decreased)?,
            patience: self.patience.since(&earlier.patience).ok_or_else(decreased)?,
            holds: self.holds.since(&earlier.holds).ok_or_else(decreased)?,
            start: earlier.clone(),
            end: self.clone(),
        })
    }

    /// Returns the status of the bulkhead at its creation, when nothing had been counted.
    pub(super) fn at_creation(&self) -> Self {
        Self {
            label: self.label.clone(),
            instance: self.instance,
            sequence: 0,
            parallelism: self.parallelism,
            waiting_room: self.waiting_room,
            wait_limit: self.wait_limit,
            total: self.total.map(|total| TotalStatus {
                in_flight: 0,
                waiting: 0,
                waiting_keys: 0,
                guaranteed: 0,
                peak_in_flight: 0,
                peak_waiting: 0,
                peak_waiting_keys: 0,
                pressure: Duration::ZERO,
                ..total
            }),
            max_partitions: self.max_partitions,
            idle_timeout: self.idle_timeout,
            overrides: self.overrides,
            partitions: 0,
            active_partitions: 0,
            in_flight: 0,
            waiting: 0,
            is_paused: false,
            is_draining: false,
            is_closed: false,
            created: 0,
            evicted: 0,
            discarded: 0,
            peak_partitions: 0,
            totals: Totals::default(),
            taken_at: self.taken_at.checked_sub(self.age).unwrap_or(self.taken_at),
            age: Duration::ZERO,
            partitions_under_pressure: 0,
            current_pressure: Duration::ZERO,
            waits: Histogram::default(),
            patience: Histogram::default(),
            holds: HoldTimes::default(),
        }
    }

    /// Returns how long operations had been waiting when the status was taken, added up over all partitions and all periods
    /// of pressure.
    #[must_use]
    pub fn pressure(&self) -> Duration {
        self.totals.pressure_time.saturating_add(self.current_pressure)
    }

    /// Returns the number of retained partitions that are not in use.
    #[must_use]
    pub fn idle_partitions(&self) -> usize {
        self.partitions.saturating_sub(self.active_partitions)
    }

    /// Returns how many more partitions can be created before one must be evicted.
    #[must_use]
    pub fn free_partitions(&self) -> usize {
        self.max_partitions.saturating_sub(self.partitions)
    }

    /// Returns whether as many partitions are retained as may be.
    #[must_use]
    pub fn is_at_partition_limit(&self) -> bool {
        self.partitions >= self.max_partitions
    }

    /// Returns whether all partitions are in use: an operation with a new key would be rejected.
    #[must_use]
    pub fn is_out_of_partitions(&self) -> bool {
        self.is_at_partition_limit() && self.active_partitions >= self.partitions
    }

    /// Returns the partitions in use as a share of `max_partitions`.
    #[must_use]
    pub fn partition_utilization(&self) -> f64 {
        self.active_partitions as f64 / self.max_partitions.max(1) as f64
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
