//! How long operations waited and held their slots, as a bulkhead keeps it, and the public `HoldTimes`.
//!
//! It owns the distributions and the sums beside them. Which operations are timed, and how many each stands for, is
//! for `sampling`; the partitions of one bulkhead share one record.

use std::time::Duration;

use crate::core::gate::{
    histogram::{Buckets, Histogram},
    sampling::GAP,
};

/// The times of one bulkhead, or of all partitions of one.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Waits of waiters that were admitted.
    pub(crate) waits: Buckets,
    /// Waits of waiters that were cancelled.
    patience: Buckets,
    lost_waits: LostWaits,
    holds: Buckets,
    sums: HoldSums,
}

/// The times of one instant.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimesSnapshot {
    pub(crate) waits: Histogram,
    pub(crate) patience: Histogram,
    pub(crate) holds: HoldTimes,
}

/// One timed hold of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    pub(crate) nanos: u64,
    pub(crate) cost: u32,
    /// How many operations it stands for.
    pub(crate) weight: u32,
    /// Whether the operation ended before it had an outcome.
    pub(crate) cut_short: bool,
}

/// Time spent in line by waiters that were not admitted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LostWaits {
    pub(crate) cancelled: Duration,
    pub(crate) expired: Duration,
}

/// Sums over timed operations, each times the number of operations that it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HoldSums {
    timed: u64,
    nanos: u128,
    unit_nanos: u128,
    cut_short_unit_nanos: u128,
}

impl Times {
    /// Records the wait of a cancelled waiter.
    pub(crate) fn add_cancelled(&mut self, nanos: u64) {
        self.patience.add(nanos, 1);
        let cancelled = &mut self.lost_waits.cancelled;
        *cancelled = cancelled.saturating_add(Duration::from_nanos(nanos));
    }

    /// Records the wait of an expired waiter.
    pub(crate) fn add_expired(&mut self, nanos: u64) {
        let expired = &mut self.lost_waits.expired;
        *expired = expired.saturating_add(Duration::from_nanos(nanos));
    }

    pub(crate) fn lost_waits(&self) -> LostWaits {
        self.lost_waits
    }

    /// Records a hold.
    pub(crate) fn record(&mut self, hold: &Hold) {
        let Hold { nanos, cost, weight, cut_short } = *hold;
        // A hold of hours times 64 fits.
        let weighted = nanos * u64::from(weight);
        let unit_nanos = u128::from(weighted) * u128::from(cost);
        let sums = &mut self.sums;
        if cut_short {
            sums.cut_short_unit_nanos += unit_nanos;
            return;
        }
        sums.timed += 1;
        sums.nanos += u128::from(weighted);
        sums.unit_nanos += unit_nanos;
        self.holds.add(nanos, u64::from(weight));
    }

    /// Returns a copy, for a status.
    pub(crate) fn snapshot(&self) -> TimesSnapshot {
        TimesSnapshot {
            waits: Histogram::new(&self.waits),
            patience: Histogram::new(&self.patience),
            holds: HoldTimes { histogram: Histogram::new(&self.holds), sums: self.sums },
        }
    }
}

/// How long operations held their slots: an estimate from those that were timed.
///
/// While operations wait, every operation that is admitted from the line is timed. Otherwise about one in 64 is, chosen at
/// random, and stands for 64. The mean is within 3 x cv / sqrt(n) of the true one, where cv is the standard deviation of
/// the holds divided by their mean, and n is the count of the [`histogram`](Self::histogram) divided by 64. If none of the
/// operations waited, n is [`timed`](Self::timed). The mean may lag behind by operations that are about to release their
/// slot.
///
/// The mean and the quantiles are of operations that completed. Work that was cut short is not among them: how long it
/// held its slot says how long its caller stayed, and not how long the work takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldTimes {
    histogram: Histogram,
    sums: HoldSums,
}

impl HoldTimes {
    /// Returns how many completed operations were timed.
    #[must_use]
    pub fn timed(&self) -> u64 {
        self.sums.timed
    }

    /// Returns the mean time for which a completed operation held its slot; `None` if none was timed.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.sums.nanos.checked_div(u128::from(self.histogram.count()))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Returns the time below which the share `q` of the completed operations held their slots, as
    /// [`Histogram::quantile`] does.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        self.histogram.quantile(q)
    }

    /// Returns the distribution. Each timed operation counts for as many as it stands for.
    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// Returns the mean of cost times hold, in unit-seconds, of a completed operation; `None` if none was timed.
    ///
    /// In a plain bulkhead it is the mean hold. Where costs differ it is not the mean cost times the mean hold, since
    /// expensive operations tend to take longer.
    #[must_use]
    pub fn mean_unit_seconds(&self) -> Option<f64> {
        let count = self.histogram.count();
        (count > 0).then(|| seconds(self.sums.unit_nanos) / count as f64)
    }

    /// Returns the unit-seconds of all operations that have ended, those that were cut short included: what they used
    /// of the capacity.
    #[must_use]
    pub fn unit_seconds(&self) -> f64 {
        seconds(self.sums.unit_nanos) + seconds(self.sums.cut_short_unit_nanos)
    }

    /// Returns the squared coefficient of variation of the holds, variance divided by the squared mean, from the
    /// histogram; `None` if none was timed.
    #[must_use]
    pub fn variability(&self) -> Option<f64> {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (middle, weight) in self.histogram.middles() {
            count += weight;
            sum += weight * middle;
            squares += weight * middle * middle;
        }
        let mean = sum / count;
        (mean > 0.0).then(|| (squares / count / (mean * mean) - 1.0).max(0.0))
    }

    /// Returns how many of the timed operations are samples, each of which stands for [`GAP`].
    pub(crate) fn sampled(&self) -> f64 {
        let (timed, count) = (self.sums.timed as f64, self.histogram.count() as f64);
        ((count - timed) / f64::from(GAP - 1)).clamp(0.0, timed)
    }

    /// Returns how many operations of equal weight would give as exact a mean as the timed ones, at least 1.
    ///
    /// Some of those count once and others for [`GAP`], so that there are fewer than were timed: `(sum of w)^2 / sum of w^2`,
    /// by L. Kish, "Survey Sampling", 1965.
    pub(crate) fn effective_samples(&self) -> f64 {
        let (timed, count, sampled) =
            (self.sums.timed as f64, self.histogram.count() as f64, self.sampled());
        let squares = timed - sampled + sampled * f64::from(GAP) * f64::from(GAP);
        // Of nothing it is 0 / 0, which `max` turns into 1 and `clamp` would not.
        (count * count / squares).max(1.0).min(timed.max(1.0))
    }

    /// What was timed since `earlier`; `None` if `earlier` has more of anything.
    pub(crate) fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            histogram: self.histogram.since(&earlier.histogram)?,
            sums: self.sums.since(earlier.sums)?,
        })
    }
}

impl HoldSums {
    fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            timed: self.timed.checked_sub(earlier.timed)?,
            nanos: self.nanos.checked_sub(earlier.nanos)?,
            unit_nanos: self.unit_nanos.checked_sub(earlier.unit_nanos)?,
            cut_short_unit_nanos: self
                .cut_short_unit_nanos
                .checked_sub(earlier.cut_short_unit_nanos)?,
        })
    }
}

fn seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    fn timed(singly: u64, sampled: u64) -> HoldTimes {
        let mut times = Times::default();
        let hold = |weight| Hold { nanos: 1_000_000, cost: 1, weight, cut_short: false };
        (0..singly).for_each(|_| times.record(&hold(1)));
        (0..sampled).for_each(|_| times.record(&hold(GAP)));
        times.snapshot().holds
    }

    #[test]
    fn samples_of_unequal_weight_are_worth_less_than_their_number() {
        // All of one weight: each is worth one.
        assert_eq!(timed(1000, 0).effective_samples(), 1000.0);
        assert_eq!(timed(0, 1000).effective_samples(), 1000.0);
        // 32,000 that waited, and 500 of 32,000 that did not: 64,000^2 / (32,000 + 500 x 4,096).
        let mixed = timed(32_000, 500);
        assert_eq!(
            (mixed.timed(), mixed.histogram().count(), mixed.sampled()),
            (32_500, 64_000, 500.0)
        );
        assert!((mixed.effective_samples() - 1969.2).abs() < 0.1);
        assert_eq!(HoldTimes::default().effective_samples(), 1.0);
    }
}
