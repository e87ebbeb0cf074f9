//! The sentences of an advice.
//!
//! It owns the wording. The numbers come from the evidence and the rule.

use std::{ops::RangeInclusive, time::Duration};

use super::{LARGE, MOST_USED, erlang::Erlang, evidence::Evidence, growth_cap};

/// How much more pressure than an even load causes is a sign of an uneven one.
const UNEVEN: f64 = 3.0;

pub(super) fn reasons(
    evidence: &Evidence,
    goal: Duration,
    wanted: &RangeInclusive<usize>,
    capacity: &RangeInclusive<usize>,
    usual_wait: Duration,
    wait_limit: Duration,
) -> Vec<String> {
    let mut reasons = vec![demand(evidence), size(evidence, goal, wanted)];
    reasons.extend(capped(evidence, wanted));
    reasons.extend(costs(evidence));
    reasons.push(limit(evidence, goal, wait_limit));
    reasons.push(room(evidence, capacity, usual_wait));
    reasons.extend(uneven(evidence));
    reasons
}

fn demand(evidence: &Evidence) -> String {
    let Evidence { timed, rate, demand, mean_hold, cost, has_costs, cost_factor, .. } = *evidence;
    let mean_hold = seconds(mean_hold);
    let mut factors = if has_costs { format!(" x {cost:.1} units") } else { String::new() };
    if cost_factor > 1.005 {
        factors +=
            &format!(" x {cost_factor:.2}, as rejected operations cost more than admitted ones,");
    }
    format!(
        "demand: {rate:.1}/s x {mean_hold:.1?}{factors} = {demand:.1} units, of {timed} timed operations; \
         rejected and cancelled operations are counted, each attempt of a retry again"
    )
}

fn size(evidence: &Evidence, goal: Duration, wanted: &RangeInclusive<usize>) -> String {
    let (low, high) = (wanted.start(), wanted.end());
    let most_used = MOST_USED * 100.0;
    format!(
        "capacity: from {low} to {high} units, at most 2 % of the operations are answered later than {goal:.1?} and at most \
         {most_used:.0} % of the units are in use on average; the mean hold is known to {:.1} %, and its squared \
         coefficient of variation is {:.2}",
        evidence.error * 100.0,
        evidence.variability
    )
}

fn capped(evidence: &Evidence, wanted: &RangeInclusive<usize>) -> Option<String> {
    let (in_force, cap) = (evidence.in_force, growth_cap(evidence.in_force));
    (*wanted.end() > cap).then(|| {
        format!(
            "the goal is not met yet at {cap} units: more than 1.5 times the {in_force} in force was not tried, and what is \
             behind the bulkhead may not bear it; apply this and ask again"
        )
    })
}

fn costs(evidence: &Evidence) -> Option<String> {
    let Evidence { has_costs, least_largest_cost, wasted, .. } = *evidence;
    has_costs.then(|| {
        let idle = if wasted >= 0.5 {
            format!("; {wasted:.1} units stay idle under pressure since the next operation does not fit into them")
        } else {
            String::new()
        };
        format!(
            "the largest cost is not recorded: some operation costs at least {least_largest_cost}; keep the capacity at or \
             above the largest one{idle}"
        )
    })
}

fn limit(evidence: &Evidence, goal: Duration, wait_limit: Duration) -> String {
    let Evidence { p50_hold, p90_hold, patience, .. } = *evidence;
    if wait_limit == p50_hold {
        return format!(
            "wait limit: the median hold, {p50_hold:.1?}, the least that is worth a wait"
        );
    }
    match patience {
        Some(patience) if patience < goal => format!(
            "wait limit: the first 10 % of the callers that gave up left after {patience:.1?}, less the work of {p90_hold:.1?} \
             (p90 hold)"
        ),
        _ => format!(
            "wait limit: the goal of {goal:.1?}, less the work of {p90_hold:.1?} (p90 hold)"
        ),
    }
}

fn room(evidence: &Evidence, capacity: &RangeInclusive<usize>, usual_wait: Duration) -> String {
    let capacity = capacity.end();
    let rate = evidence.drained_per_unit * *capacity as f64;
    let source = match evidence.drain_was_measured {
        true => "as measured while operations waited",
        false => "by the mean hold, because hardly any operation waited",
    };
    format!(
        "waiting room: the line moves at {rate:.1}/s with {capacity} units, {source}; the last of a full room waits for about \
         {usual_wait:.1?}, which leaves the time that 99 of 100 operations need"
    )
}

/// An even load below the capacity makes a line for a known share of the time. If there was one for much longer, the load
/// was uneven.
fn uneven(evidence: &Evidence) -> Option<String> {
    let Evidence { elapsed, demand, cost, in_force, wasted, pressed, .. } = *evidence;
    let servers = ((in_force as f64 - wasted) / cost).floor();
    let load = demand / cost;
    if servers < 1.0 || load >= 0.8 * servers {
        return None;
    }
    let even = if servers < LARGE {
        let mut erlang = Erlang::new(load);
        erlang.advance(servers as u32);
        // Somebody waits while all servers are busy and one more operation is there.
        erlang.wait_chance() * load / servers
    } else {
        0.0
    };
    (pressed > UNEVEN * even + 0.05).then(|| {
        format!(
            "for the mean of these {elapsed:.0?}, but the load was uneven: operations waited for {:.0} % of the time, where an \
             even load makes them wait for {:.0} %; take the interval of the busiest hour",
            pressed * 100.0,
            even * 100.0
        )
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
