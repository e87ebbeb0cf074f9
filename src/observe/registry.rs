//! The values of a registry: the status of a bulkhead of any kind, snapshots of all of them, and intervals.
//!
//! It owns how two snapshots are matched. It does not own the registered bulkheads.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    interval::BulkheadInterval,
    partitions::{PartitionedInterval, PartitionedStatus},
    report::CapacityReport,
    status::BulkheadStatus,
};
use crate::core::gate::counts::Totals;

/// The status of a bulkhead of any kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RegistryStatus {
    /// The status of a plain or weighted bulkhead.
    Bulkhead(BulkheadStatus),
    /// The status of a partitioned bulkhead.
    Partitioned(PartitionedStatus),
}

impl RegistryStatus {
    /// Returns the bulkhead's label.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Bulkhead(status) => &status.label,
            Self::Partitioned(status) => &status.label,
        }
    }

    /// Returns the number that is unique to the bulkhead within the process.
    #[must_use]
    pub fn instance(&self) -> u64 {
        match self {
            Self::Bulkhead(status) => status.instance,
            Self::Partitioned(status) => status.instance,
        }
    }

    /// Returns the number that rises strictly with every status of the bulkhead.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Bulkhead(status) => status.sequence,
            Self::Partitioned(status) => status.sequence,
        }
    }

    /// Returns the counters since the bulkhead was created.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        match self {
            Self::Bulkhead(status) => &status.totals,
            Self::Partitioned(status) => &status.totals,
        }
    }

    /// Returns `true` if the bulkhead is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        match self {
            Self::Bulkhead(status) => status.is_paused,
            Self::Partitioned(status) => status.is_paused,
        }
    }

    /// Returns `true` if the bulkhead is draining.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        match self {
            Self::Bulkhead(status) => status.is_draining,
            Self::Partitioned(status) => status.is_draining,
        }
    }

    /// Returns `true` if the bulkhead is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Bulkhead(status) => status.is_closed,
            Self::Partitioned(status) => status.is_closed,
        }
    }

    /// Returns `true` if the bulkhead is closed and its last operation has ended.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        match self {
            Self::Bulkhead(status) => status.is_drained(),
            Self::Partitioned(status) => status.is_drained(),
        }
    }

    /// Returns the status of a plain or weighted bulkhead, or `None` if the bulkhead is partitioned.
    #[must_use]
    pub fn bulkhead(&self) -> Option<&BulkheadStatus> {
        match self {
            Self::Bulkhead(status) => Some(status),
            Self::Partitioned(_) => None,
        }
    }

    /// Returns the status of a partitioned bulkhead, or `None` if the bulkhead is plain or weighted.
    #[must_use]
    pub fn partitioned(&self) -> Option<&PartitionedStatus> {
        match self {
            Self::Bulkhead(_) => None,
            Self::Partitioned(status) => Some(status),
        }
    }

    /// Assesses everything since the bulkhead was created, and its current state.
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        match self {
            Self::Bulkhead(status) => status.capacity_report(),
            Self::Partitioned(status) => status.capacity_report(),
        }
    }

    /// Returns the interval from `earlier`, from the bulkhead's creation if there is no earlier status, or an empty one
    /// if `earlier` is not earlier.
    fn interval_since(&self, earlier: Option<&Self>) -> RegisteredInterval {
        match self {
            Self::Bulkhead(end) => {
                let since = |start: &BulkheadStatus| end.since(start).ok();
                let interval = match earlier.and_then(Self::bulkhead) {
                    Some(start) => since(start),
                    None => since(&end.at_creation()),
                };
                RegisteredInterval::Bulkhead(interval.unwrap_or_else(|| BulkheadInterval {
                    start: end.clone(),
                    end: end.clone(),
                    elapsed: Duration::ZERO,
                    totals: Default::default(),
                    waits: Default::default(),
                    patience: Default::default(),
                    holds: Default::default(),
                }))
            }
            Self::Partitioned(end) => {
                let since = |start: &PartitionedStatus| end.since(start).ok();
                let interval = match earlier.and_then(Self::partitioned) {
                    Some(start) => since(start),
                    None => since(&end.at_creation()),
                };
                RegisteredInterval::Partitioned(interval.unwrap_or_else(|| PartitionedInterval {
                    start: end.clone(),
                    end: end.clone(),
                    elapsed: Duration::ZERO,
                    totals: Default::default(),
                    created: 0,
                    evicted: 0,
                    discarded: 0,
                    waits: Default::default(),
                    patience: Default::default(),
                    holds: Default::default(),
                }))
            }
        }
    }
}

/// The statuses of all bulkheads of a registry.
///
/// Each status is taken at its own instant.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, BulkheadRegistry};
///
/// let registry = BulkheadRegistry::new();
/// let payments = registry.create(Bulkhead::builder("payments").parallelism(10))?;
/// let before = registry.snapshot();
/// drop(payments.slot_now()?);
/// registry.create(Bulkhead::builder("orders").parallelism(5))?;
///
/// let interval = registry.snapshot().since(&before);
/// assert_eq!(interval.intervals[0].totals().finished, 1);
/// // A bulkhead that is new counts from its creation.
/// assert_eq!(interval.intervals[1].label(), "orders");
/// for report in interval.capacity_reports() {
///     println!("{}", report.summary());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrySnapshot {
    /// When the snapshot was begun, by tokio's clock.
    pub taken_at: Instant,
    /// The statuses, in the order of registration.
    pub statuses: Vec<RegistryStatus>,
    /// How many configurations were applied to the registry: 0 if it was made by code alone, 1 if it was built from one.
    pub config_generation: u64,
    /// When the last one was applied.
    pub config_applied_at: Option<SystemTime>,
}

/// What happened in all bulkheads of a registry between two snapshots.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryInterval {
    /// The time between the snapshots.
    pub elapsed: Duration,
    /// The interval of each bulkhead in the later snapshot, in the order of registration.
    pub intervals: Vec<RegisteredInterval>,
    /// The earlier statuses of the bulkheads that are not in the later snapshot. A bulkhead that was replaced by another
    /// one with the same label is among them.
    pub removed: Vec<RegistryStatus>,
}

/// The interval of a bulkhead of any kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is one for each bulkhead, for a moment")]
pub enum RegisteredInterval {
    /// The interval of a plain or weighted bulkhead.
    Bulkhead(BulkheadInterval),
    /// The interval of a partitioned bulkhead.
    Partitioned(PartitionedInterval),
}

impl RegistrySnapshot {
    pub(crate) fn new(taken_at: Instant, statuses: Vec<RegistryStatus>) -> Self {
        Self { taken_at, statuses, config_generation: 0, config_applied_at: None }
    }

    pub(crate) fn configured(self, generation: u64, applied_at: Option<SystemTime>) -> Self {
        Self { config_generation: generation, config_applied_at: applied_at, ..self }
    }

    /// Returns what happened in each bulkhead since `earlier`.
    ///
    /// A bulkhead that is not in `earlier` counts from zero: its interval begins with its creation, which may be before
    /// `earlier` if it was registered later. The status that such an interval starts with has the sizes of its end.
    ///
    /// A bulkhead has an empty interval if its status in `earlier` is not the earlier one, because the snapshots were
    /// swapped, taken concurrently, or changed.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> RegistryInterval {
        let (before, after) = (by_instance(&earlier.statuses), by_instance(&self.statuses));
        let interval = |status: &RegistryStatus| {
            status.interval_since(before.get(&status.instance()).copied())
        };
        let is_gone = |status: &&RegistryStatus| !after.contains_key(&status.instance());
        RegistryInterval {
            elapsed: self.taken_at.saturating_duration_since(earlier.taken_at),
            intervals: self.statuses.iter().map(interval).collect(),
            removed: earlier.statuses.iter().filter(is_gone).cloned().collect(),
        }
    }

    /// Returns the status of the bulkhead with this label, which is trimmed, or `None` if there is none.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&RegistryStatus> {
        self.statuses.iter().find(|status| status.label() == label.trim())
    }
}

fn by_instance(statuses: &[RegistryStatus]) -> HashMap<u64, &RegistryStatus> {
    statuses.iter().map(|status| (status.instance(), status)).collect()
}

impl RegistryInterval {
    /// Returns the interval of the bulkhead with this label, which is trimmed, or `None` if there is none.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&RegisteredInterval> {
        self.intervals.iter().find(|interval| interval.label() == label.trim())
    }

    /// Returns the capacity report of each interval, in the same order.
    #[must_use]
    pub fn capacity_reports(&self) -> Vec<CapacityReport> {
        self.intervals.iter().map(RegisteredInterval::capacity_report).collect()
    }
}

impl RegisteredInterval {
    /// Returns the bulkhead's label.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::Bulkhead(interval) => &interval.end.label,
            Self::Partitioned(interval) => &interval.end.label,
        }
    }

    /// Returns what was counted in the interval.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        match self {
            Self::Bulkhead(interval) => &interval.totals,
            Self::Partitioned(interval) => &interval.totals,
        }
    }

    /// Returns the length of the interval.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::Bulkhead(interval) => interval.elapsed,
            Self::Partitioned(interval) => interval.elapsed,
        }
    }

    /// Assesses the interval, and the state of the bulkhead at its end.
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        match self {
            Self::Bulkhead(interval) => interval.capacity_report(),
            Self::Partitioned(interval) => interval.capacity_report(),
        }
    }
}
