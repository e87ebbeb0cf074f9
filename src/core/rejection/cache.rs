//! Rejections that rarely allocate.
//!
//! It owns the allocation behind a rejection and decides which reasons carry a retry hint. Operations
//! rejected for the same reason, numbers included, share one allocation. A full bulkhead rejects most
//! operations for the same reason, so a rejection rarely allocates, and a result that may be one fits into
//! two registers.

use std::time::Duration;

use crate::{
    core::rejection::{Rejection, reason::RejectionReason},
    sync::{Arc, Mutex},
};

/// When to try again where nothing is known.
pub(crate) const ONE_SECOND: Duration = Duration::from_secs(1);

/// What operations rejected for the same reason share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RejectionInner {
    pub(super) label: Arc<str>,
    pub(super) instance: u64,
    pub(super) partitioned: bool,
    pub(super) reason: RejectionReason,
    pub(super) retry_after: Option<Duration>,
}

impl RejectionInner {
    /// Returns the last rejection again, or replaces it if it has another reason. Allocates only if it has
    /// another reason and is still held elsewhere.
    #[inline]
    fn reuse_or_replace(
        last: &mut Arc<Self>,
        reason: RejectionReason,
        retry_after: Duration,
    ) -> Rejection {
        let is_same = last.retry_after.is_none_or(|last| last == retry_after);
        if last.reason != reason || !is_same {
            let inner = Arc::make_mut(last);
            inner.reason = reason;
            inner.retry_after = is_transient(&reason).then_some(retry_after);
        }
        Rejection(last.clone())
    }
}

/// Makes the rejections of a bulkhead.
#[derive(Debug)]
pub(crate) struct RejectionCache {
    /// The last rejection, to be reused.
    last: Arc<RejectionInner>,
}

impl RejectionCache {
    /// Creates a cache. The first rejection is allocated here.
    pub(crate) fn new(label: Arc<str>, instance: u64, partitioned: bool) -> Self {
        let (reason, retry_after) = (RejectionReason::Closed, None);
        let last = RejectionInner { label, instance, partitioned, reason, retry_after };
        Self { last: Arc::new(last) }
    }

    /// Returns the label of the bulkhead.
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.last.label
    }

    #[inline]
    pub(crate) fn reject(&mut self, reason: RejectionReason, retry_after: Duration) -> Rejection {
        RejectionInner::reuse_or_replace(&mut self.last, reason, retry_after)
    }
}

/// A layer's own retry hint, for all rejections that pass through it.
#[derive(Debug)]
pub(crate) struct RetryHint {
    retry_after: Duration,
    /// The last rejection with this hint, to be reused.
    last: Mutex<Option<Arc<RejectionInner>>>,
}

impl RetryHint {
    pub(crate) fn new(retry_after: Duration) -> Self {
        Self { retry_after, last: Mutex::new(None) }
    }

    /// Returns the same rejection with this hint, if its reason carries a hint at all. Allocates when a
    /// [`RejectionCache`] does, and on first use. All rejections must be of one bulkhead.
    pub(crate) fn on(&self, rejection: Rejection) -> Rejection {
        if rejection.retry_after().is_none() {
            return rejection;
        }
        let retry_after = Some(self.retry_after);
        let mut last = self.last.lock();
        let last = last.get_or_insert_with(|| {
            Arc::new(RejectionInner { retry_after, ..RejectionInner::clone(&rejection.0) })
        });
        RejectionInner::reuse_or_replace(last, *rejection.reason(), self.retry_after)
    }
}

/// Whether the same operation may be admitted if it is tried again a little later.
fn is_transient(reason: &RejectionReason) -> bool {
    match reason {
        RejectionReason::Saturated { .. }
        | RejectionReason::TotalSaturated { .. }
        | RejectionReason::WaitLimit { .. }
        | RejectionReason::Paused
        | RejectionReason::PartitionLimit { .. } => true,
        RejectionReason::Deadline { .. }
        | RejectionReason::Closed
        | RejectionReason::CostExceedsCapacity { .. }
        | RejectionReason::InvalidCost
        | RejectionReason::KeyRefused
        | RejectionReason::MissingKey
        | RejectionReason::InvalidLimits { .. }
        | RejectionReason::LimitsPanicked => false,
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn equal_rejections_share_an_allocation_and_a_held_one_is_never_rewritten() {
        let mut rejections = RejectionCache::new("payments".into(), 7, false);
        let waited = |seconds| RejectionReason::WaitLimit {
            waited: Duration::from_secs(seconds),
            limit: Duration::from_secs(1),
        };
        let first = rejections.reject(waited(1), SECOND);
        let again = rejections.reject(waited(1), SECOND);
        assert!(Arc::ptr_eq(&first.0, &again.0));
        let other = rejections.reject(waited(2), SECOND);
        assert_eq!((first.reason(), other.reason()), (&waited(1), &waited(2)), "never rewritten");

        let later = rejections.reject(waited(2), 2 * SECOND);
        assert_eq!((other.retry_after(), later.retry_after()), (Some(SECOND), Some(2 * SECOND)));

        let address = Arc::as_ptr(&later.0);
        drop(later);
        assert_eq!(Arc::as_ptr(&rejections.reject(RejectionReason::Closed, SECOND).0), address);
    }

    #[test]
    fn a_retry_hint_replaces_the_default_and_nothing_else() {
        let (mut rejections, hint) = (
            RejectionCache::new("payments".into(), 7, false),
            RetryHint::new(Duration::from_secs(7)),
        );
        let limit = RejectionReason::PartitionLimit { max_partitions: 1, active_partitions: 1 };
        let plain = rejections.reject(limit, SECOND);
        let (one, other) = (hint.on(plain.clone()), hint.on(plain.clone()));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        assert_eq!((one.label(), one.reason()), ("payments", &limit));
        assert_eq!(one.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(plain.retry_after(), Some(SECOND), "another layer may hold it");

        let waited = RejectionReason::WaitLimit { waited: Duration::ZERO, limit: Duration::ZERO };
        assert_eq!(hint.on(rejections.reject(waited, SECOND)).reason(), &waited);
        assert_eq!(one.reason(), &limit, "never rewritten");
        assert_eq!(hint.on(rejections.reject(RejectionReason::Closed, SECOND)).retry_after(), None);
        let unused = RetryHint::new(Duration::from_secs(7));
        assert_eq!(
            unused.on(rejections.reject(RejectionReason::Closed, SECOND)).retry_after(),
            None
        );
    }

    #[test]
    fn a_result_that_may_be_a_rejection_fits_into_two_registers() {
        assert!(size_of::<Result<u64, Rejection>>() <= 16);
    }
}
