//! `Rejection`: which bulkhead did not admit an operation, why, and when to try again.
//!
//! It owns how rejections are made: whoever is rejected for the same reason, numbers included, shares one
//! notice of it. A full bulkhead gives most of them the same, so a rejection takes no memory, and a
//! result that may be one is small enough to be moved for nothing.

pub(crate) mod cache;
pub(crate) mod reason;

use std::{error::Error, fmt, time::Duration};

use crate::{
    core::rejection::{cache::RejectionInner, reason::RejectionReason},
    sync::Arc,
};

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
pub struct Rejection(Arc<RejectionInner>);

impl Rejection {
    /// Whether one key among many was rejected, and not everybody.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.0.partitioned
    }

    /// The label of the bulkhead that rejected.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// Why it rejected.
    #[must_use]
    pub fn reason(&self) -> &RejectionReason {
        &self.0.reason
    }

    /// When to try again: one second, or what a layer was told to say. `None` where trying the same
    /// again cannot help, because the bulkhead is closed, the operation never admissible or its own
    /// deadline over.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulkhead \"{}\" rejected the operation: {}", self.label(), self.reason())
    }
}

impl Error for Rejection {}
