//! `WaitPolicy`: whether an operation waits, and how long.
//!
//! It owns the arithmetic of wait limits and deadlines. It does not enforce them: see `limits`.

use std::time::Duration;

use tokio::time::Instant;

use crate::core::{
    clock::{self, Nanos},
    limits::Expiry,
    line::ends::End,
};

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

    /// Returns when a wait that began at `since` ends: when the first of its limits passes.
    #[inline]
    pub(in crate::core) fn end(&self, since: Nanos, wait_limit: Option<Duration>) -> End {
        let (own_limit, deadline) = match *self {
            Self::Within(limit) => (Some(limit), None),
            Self::Before(deadline) => (None, Some(Nanos::at(deadline))),
            Self::UpToLimit | Self::NoWait | Self::NoWaitBefore(_) => (None, None),
        };
        let limit = [own_limit, wait_limit].into_iter().flatten().min();
        // A limit too far in the future never passes.
        let limit = limit.map_or(Nanos::NEVER, |limit| since.plus(limit));
        match deadline {
            Some(deadline) if deadline < limit => End { at: deadline, by_deadline: true },
            _ => End { at: limit, by_deadline: false },
        }
    }

    /// Whether it limits a wait by itself.
    #[inline]
    pub(in crate::core) fn has_limit(&self) -> bool {
        matches!(self, Self::Within(_) | Self::Before(_))
    }
}
