//! `PartitionedBulkheadBuilder`: the settings of a partitioned bulkhead, and their validation.

use std::{fmt, hash::Hash, time::Duration};

use super::{
    PartitionedBulkhead,
    map::{MapSettings, PartitionMap},
    partition_limits::{Limits, LimitsFn, PartitionLimits},
};
use crate::{
    bulkhead::{
        builder::{Settings, check_duration_not_zero, check_maximum, check_not_zero},
        error::ConfigError,
    },
    core::pool::rules::{MAX_TOTAL, PoolLimits, Share},
    sync::Arc,
};

/// The default idle timeout.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Builds a [`PartitionedBulkhead`]. Settings are validated by [`build`](Self::build).
///
/// # Examples
///
/// ```
/// use bulklink::{PartitionLimits, PartitionedBulkhead};
///
/// let customers = PartitionedBulkhead::<String>::builder("customers")
///     .parallelism(3)
///     .waiting_room(10)
///     .max_partitions(1_000)
///     .limits_for(|name| match name.as_str() {
///         "gold" => PartitionLimits::new(20).waiting_room(100),
///         _ => PartitionLimits::new(3).waiting_room(10),
///     })
///     .build()?;
/// assert_eq!(customers.max_partitions(), 1_000);
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct PartitionedBulkheadBuilder<K> {
    settings: Settings,
    max_partitions: Option<usize>,
    idle_timeout: Duration,
    total_parallelism: Option<usize>,
    total_waiting_room: Option<usize>,
    limits_for: Option<LimitsFn<K>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionedBulkheadBuilder<K> {
    pub(super) fn new(label: &str) -> Self {
        Self {
            settings: Settings::new(label),
            max_partitions: None,
            idle_timeout: IDLE_TIMEOUT,
            total_parallelism: None,
            total_waiting_room: None,
            limits_for: None,
        }
    }

    /// Sets how many operations may run at once in a partition: at least 1 and at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY). Required.
    pub fn parallelism(mut self, operations: usize) -> Self {
        self.settings.capacity = Some(operations);
        self
    }

    /// Sets how many operations may wait in a partition: at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY). Defaults to 0.
    pub fn waiting_room(mut self, operations: usize) -> Self {
        self.settings.waiting_room = operations;
        self
    }

    /// Sets the longest time one operation may wait, which must not be zero. Defaults to no limit.
    ///
    /// The line keeps it, as it keeps every deadline: an operation whose time is over has left the line, even if its task does
    /// not poll it, and gets no slot. It learns of it at its next poll. For that its runtime must run; if it is stuck or has
    /// ended, the next operation, release or status keeps the limit instead.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.settings.wait_limit = Some(limit);
        self
    }

    /// Sets how many partitions may be retained: at least 1 and at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY). Required.
    pub fn max_partitions(mut self, partitions: usize) -> Self {
        self.max_partitions = Some(partitions);
        self
    }

    /// Sets how long an idle partition is retained, which must not be zero. Defaults to 300 seconds.
    ///
    /// With [`Duration::MAX`], partitions are evicted only when `max_partitions` is reached. Using a partition
    /// then does not read the clock, which is a considerable part of the cost of a use.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how many operations of all keys together may run at once: at least 1 and at most
    /// [`MAX_TOTAL_PARALLELISM`](PartitionedBulkhead::MAX_TOTAL_PARALLELISM). Not limited unless set.
    ///
    /// While keys compete, each gets its fair share of the time in which slots are held, by
    /// [weight](PartitionLimits::weight). See [`PartitionedBulkhead`].
    ///
    /// Each operation then takes a lock that all keys share.
    pub fn total_parallelism(mut self, operations: usize) -> Self {
        self.total_parallelism = Some(operations);
        self
    }

    /// Sets how many operations of all keys together may wait: at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY). Only with
    /// [`total_parallelism`](Self::total_parallelism), and required there if any key may wait.
    ///
    /// A key may have as many places as it leaves free, times its weight: one key alone can fill half of the room, so there are
    /// places for others. As a rule of thumb, take 12 places for each key that may flood at once.
    pub fn total_waiting_room(mut self, operations: usize) -> Self {
        self.total_waiting_room = Some(operations);
        self
    }

    /// Sets what all keys share, or that they share nothing.
    pub(crate) fn totals(
        mut self,
        parallelism: Option<usize>,
        waiting_room: Option<usize>,
    ) -> Self {
        (self.total_parallelism, self.total_waiting_room) = (parallelism, waiting_room);
        self
    }

    /// Sets the function that chooses the limits of each key when its partition is created.
    ///
    /// If it panics or returns invalid limits, the operation is rejected; other keys are not affected. It may
    /// be called more than once for one key, by operations that first use the key at the same time. It may also
    /// [refuse](PartitionLimits::refused) a key. Limits that are [set](PartitionedBulkhead::set_limits) for a key go before its.
    pub fn limits_for<F>(mut self, choose: F) -> Self
    where
        F: Fn(&K) -> PartitionLimits + Send + Sync + 'static,
    {
        self.limits_for = Some(Box::new(choose));
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if a setting is missing, zero or too large, which names the setting and
    /// its value, or if the trimmed label is empty.
    pub fn build(self) -> Result<PartitionedBulkhead<K>, ConfigError> {
        let checked = self.settings.checked("parallelism")?;
        let label = checked.label;
        let max_partitions = self.max_partitions.ok_or_else(|| ConfigError::Missing {
            label: label.clone(),
            setting: "max_partitions",
        })?;
        let max_partitions = check_not_zero(&label, "max_partitions", max_partitions)? as usize;
        check_duration_not_zero(&label, "idle_timeout", Some(self.idle_timeout))?;
        let may_wait = checked.waiting_room > 0 || self.limits_for.is_some();
        let total = match (self.total_parallelism, self.total_waiting_room) {
            (None, None) => None,
            (None, Some(value)) => {
                return Err(ConfigError::WithoutTotal {
                    label,
                    setting: "total_waiting_room",
                    value,
                });
            }
            (Some(_), None) if may_wait => {
                return Err(ConfigError::Missing { label, setting: "total_waiting_room" });
            }
            (Some(capacity), room) => Some(PoolLimits {
                capacity: check_total(&label, capacity)?,
                room: check_maximum(&label, "total_waiting_room", room.unwrap_or_default())?,
            }),
        };
        let usual = Limits {
            parallelism: checked.capacity,
            waiting_room: checked.waiting_room,
            share: Share::EVEN,
        };
        let settings =
            MapSettings { usual, total, max_partitions, idle_timeout: self.idle_timeout };
        let map = PartitionMap::new(label, checked.wait_limit, settings, self.limits_for);
        Ok(PartitionedBulkhead { map: Arc::new(map) })
    }
}

fn check_total(label: &Arc<str>, value: usize) -> Result<u32, ConfigError> {
    let setting = "total_parallelism";
    match u32::try_from(value) {
        Ok(0) => Err(ConfigError::Zero { label: label.clone(), setting }),
        Ok(value) if value <= MAX_TOTAL => Ok(value),
        _ => {
            let maximum = MAX_TOTAL as usize;
            Err(ConfigError::TooLarge { label: label.clone(), setting, value, maximum })
        }
    }
}

impl<K> fmt::Debug for PartitionedBulkheadBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedBulkheadBuilder")
            .field("settings", &self.settings)
            .field("max_partitions", &self.max_partitions)
            .field("idle_timeout", &self.idle_timeout)
            .field("total_parallelism", &self.total_parallelism)
            .field("total_waiting_room", &self.total_waiting_room)
            .finish_non_exhaustive()
    }
}
