//! What an interval knows that an advice can be based on, and when it knows too little.
//!
//! It owns the reading of the interval. The advice itself is computed from [`Evidence`] alone.

use std::time::Duration;

use super::AdviceError;
use crate::{
    core::gate::{counts::Totals, histogram::Histogram},
    observe::interval::{BulkheadInterval, per_second},
};

/// Timed operations below which there is no advice.
const LEAST_TIMED: u64 = 1000;

/// Waiters below which nothing is derived from how long they waited or how fast the line moved.
const LEAST_WAITERS: u64 = 20;

/// From this share of cut short operations on there is no advice.
const MOST_CUT_SHORT: f64 = 0.1;

/// From this share of the time with operations waiting on, the units that stay idle meanwhile are measured. Below it the
/// pressure is that of the costliest operations.
const MOSTLY_PRESSED: f64 = 0.9;

#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) timed: u64,
    pub(super) elapsed: Duration,
    /// Operations per second that wanted to be admitted.
    pub(super) rate: f64,
    /// Units they would use.
    pub(super) demand: f64,
    /// In seconds.
    pub(super) mean_hold: f64,
    pub(super) p50_hold: Duration,
    pub(super) p90_hold: Duration,
    pub(super) p99_hold: Duration,
    pub(super) holds: Histogram,
    /// The squared coefficient of variation of the holds.
    pub(super) variability: f64,
    /// The relative error of the mean hold: two standard deviations.
    pub(super) error: f64,
    /// The mean cost of the operations that run: unit-seconds / seconds.
    pub(super) cost: f64,
    /// Whether operations had costs other than 1.
    pub(super) has_costs: bool,
    /// By how much all operations are costlier than those that were admitted.
    pub(super) cost_factor: f64,
    /// Units that the costliest operation needs at least.
    pub(super) least_largest_cost: usize,
    /// Units that stay idle under pressure since the head of the line does not fit into them.
    pub(super) wasted: f64,
    /// The largest capacity in force at the start or the end.
    pub(super) in_force: usize,
    /// Operations that the waiting line admits per second for each unit of the capacity.
    pub(super) drained_per_unit: f64,
    pub(super) drain_was_measured: bool,
    /// The 10th percentile of the patience.
    pub(super) patience: Option<Duration>,
    /// The share of the interval with operations waiting.
    pub(super) pressed: f64,
}

impl Evidence {
    pub(super) fn new(interval: &BulkheadInterval) -> Result<Self, AdviceError> {
        let BulkheadInterval { start, end, elapsed, totals, patience, holds, .. } = interval;
        let timed = holds.timed();
        if let Some(share) = totals.cut_short_share().filter(|&share| share >= MOST_CUT_SHORT) {
            if totals.finished >= LEAST_WAITERS {
                return Err(AdviceError::WorkCutShort { share: share.min(1.0) });
            }
        }
        if let Some(held) = interval.units_held_long() {
            return Err(AdviceError::SlotsHeldLong { held });
        }
        let too_little = AdviceError::NotEnoughEvidence { timed };
        let known = || {
            let unit_seconds = holds.mean_unit_seconds()?;
            let rate = per_second(wanted(totals) as f64, *elapsed)?;
            Some((unit_seconds, rate, holds.quantile(0.5)?, holds.quantile(0.99)?, holds.mean()?))
        };
        let Some((unit_seconds, rate, p50_hold, p99_hold, mean_hold)) =
            known().filter(|_| timed >= LEAST_TIMED)
        else {
            return Err(too_little);
        };
        let has_costs = totals.admitted_units != totals.admitted
            || totals.finished_units != totals.finished
            || totals.queued_units != totals.queued;
        let mean_hold = mean_hold.as_secs_f64();
        let cost = match has_costs {
            // Holds too short for the clock have no seconds to divide by.
            true if mean_hold > 0.0 => (unit_seconds / mean_hold).max(1.0),
            true => totals.average_cost().unwrap_or(1.0).max(1.0),
            false => 1.0,
        };
        let variability = holds.variability().unwrap_or(0.0);
        let in_force = start.capacity.max(end.capacity).max(1);
        let has_drained = totals.admitted_from_queue >= LEAST_WAITERS;
        let has_drained = has_drained && start.capacity == end.capacity;
        let measured = interval.drain_rate().filter(|_| has_drained);
        let cost_factor = rejected_cost_factor(totals);
        let wanted_unit_seconds = unit_seconds * cost_factor;
        let expected = 1.0 / wanted_unit_seconds.max(1e-9);
        let drained_per_unit = match measured {
            // A line that costly operations leave by expiring moves faster than it should.
            Some(rate) if has_costs => (rate / in_force as f64).min(expected),
            Some(rate) => rate / in_force as f64,
            None => expected,
        };
        let pressed = interval.pressure().as_secs_f64() / elapsed.as_secs_f64();
        let wasted = match measured {
            // Without costs every unit can be used: what is missing there is an error of the measurement.
            _ if !has_costs => 0.0,
            Some(rate)
                if pressed >= MOSTLY_PRESSED && totals.admitted_from_queue >= LEAST_TIMED =>
            {
                let in_force = in_force as f64;
                (in_force - rate * unit_seconds).clamp(0.0, in_force / 2.0)
            }
            // The head of the line may need any number of units up to its cost, and all but one of them may be free.
            _ => (cost - 1.0) / 2.0,
        };
        Ok(Self {
            timed,
            elapsed: *elapsed,
            rate,
            demand: rate * wanted_unit_seconds,
            mean_hold,
            p50_hold,
            p90_hold: holds.quantile(0.9).unwrap_or(p99_hold),
            p99_hold,
            holds: holds.histogram().clone(),
            variability,
            error: (2.0 * (variability / holds.effective_samples()).sqrt()).min(1.0),
            cost,
            has_costs,
            cost_factor,
            least_largest_cost: least_largest_cost(interval, cost),
            wasted,
            in_force,
            drained_per_unit,
            drain_was_measured: measured.is_some(),
            patience: (patience.count() >= LEAST_WAITERS).then(|| patience.quantile(0.1)).flatten(),
            pressed,
        })
    }
}

/// Returns the number of operations that wanted to be admitted.
fn wanted(totals: &Totals) -> u64 {
    let Totals { admitted, saturated, expired, cancelled, .. } = *totals;
    [saturated, expired, cancelled].into_iter().fold(admitted, u64::saturating_add)
}

/// Returns by how much the mean cost of all operations that were admitted or joined the waiting line exceeds that of the
/// admitted ones.
///
/// Costly operations wait longer at the head of the line and expire more often, so that the completed ones are cheaper
/// than those that arrive. It is taken for a factor of their unit-seconds, too.
fn rejected_cost_factor(totals: &Totals) -> f64 {
    let direct = (totals.direct_admitted_units() as f64, totals.direct_admitted() as f64);
    let arrived = direct.0 + totals.queued_units as f64;
    let mean = arrived / (direct.1 + totals.queued as f64);
    let factor = mean / totals.average_cost().unwrap_or(0.0);
    if factor.is_finite() { factor.clamp(1.0, 2.0) } else { 1.0 }
}

/// Returns a lower bound of the largest cost, which is not recorded: some operation costs at least as much as the mean of
/// any group of them.
fn least_largest_cost(interval: &BulkheadInterval, cost_in_use: f64) -> usize {
    let BulkheadInterval { start, end, totals, .. } = interval;
    let groups = [
        (totals.admitted_units, totals.admitted),
        (totals.admitted_from_queue_units, totals.admitted_from_queue),
        (totals.direct_admitted_units(), totals.direct_admitted()),
        (totals.queued_units, totals.queued),
        (totals.cut_short_units, totals.cut_short),
        (start.used as u64, start.in_flight as u64),
        (end.used as u64, end.in_flight as u64),
        (start.waiting_units as u64, start.waiting as u64),
        (end.waiting_units as u64, end.waiting as u64),
    ];
    let means = groups.into_iter().filter(|&(_, operations)| operations > 0);
    let largest = means.map(|(units, operations)| units.div_ceil(operations)).max().unwrap_or(1);
    let in_use = (cost_in_use - 1e-6).ceil() as usize;
    usize::try_from(largest).unwrap_or(usize::MAX).max(in_use).max(1)
}
