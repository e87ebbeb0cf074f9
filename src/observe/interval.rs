//! `BulkheadInterval`: the difference between two statuses of one bulkhead.

use std::{error::Error, fmt};

use super::status::BulkheadStatus;
use crate::{core::gate::counts::Totals, sync::Arc};

/// The difference between two statuses of one bulkhead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadInterval {
    /// The earlier status.
    pub start: BulkheadStatus,
    /// The later status.
    pub end: BulkheadStatus,
    /// The counts between the two statuses.
    pub totals: Totals,
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
        }
    }
}

impl Error for IntervalError {}

impl BulkheadStatus {
    /// Returns the interval from `earlier`, a status of the same bulkhead, to this status.
    ///
    /// # Errors
    ///
    /// Returns an [`IntervalError`] if the statuses are of different bulkheads or in reverse order.
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
        let totals = self.totals.minus(&earlier.totals);
        Ok(BulkheadInterval { start: earlier.clone(), end: self.clone(), totals })
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
