//! `BulkheadInterval`: the difference between two statuses of one bulkhead.

use std::{error::Error, fmt, time::Duration};

use super::status::BulkheadStatus;
use crate::{
    core::gate::{counts::Totals, histogram::Histogram, times::HoldTimes},
    sync::Arc,
};

/// The difference between two statuses of one bulkhead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadInterval {
    /// The earlier status.
    pub start: BulkheadStatus,
    /// The later status.
    pub end: BulkheadStatus,
    /// The time between them.
    pub elapsed: Duration,
    /// Counted between the two.
    pub totals: Totals,
    /// How long the operations waited that were admitted from the waiting line.
    pub waits: Histogram,
    /// How long the operations waited that were cancelled.
    pub patience: Histogram,
    /// How long operations held their slots.
    pub holds: HoldTimes,
}

impl BulkheadInterval {
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

    /// Returns the mean use of the capacity by the operations that ended in the interval, as a share of the capacity at its
    /// end: an estimate, see [`HoldTimes`]. Operations that still run are not in it. `None` if the interval has no length.
    #[must_use]
    pub fn utilization(&self) -> Option<f64> {
        let used = per_second(self.holds.unit_seconds(), self.elapsed)?;
        (self.end.capacity > 0).then(|| used / self.end.capacity as f64)
    }

    /// Returns the demand: how many units the operations would have used on average if all of them had been admitted.
    ///
    /// It is the rate of the operations that were admitted, saturated, expired or cancelled, times the mean of cost and hold
    /// of a completed operation in unit-seconds (Little's law). A demand above the capacity cannot be met, however
    /// large the waiting room. `None` if no operation was timed or the interval has no length.
    #[must_use]
    pub fn demand(&self) -> Option<f64> {
        let Totals { admitted, saturated, total_saturated, expired, cancelled, .. } = self.totals;
        let wanted = [saturated, total_saturated, expired, cancelled].into_iter();
        let wanted = wanted.fold(admitted, u64::saturating_add);
        Some(per_second(wanted as f64, self.elapsed)? * self.holds.mean_unit_seconds()?)
    }

    /// Returns how long operations were waiting in the interval.
    #[must_use]
    pub fn pressure(&self) -> Duration {
        let (start, end) = (&self.start, &self.end);
        let pressed = end.pressure(end.taken_at).saturating_sub(start.pressure(start.taken_at));
        pressed.min(self.elapsed)
    }

    /// Returns how many operations per second were admitted from the waiting line while operations were waiting; `None` if
    /// none was waiting.
    #[must_use]
    pub fn drain_rate(&self) -> Option<f64> {
        per_second(self.totals.admitted_from_queue as f64, self.pressure())
    }
}

/// A rate; `None` if no time has passed.
pub(super) fn per_second(count: f64, elapsed: Duration) -> Option<f64> {
    (elapsed > Duration::ZERO).then(|| count / elapsed.as_secs_f64())
}

/// The reason two statuses do not form an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntervalError {
    /// The statuses belong to two different bulkheads, which may have the same label.
    #[non_exhaustive]
    DifferentInstances {
        /// The label of the bulkhead of the later status.
        label: Arc<str>,
        /// The instance of that bulkhead.
        instance: u64,
        /// The label of the bulkhead of the earlier status.
        earlier_label: Arc<str>,
        /// The instance of that bulkhead.
        earlier_instance: u64,
    },
    /// The status passed as the earlier one is the later one.
    #[non_exhaustive]
    ReverseOrder {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The sequence of the status passed as the later one.
        sequence: u64,
        /// The sequence of the status passed as the earlier one.
        earlier_sequence: u64,
    },
    /// A counter of the status given as the earlier one is higher than in the later one: one of them was changed.
    #[non_exhaustive]
    CountersDecreased {
        /// The label of the bulkhead.
        label: Arc<str>,
    },
}

impl fmt::Display for IntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DifferentInstances { label, instance, earlier_label, earlier_instance } => {
                write!(
                    f,
                    "statuses are of different bulkheads: \"{label}\" (instance {instance}) and \
                 \"{earlier_label}\" (instance {earlier_instance})"
                )
            }
            Self::ReverseOrder { label, sequence, earlier_sequence } => write!(
                f,
                "statuses of \"{label}\" are in reverse order: sequence {sequence} is before \
                 {earlier_sequence}"
            ),
            Self::CountersDecreased { label } => {
                write!(f, "statuses of \"{label}\" do not fit together: a counter has decreased")
            }
        }
    }
}

impl Error for IntervalError {}

impl BulkheadStatus {
    /// Returns the interval from `earlier`, a status of the same bulkhead, to this status.
    ///
    /// # Errors
    ///
    /// Returns an [`IntervalError`] if the statuses are of different bulkheads or in reverse order, or a counter has
    /// decreased because one of them was changed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let payments = bulklink::Bulkhead::builder("payments").parallelism(2).build()?;
    /// let before = payments.status();
    /// drop(payments.slot_now()?);
    /// let interval = payments.status().since(&before)?;
    /// assert_eq!(interval.totals.finished, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn since(&self, earlier: &Self) -> Result<BulkheadInterval, IntervalError> {
        check_order(
            (&self.label, self.instance, self.sequence),
            (&earlier.label, earlier.instance, earlier.sequence),
        )?;
        let decreased = || IntervalError::CountersDecreased { label: self.label.clone() };
        Ok(BulkheadInterval {
            elapsed: self.taken_at.saturating_duration_since(earlier.taken_at),
            totals: self.totals.since(&earlier.totals).ok_or_else(decreased)?,
            waits: self.waits.since(&earlier.waits).ok_or_else(decreased)?,
            patience: self.patience.since(&earlier.patience).ok_or_else(decreased)?,
            holds: self.holds.since(&earlier.holds).ok_or_else(decreased)?,
            start: earlier.clone(),
            end: self.clone(),
        })
    }
}

/// Checks that two statuses, each given as label, instance and sequence, form an interval.
pub(super) fn check_order(
    (label, instance, sequence): (&Arc<str>, u64, u64),
    (earlier_label, earlier_instance, earlier_sequence): (&Arc<str>, u64, u64),
) -> Result<(), IntervalError> {
    if instance != earlier_instance {
        return Err(IntervalError::DifferentInstances {
            label: label.clone(),
            instance,
            earlier_label: earlier_label.clone(),
            earlier_instance,
        });
    }
    if sequence < earlier_sequence {
        let label = label.clone();
        return Err(IntervalError::ReverseOrder { label, sequence, earlier_sequence });
    }
    Ok(())
}
