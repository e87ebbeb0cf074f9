//! Slots that do not come back: leaked, stuck, or held by long streams.
//!
//! It owns the estimate of how many units are held that the operations which ended do not account for. By Little's law,
//! the mean use of the units is the rate of operations times their mean hold. What is in use beyond that, by more than
//! chance explains, is held by operations that do not end.

use std::time::Duration;

use super::{CapacityFinding, Severity, code::FindingCode, evidence::Evidence, finding, format};
use crate::{
    core::gate::{counts::Totals, times::HoldTimes},
    observe::interval::BulkheadInterval,
};

/// How many standard deviations are not chance.
pub(super) const DEVIATIONS: f64 = 3.0;

/// How much the mean square of the costs may exceed their squared mean.
const COST_DISPERSION: f64 = 3.0;

/// The shortest interval to judge if no hold time is known.
const WITHOUT_HOLDS: Duration = Duration::from_secs(60);

/// How many timed operations of the interval are enough for their 99th percentile to stand alone.
const ENOUGH_FOR_P99: u64 = 100;

pub(super) fn slots_held_long(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (held, status) = (evidence.held?, evidence.bulkhead()?);
    let units = (held.round() as u64).max(1);
    let capacity = status.capacity as u64;
    let severity = if units.saturating_mul(2) >= capacity {
        Severity::Critical
    } else if units.saturating_mul(10) < capacity {
        Severity::Notice
    } else {
        Severity::Warning
    };
    let usual = match evidence.holds.quantile(0.99) {
        Some(p99) => {
            format!(", while 99 % of the operations that ended took up to {}", format::time(p99))
        }
        None => String::new(),
    };
    finding(
        FindingCode::SlotsHeldLong,
        severity,
        format!(
            "about {units} of {capacity} units have not come back in these {}{usual}",
            format::time(evidence.elapsed)
        ),
        format!(
            "find the operations that hold them: slots that are kept or leaked, work without a timeout, or long \
             streams. They leave about {} for all others. Long streams are better kept in a bulkhead of their own",
            format::count(capacity.saturating_sub(units), "unit")
        ),
    )
}

/// Estimates how many units have been held for much longer than usual; `None` if it may be chance.
pub(super) fn units_held_long(interval: &BulkheadInterval) -> Option<f64> {
    let BulkheadInterval { start, end, elapsed, totals, holds, .. } = interval;
    let least = start.used.min(end.used) as f64;
    if least < 1.0 || *elapsed < shortest(interval) {
        return None;
    }
    if totals.finished == 0 && totals.abandoned == 0 {
        return Some(least);
    }
    // How long the units were held of operations that never started is not known.
    if totals.abandoned > 0 && super::reaches(totals.abandoned, totals.admitted, 2) {
        return None;
    }
    let cost = CostSpread::of(interval);
    let own = Ended::estimate(totals, holds, holds, *elapsed);
    let under_pressure = own.and_then(|own| held_under_pressure(interval, least, &cost, own));
    under_pressure.or_else(|| held_at_both_ends(interval, least, &cost, own))
}

/// While operations wait, all units are in use, so that the mean use is known, and not a matter of chance: it is at least
/// `least` times the share of the time in which operations waited. What is not accounted for by operations that ended is
/// held, except for the parts of their holds that lie outside the interval.
fn held_under_pressure(
    interval: &BulkheadInterval,
    least: f64,
    cost: &CostSpread,
    own: Ended,
) -> Option<f64> {
    let seconds = interval.elapsed.as_secs_f64();
    let pressed = interval.pressure().as_secs_f64() / seconds;
    if pressed < 0.5 {
        return None;
    }
    let outside = 2.0 * least * cost.square() * own.mean_square_hold / (seconds * seconds);
    // Only operations that were not admitted from the line are sampled.
    let completed = interval.totals.completed() as f64;
    let untimed = (1.0 - interval.holds.timed() as f64 / completed).clamp(0.0, 1.0);
    let of_untimed = untimed * own.completed_at_most();
    let of_estimate = of_untimed.powi(2) * own.square_deviation(cost) / own.sampled.max(1.0);
    let held = pressed * least - own.completed_at_most() - own.cut_short;
    let enough = cost.unused_under_pressure(interval.end.capacity);
    (held >= enough && held > DEVIATIONS * (outside + of_estimate).sqrt()).then_some(held)
}

/// In quiet traffic the number of operations at an instant varies as in a Poisson process, and the mean hold is estimated from
/// samples. Few samples may have missed the longest holds, so that all holds so far count too.
fn held_at_both_ends(
    interval: &BulkheadInterval,
    least: f64,
    cost: &CostSpread,
    own: Option<Ended>,
) -> Option<f64> {
    let BulkheadInterval { end, elapsed, totals, holds, .. } = interval;
    // Under pressure the use at the ends says nothing: all units are in use.
    if interval.pressure() >= *elapsed {
        return None;
    }
    let ever = Ended::estimate(totals, holds, &end.holds, *elapsed);
    let ended = match (own, ever) {
        (Some(own), Some(ever)) if own.units() >= ever.units() => own,
        (_, Some(ever)) => ever,
        _ => return None,
    };
    let completed = ended.completed_at_most();
    let units = completed + ended.cut_short_at_most(totals, cost.mean, holds, *elapsed);
    let at_an_instant = units.max(cost.mean) * cost.square();
    let of_estimate = completed.powi(2) * ended.square_deviation(cost) / ended.samples;
    let held = least - units;
    (held > DEVIATIONS * (at_an_instant + of_estimate).sqrt()).then_some(held)
}

/// The shortest interval to judge.
fn shortest(interval: &BulkheadInterval) -> Duration {
    let p99 = |holds: &HoldTimes| holds.quantile(0.99);
    let own = p99(&interval.holds);
    let p99 = if interval.holds.timed() >= ENOUGH_FOR_P99 {
        own
    } else {
        own.max(p99(&interval.start.holds))
    };
    match p99 {
        Some(p99) => p99.saturating_mul(10).max(Duration::from_secs(1)),
        None => WITHOUT_HOLDS,
    }
}

/// The costs of operations, as far as they are known.
struct CostSpread {
    /// The mean cost of the operations that hold units at an instant.
    mean: f64,
    /// The mean square of the costs divided by the squared mean, at most.
    dispersion: f64,
}

impl CostSpread {
    fn of(interval: &BulkheadInterval) -> Self {
        let end = &interval.end;
        let Totals { admitted, admitted_units, .. } = end.totals;
        if admitted == admitted_units {
            return Self { mean: 1.0, dispersion: 1.0 };
        }
        let admitted = admitted_units as f64 / (admitted as f64).max(1.0);
        let of_time = || {
            let mean = end.holds.mean()?.as_secs_f64();
            if mean > 0.0 { Some(end.holds.mean_unit_seconds()? / mean) } else { None }
        };
        let mean = of_time().unwrap_or(admitted).max(admitted).max(1.0);
        // No cost is above the capacity.
        let dispersion = (end.capacity as f64 / mean).clamp(1.0, COST_DISPERSION);
        Self { mean, dispersion }
    }

    /// How many units may be in use more at the ends than on average although operations wait throughout. With costs of 1 all
    /// units are in use, and one that does not come back is missed by at least 0.9. Where costs differ, units stay unused
    /// while the first waiter needs more.
    fn unused_under_pressure(&self, capacity: usize) -> f64 {
        if self.is_one() { 0.9 } else { (2.0 * self.square()).min(capacity as f64 / 2.0) }
    }

    fn is_one(&self) -> bool {
        self.square() <= 1.0
    }

    /// The mean square of the costs divided by their mean: by how much one unit in use varies the number of them.
    fn square(&self) -> f64 {
        self.mean * self.dispersion
    }
}

/// Returns the mean hold in seconds, and the square of its standard error.
pub(super) fn mean_with_error(holds: &HoldTimes) -> Option<(f64, f64)> {
    let (mean, samples) = (holds.mean()?.as_secs_f64(), holds.effective_samples());
    Some((mean, mean * mean * holds.variability().unwrap_or(0.0) / samples))
}

/// The mean use of the units by operations that ended.
///
/// How many operations completed is known exactly, and only the mean of their holds is estimated from those that were
/// timed. Their number would vary more than their mean: a sampled operation stands for 64.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    /// Units in use by operations that completed.
    completed: f64,
    /// The same as the sum over the timed ones. It misses none of those, but varies with the number of samples.
    summed: f64,
    /// Units in use by operations that were cut short.
    cut_short: f64,
    /// The mean square of the holds, in square seconds.
    mean_square_hold: f64,
    /// The squared coefficient of variation of the holds.
    variability: f64,
    /// How many operations were timed that stand for 64.
    sampled: f64,
    /// How many independent samples the mean is as good as.
    samples: f64,
}

impl Ended {
    /// Estimates the use by the operations that ended in this time, of which `holds` are the hold times. The mean is that of
    /// `usual`. `None` if `usual` has none or no time has passed.
    pub(super) fn estimate(
        totals: &Totals,
        holds: &HoldTimes,
        usual: &HoldTimes,
        elapsed: Duration,
    ) -> Option<Self> {
        let seconds = elapsed.as_secs_f64();
        let (mean_units, mean) = (usual.mean_unit_seconds()?, usual.mean()?.as_secs_f64());
        if seconds <= 0.0 {
            return None;
        }
        let completed = holds.mean_unit_seconds().unwrap_or(0.0) * holds.histogram().count() as f64;
        let variability = usual.variability().unwrap_or(0.0);
        Some(Self {
            completed: totals.completed() as f64 * mean_units / seconds,
            summed: completed / seconds,
            cut_short: (holds.unit_seconds() - completed).max(0.0) / seconds,
            mean_square_hold: mean * mean * (1.0 + variability),
            variability,
            sampled: usual.sampled(),
            samples: usual.effective_samples(),
        })
    }

    pub(super) fn units(&self) -> f64 {
        self.completed + self.cut_short
    }

    /// Returns the use by operations that were cut short, at most. If few of them were timed, each counts with the 99th
    /// percentile of the completed ones.
    fn cut_short_at_most(
        &self,
        totals: &Totals,
        cost: f64,
        holds: &HoldTimes,
        elapsed: Duration,
    ) -> f64 {
        let p99 = holds.quantile(0.99).unwrap_or_default().as_secs_f64();
        (totals.cut_short as f64 * cost * p99 / elapsed.as_secs_f64()).max(self.cut_short)
    }

    /// Returns the use by operations that completed, at most.
    fn completed_at_most(&self) -> f64 {
        self.completed.max(self.summed)
    }

    /// Returns the squared coefficient of variation of an operation's cost times its hold, at most.
    fn square_deviation(&self, cost: &CostSpread) -> f64 {
        (1.0 + self.variability) * cost.dispersion - 1.0
    }
}
