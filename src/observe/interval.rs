//! What happened between two statuses of one bulkhead.

use std::{error::Error, fmt};

use super::status::BulkheadStatus;
use crate::{core::gate::counts::Totals, sync::Arc};

/// What happened between two statuses of one bulkhead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadInterval {
    /// The earlier status.
    pub start: BulkheadStatus,
    /// The later status.
    pub end: BulkheadStatus,
    /// What was counted in between.
    pub totals: Totals,
}

/// Why there is no interval between two statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IntervalError {
    /// The statuses are of two different bulkheads, which may have had the same label.
    #[non_exhaustive]
    DifferentInstances {
        /// The later status's bulkhead.
        label: Arc<str>,
        /// Its instance.
        instance: u64,
        /// The earlier status's bulkhead.
        earlier_label: Arc<str>,
        /// Its instance.
        earlier_instance: u64,
    },
    /// The status given as the earlier one is the later one.
    #[non_exhaustive]
    ReverseOrder {
        /// The bulkhead.
        label: Arc<str>,
        /// The sequence of the status asked.
        sequence: u64,
        /// The sequence of the status given as the earlier one.
        earlier_sequence: u64,
    },
}

impl fmt::Display for IntervalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DifferentInstances { label, instance, earlier_label, earlier_instance } => {
                write!(
                    f,
                    "statuses of different bulkheads: \"{label}\" (instance {instance}) since \
                 \"{earlier_label}\" (instance {earlier_instance})"
                )
            }
            Self::ReverseOrder { label, sequence, earlier_sequence } => write!(
                f,
                "statuses of \"{label}\" in reverse order: sequence {sequence} since \
                 {earlier_sequence}"
            ),
        }
    }
}

impl Error for IntervalError {}

impl BulkheadStatus {
    /// What happened since `earlier`, a status of the same bulkhead.
    ///
    /// # Errors
    ///
    /// [`IntervalError`] if the statuses are of different bulkheads or in reverse order.
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

/// Whether two statuses, each as label, instance and sequence, bound an interval.
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
