//! `Histogram`: a distribution of durations in buckets that grow with them.
//!
//! It owns the bounds of the buckets and what can be read off their counts. It reads no clock.

use std::{fmt, time::Duration};

use crate::sync::Arc;

/// Upper bound of the first bucket: 2^16 ns, about 66 microseconds.
const FIRST_POWER: u32 = 16;

/// Durations of this many nanoseconds and more share the last bucket: 2^37 ns, about 137 seconds.
const LAST_POWER: u32 = 37;

/// Buckets in each power of two, of equal width. A duration is thus known to an eighth of the power of two below
/// it, and its bucket's middle is at most 6.25 % away.
///
/// The layout is that of HdrHistogram with three significant bits: <https://hdrhistogram.org>.
const STEPS: u32 = 8;

/// One for everything below the first bound, the log-linear ones, and one for everything beyond the last.
pub(crate) const BUCKETS: usize = ((LAST_POWER - FIRST_POWER) * STEPS) as usize + 2;

/// Counts of durations, as a gate keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets([u64; BUCKETS]);

impl Default for Buckets {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Buckets {
    /// Counts a duration of this many nanoseconds `weight` times.
    #[inline]
    pub(crate) fn add(&mut self, nanos: u64, weight: u64) {
        let bucket = &mut self.0[bucket_of(nanos)];
        *bucket = bucket.saturating_add(weight);
    }
}

#[inline]
fn bucket_of(nanos: u64) -> usize {
    if nanos < 1 << FIRST_POWER {
        return 0;
    }
    let power = nanos.ilog2();
    if power >= LAST_POWER {
        return BUCKETS - 1;
    }
    // The bits right below the highest say which step of the power of two it is.
    let step = (nanos >> (power - STEPS.ilog2())) as u32 - STEPS;
    ((power - FIRST_POWER) * STEPS + step) as usize + 1
}

/// Where a bucket begins, in nanoseconds. It ends where the next one begins.
fn lower_bound(bucket: usize) -> u64 {
    match (bucket as u32).checked_sub(1) {
        None => 0,
        Some(index) => {
            let (power, step) = (FIRST_POWER + index / STEPS, index % STEPS);
            u64::from(STEPS + step) << (power - STEPS.ilog2())
        }
    }
}

/// A distribution of durations, in buckets that grow with them: eight to each power of two, from about 66 microseconds
/// to about 137 seconds.
///
/// A clone is cheap and shares the counts.
///
/// # Examples
///
/// ```
/// # let payments = bulklink::Bulkhead::builder("payments").parallelism(1).build()?;
/// let waits = payments.status().waits;
/// assert_eq!(waits.count(), 0);
/// assert_eq!(waits.quantile(0.99), None);
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Arc<Buckets>,
}

/// One bucket of a [`Histogram`] that is not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bucket {
    /// The durations in it are at least this long.
    pub from: Duration,
    /// The durations in it are shorter than this; `None` in the last bucket, which has no end.
    pub to: Option<Duration>,
    /// How many durations are in it.
    pub count: u64,
}

impl Histogram {
    pub(crate) fn new(buckets: &Buckets) -> Self {
        Self { counts: Arc::new(buckets.clone()) }
    }

    /// Returns how many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.0.iter().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// Returns whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Returns the duration below which the share `q` of the durations lies, for `q` from 0 to 1: `quantile(0.99)` is the
    /// 99th percentile.
    ///
    /// Between 66 microseconds and 137 seconds it is within 7 % of the true one. Shorter durations count as half of that
    /// bound, and longer ones as 137 seconds. `None` if nothing was counted, or `q` is not from 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        // The rank of the duration looked for, from 1.
        let rank = ((q * count as f64).ceil() as u64).clamp(1, count);
        let mut below = 0_u64;
        let found = self.counts.0.iter().position(|&bucket| {
            below = below.saturating_add(bucket);
            below >= rank
        });
        found.map(middle)
    }

    /// Returns the upper bound of the highest bucket that is not empty, or its lower bound in the last one, which has
    /// no end. `None` if nothing was counted.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        let highest = self.counts.0.iter().rposition(|&count| count > 0)?;
        Some(Duration::from_nanos(lower_bound((highest + 1).min(BUCKETS - 1))))
    }

    /// Returns the buckets that are not empty, in rising order.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let filled = self.counts.0.iter().enumerate().filter(|&(_, &count)| count > 0);
        filled.map(|(at, &count)| Bucket {
            from: Duration::from_nanos(lower_bound(at)),
            to: (at + 1 < BUCKETS).then(|| Duration::from_nanos(lower_bound(at + 1))),
            count,
        })
    }

    /// Returns for each of `bounds` how many durations are below it, for exports that have buckets of their own.
    ///
    /// A bucket that a bound falls into is split in proportion to where the bound lies, so that the counts are estimates
    /// but rise with the bounds, and never exceed [`count`](Self::count).
    #[must_use]
    pub fn counts_below(&self, bounds: &[Duration]) -> Vec<u64> {
        // The counts of all buckets before each one.
        let mut before = [0_u64; BUCKETS];
        for at in 1..BUCKETS {
            before[at] = before[at - 1].saturating_add(self.counts.0[at - 1]);
        }
        let below = |bound: &Duration| {
            let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
            let at = bucket_of(nanos);
            before[at].saturating_add(self.share_below(at, nanos))
        };
        bounds.iter().map(below).collect()
    }

    /// Returns how many of the durations in a bucket are below a bound inside it.
    fn share_below(&self, at: usize, nanos: u64) -> u64 {
        if at == BUCKETS - 1 {
            // The last bucket has no end: only a bound beyond all durations is above it.
            return if nanos == u64::MAX { self.counts.0[at] } else { 0 };
        }
        let (from, to) = (lower_bound(at), lower_bound(at + 1));
        let share =
            u128::from(nanos - from) * u128::from(self.counts.0[at]) / u128::from(to - from);
        share as u64
    }

    /// Returns what was counted since `earlier`, a histogram of the same bulkhead, or `None` if `earlier` has counted more
    /// somewhere and so cannot be an earlier one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let mut counts = Buckets::default();
        for (at, count) in counts.0.iter_mut().enumerate() {
            *count = self.counts.0[at].checked_sub(earlier.counts.0[at])?;
        }
        Some(Self { counts: Arc::new(counts) })
    }
}

impl Histogram {
    /// Returns the middle of each bucket that is not empty, in seconds, with its count.
    pub(crate) fn middles(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let filled = self.counts.0.iter().enumerate().filter(|&(_, &count)| count > 0);
        filled.map(|(at, &count)| (middle(at).as_secs_f64(), count as f64))
    }
}

/// The duration that stands for those in a bucket.
fn middle(bucket: usize) -> Duration {
    let from = lower_bound(bucket);
    let to = if bucket + 1 < BUCKETS { lower_bound(bucket + 1) } else { from };
    Duration::from_nanos(from + (to - from) / 2)
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(&Buckets::default())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut buckets = Buckets::default();
        durations.iter().for_each(|&nanos| buckets.add(nanos, 1));
        Histogram::new(&buckets)
    }

    #[test]
    fn buckets_follow_each_other_without_gap_or_overlap() {
        assert_eq!(lower_bound(0), 0);
        assert_eq!(lower_bound(1), 1 << FIRST_POWER);
        assert_eq!(lower_bound(BUCKETS - 1), 1 << LAST_POWER);
        for bucket in 1..BUCKETS {
            let from = lower_bound(bucket);
            assert!(lower_bound(bucket - 1) < from);
            assert_eq!((bucket_of(from - 1), bucket_of(from)), (bucket - 1, bucket));
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_outside_of_zero_to_one_and_one_of_nothing_is_none() {
        let some = of(&[1_000_000]);
        for q in [-0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(some.quantile(q), None, "{q}");
        }
        assert_eq!(some.quantile(0.0), some.quantile(1.0));
        let nothing = Histogram::default();
        assert_eq!((nothing.quantile(0.5), nothing.max(), nothing.is_empty()), (None, None, true));
        assert_eq!(nothing.counts_below(&[Duration::ZERO, Duration::MAX]), [0, 0]);
    }

    #[test]
    fn an_interval_is_the_difference_and_there_is_none_backwards() {
        let (earlier, later) = (of(&[1 << 20]), of(&[1 << 20, 1 << 20, 1 << 30]));
        let between = later.since(&earlier).unwrap();
        assert_eq!((between.count(), between.max()), (2, of(&[1 << 30]).max()));
        assert_eq!(earlier.since(&later), None);
        assert_eq!(later.since(&later).map(|none| none.is_empty()), Some(true));
    }

    #[test]
    fn counts_near_the_maximum_saturate() {
        let mut buckets = Buckets::default();
        buckets.add(1 << 20, u64::MAX);
        buckets.add(1 << 20, 64);
        buckets.add(1 << 21, u64::MAX);
        let histogram = Histogram::new(&buckets);
        assert_eq!(histogram.count(), u64::MAX);
        assert!(histogram.quantile(0.5).is_some() && histogram.quantile(1.0).is_some());
        assert_eq!(histogram.counts_below(&[Duration::MAX]), [u64::MAX]);
    }

    proptest! {
        /// Every quantile is within 7 % of the true one.
        #[test]
        fn quantiles_are_within_seven_percent(
            mut durations in proptest::collection::vec(1_u64 << FIRST_POWER..1 << LAST_POWER, 1..300),
            q in 0.0..=1.0_f64,
        ) {
            let histogram = of(&durations);
            durations.sort_unstable();
            let rank = ((q * durations.len() as f64).ceil() as usize).clamp(1, durations.len());
            let (exact, found) = (durations[rank - 1] as f64, histogram.quantile(q).unwrap().as_nanos() as f64);
            prop_assert!((found / exact - 1.0).abs() <= 0.07, "{found} for {exact}");
            let max = *durations.last().unwrap() as f64;
            let top = histogram.max().unwrap().as_nanos() as f64;
            prop_assert!(top > max && top <= max * 1.125 + 1.0);
        }

        /// Buckets add up, and counts below bounds rise to the count.
        #[test]
        fn counts_add_up(durations in proptest::collection::vec(0_u64..1 << 38, 0..300)) {
            let histogram = of(&durations);
            prop_assert_eq!(histogram.count(), durations.len() as u64);
            prop_assert_eq!(histogram.buckets().map(|bucket| bucket.count).sum::<u64>(), histogram.count());
            let bounds: Vec<_> = (0..40).map(|power| Duration::from_nanos(1 << power)).chain([Duration::MAX]).collect();
            let below = histogram.counts_below(&bounds);
            prop_assert!(below.is_sorted());
            prop_assert_eq!(below.last(), Some(&histogram.count()));
            // At a bucket's own bound the count is exact.
            for power in FIRST_POWER..=LAST_POWER - 1 {
                let exact = durations.iter().filter(|&&nanos| nanos < 1 << power).count() as u64;
                prop_assert_eq!(below[power as usize], exact);
            }
        }
    }
}
