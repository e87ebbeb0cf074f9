//! What can be derived from `Totals`, of a status and of an interval alike.
//!
//! Totals may have been changed by the caller, so nothing here overflows.

use std::time::Duration;

use crate::core::gate::counts::Totals;

impl Totals {
    /// Returns the number of operations that were rejected, for any reason. Cancelled operations left on their own and are
    /// not among them.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected_on_arrival()
            .saturating_add(self.expired)
            .saturating_add(self.closed_while_waiting)
    }

    /// Returns the number of operations rejected because the bulkhead was closed or draining, on arrival or while waiting.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.closed_before_queue.saturating_add(self.closed_while_waiting)
    }

    /// Returns the number of operations that ran to their end: those that finished and were not cut short.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.finished.saturating_sub(self.cut_short)
    }

    /// Returns every result of an admission by the name that metrics use, with how many operations had it. An operation has one
    /// result, once it is decided; those that bypassed the bulkhead or were let pass within it are among them.
    ///
    /// For exporters other than those of this crate. More results may come, so that the length is not fixed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let payments = bulklink::Bulkhead::builder("payments").parallelism(1).build()?;
    /// let slot = payments.slot_now()?;
    /// assert!(payments.slot_now().is_err());
    /// let totals = payments.status().totals;
    /// let saturated = totals.by_result().find(|(name, _)| *name == "saturated");
    /// assert_eq!(saturated, Some(("saturated", 1)));
    /// # drop(slot);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_result(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        let late = |all: u64, by_deadline: u64| all.saturating_sub(by_deadline);
        let by_deadline =
            self.expired_by_deadline.saturating_add(self.expired_before_queue_by_deadline);
        let by_limit = late(self.expired, self.expired_by_deadline)
            .saturating_add(late(self.expired_before_queue, self.expired_before_queue_by_deadline));
        [
            ("admitted", self.admitted),
            ("saturated", self.saturated),
            ("total_saturated", self.total_saturated),
            ("wait_limit", by_limit),
            ("deadline", by_deadline),
            ("closed", self.closed()),
            ("paused", self.paused),
            ("cancelled", self.cancelled),
            ("oversized", self.oversized),
            ("invalid_cost", self.invalid_cost),
            ("partition_limit", self.partition_limited),
            ("key_refused", self.key_refused),
            ("missing_key", self.missing_key),
            ("invalid_limits", self.invalid_limits),
            ("bypassed", self.bypassed),
            ("nested", self.nested),
        ]
        .into_iter()
    }

    /// Returns the number of operations that arrived: those that were admitted at once, joined the waiting line, or were
    /// rejected on arrival. Operations that bypassed the bulkhead, or were let pass within it, are not among them.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.direct_admitted()
            .saturating_add(self.queued)
            .saturating_add(self.rejected_on_arrival())
    }

    /// Returns the number of operations that do not wait any more: those that were admitted, rejected or cancelled.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.admitted.saturating_add(self.rejected()).saturating_add(self.cancelled)
    }

    /// Returns the number of operations admitted without waiting.
    #[must_use]
    pub fn direct_admitted(&self) -> u64 {
        self.admitted.saturating_sub(self.admitted_from_queue)
    }

    /// Returns the units of the operations admitted without waiting.
    #[must_use]
    pub fn direct_admitted_units(&self) -> u64 {
        self.admitted_units.saturating_sub(self.admitted_from_queue_units)
    }

    /// Returns the number of waiters that have left the waiting line for any reason.
    #[must_use]
    pub fn settled_waiting(&self) -> u64 {
        [self.expired, self.cancelled, self.closed_while_waiting]
            .into_iter()
            .fold(self.admitted_from_queue, u64::saturating_add)
    }

    /// Returns the rejected share of the operations that were [decided](Self::decided), from 0 to 1; `None` if there were
    /// none.
    #[must_use]
    pub fn rejected_share(&self) -> Option<f64> {
        share(self.rejected(), self.decided())
    }

    /// Returns the expired share of the waiters that have left the waiting line; `None` if there were none.
    #[must_use]
    pub fn expired_share(&self) -> Option<f64> {
        share(self.expired, self.settled_waiting())
    }

    /// Returns the cancelled share of the waiters that have left the waiting line; `None` if there were none.
    #[must_use]
    pub fn cancelled_share(&self) -> Option<f64> {
        share(self.cancelled, self.settled_waiting())
    }

    /// Returns the share of the finished operations that were cut short; `None` if none has finished.
    #[must_use]
    pub fn cut_short_share(&self) -> Option<f64> {
        share(self.cut_short, self.finished)
    }

    /// Returns the share of the admitted operations that never started; `None` if none was admitted.
    #[must_use]
    pub fn abandoned_share(&self) -> Option<f64> {
        share(self.abandoned, self.admitted)
    }

    /// Returns the share of the operations that had to wait, of those that were admitted at once, joined the waiting line or
    /// were saturated: the ratio behind [`FrequentQueueing`]. `None` if there were none.
    ///
    /// [`FrequentQueueing`]: crate::FindingCode::FrequentQueueing
    #[must_use]
    pub fn queueing_share(&self) -> Option<f64> {
        let arrived = [self.queued, self.saturated, self.total_saturated].into_iter();
        share(self.queued, arrived.fold(self.direct_admitted(), u64::saturating_add))
    }

    /// Returns the share of the operations that were saturated or expired, of these and the admitted ones: the ratio behind
    /// [`ElevatedRejectionRate`]. `None` if there were none.
    ///
    /// [`ElevatedRejectionRate`]: crate::FindingCode::ElevatedRejectionRate
    #[must_use]
    pub fn overload_share(&self) -> Option<f64> {
        let rejected = [self.saturated, self.total_saturated, self.expired].into_iter();
        let rejected = rejected.fold(0, u64::saturating_add);
        share(rejected, self.admitted.saturating_add(rejected))
    }

    /// Returns the share of the [decided](Self::decided) operations whose limit had passed when they arrived, or between
    /// the service's readiness and the request: the ratio behind [`DeadlinesPassed`]. `None` if there were none.
    ///
    /// [`DeadlinesPassed`]: crate::FindingCode::DeadlinesPassed
    #[must_use]
    pub fn late_share(&self) -> Option<f64> {
        share(self.late(), self.decided())
    }

    /// Returns the share of the [decided](Self::decided) operations whose cost was above the capacity or 0: the ratio
    /// behind [`OversizedRequests`]. `None` if there were none.
    ///
    /// [`OversizedRequests`]: crate::FindingCode::OversizedRequests
    #[must_use]
    pub fn invalid_cost_share(&self) -> Option<f64> {
        share(self.oversized.saturating_add(self.invalid_cost), self.decided())
    }

    /// Returns the share of the [decided](Self::decided) operations that found no partition or had invalid limits: the
    /// first ratio behind [`KeysTurnedAway`]. `None` if there were none.
    ///
    /// [`KeysTurnedAway`]: crate::FindingCode::KeysTurnedAway
    #[must_use]
    pub fn without_partition_share(&self) -> Option<f64> {
        share(self.without_partition(), self.decided())
    }

    /// Returns the share of the [decided](Self::decided) operations that had no key: the second ratio behind
    /// [`KeysTurnedAway`]. `None` if there were none.
    ///
    /// [`KeysTurnedAway`]: crate::FindingCode::KeysTurnedAway
    #[must_use]
    pub fn missing_key_share(&self) -> Option<f64> {
        share(self.missing_key, self.decided())
    }

    /// Returns the share of the admitted operations that never started, for another reason than their deadline: the ratio
    /// behind [`UnusedAdmissions`]. `None` if none was admitted.
    ///
    /// [`UnusedAdmissions`]: crate::FindingCode::UnusedAdmissions
    #[must_use]
    pub fn unused_share(&self) -> Option<f64> {
        share(self.unused(), self.admitted)
    }

    /// Returns the average time that admitted waiters waited, or `None` if there were none.
    #[must_use]
    pub fn average_wait(&self) -> Option<Duration> {
        let nanos = self.wait_time.as_nanos().checked_div(u128::from(self.admitted_from_queue))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Returns the average cost of the admitted operations in units, or `None` if there were none.
    #[must_use]
    pub fn average_cost(&self) -> Option<f64> {
        share(self.admitted_units, self.admitted)
    }

    /// Returns `true` if any counter is not zero.
    #[must_use]
    pub fn has_activity(&self) -> bool {
        *self != Self::default()
    }

    /// Returns how many operations came too late.
    pub(super) fn late(&self) -> u64 {
        self.expired_before_queue.saturating_add(self.abandoned_by_deadline)
    }

    /// Returns how many operations found no partition or had invalid limits.
    pub(super) fn without_partition(&self) -> u64 {
        self.partition_limited.saturating_add(self.invalid_limits)
    }

    /// Returns how many admitted operations never started, for another reason than their deadline.
    pub(super) fn unused(&self) -> u64 {
        self.abandoned.saturating_sub(self.abandoned_by_deadline)
    }

    fn rejected_on_arrival(&self) -> u64 {
        [
            self.saturated,
            self.total_saturated,
            self.expired_before_queue,
            self.closed_before_queue,
            self.paused,
            self.oversized,
            self.invalid_cost,
            self.partition_limited,
            self.invalid_limits,
            self.key_refused,
            self.missing_key,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
