//! The clock: tokio's, so that a test may pause it.
//!
//! It owns the one reading of it that cannot panic. In a process in which time was ever paused, tokio's own reading asks
//! for the runtime of the thread, and panics in the last moments of a thread, when tokio's thread-local has been dropped.
//! A slot may be in a thread-local that is dropped after it.

use std::time::Duration;

use tokio::{runtime::Handle, time::Instant};

use crate::sync::OnceLock;

thread_local! {
    static TOKIO: TokioIsAlive = TokioIsAlive(!is_tokio_gone());
}

/// Whether tokio's thread-local was alive when this was made.
///
/// Making it has used tokio's first, and thread-locals are dropped in the reverse order of their first use. So while this
/// is alive, tokio's is too. To ask tokio each time would make the use of a partition 8 % dearer.
struct TokioIsAlive(bool);

impl Drop for TokioIsAlive {
    fn drop(&mut self) {
        // Without a drop it would seem to be alive for as long as its thread.
    }
}

/// Returns the current time. Never panics.
#[inline]
pub(crate) fn now() -> Instant {
    match TOKIO.try_with(|tokio| tokio.0) {
        Ok(true) => Instant::now(),
        _ => now_at_thread_end(),
    }
}

/// A point in time in nanoseconds after the epoch of this process, which compares and subtracts faster than an [`Instant`].
///
/// Of a point more than 292 years away, it is the end of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nanos(i64);

static EPOCH: OnceLock<Instant> = OnceLock::new();

impl Nanos {
    /// Later than any time that comes.
    pub(crate) const NEVER: Self = Self(i64::MAX);

    /// Earlier than any other.
    pub(crate) const EARLIEST: Self = Self(i64::MIN);

    /// The epoch, or the origin of another scale.
    pub(crate) const ZERO: Self = Self(0);

    /// Converts an `Instant`.
    #[inline]
    pub(crate) fn at(at: Instant) -> Self {
        let epoch = *EPOCH.get_or_init(now);
        Self(match at.checked_duration_since(epoch) {
            Some(after) => whole_nanos(after),
            // A paused clock may stand before it.
            None => -whole_nanos(epoch.saturating_duration_since(at)),
        })
    }

    /// Returns the point this much later, or `NEVER`.
    #[inline]
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(whole_nanos(time)))
    }

    /// Returns the time since `earlier`: zero if that is later.
    #[inline]
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same, in nanoseconds.
    #[inline]
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0).max(0) as u64
    }

    /// Returns the same point on a scale on which `origin` is zero.
    #[inline]
    pub(crate) fn seen_from(self, origin: Self) -> Self {
        Self(self.0.saturating_sub(origin.0))
    }

    /// Returns the number itself, of which only differences mean something.
    #[inline]
    pub(crate) fn get(self) -> i64 {
        self.0
    }

    /// Returns the point as an `Instant`, unless it never comes or is too far away to be one.
    pub(crate) fn instant(self) -> Option<Instant> {
        if self == Self::NEVER {
            return None;
        }
        let (epoch, distance) =
            (*EPOCH.get_or_init(now), Duration::from_nanos(self.0.unsigned_abs()));
        if self.0 < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) }
    }
}

#[inline]
fn whole_nanos(time: Duration) -> i64 {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(time.subsec_nanos()))
}

/// Returns the time since `start`. Never panics.
#[inline]
pub(crate) fn elapsed(start: Instant) -> Duration {
    now().saturating_duration_since(start)
}

#[cold]
fn now_at_thread_end() -> Instant {
    if is_tokio_gone() {
        // Real time: this thread no longer belongs to a runtime that may have paused it.
        return Instant::from_std(std::time::Instant::now());
    }
    Instant::now()
}

fn is_tokio_gone() -> bool {
    Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed())
}
