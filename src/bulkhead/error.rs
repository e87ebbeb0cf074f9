//! What can go wrong: rejections of operations, and errors of configuration and resizing.

use std::{error::Error, fmt, time::Duration};

use crate::{core::reason::RejectionReason, sync::Arc};

/// How long to wait before trying again, where nobody says otherwise.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An operation was not admitted: by which bulkhead, why, and when to try again.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, RejectionReason};
///
/// let payments = Bulkhead::builder("payments").parallelism(1).build()?;
/// let slot = payments.slot_now()?;
/// let rejection = payments.slot_now().unwrap_err();
/// assert_eq!(rejection.label(), "payments");
/// assert!(matches!(rejection.reason(), RejectionReason::Saturated { used: 1, .. }));
/// # drop(slot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    label: Arc<str>,
    reason: RejectionReason,
    retry_after: Option<Duration>,
    partitioned: bool,
}

impl Rejection {
    #[inline]
    pub(crate) fn new(label: Arc<str>, reason: RejectionReason, partitioned: bool) -> Self {
        let retry_after = is_transient(&reason).then_some(RETRY_AFTER);
        Self { label, reason, retry_after, partitioned }
    }

    /// Whether one key among many was rejected, and not everybody.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.partitioned
    }

    /// Gives another hint, where a hint makes sense at all.
    #[inline]
    pub(crate) fn hint(&mut self, retry_after: Duration) {
        if let Some(own) = &mut self.retry_after {
            *own = retry_after;
        }
    }

    /// The label of the bulkhead that rejected.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Why it rejected.
    #[must_use]
    pub fn reason(&self) -> &RejectionReason {
        &self.reason
    }

    /// When to try again: one second, or what a layer was told to say. `None` where trying the same
    /// again cannot help, because the bulkhead is closed, the operation never admissible or its own
    /// deadline over.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// Whether the same operation may well be admitted a little later.
fn is_transient(reason: &RejectionReason) -> bool {
    match reason {
        RejectionReason::Saturated { .. }
        | RejectionReason::WaitLimit { .. }
        | RejectionReason::PartitionLimit { .. } => true,
        RejectionReason::Deadline { .. }
        | RejectionReason::Closed
        | RejectionReason::CostExceedsCapacity { .. }
        | RejectionReason::InvalidCost
        | RejectionReason::MissingKey
        | RejectionReason::InvalidLimits { .. }
        | RejectionReason::LimitsPanicked => false,
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulkhead \"{}\" rejected the operation: {}", self.label, self.reason)
    }
}

impl Error for Rejection {}

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
