//! How fast the line moves: what a rejected operation is told about when to try again.
//!
//! It owns the estimate. It does not own the rejections, or what a layer says instead.

use std::time::Duration;

use crate::core::{
    clock::Nanos,
    gate::section::Section,
    rejection::{cache::ONE_SECOND, reason::RejectionReason},
};

/// The longest hint, in seconds: whatever the line does, a client may ask again after that.
const LONGEST: u64 = 60;

/// After this many hand-overs the past counts half.
const MEMORY: u32 = 512;

/// The time that hand-overs took, one after the other while operations waited.
#[derive(Debug)]
pub(in crate::core) struct Pace {
    /// When the last one was, or when the line began to move.
    last: Nanos,
    nanos: u64,
    hand_overs: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { last: Nanos::ZERO, nanos: 0, hand_overs: 0 }
    }
}

impl Pace {
    /// The line moves from now on: it was empty, or stood still.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.last = now;
    }

    #[inline]
    pub(super) fn hand_over(&mut self, now: Nanos) {
        self.nanos = self.nanos.saturating_add(now.nanos_since(self.last));
        self.last = now;
        self.hand_overs += 1;
        if self.hand_overs == MEMORY {
            (self.nanos, self.hand_overs) = (self.nanos / 2, MEMORY / 2);
        }
    }

    /// Returns the time after which one more behind this many probably has its turn, in whole seconds.
    fn hint(&self, waiting: u32) -> Option<Duration> {
        let each = self.nanos.checked_div(u64::from(self.hand_overs))?;
        let nanos = each.saturating_mul(u64::from(waiting) + 1);
        Some(Duration::from_secs(nanos.div_ceil(1_000_000_000).clamp(1, LONGEST)))
    }
}

impl Section<'_> {
    /// Returns when an operation that is rejected for this reason may try again, if that can help.
    pub(super) fn retry_after(&self, reason: &RejectionReason) -> Duration {
        let hint = match (reason, &self.state.lazy) {
            (
                RejectionReason::Saturated { .. }
                | RejectionReason::TotalSaturated { .. }
                | RejectionReason::WaitLimit { .. },
                Some(lazy),
            ) => lazy.pace.hint(lazy.line.len()),
            _ => None,
        };
        hint.unwrap_or(ONE_SECOND)
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    fn paced(each: Duration, hand_overs: u32) -> Pace {
        let mut pace = Pace::default();
        let mut now = Nanos::ZERO;
        pace.begin(now);
        for _ in 0..hand_overs {
            now = now.plus(each);
            pace.hand_over(now);
        }
        pace
    }

    #[test]
    fn the_hint_is_the_time_until_a_place_is_free() {
        let pace = paced(Duration::from_millis(300), 10);
        let hints = [0, 3, 9, 10, 1_000].map(|waiting| pace.hint(waiting).unwrap().as_secs());
        assert_eq!(hints, [1, 2, 3, 4, 60]);
        assert_eq!(Pace::default().hint(1_000), None, "nothing is known");
        assert_eq!(paced(Duration::ZERO, 3).hint(u32::MAX), Some(ONE_SECOND));
        let slow = paced(Duration::from_secs(u64::MAX), 3);
        assert_eq!(slow.hint(u32::MAX), Some(60 * ONE_SECOND));
    }

    #[test]
    fn the_hint_follows_a_change_of_pace() {
        let mut pace = paced(Duration::from_millis(10), 10_000);
        let mut now = pace.last;
        for _ in 0..2_000 {
            now = now.plus(Duration::from_secs(1));
            pace.hand_over(now);
        }
        assert_eq!(pace.hint(9), Some(10 * ONE_SECOND));
    }
}
