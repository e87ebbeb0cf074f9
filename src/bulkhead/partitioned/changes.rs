//! Changing a partitioned bulkhead while it is in use: the public methods, and what they check.
//!
//! How a change reaches every partition is up to `map_changes`.

use std::hash::Hash;

use super::{
    PartitionLimits, PartitionedBulkhead, map_changes::KeyRefusal, partition_limits::InvalidLimit,
};
use crate::bulkhead::{change::PartitionedChange, error::ResizeError};

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionedBulkhead<K> {
    /// Changes any of the settings at once: parallelism, waiting room and wait limit of a partition, the number of partitions,
    /// the idle timeout, and what all keys share.
    ///
    /// Parallelism and waiting room reach the partitions that are retained as well, but for those whose limits were chosen
    /// by `limits_for` or set by [`set_limits`](Self::set_limits): partitions are changed one after another, and each at one
    /// instant, as by [`Bulkhead::reconfigure`](crate::Bulkhead::reconfigure). A new wait limit holds for operations that
    /// join a waiting line from now on. A lower `max_partitions` evicts idle partitions, and no new key gets in until enough
    /// are gone. The `Clone` of a key runs under a lock of the bulkhead, and must not use it.
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`] that names the setting and its value, and changes nothing, if a setting is 0 or above its
    /// maximum, or if the bulkhead is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{PartitionedBulkhead, PartitionedChange};
    ///
    /// let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(3).max_partitions(1_000).build()?;
    /// customers.reconfigure(PartitionedChange::new().parallelism(5).max_partitions(10_000))?;
    /// assert_eq!((customers.parallelism(), customers.max_partitions()), (5, 10_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconfigure(&self, change: PartitionedChange) -> Result<(), ResizeError> {
        let change = change.checked(&self.parent().label, self.map.shares())?;
        let wait_limit = self.parent().wait_limit();
        let is_done = self.map.reconfigure(|settings| {
            let usual = &mut settings.usual;
            usual.parallelism = change.parallelism.unwrap_or(usual.parallelism);
            usual.waiting_room = change.waiting_room.unwrap_or(usual.waiting_room);
            settings.max_partitions = change.max_partitions.unwrap_or(settings.max_partitions);
            settings.idle_timeout = change.idle_timeout.unwrap_or(settings.idle_timeout);
            if let Some(total) = &mut settings.total {
                total.capacity = change.total_parallelism.unwrap_or(total.capacity);
                total.room = change.total_waiting_room.unwrap_or(total.room);
            }
            let before = wait_limit.get();
            if let Some(limit) = change.wait_limit {
                wait_limit.set(limit);
            }
            wait_limit.get() != before
        });
        if is_done { Ok(()) } else { Err(self.closed()) }
    }

    /// Returns the error of this change, if it were made now.
    pub(crate) fn check(&self, change: &PartitionedChange) -> Result<(), ResizeError> {
        change.checked(&self.parent().label, self.map.shares())?;
        if self.is_closed() { Err(self.closed()) } else { Ok(()) }
    }

    /// Sets the limits of one key, or refuses it, until they are [cleared](Self::clear_limits): also if its partition goes and
    /// comes back, or does not exist yet. They go before those of `limits_for` and the usual ones.
    ///
    /// Each such key takes memory until then; [`PartitionedStatus::overrides`] is their number. All are dropped once the
    /// bulkhead drains or is closed; while it drains, only a retained partition is changed.
    ///
    /// A retained partition is changed before this method returns, as by
    /// [`Bulkhead::reconfigure`](crate::Bulkhead::reconfigure).
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`], and changes nothing, if the parallelism is 0, a limit is above
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY), or the bulkhead is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{PartitionLimits, PartitionedBulkhead, RejectionReason};
    ///
    /// let customers = PartitionedBulkhead::<&str>::builder("customers").parallelism(1).max_partitions(100).build()?;
    /// customers.set_limits(&"gold", PartitionLimits::new(20).waiting_room(100))?;
    /// customers.set_limits(&"mallory", PartitionLimits::refused())?;
    /// let rejection = customers.slot_now(&"mallory").unwrap_err();
    /// assert_eq!(*rejection.reason(), RejectionReason::KeyRefused);
    /// assert!(customers.clear_limits(&"mallory"));
    /// assert!(customers.slot_now(&"mallory").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`PartitionedStatus::overrides`]: crate::PartitionedStatus::overrides
    pub fn set_limits(&self, key: &K, limits: PartitionLimits) -> Result<(), ResizeError> {
        let limits =
            limits.validated(self.map.shares()).map_err(|invalid| self.invalid(invalid))?;
        self.map.set_limits(key, limits).map_err(|refusal| self.refused(refusal))
    }

    /// Removes the limits that were set for a key. Returns `true` if there were any.
    ///
    /// Its partition, if it has one, gets those it would have without them, before this method returns.
    pub fn clear_limits(&self, key: &K) -> bool {
        self.map.clear_limits(key)
    }

    /// Asks `limits_for` again for every retained partition, and gives each the limits that its key has now. Returns how many
    /// have changed.
    ///
    /// For a source of limits that has changed, such as the plans of customers. A partition keeps its limits if
    /// `limits_for` panics or returns invalid ones for its key. Goes through all partitions, a few at a time; keys that come
    /// meanwhile have the new limits anyway. The `Clone` of a key runs under a lock of the bulkhead, and must not use it.
    pub fn refresh_limits(&self) -> usize {
        self.map.refresh_limits()
    }

    /// Sets how many operations may run at once in the partition of `key`, until its limits are
    /// [cleared](Self::clear_limits) or [set](Self::set_limits). A guarantee above it is lowered to it. The other limits are
    /// those that the key has anyway; `limits_for` is asked for them.
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`], and changes nothing, if `key` has no partition, if `parallelism` is 0 or
    /// above [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY), or if the bulkhead is closed.
    pub fn resize_partition(&self, key: &K, parallelism: usize) -> Result<(), ResizeError> {
        let limits = PartitionLimits::new(parallelism).validated(true);
        match limits.map_err(|invalid| self.invalid(invalid))? {
            Some(limits) => self.map.resize(key, limits.parallelism),
            None => Ok(()),
        }
        .map_err(|refusal| self.refused(refusal))
    }

    /// Changes how many operations of all keys together may run at once. If more are running, no more begin until enough have
    /// ended.
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`], and changes nothing, if `parallelism` is 0 or above
    /// [`MAX_TOTAL_PARALLELISM`](Self::MAX_TOTAL_PARALLELISM), if the bulkhead was built without a `total_parallelism`, or if it
    /// is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::PartitionedBulkhead;
    ///
    /// let customers = PartitionedBulkhead::<u64>::builder("customers")
    ///     .parallelism(8)
    ///     .total_parallelism(40)
    ///     .max_partitions(1_000)
    ///     .build()?;
    /// customers.resize_total(60)?;
    /// assert_eq!(customers.total_parallelism(), Some(60));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize_total(&self, parallelism: usize) -> Result<(), ResizeError> {
        self.reconfigure(PartitionedChange::new().total_parallelism(parallelism))
    }

    fn invalid(&self, InvalidLimit { setting, value, maximum }: InvalidLimit) -> ResizeError {
        let label = self.parent().label.clone();
        match (setting, value) {
            ("weight" | "guaranteed", value) if !self.map.shares() => {
                ResizeError::WithoutTotal { label, setting, value }
            }
            (setting, 0) => ResizeError::Zero { label, setting },
            (setting, value) => ResizeError::TooLarge { label, setting, value, maximum },
        }
    }

    fn refused(&self, refusal: KeyRefusal) -> ResizeError {
        match refusal {
            KeyRefusal::Closed => self.closed(),
            KeyRefusal::NoPartition => {
                ResizeError::NoPartition { label: self.parent().label.clone() }
            }
        }
    }

    fn closed(&self) -> ResizeError {
        ResizeError::Closed { label: self.parent().label.clone() }
    }
}
