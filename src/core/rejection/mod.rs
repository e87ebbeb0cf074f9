//! `Rejection`: which bulkhead did not admit an operation, why, and when to try again.
//!
//! It owns how rejections are made: whoever is rejected for the same reason, numbers included, shares one
//! notice of it. A full bulkhead gives most of them the same, so a rejection takes no memory, and a
//! result that may be one is small enough to be moved for nothing.

pub(crate) mod reason;

use std::{error::Error, fmt, time::Duration};

use crate::{
    core::rejection::reason::RejectionReason,
    sync::{Arc, Mutex},
};

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
pub struct Rejection(Arc<Notice>);

/// What all have in common who were rejected for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Notice {
    label: Arc<str>,
    partitioned: bool,
    reason: RejectionReason,
    retry_after: Option<Duration>,
}

impl Notice {
    /// The last notice again, or one for this reason in its stead. Takes memory only where somebody
    /// still holds the last one and it was for another.
    #[inline]
    fn give_out(last: &mut Arc<Self>, reason: RejectionReason, retry_after: Duration) -> Rejection {
        if last.reason != reason {
            let notice = Arc::make_mut(last);
            notice.reason = reason;
            notice.retry_after = is_transient(&reason).then_some(retry_after);
        }
        Rejection(last.clone())
    }
}

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

/// Who writes the rejections of a bulkhead.
#[derive(Debug)]
pub(crate) struct Clerk {
    /// The last notice, to be given out again.
    last: Arc<Notice>,
}

impl Clerk {
    /// Makes the first notice in advance.
    pub(crate) fn new(label: Arc<str>, partitioned: bool) -> Self {
        let reason = RejectionReason::Closed;
        Self { last: Arc::new(Notice { label, partitioned, reason, retry_after: None }) }
    }

    #[inline]
    pub(crate) fn reject(&mut self, reason: RejectionReason) -> Rejection {
        Notice::give_out(&mut self.last, reason, RETRY_AFTER)
    }
}

/// When to try again by the word of a layer, for all whom it rejects.
#[derive(Debug)]
pub(crate) struct Hint {
    retry_after: Duration,
    /// The last notice that says so, to be given out again.
    last: Mutex<Option<Arc<Notice>>>,
}

impl Hint {
    pub(crate) fn new(retry_after: Duration) -> Self {
        Self { retry_after, last: Mutex::new(None) }
    }

    /// The same rejection with this hint, where a hint makes sense at all. Takes memory as a
    /// [`Clerk`] does, and the first time. All rejections are of one bulkhead.
    pub(crate) fn on(&self, rejection: Rejection) -> Rejection {
        if rejection.retry_after().is_none() {
            return rejection;
        }
        let retry_after = Some(self.retry_after);
        let mut last = self.last.lock();
        let last = last
            .get_or_insert_with(|| Arc::new(Notice { retry_after, ..Notice::clone(&rejection.0) }));
        Notice::give_out(last, *rejection.reason(), self.retry_after)
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

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_shared_by_equals_and_written_anew_only_while_it_is_held() {
        let mut clerk = Clerk::new("payments".into(), false);
        let waited = |seconds| RejectionReason::WaitLimit { waited: Duration::from_secs(seconds) };
        let first = clerk.reject(waited(1));
        let again = clerk.reject(waited(1));
        assert!(Arc::ptr_eq(&first.0, &again.0));
        let other = clerk.reject(waited(2));
        assert_eq!((first.reason(), other.reason()), (&waited(1), &waited(2)), "never rewritten");

        let address = Arc::as_ptr(&other.0);
        drop(other);
        assert_eq!(Arc::as_ptr(&clerk.reject(RejectionReason::Closed).0), address);
    }

    #[test]
    fn a_layers_hint_replaces_the_default_and_nothing_else() {
        let (mut clerk, hint) =
            (Clerk::new("payments".into(), false), Hint::new(Duration::from_secs(7)));
        let limit = RejectionReason::PartitionLimit { max_partitions: 1, active_partitions: 1 };
        let plain = clerk.reject(limit);
        let (one, other) = (hint.on(plain.clone()), hint.on(plain.clone()));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        assert_eq!((one.label(), one.reason()), ("payments", &limit));
        assert_eq!(one.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(plain.retry_after(), Some(RETRY_AFTER), "another layer may have it");

        let waited = RejectionReason::WaitLimit { waited: Duration::ZERO };
        assert_eq!(hint.on(clerk.reject(waited)).reason(), &waited);
        assert_eq!(one.reason(), &limit, "never rewritten");
        assert_eq!(hint.on(clerk.reject(RejectionReason::Closed)).retry_after(), None);
        let unused = Hint::new(Duration::from_secs(7));
        assert_eq!(unused.on(clerk.reject(RejectionReason::Closed)).retry_after(), None);
    }

    #[test]
    fn a_result_that_may_be_a_rejection_fits_into_two_registers() {
        assert!(size_of::<Result<u64, Rejection>>() <= 16);
    }
}
