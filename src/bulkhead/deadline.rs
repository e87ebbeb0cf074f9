//! `Deadline`: the instant before which an operation must be admitted.

use std::time::Duration;

use tokio::time::Instant;

use crate::core::clock;

/// The instant before which an operation must be admitted.
///
/// A deadline limits admission only: a bulkhead never cancels admitted work. Layers read it from the
/// extensions of an HTTP request.
///
/// It uses tokio's clock, so time stands still while that clock is paused.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use bulklink::Deadline;
///
/// let deadline = Deadline::after(Duration::from_millis(250));
/// assert!(!deadline.is_expired());
/// assert!(deadline.remaining() <= Duration::from_millis(250));
/// assert!(Deadline::at(Instant::now()).is_expired());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline at `instant`, which may be a `std` or a tokio instant.
    #[must_use]
    pub fn at(instant: impl Into<Instant>) -> Self {
        Self(instant.into())
    }

    /// Returns the deadline `duration` from now, or 30 years from now if that instant cannot be
    /// represented.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let now = clock::now();
        Self(now.checked_add(duration).unwrap_or(now + FAR))
    }

    /// Returns the time left until the deadline, which is zero once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(clock::now())
    }

    /// Returns `true` if the deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.0 <= clock::now()
    }

    /// Returns the deadline this much earlier; one that has passed, if there is no such instant.
    #[inline]
    pub(crate) fn earlier_by(self, time: Duration) -> Self {
        if time.is_zero() {
            return self;
        }
        Self(self.0.checked_sub(time).unwrap_or_else(clock::now))
    }

    #[inline]
    pub(crate) fn instant(&self) -> Instant {
        self.0
    }
}

impl From<std::time::Instant> for Deadline {
    fn from(instant: std::time::Instant) -> Self {
        Self::at(instant)
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}
