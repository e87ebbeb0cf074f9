//! Why operations are rejected or wait, and what to do about it.
//!
//! It owns the explanation and the advice that several rules share. It finds nothing on its own.

use std::time::Duration;

use super::{
    evidence::{ENOUGH_TIMED, Evidence},
    format,
    held::{self, DEVIATIONS},
};

/// The share of a capacity that a mean demand may take: beyond it, waits grow steeply.
const HEALTHY_USE: f64 = 0.8;

/// By how much more than the present capacity is advised at once: the dependency has never been tried with more.
const STEP: f64 = 1.5;

/// By how much something must have grown to be named as the cause.
const GROWN: f64 = 1.25;

/// Why operations do not get through.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// So many units do not come back.
    Held(f64),
    /// Callers leave while their work runs.
    CutShort,
    /// Operations of this usual cost block each other, and leave so many units unused.
    Packing { cost: f64, unused: f64 },
    /// Rejections come in bursts, with so large a share of the capacity in use on average, and operations waiting for so
    /// large a share of the time.
    Bursts { in_use: f64, pressed: f64 },
    /// So many units are wanted.
    Demand(f64),
    /// Not known.
    Unknown,
}

impl Cause {
    pub(super) fn of(evidence: &Evidence<'_>) -> Self {
        if let Some(held) = evidence.held {
            Self::Held(held)
        } else if evidence.is_cut_short() {
            Self::CutShort
        } else {
            packing(evidence)
                .or_else(|| bursts(evidence))
                .or_else(|| evidence.demand().map(Self::Demand))
                .unwrap_or(Self::Unknown)
        }
    }
}

/// Finds costs that do not pack: operations wait while units are unused, or two operations of the usual cost exceed the
/// capacity and one leaves at least 20 % of it unused. If too little is known of the time, the present instant counts: with
/// units unused, no operation waits unless its cost does not fit.
fn packing(evidence: &Evidence<'_>) -> Option<Cause> {
    let status = evidence.bulkhead()?;
    if !evidence.is_weighted() || status.is_over_capacity() {
        return None;
    }
    let (cost, capacity) = (evidence.usual_cost(), status.capacity as f64);
    // While operations wait, costs that pack would use all units.
    if let (Some(pressed), Some(used)) = (evidence.pressure_share(), evidence.mean_use()) {
        let unused = capacity - used / pressed;
        if pressed >= 0.5 && unused >= 0.15 * capacity {
            return Some(Cause::Packing { cost, unused });
        }
    } else if status.waiting > 0 && status.free() as f64 >= 0.2 * capacity {
        return Some(Cause::Packing { cost, unused: status.free() as f64 });
    }
    let unused = capacity - cost;
    (2.0 * cost > capacity && unused >= 0.2 * capacity).then_some(Cause::Packing { cost, unused })
}

/// Finds bursts: rejections in an interval in which operations waited for less than 20 % of the time and less than 60 % of the
/// capacity was used, where no operation takes more than half of it.
///
/// The largest cost is not stored, so that the usual cost stands for it. In a plain bulkhead no cost is large.
fn bursts(evidence: &Evidence<'_>) -> Option<Cause> {
    let status = evidence.bulkhead()?;
    let capacity = status.capacity as f64;
    let is_large = evidence.is_weighted() && evidence.usual_cost() * 2.0 > capacity;
    let (pressed, in_use) = (evidence.pressure_share()?, evidence.mean_use()? / capacity);
    (evidence.is_interval()
        && evidence.rejected() > 0
        && !is_large
        && pressed < 0.2
        && in_use < 0.6)
        .then_some(Cause::Bursts { in_use, pressed })
}

/// Returns how rates, hold times and the capacity explain the load, such as "95/s x 210 ms = 20 units wanted of 10; the work
/// took 70 ms before". `None` if nothing of it is known.
pub(super) fn load(evidence: &Evidence<'_>) -> Option<String> {
    let wanted = demand(evidence);
    let grown = growth(evidence);
    let cause = match Cause::of(evidence) {
        Cause::Packing { unused, .. } => Some(format!(
            "the costs do not pack, about {} units stay unused",
            format::units(unused)
        )),
        Cause::Bursts { in_use, pressed } => Some(format!(
            "in bursts: {} of the capacity was used, and operations waited for {} of the time",
            format::share(in_use),
            format::share(pressed)
        )),
        Cause::Held(held) => {
            Some(format!("about {} units have not come back", format::units(held)))
        }
        Cause::CutShort | Cause::Demand(_) | Cause::Unknown => None,
    };
    let parts: Vec<_> = [cause, wanted].into_iter().flatten().chain(grown).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn demand(evidence: &Evidence<'_>) -> Option<String> {
    let (demand, capacity) = (evidence.demand()?, evidence.bulkhead()?.capacity);
    let rate = format::rate(evidence.wanted_per_second()?);
    let work = if evidence.is_weighted() {
        format!("{:.2} unit-seconds", evidence.holds.mean_unit_seconds()?)
    } else {
        format::time(evidence.holds.mean()?)
    };
    let bound = if evidence.is_cut_short() { "at least " } else { "" };
    Some(format!("{rate} x {work} = {bound}{} units wanted of {capacity}", format::units(demand)))
}

/// Returns which of arrivals and hold time have grown against the time before the interval.
fn growth(evidence: &Evidence<'_>) -> Vec<String> {
    let mut grown = Vec::new();
    if let Some(before) = arrivals_before(evidence) {
        grown.push(format!("arrivals were {} before", format::rate(before)));
    }
    if let Some(before) = hold_before(evidence) {
        grown.push(format!("the work took {} before", format::time(before)));
    }
    grown
}

/// Returns the former rate of arrivals if it has grown.
fn arrivals_before(evidence: &Evidence<'_>) -> Option<f64> {
    let before = evidence.before.as_ref()?.wanted_per_second()?;
    (evidence.wanted_per_second()? >= before * GROWN).then_some(before)
}

/// Returns the former mean hold if it has grown, and by more than the error of the two means.
fn hold_before(evidence: &Evidence<'_>) -> Option<Duration> {
    let former = evidence.before.as_ref()?;
    let before = former.mean_hold()?;
    if evidence.holds.timed() < ENOUGH_TIMED {
        return None;
    }
    let (mean_before, error_before) = held::mean_with_error(former.holds)?;
    let (mean, error) = held::mean_with_error(evidence.holds)?;
    let is_chance = mean - mean_before <= DEVIATIONS * (error + error_before).sqrt();
    (mean >= mean_before * GROWN && !is_chance).then_some(before)
}

/// Returns what to do about operations that do not get through.
pub(super) fn remedy(evidence: &Evidence<'_>) -> String {
    let Some(status) = evidence.bulkhead() else {
        if evidence.totals.total_saturated.saturating_mul(2) > evidence.rejected() {
            return "most were rejected for the capacity or the room that all keys share: raise total_waiting_room if \
                    callers have the patience, or total_parallelism if the dependency can take it"
                .into();
        }
        return "look at the status of the busiest keys: each has limits of its own, and a larger capacity for all of \
                them loads the dependency more"
            .into();
    };
    let capacity = status.capacity;
    match Cause::of(evidence) {
        Cause::Held(held) => format!(
            "find what holds the {} units that have not come back before changing any size",
            (held.round() as u64).max(1)
        ),
        Cause::CutShort => "see to the work that is cut short first: as long as callers leave, more capacity or a longer \
                            line only runs more work that nobody waits for"
            .into(),
        Cause::Packing { cost, .. } => format!(
            "choose a capacity that is a multiple of the usual cost of about {}, such as {}, or split the work into \
             operations of lower cost",
            format::units(cost),
            packing_capacity(capacity, cost)
        ),
        Cause::Bursts { .. } => burst_room(evidence),
        Cause::Demand(_) | Cause::Unknown if is_long_average(evidence) => format!(
            "see the report of a recent interval before changing any size: this one is of the mean of {}, and includes \
             what is over",
            format::time(evidence.elapsed)
        ),
        Cause::Demand(demand) if demand <= capacity as f64 * HEALTHY_USE => format!(
            "the mean demand of {} units fits into {capacity}, so that the load is uneven: look at shorter intervals, or \
             allow more operations to wait",
            format::units(demand)
        ),
        Cause::Demand(demand) => {
            let enough = (demand / HEALTHY_USE).ceil() as u64;
            if hold_before(evidence).is_some() && arrivals_before(evidence).is_none() {
                format!(
                    "find out why the work takes longer than before: the capacity was enough for that, and {enough} \
                     units, which this load needs now, would load the dependency more"
                )
            } else {
                more_capacity(evidence, capacity, enough)
            }
        }
        Cause::Unknown => {
            "find out what is slow, or raise the capacity if the dependency can take it".into()
        }
    }
}

/// Returns whether this is a report of all time, whose means say little about the present.
fn is_long_average(evidence: &Evidence<'_>) -> bool {
    !evidence.is_interval() && evidence.elapsed >= super::LONG_AGO
}

/// Advises a larger capacity for a load that needs `enough`.
fn more_capacity(evidence: &Evidence<'_>, capacity: usize, enough: u64) -> String {
    let share = format::share(HEALTHY_USE);
    let step = (capacity as f64 * STEP).ceil() as u64;
    let origin = match arrivals_before(evidence) {
        Some(_) => "find out where the additional load comes from, such as retries; to serve it, ",
        None => "",
    };
    let raise = if enough <= step {
        format!(
            "raise the capacity to about {enough}, at which {share} of it is in use, if the dependency can take it"
        )
    } else {
        format!(
            "raise the capacity to about {step} at first, if the dependency can take it, and look again: this load needs \
             about {enough} at a use of {share}, and the dependency has not been tried with more than {capacity}"
        )
    };
    format!("{origin}{raise}; otherwise some of this load has to be rejected")
}

/// The next multiple of the cost above the capacity.
fn packing_capacity(capacity: usize, cost: f64) -> u64 {
    let operations = (capacity as f64 / cost).floor() + 1.0;
    (operations * cost).ceil() as u64
}

/// Advises a waiting room for bursts. It holds all operations that were saturated even if they came at once, but not more
/// than can be admitted within the wait limit, and not more than ten for each that can run or twice the present room: how
/// many came in one burst is not known, and the longer the interval, the fewer of them did.
fn burst_room(evidence: &Evidence<'_>) -> String {
    let (room, capacity) = (evidence.waiting_room() as u64, evidence.capacity() as f64);
    let saturated = evidence.totals.saturated;
    let per_second =
        evidence.holds.mean_unit_seconds().filter(|&mean| mean > 0.0).map(|mean| capacity / mean);
    let in_time = match (evidence.wait_limit(), per_second) {
        (Some(limit), Some(per_second)) => (per_second * limit.as_secs_f64()) as u64,
        _ => u64::MAX,
    };
    let ten_each = (10.0 * capacity / evidence.usual_cost()) as u64;
    let most = ten_each.max(room.saturating_mul(2));
    let places = room.saturating_add(saturated).min(in_time).min(most);
    if saturated == 0 || places <= room {
        return format!(
            "the waiting room of {room} does not drain within the wait limit after a burst: allow a longer wait if callers \
             can take it, or run more at once"
        );
    }
    let reason = if places == room.saturating_add(saturated) {
        format!("it holds the {saturated} that were rejected even if they come at once")
    } else if places == in_time {
        "more could not be admitted within the wait limit".into()
    } else if places == ten_each {
        "that is ten for each operation that can run".into()
    } else {
        "that is twice as many as now".into()
    };
    let wait = per_second.map_or_else(String::new, |per_second| {
        let wait = format::seconds(places as f64 / per_second);
        format!(", and the last waits about {}", format::time(wait))
    });
    format!("allow {places} operations to wait: {reason}{wait}; a larger capacity is not needed")
}
