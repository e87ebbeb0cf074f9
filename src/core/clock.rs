//! The clock: tokio's, so that a test may pause it.
//!
//! It owns the one reading of it that cannot panic. In a process in which time was ever paused, tokio's own reading asks
//! for the runtime of the thread, and panics in the last moments of a thread, when tokio's thread-local has been dropped.
//! A slot may be in a thread-local that is dropped after it.

use std::time::Duration;

use tokio::{runtime::Handle, time::Instant};

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
