//! `Rejection`: which bulkhead did not admit an operation, why, and when to try again.
//!
//! It owns the public error type. `cache` makes rejections, and `reason` holds the reasons. How a rejection
//! becomes a response is up to the middleware.

pub(crate) mod cache;
pub(crate) mod reason;

use std::{error::Error, fmt, io, time::Duration};

use crate::{
    core::rejection::{cache::RejectionInner, reason::RejectionReason},
    sync::Arc,
};

/// The error of an operation that was not admitted: by which bulkhead, why, and when to try again.
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
    /// Returns the first rejection in a chain of errors: `error` itself, one of its [sources](Error::source), or what an
    /// [`io::Error`] contains.
    ///
    /// For callers behind middleware that boxes or wraps errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{Bulkhead, BulkheadError, Rejection};
    ///
    /// # let payments = Bulkhead::builder("payments").parallelism(1).build()?;
    /// # let slot = payments.slot_now()?;
    /// let error: BulkheadError<std::io::Error> = payments.slot_now().unwrap_err().into();
    /// let rejection = Rejection::find_in(&error).expect("it is in the chain");
    /// assert_eq!(rejection.label(), "payments");
    /// # drop(slot);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn find_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let next = |&error: &&'a (dyn Error + 'static)| match error.downcast_ref::<io::Error>() {
            // Its source is that of the error inside, and leaves that one out.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
        let mut chain = std::iter::successors(Some(error), next);
        chain.find_map(|error| error.downcast_ref())
    }

    /// Returns `true` if the bulkhead is partitioned, so that other keys may still be admitted.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.0.partitioned
    }

    /// Returns the label of the bulkhead that rejected the operation.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// Returns the number of the bulkhead that rejected the operation, which is unique within the process: that of its
    /// [statuses](crate::BulkheadStatus::instance). It tells a bulkhead that was removed from one that has its label now.
    #[must_use]
    pub fn instance(&self) -> u64 {
        self.0.instance
    }

    /// Returns why the operation was rejected.
    #[must_use]
    pub fn reason(&self) -> &RejectionReason {
        &self.0.reason
    }

    /// Returns how long to wait before trying again, in whole seconds: an estimate, unless a layer
    /// [specifies](crate::AdmissionLayer::retry_after) it.
    ///
    /// If the bulkhead was full or the wait limit has passed, it is the time in which all who waited get their slots, and one
    /// more, at the pace at which the line has moved lately, between 1 and 60 seconds. Otherwise, or if nobody has come out of the
    /// line yet, it is one second.
    ///
    /// `None` if trying the same operation again cannot help: the bulkhead is closed, the operation can
    /// never be admitted, or its own deadline has passed.
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
