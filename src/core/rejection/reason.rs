//! Why an operation was not admitted, with the numbers of that instant.

use std::{fmt, time::Duration};

/// Why an operation was not admitted.
///
/// *Full now* ([`Saturated`](Self::Saturated), [`WaitLimit`](Self::WaitLimit),
/// [`Deadline`](Self::Deadline), [`PartitionLimit`](Self::PartitionLimit)), *closed* and *never
/// admissible* are different variants, so that a caller can tell what trying again is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// No free slot and no place to wait, or no wish to.
    Saturated {
        /// Units the operation needed.
        cost: usize,
        /// Units in use.
        used: usize,
        /// Units that may be in use.
        capacity: usize,
        /// Operations in line.
        waiting: usize,
        /// Operations that may be in line.
        waiting_room: usize,
    },
    /// The wait limit passed first.
    WaitLimit {
        /// Time spent in line.
        waited: Duration,
    },
    /// The deadline passed first.
    Deadline {
        /// Time spent in line.
        waited: Duration,
    },
    /// The bulkhead is closed.
    Closed,
    /// The operation needs more than there is.
    CostExceedsCapacity {
        /// Units the operation needed.
        cost: usize,
        /// Units that may be in use.
        capacity: usize,
    },
    /// The operation has a cost of 0.
    InvalidCost,
    /// A new key needs a partition, and every one of them is in use.
    PartitionLimit {
        /// Partitions that may be retained.
        max_partitions: usize,
        /// Partitions in use.
        active_partitions: usize,
    },
    /// The request has no key.
    MissingKey,
    /// `limits_for` gave limits for a new key that cannot be.
    InvalidLimits {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
    },
    /// `limits_for` panicked for a new key.
    LimitsPanicked,
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated { cost, used, capacity, waiting, waiting_room } => write!(
                f,
                "saturated: cost {cost} with {used} of {capacity} units in use and {waiting} of \
                 {waiting_room} waiting"
            ),
            Self::WaitLimit { waited } => write!(f, "wait limit reached after {waited:?}"),
            Self::Deadline { waited } => write!(f, "deadline passed after waiting {waited:?}"),
            Self::Closed => f.write_str("closed"),
            Self::CostExceedsCapacity { cost, capacity } => {
                write!(f, "cost {cost} exceeds capacity {capacity}")
            }
            Self::InvalidCost => f.write_str("cost 0 is not allowed, the least is 1"),
            Self::PartitionLimit { max_partitions, active_partitions } => write!(
                f,
                "no partition for a new key: {active_partitions} of {max_partitions} partitions are \
                 in use"
            ),
            Self::MissingKey => f.write_str("the request has no key"),
            Self::InvalidLimits { setting, value } => {
                write!(f, "limits_for gave {setting} {value} for a new key, which cannot be")
            }
            Self::LimitsPanicked => f.write_str("limits_for panicked for a new key"),
        }
    }
}
