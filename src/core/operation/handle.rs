//! `GateHandle`: how an operation refers to its gate. `WaitPolicy`: whether and how long it waits.
//!
//! It owns the two traits and the arithmetic of wait limits. It does not own the handles, which are the
//! bulkheads'.

use std::{task::Waker, time::Duration};

use tokio::time::Instant;

use crate::{
    core::{gate::Gate, limits::Expiry, rejection::cache::RejectionCache},
    sync::Mutex,
};

/// A handle through which an operation reaches its gate and its settings.
pub(crate) trait GateHandle {
    fn gate(&self) -> &Gate;

    /// The cache that makes its rejections, if the gate has none of its own.
    fn rejections(&self) -> Option<&Mutex<RejectionCache>>;

    /// The bulkhead's own wait limit, which bounds every wait.
    fn wait_limit(&self) -> Option<Duration>;

    /// Returns a waker that fires the gate's alarm, as long as the gate exists.
    fn alarm_waker(&self) -> Waker;
}

/// A handle that is converted into an owned one only when an operation has something to hold.
pub(crate) trait IntoOwnedHandle: GateHandle {
    /// The handle that a permit or a waiter keeps.
    type Owned: GateHandle;

    fn into_owned(self) -> Self::Owned;
}

/// Whether an operation may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub enum WaitPolicy {
    /// Waits up to the wait limit.
    UpToLimit,
    /// Does not wait.
    NoWait,
    /// Does not wait, and is rejected if the deadline has passed already.
    NoWaitBefore(Instant),
    /// Waits up to this long.
    Within(Duration),
    /// Waits until this deadline.
    Before(Instant),
}

impl WaitPolicy {
    pub(in crate::core) fn waits(&self) -> bool {
        !matches!(self, Self::NoWait | Self::NoWaitBefore(_))
    }

    /// Returns the limit that has passed already, if any.
    #[inline]
    pub(crate) fn expired(&self) -> Option<Expiry> {
        match *self {
            Self::UpToLimit | Self::NoWait => None,
            Self::NoWaitBefore(deadline) | Self::Before(deadline) => {
                (deadline <= Instant::now()).then_some(Expiry::Deadline)
            }
            Self::Within(limit) => limit.is_zero().then_some(Expiry::WaitLimit),
        }
    }

    /// Returns when a wait that began at `since` ends, and the limit that ends it: the one that passes first.
    #[inline]
    pub(in crate::core) fn end(
        &self,
        since: Instant,
        wait_limit: Option<Duration>,
    ) -> Option<(Instant, Expiry)> {
        let (own_limit, deadline) = match *self {
            Self::Within(limit) => (Some(limit), None),
            Self::Before(deadline) => (None, Some((deadline, Expiry::Deadline))),
            Self::UpToLimit | Self::NoWait | Self::NoWaitBefore(_) => (None, None),
        };
        // A limit too far in the future to be an `Instant` never passes.
        let limits = [own_limit, wait_limit].into_iter().flatten();
        let limit = limits.min().and_then(|limit| since.checked_add(limit));
        let limit = limit.map(|at| (at, Expiry::WaitLimit));
        [limit, deadline].into_iter().flatten().min_by_key(|&(at, _)| at)
    }
}
