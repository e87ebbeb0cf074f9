//! The rules on operations that came to nothing: cut short, given up, too late, too expensive or never started.

use std::time::Duration;

use super::{
    CapacityFinding, Severity, code::FindingCode, evidence::Evidence, finding, format, graded,
    reaches,
};
use crate::core::gate::counts::Totals;

/// How far a quantile of a histogram may be from the true one.
const BUCKET_ERROR: f64 = 0.07;

pub(super) fn work_cut_short(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let Totals { finished, cut_short, .. } = *evidence.totals;
    if finished < 20 {
        return None;
    }
    let severity = graded(cut_short, finished, (10, Severity::Warning), (50, Severity::Critical))?;
    let after = held_when_cut_short(evidence);
    let after = after.map_or_else(String::new, |held| format!(" after {}", format::time(held)));
    finding(
        FindingCode::WorkCutShort,
        severity,
        format!(
            "{cut_short} of {finished} operations were cut short ({}){after}: callers leave while their work runs",
            format::percent(cut_short, finished)
        ),
        wait_limit_for_callers(evidence),
    )
}

pub(super) fn waiters_give_up(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (cancelled, settled) = (evidence.totals.cancelled, evidence.totals.settled_waiting());
    if settled < 10 || evidence.was_paused {
        return None;
    }
    let severity = graded(cancelled, settled, (10, Severity::Warning), (30, Severity::Critical))?;
    let after = match (evidence.patience.quantile(0.1), evidence.patience.quantile(0.5)) {
        (Some(first), Some(half)) => {
            format!(
                "half of them within {}, the first tenth within {}",
                format::time(half),
                format::time(first)
            )
        }
        _ => {
            let mean =
                evidence.totals.cancelled_wait_time.as_secs_f64() / (cancelled as f64).max(1.0);
            format!("after {} on average", format::time(format::seconds(mean)))
        }
    };
    finding(
        FindingCode::WaitersGiveUp,
        severity,
        format!(
            "{cancelled} of {settled} waiters gave up ({}), {after}",
            format::percent(cancelled, settled)
        ),
        wait_limit_for_callers(evidence),
    )
}

/// Returns the mean time after which work was cut short, from the units that it used. `None` if too little of it was timed:
/// only work that was admitted from the line is always timed, and otherwise one operation in 64.
fn held_when_cut_short(evidence: &Evidence<'_>) -> Option<Duration> {
    let Totals { admitted, admitted_from_queue, cut_short, .. } = *evidence.totals;
    if !reaches(admitted_from_queue, admitted, 50) && cut_short < 640 {
        return None;
    }
    let holds = evidence.holds;
    let completed = holds.mean_unit_seconds().unwrap_or(0.0) * holds.histogram().count() as f64;
    let used = (holds.unit_seconds() - completed).max(0.0);
    let units = evidence.totals.cut_short_units;
    (units > 0 && used > 0.0).then(|| format::seconds(used / units as f64))
}

/// Returns after which time callers leave, counted from their arrival: the first tenth of those that gave up in the line,
/// or else, where most operations wait, the mean wait and the mean time after which work was cut short together.
fn callers_leave_after(evidence: &Evidence<'_>) -> Option<Duration> {
    let Totals { admitted, admitted_from_queue, .. } = *evidence.totals;
    if evidence.patience.count() >= 10 {
        return evidence.patience.quantile(0.1);
    }
    if !reaches(admitted_from_queue, admitted, 50) {
        return held_when_cut_short(evidence);
    }
    let wait = evidence.totals.average_wait()?;
    Some(wait.saturating_add(held_when_cut_short(evidence)?))
}

/// Advises a wait limit that leaves callers enough time for the work itself.
fn wait_limit_for_callers(evidence: &Evidence<'_>) -> String {
    let limit = match evidence.wait_limit() {
        Some(limit) => format!("now {}", format::time(limit)),
        None => "now none".into(),
    };
    let Some(leave) = callers_leave_after(evidence) else {
        return format!(
            "set the wait limit, {limit}, to the time after which callers leave minus the time that the work takes"
        );
    };
    let work = evidence.holds.quantile(0.99).filter(|_| evidence.holds.timed() >= 5);
    let (leave_text, Some(work)) = (format::time(leave), work) else {
        return format!(
            "callers leave from {} on: set the wait limit, {limit}, below that, minus the time that the work takes",
            format::time(leave)
        );
    };
    // Both come from buckets: callers may leave that much earlier, and the work may take that much longer.
    let left = leave.mul_f64(1.0 - BUCKET_ERROR).checked_sub(work.mul_f64(1.0 + BUCKET_ERROR));
    match left.filter(|left| !left.is_zero()) {
        Some(left) => format!(
            "callers leave from {leave_text} on and the work takes up to {}: set the wait limit, {limit}, to {} at most, \
             so that what is admitted can be answered",
            format::time(work),
            format::time(left)
        ),
        None => format!(
            "callers leave from {leave_text} on, but the work takes up to {}: no wait limit, {limit}, leaves enough time, \
             so give callers more time or make the work faster",
            format::time(work)
        ),
    }
}

pub(super) fn deadlines_passed(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let Totals {
        expired_before_queue,
        expired_before_queue_by_deadline,
        abandoned_by_deadline,
        ..
    } = *evidence.totals;
    let decided = evidence.totals.decided();
    if decided < 20 {
        return None;
    }
    let late = evidence.totals.late();
    let severity = graded(late, decided, (5, Severity::Warning), (20, Severity::Critical))?;
    let limits = expired_before_queue.saturating_sub(expired_before_queue_by_deadline);
    let parts = [
        (expired_before_queue_by_deadline, "with a deadline that had passed"),
        (limits, "with a wait limit of zero"),
        (abandoned_by_deadline, "with a deadline that passed between readiness and the request"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    finding(
        FindingCode::DeadlinesPassed,
        severity,
        format!(
            "{late} of {decided} operations came too late ({}): {}",
            format::percent(late, decided),
            parts.join(", ")
        ),
        "look at what takes the callers' time before the bulkhead, and whether their clocks and time limits are right: the \
         capacity is not the cause",
    )
}

pub(super) fn oversized_requests(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let Totals { oversized, invalid_cost, .. } = *evidence.totals;
    let decided = evidence.totals.decided();
    let unfit = oversized.saturating_add(invalid_cost);
    if decided < 20 || !reaches(unfit, decided, 1) {
        return None;
    }
    let severity = graded(unfit, decided, (5, Severity::Warning), (20, Severity::Critical));
    let (capacity, share) = (evidence.capacity(), format::percent(unfit, decided));
    let oversized_text = format!("{oversized} cost more than the capacity of {capacity}");
    let invalid_text = format!("{invalid_cost} had a cost of 0");
    let (message, recommendation) = match (oversized, invalid_cost) {
        (_, 0) => (oversized_text, "raise the capacity to the largest cost, or bound the cost"),
        (0, _) => (invalid_text, "correct the cost function: the least cost is 1"),
        _ => (
            format!("{oversized_text}, {invalid_text}"),
            "correct the cost function: the least cost is 1, the largest is the capacity",
        ),
    };
    finding(
        FindingCode::OversizedRequests,
        severity.unwrap_or(Severity::Notice),
        format!("of {decided} operations, {message} ({share}): they can never be admitted"),
        recommendation,
    )
}

pub(super) fn unused_admissions(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (admitted, unused) = (evidence.totals.admitted, evidence.totals.unused());
    if admitted < 20 {
        return None;
    }
    let severity = graded(unused, admitted, (10, Severity::Notice), (50, Severity::Warning))?;
    finding(
        FindingCode::UnusedAdmissions,
        severity,
        format!(
            "{unused} of {admitted} admitted operations never started ({})",
            format::percent(unused, admitted)
        ),
        "something outside the bulkhead answers on its own, or waits for readiness and then calls a clone: put the bulkhead \
         outside of it, or admit per request",
    )
}

pub(super) fn handlers_panic(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let panics = evidence.totals.handler_panics;
    if panics == 0 {
        return None;
    }
    finding(
        FindingCode::HandlersPanic,
        Severity::Warning,
        format!("{} of event handlers", format::count(panics, "panic")),
        "correct the handler: its panics are caught, but it misses events",
    )
}
