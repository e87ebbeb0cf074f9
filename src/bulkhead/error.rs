//! What can go wrong besides: errors of configuration and resizing.

use std::{error::Error, fmt};

use crate::sync::Arc;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The label is empty, or only space.
    EmptyLabel,
    /// A setting without a default was not given.
    #[non_exhaustive]
    Missing {
        /// The bulkhead.
        label: Arc<str>,
        /// The setting.
        setting: &'static str,
    },
    /// A setting that must be at least 1, or longer than nothing, is zero.
    #[non_exhaustive]
    Zero {
        /// The bulkhead.
        label: Arc<str>,
        /// The setting.
        setting: &'static str,
    },
    /// A setting is above its maximum.
    #[non_exhaustive]
    TooLarge {
        /// The bulkhead.
        label: Arc<str>,
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// The largest value it may have.
        maximum: usize,
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
                write!(f, "bulkhead \"{label}\": {setting} 0 is not allowed, it must be more")
            }
            Self::TooLarge { label, setting, value, maximum } => {
                write!(f, "bulkhead \"{label}\": {setting} {value} exceeds the maximum {maximum}")
            }
        }
    }
}

impl Error for ConfigError {}

/// A capacity that cannot be set. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResizeError {
    /// The capacity is zero.
    #[non_exhaustive]
    Zero {
        /// The bulkhead.
        label: Arc<str>,
        /// The setting: `parallelism` or `capacity`.
        setting: &'static str,
    },
    /// The capacity is above the maximum.
    #[non_exhaustive]
    TooLarge {
        /// The bulkhead.
        label: Arc<str>,
        /// The setting: `parallelism` or `capacity`.
        setting: &'static str,
        /// The value asked for.
        value: usize,
        /// The largest value it may have.
        maximum: usize,
    },
    /// An operation in line needs more than this capacity and could never be admitted.
    #[non_exhaustive]
    BelowQueuedCost {
        /// The bulkhead.
        label: Arc<str>,
        /// The capacity asked for.
        capacity: usize,
        /// The largest cost in the line.
        cost: usize,
    },
    /// The bulkhead is closed.
    #[non_exhaustive]
    Closed {
        /// The bulkhead.
        label: Arc<str>,
    },
    /// There is no partition of this key.
    #[non_exhaustive]
    NoPartition {
        /// The partitioned bulkhead.
        label: Arc<str>,
    },
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { label, setting } => {
                write!(f, "bulkhead \"{label}\": {setting} 0 is not allowed, the least is 1")
            }
            Self::TooLarge { label, setting, value, maximum } => {
                write!(f, "bulkhead \"{label}\": {setting} {value} exceeds the maximum {maximum}")
            }
            Self::BelowQueuedCost { label, capacity, cost } => write!(
                f,
                "bulkhead \"{label}\": capacity {capacity} is below the cost {cost} of an operation \
                 in line"
            ),
            Self::Closed { label } => write!(f, "bulkhead \"{label}\" is closed"),
            Self::NoPartition { label } => {
                write!(f, "bulkhead \"{label}\" has no partition of this key")
            }
        }
    }
}

impl Error for ResizeError {}
