//! `RejectionReason`: why an operation was not admitted, with the numbers of that instant.
//!
//! It owns the reasons and their texts. Which reason applies is decided by the gate, or where keys, limits
//! and partitions are handled.

use std::{fmt, time::Duration};

/// Why an operation was not admitted.
///
/// *Full for now* ([`Saturated`](Self::Saturated), [`TotalSaturated`](Self::TotalSaturated),
/// [`WaitLimit`](Self::WaitLimit), [`Deadline`](Self::Deadline), [`PartitionLimit`](Self::PartitionLimit)), *paused*, *closed* and *never
/// admissible* are different variants, so that a caller can decide whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The operation could not be admitted at once, and the waiting room was full or the call does not wait.
    Saturated {
        /// Units the operation needed.
        cost: usize,
        /// Units in use.
        used: usize,
        /// Units that may be in use.
        capacity: usize,
        /// Operations waiting.
        waiting: usize,
        /// Operations that may wait.
        waiting_room: usize,
    },
    /// The operation could not be admitted at once, and the capacity that all keys share has no place for it: the room of all
    /// is full, or the key has as many places as its share of it.
    TotalSaturated {
        /// Operations running, of all keys.
        used: usize,
        /// Operations that may run at once, of all keys.
        capacity: usize,
        /// Operations waiting, of all keys.
        waiting: usize,
        /// Operations that may wait, of all keys.
        waiting_room: usize,
        /// Operations of this key that are waiting.
        partition_waiting: usize,
        /// Operations of this key that may wait now.
        partition_room: usize,
    },
    /// The wait limit passed before the operation was admitted.
    WaitLimit {
        /// Time spent waiting.
        waited: Duration,
        /// How long it was allowed to wait: the wait limit of the bulkhead, or the limit of the call if that is shorter.
        limit: Duration,
    },
    /// The deadline passed before the operation was admitted.
    Deadline {
        /// Time spent waiting.
        waited: Duration,
    },
    /// The bulkhead is closed, or draining.
    Closed,
    /// The bulkhead is paused, and the operation does not wait or the waiting room was full.
    Paused,
    /// The cost of the operation exceeds the capacity.
    CostExceedsCapacity {
        /// Units the operation needed.
        cost: usize,
        /// Units that may be in use.
        capacity: usize,
    },
    /// The operation has a cost of 0.
    InvalidCost,
    /// A new key needs a partition, and all partitions are in use.
    PartitionLimit {
        /// Partitions that may be retained.
        max_partitions: usize,
        /// Partitions in use.
        active_partitions: usize,
    },
    /// The key is refused, by `limits_for` or `set_limits`.
    KeyRefused,
    /// The request has no key.
    MissingKey,
    /// `limits_for` returned an invalid limit for a new key.
    InvalidLimits {
        /// The name of the limit.
        setting: &'static str,
        /// Its value.
        value: usize,
    },
    /// `limits_for` panicked for a new key.
    LimitsPanicked,
}

impl RejectionReason {
    /// Returns the name of the reason, as metrics and logs use it. It is stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Saturated { .. } => "saturated",
            Self::TotalSaturated { .. } => "total_saturated",
            Self::WaitLimit { .. } => "wait_limit",
            Self::Deadline { .. } => "deadline",
            Self::Closed => "closed",
            Self::Paused => "paused",
            Self::CostExceedsCapacity { .. } => "oversized",
            Self::InvalidCost => "invalid_cost",
            Self::PartitionLimit { .. } => "partition_limit",
            Self::KeyRefused => "key_refused",
            Self::MissingKey => "missing_key",
            Self::InvalidLimits { .. } | Self::LimitsPanicked => "invalid_limits",
        }
    }
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saturated { cost, used, capacity, waiting, waiting_room } => write!(
                f,
                "saturated: cost {cost} with {used} of {capacity} units in use and {waiting} of \
                 {waiting_room} waiting"
            ),
            Self::TotalSaturated {
                used,
                capacity,
                waiting,
                waiting_room,
                partition_waiting,
                partition_room,
            } => write!(
                f,
                "saturated in total: {used} of {capacity} in use and {waiting} of {waiting_room} \
                 waiting over all keys, {partition_waiting} of {partition_room} for this key"
            ),
            Self::WaitLimit { waited, limit } => {
                write!(f, "wait limit of {limit:?} reached after {waited:?}")
            }
            Self::Deadline { waited } => write!(f, "deadline passed after waiting {waited:?}"),
            Self::Closed => f.write_str("closed"),
            Self::Paused => f.write_str("paused"),
            Self::CostExceedsCapacity { cost, capacity } => {
                write!(f, "cost {cost} exceeds capacity {capacity}")
            }
            Self::InvalidCost => f.write_str("cost 0 is not allowed, the minimum is 1"),
            Self::PartitionLimit { max_partitions, active_partitions } => write!(
                f,
                "no partition for a new key: {active_partitions} of {max_partitions} partitions are \
                 in use"
            ),
            Self::KeyRefused => f.write_str("the key is refused"),
            Self::MissingKey => f.write_str("the request has no key"),
            Self::InvalidLimits { setting, value } => {
                write!(f, "limits_for gave {setting} {value} for a new key, which is invalid")
            }
            Self::LimitsPanicked => f.write_str("limits_for panicked for a new key"),
        }
    }
}
