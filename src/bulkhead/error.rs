//! `ConfigError` and `ResizeError`: errors of building a bulkhead and of changing it.

use std::{error::Error, fmt};

use crate::{core::MAX_UNITS, sync::Arc};

/// An invalid setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The label is empty or consists of whitespace only.
    EmptyLabel,
    /// A required setting is missing.
    #[non_exhaustive]
    Missing {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
    },
    /// A setting that must be at least 1, or a duration that must be longer than zero, is zero.
    #[non_exhaustive]
    Zero {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
    },
    /// A setting is above its maximum.
    #[non_exhaustive]
    TooLarge {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
        /// The value of the setting.
        value: usize,
        /// The largest value allowed.
        maximum: usize,
    },
    /// A setting that only a bulkhead with a `total_parallelism` has.
    #[non_exhaustive]
    WithoutTotal {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
        /// The value of the setting.
        value: usize,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyLabel => f.write_str("label \"\" is empty"),
            Self::Missing { label, setting } => {
                write!(f, "bulkhead \"{label}\": {setting} is not set")
            }
            Self::Zero { label, setting } => {
                write!(
                    f,
                    "bulkhead \"{label}\": {setting} 0 is not allowed, it must be greater than 0"
                )
            }
            Self::TooLarge { label, setting, value, maximum } => {
                write!(f, "bulkhead \"{label}\": {setting} {value} exceeds the maximum {maximum}")
            }
            Self::WithoutTotal { label, setting, value } => {
                write!(f, "bulkhead \"{label}\": {setting} {value} needs a total_parallelism")
            }
        }
    }
}

impl Error for ConfigError {}

/// A change of settings that was refused, by [`resize`](crate::Bulkhead::resize) or
/// [`reconfigure`](crate::Bulkhead::reconfigure). Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResizeError {
    /// A setting that must be at least 1 is zero.
    #[non_exhaustive]
    Zero {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
    },
    /// A duration that must be longer than zero is zero.
    #[non_exhaustive]
    ZeroDuration {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
    },
    /// A setting is above its maximum.
    #[non_exhaustive]
    TooLarge {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
        /// The requested value.
        value: usize,
        /// The largest value allowed.
        maximum: usize,
    },
    /// A waiting operation needs more than this capacity and could never be admitted.
    #[non_exhaustive]
    BelowQueuedCost {
        /// The label of the bulkhead.
        label: Arc<str>,
        /// The requested capacity.
        capacity: usize,
        /// The largest cost of a waiting operation.
        cost: usize,
    },
    /// The bulkhead is closed.
    #[non_exhaustive]
    Closed {
        /// The label of the bulkhead.
        label: Arc<str>,
    },
    /// The keys of the bulkhead share no capacity: it was built without a `total_parallelism`.
    #[non_exhaustive]
    WithoutTotal {
        /// The label of the partitioned bulkhead.
        label: Arc<str>,
        /// The name of the setting.
        setting: &'static str,
        /// The requested value.
        value: usize,
    },
    /// A configuration without a `total_parallelism`, for a bulkhead that was built with one.
    #[non_exhaustive]
    TotalRemoved {
        /// The label of the partitioned bulkhead.
        label: Arc<str>,
    },
    /// The key has no partition.
    #[non_exhaustive]
    NoPartition {
        /// The label of the partitioned bulkhead.
        label: Arc<str>,
    },
}

impl ResizeError {
    /// Returns the error of a setting whose value is 0 or too large.
    pub(super) fn of_value(label: Arc<str>, setting: &'static str, value: usize) -> Self {
        match value {
            0 => Self::Zero { label, setting },
            value => Self::TooLarge { label, setting, value, maximum: MAX_UNITS as usize },
        }
    }
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { label, setting } => {
                write!(f, "bulkhead \"{label}\": {setting} 0 is not allowed, the minimum is 1")
            }
            Self::ZeroDuration { label, setting } => write!(
                f,
                "bulkhead \"{label}\": {setting} 0 is not allowed, it must be greater than 0"
            ),
            Self::TooLarge { label, setting, value, maximum } => {
                write!(f, "bulkhead \"{label}\": {setting} {value} exceeds the maximum {maximum}")
            }
            Self::BelowQueuedCost { label, capacity, cost } => write!(
                f,
                "bulkhead \"{label}\": capacity {capacity} is below the cost {cost} of a waiting \
                 operation"
            ),
            Self::Closed { label } => write!(f, "bulkhead \"{label}\" is closed"),
            Self::WithoutTotal { label, setting, value } => {
                write!(f, "bulkhead \"{label}\": {setting} {value} needs a total_parallelism")
            }
            Self::TotalRemoved { label } => {
                write!(
                    f,
                    "bulkhead \"{label}\": total_parallelism is not set, and cannot be removed"
                )
            }
            Self::NoPartition { label } => {
                write!(f, "bulkhead \"{label}\" has no partition for this key")
            }
        }
    }
}

impl Error for ResizeError {}
