//! `WaitLimit`: the wait limit of a bulkhead, which may change while operations arrive.
//!
//! It owns the value. When it may change, and for whom it holds, is decided by the gate.

use std::time::Duration;

use crate::sync::{Ordering, UnexploredU64};

/// The longest time that one operation may wait, or none.
///
/// The limit of a standalone bulkhead is changed under the lock of its gate, and read there for every operation that joins
/// the line. Read without the lock it may be that of a moment ago, and decides nothing. Partitions share the limit of
/// their bulkhead, so that one that joins a line concurrently with a change may have either.
#[derive(Debug)]
pub(crate) struct WaitLimit(UnexploredU64);

const NONE: u64 = u64::MAX;

/// A limit above 584 years, of which only one is told: `Duration::MAX`.
const FOREVER: u64 = u64::MAX - 1;

impl WaitLimit {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self(UnexploredU64::new(encoded(limit)))
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Duration> {
        match self.0.load(Ordering::Relaxed) {
            NONE => None,
            FOREVER => Some(Duration::MAX),
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NONE
    }

    pub(crate) fn set(&self, limit: Option<Duration>) {
        self.0.store(encoded(limit), Ordering::Relaxed);
    }
}

fn encoded(limit: Option<Duration>) -> u64 {
    let nanos = |limit: Duration| u64::try_from(limit.as_nanos()).unwrap_or(FOREVER);
    limit.map_or(NONE, |limit| nanos(limit).min(FOREVER))
}

/// Returns the limit as it is stored: one above 584 years is `Duration::MAX`.
pub(crate) fn stored(limit: Option<Duration>) -> Option<Duration> {
    WaitLimit::new(limit).get()
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_limit_below_584_years_is_kept_exactly() {
        let year = Duration::from_secs(365 * 24 * 3600);
        for limit in [Duration::from_nanos(1), Duration::new(2, 999_999_999), 584 * year] {
            let own = WaitLimit::new(Some(limit));
            assert_eq!((own.get(), own.is_set()), (Some(limit), true));
            own.set(None);
            assert_eq!((own.get(), own.is_set()), (None, false));
        }
        for limit in [585 * year, Duration::from_nanos(u64::MAX), Duration::MAX] {
            assert_eq!(stored(Some(limit)), Some(Duration::MAX));
        }
    }
}
