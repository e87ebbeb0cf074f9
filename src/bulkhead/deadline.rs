//! `Deadline`: the instant before which an operation must be admitted.

use std::time::Duration;

use tokio::time::Instant;

/// The instant before which an operation must be admitted.
///
/// It limits admission only: once admitted, work is never cancelled by a bulkhead. A layer finds it
/// in the extensions of an HTTP request.
///
/// Time is tokio's, so that it stands still where tokio's is paused.
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
    /// The deadline at `instant`, which may be one of `std` or of tokio.
    #[must_use]
    pub fn at(instant: impl Into<Instant>) -> Self {
        Self(instant.into())
    }

    /// The deadline `duration` from now. One too far away to be an instant is moved to 30 years from
    /// now.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let now = Instant::now();
        Self(now.checked_add(duration).unwrap_or(now + FAR))
    }

    /// Time left until the deadline; zero once it has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.0 <= Instant::now()
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
