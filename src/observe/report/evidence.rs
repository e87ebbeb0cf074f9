//! `Evidence`: what the rules judge, taken from a status or an interval of any kind of bulkhead.
//!
//! It owns the difference between the four, and the estimates that several rules use. It judges nothing.

use std::time::Duration;

use super::held::{self, Ended};
use crate::{
    core::gate::{counts::Totals, histogram::Histogram, times::HoldTimes},
    observe::{
        interval::{BulkheadInterval, per_second},
        partitions::{PartitionedInterval, PartitionedStatus},
        status::BulkheadStatus,
    },
};

/// How many timed operations are enough to state hold times, rates of work and demand.
pub(super) const ENOUGH_TIMED: u64 = 100;

/// What a report judges.
pub(super) struct Evidence<'a> {
    /// The status, or that of the end of the interval.
    pub(super) subject: Subject<'a>,
    /// What was counted since the bulkhead was created, or in the interval.
    pub(super) totals: &'a Totals,
    pub(super) patience: &'a Histogram,
    pub(super) holds: &'a HoldTimes,
    pub(super) elapsed: Duration,
    /// How long operations were waiting in that time; the sum over all partitions if there are any.
    pub(super) pressure: Duration,
    /// The longest wait of an admitted operation, as far as it is known.
    pub(super) longest_wait: Option<Duration>,
    /// What was before the interval; `None` for a status.
    pub(super) before: Option<Before<'a>>,
    /// Units that have been held for too long, in an interval.
    pub(super) held: Option<f64>,
    /// Whether the bulkhead is paused, or was at the start of the interval or when it rejected somebody in it. Waits then say
    /// nothing about the load.
    pub(super) was_paused: bool,
    /// How long keys competed for the capacity that they share, if they do.
    pub(super) competed: Option<Duration>,
}

/// Whose report it is.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Bulkhead(&'a BulkheadStatus),
    Partitioned(&'a PartitionedStatus),
}

/// Everything before an interval.
pub(super) struct Before<'a> {
    pub(super) totals: &'a Totals,
    pub(super) holds: &'a HoldTimes,
    pub(super) age: Duration,
}

impl<'a> Evidence<'a> {
    pub(super) fn of_status(status: &'a BulkheadStatus) -> Self {
        Self {
            subject: Subject::Bulkhead(status),
            totals: &status.totals,
            patience: &status.patience,
            holds: &status.holds,
            elapsed: status.age,
            pressure: status.pressure(status.taken_at).min(status.age),
            longest_wait: Some(status.peaks.wait),
            before: None,
            held: None,
            was_paused: status.is_paused,
            competed: None,
        }
    }

    pub(super) fn of_interval(interval: &'a BulkheadInterval) -> Self {
        let start = &interval.start;
        Self {
            subject: Subject::Bulkhead(&interval.end),
            totals: &interval.totals,
            patience: &interval.patience,
            holds: &interval.holds,
            elapsed: interval.elapsed,
            pressure: interval.pressure(),
            longest_wait: interval.waits.max(),
            before: Some(Before { totals: &start.totals, holds: &start.holds, age: start.age }),
            held: held::units_held_long(interval),
            was_paused: start.is_paused || interval.end.is_paused || interval.totals.paused > 0,
            competed: None,
        }
    }

    pub(super) fn of_partitioned_status(status: &'a PartitionedStatus) -> Self {
        Self {
            subject: Subject::Partitioned(status),
            totals: &status.totals,
            patience: &status.patience,
            holds: &status.holds,
            elapsed: status.age,
            pressure: status.pressure(),
            longest_wait: status.waits.max(),
            before: None,
            held: None,
            was_paused: status.is_paused,
            competed: status.total.map(|total| total.pressure),
        }
    }

    pub(super) fn of_partitioned_interval(interval: &'a PartitionedInterval) -> Self {
        let start = &interval.start;
        Self {
            subject: Subject::Partitioned(&interval.end),
            totals: &interval.totals,
            patience: &interval.patience,
            holds: &interval.holds,
            elapsed: interval.elapsed,
            pressure: interval.pressure(),
            longest_wait: interval.waits.max(),
            before: Some(Before { totals: &start.totals, holds: &start.holds, age: start.age }),
            held: None,
            was_paused: start.is_paused || interval.end.is_paused || interval.totals.paused > 0,
            competed: interval.competed(),
        }
    }

    /// Returns the status of a plain or weighted bulkhead.
    pub(super) fn bulkhead(&self) -> Option<&'a BulkheadStatus> {
        match self.subject {
            Subject::Bulkhead(status) => Some(status),
            Subject::Partitioned(_) => None,
        }
    }

    pub(super) fn is_interval(&self) -> bool {
        self.before.is_some()
    }

    pub(super) fn wait_limit(&self) -> Option<Duration> {
        match self.subject {
            Subject::Bulkhead(status) => status.wait_limit,
            Subject::Partitioned(status) => status.wait_limit,
        }
    }

    /// Returns the size of the waiting room, in a partitioned bulkhead of one partition.
    pub(super) fn waiting_room(&self) -> usize {
        match self.subject {
            Subject::Bulkhead(status) => status.waiting_room,
            Subject::Partitioned(status) => status.waiting_room,
        }
    }

    /// Returns the capacity, in a partitioned bulkhead of one partition.
    pub(super) fn capacity(&self) -> usize {
        match self.subject {
            Subject::Bulkhead(status) => status.capacity,
            Subject::Partitioned(status) => status.parallelism,
        }
    }

    /// Returns whether operations were waiting for at least half of the time. An instant is no time.
    pub(super) fn was_pressed_for_half(&self) -> bool {
        !self.elapsed.is_zero() && self.pressure.saturating_mul(2) >= self.elapsed
    }

    /// Returns the share of the time in which operations were waiting. Only a single bulkhead has one.
    pub(super) fn pressure_share(&self) -> Option<f64> {
        self.bulkhead()?;
        per_second(self.pressure.as_secs_f64(), self.elapsed)
    }

    /// Returns how many operations were saturated or expired.
    pub(super) fn rejected(&self) -> u64 {
        let Totals { saturated, total_saturated, expired, .. } = *self.totals;
        saturated.saturating_add(total_saturated).saturating_add(expired)
    }

    /// Returns how many operations per second wanted to run.
    pub(super) fn wanted_per_second(&self) -> Option<f64> {
        per_second(wanted(self.totals), self.elapsed)
    }

    /// Returns how many units the operations would have used on average if all had been admitted. `None` if too few were
    /// timed, or for a partitioned bulkhead.
    pub(super) fn demand(&self) -> Option<f64> {
        self.bulkhead()?;
        if self.holds.timed() < ENOUGH_TIMED {
            return None;
        }
        Some(self.wanted_per_second()? * self.holds.mean_unit_seconds()?)
    }

    /// Returns how many units were in use on average, those included that have not come back. `None` if fewer than 10
    /// operations were timed, or for a partitioned bulkhead.
    pub(super) fn mean_use(&self) -> Option<f64> {
        self.bulkhead()?;
        if self.holds.timed() < 10 {
            return None;
        }
        let ended = Ended::estimate(self.totals, self.holds, self.holds, self.elapsed)?;
        Some(ended.units() + self.held.unwrap_or(0.0))
    }

    /// Returns whether at least 10 % of at least 20 finished operations were cut short, so that the hold times of completed
    /// operations are only a lower bound of how long the work takes.
    pub(super) fn is_cut_short(&self) -> bool {
        let Totals { finished, cut_short, .. } = *self.totals;
        finished >= 20 && super::reaches(cut_short, finished, 10)
    }

    /// Returns whether operations have different costs.
    pub(super) fn is_weighted(&self) -> bool {
        self.bulkhead().is_some_and(|status| {
            status.used != status.in_flight
                || status.waiting_units != status.waiting
                || status.totals.admitted_units != status.totals.admitted
        })
    }

    /// Returns the usual cost of an operation: the largest of the mean costs of the operations that were admitted, of those
    /// that joined the line, of those that wait, and of those that run. The largest cost itself is not stored.
    pub(super) fn usual_cost(&self) -> f64 {
        let mean = |units: u64, operations: u64| {
            if operations > 0 { units as f64 / operations as f64 } else { 1.0 }
        };
        let Totals { admitted, admitted_units, queued, queued_units, .. } = *self.totals;
        let mut cost = mean(admitted_units, admitted).max(mean(queued_units, queued));
        if let Some(status) = self.bulkhead() {
            cost = cost
                .max(mean(status.used as u64, status.in_flight as u64))
                .max(mean(status.waiting_units as u64, status.waiting as u64));
        }
        cost
    }
}

impl Before<'_> {
    /// Returns how many operations per second wanted to run; `None` if there were too few to tell.
    pub(super) fn wanted_per_second(&self) -> Option<f64> {
        let wanted = wanted(self.totals);
        if wanted >= 20.0 { per_second(wanted, self.age) } else { None }
    }

    /// Returns the mean hold time; `None` if too few were timed.
    pub(super) fn mean_hold(&self) -> Option<Duration> {
        if self.holds.timed() >= ENOUGH_TIMED { self.holds.mean() } else { None }
    }
}

/// The number of operations that wanted to run and could have: all but those that were rejected whatever the capacity.
fn wanted(totals: &Totals) -> f64 {
    let Totals { admitted, saturated, total_saturated, expired, cancelled, .. } = *totals;
    [admitted, saturated, total_saturated, expired, cancelled]
        .iter()
        .map(|&count| count as f64)
        .sum()
}
