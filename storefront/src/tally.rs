//! Counts of samples by outcome, and their latencies.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::Outcome;
use crate::load::Sample;

/// How often each reason was given.
pub(crate) type Reasons<'a> = BTreeMap<&'a str, usize>;

pub(crate) struct Tally<'a> {
    pub(crate) sent: usize,
    pub(crate) answered: Latencies,
    pub(crate) rejected: Latencies,
    pub(crate) rejections: Reasons<'a>,
    pub(crate) failures: Reasons<'a>,
}

impl<'a> Tally<'a> {
    pub(crate) fn of(samples: &'a [Sample]) -> Self {
        let mut answered = Vec::new();
        let mut rejected = Vec::new();
        let mut rejections = Reasons::new();
        let mut failures = Reasons::new();
        for sample in samples {
            match &sample.outcome {
                Outcome::Answered => answered.push(sample.latency),
                Outcome::Rejected(reason) => {
                    rejected.push(sample.latency);
                    *rejections.entry(reason).or_default() += 1;
                }
                Outcome::Failed(reason) => *failures.entry(reason).or_default() += 1,
            }
        }
        Self {
            sent: samples.len(),
            answered: answered.into(),
            rejected: rejected.into(),
            rejections,
            failures,
        }
    }
}

/// Sorted latencies, for exact percentiles.
pub(crate) struct Latencies(Vec<Duration>);

impl From<Vec<Duration>> for Latencies {
    fn from(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self(latencies)
    }
}

impl Latencies {
    /// Returns the smallest latency that at least `percent` percent of all do not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> Option<Duration> {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.checked_sub(1)?).copied()
    }

    pub(crate) fn max(&self) -> Option<Duration> {
        self.0.last().copied()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn milliseconds(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1e3
}

/// Formats a latency as `9.9 s`, `12 ms` or `1.2 ms`, or as a dash if nothing was measured.
pub(crate) fn in_words(latency: Option<Duration>) -> String {
    match latency.map(milliseconds) {
        None => "-".to_owned(),
        Some(ms) if ms >= 1e3 => format!("{:.1} s", ms / 1e3),
        Some(ms) if ms >= 10.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{ms:.1} ms"),
    }
}
