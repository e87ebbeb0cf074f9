//! `WaitPolicy`: whether an operation waits, and how long.
//!
//! It owns the arithmetic of wait limits and deadlines. It does not enforce them: see `limits`.

use std::time::Duration;

use tokio::time::Instant;

use crate::core::{clock, limits::Expiry};

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
                (deadline <= clock::now()).then_some(Expiry::Deadline)
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
