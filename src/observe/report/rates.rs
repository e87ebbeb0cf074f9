//! The rules on how many operations wait, and how many are rejected for the load. They are silent about a bulkhead that was
//! paused: waits then have another cause.

use super::{
    CapacityFinding, Severity, causes, code::FindingCode, evidence::Evidence, finding, format,
    graded, reaches,
};
use crate::{core::gate::counts::Totals, observe::interval::per_second};

pub(super) fn frequent_queueing(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    if evidence.was_paused {
        return None;
    }
    let totals = evidence.totals;
    let arrived = [totals.queued, totals.saturated, totals.total_saturated].into_iter();
    let arrived = arrived.fold(totals.direct_admitted(), u64::saturating_add);
    if arrived < 20 || !reaches(totals.queued, arrived, 50) {
        return None;
    }
    finding(
        FindingCode::FrequentQueueing,
        Severity::Notice,
        format!(
            "{} of {arrived} operations had to wait ({})",
            totals.queued,
            format::percent(totals.queued, arrived)
        ),
        format!("waiting is the norm here; {}", causes::remedy(evidence)),
    )
}

pub(super) fn elevated_rejection_rate(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    if evidence.was_paused {
        return None;
    }
    let rejected = evidence.rejected();
    let decided = evidence.totals.admitted.saturating_add(rejected);
    if decided < 20 {
        return None;
    }
    let severity = graded(rejected, decided, (5, Severity::Warning), (20, Severity::Critical))?;
    let load = causes::load(evidence).map_or_else(String::new, |load| format!(": {load}"));
    finding(
        FindingCode::ElevatedRejectionRate,
        severity,
        format!(
            "{rejected} of {decided} operations rejected ({}){load}",
            format::percent(rejected, decided)
        ),
        causes::remedy(evidence),
    )
}

pub(super) fn elevated_expiration_rate(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    if evidence.was_paused {
        return None;
    }
    let Totals { expired, expired_by_deadline, expired_wait_time, .. } = *evidence.totals;
    let settled = evidence.totals.settled_waiting();
    if settled < 10 {
        return None;
    }
    let severity = graded(expired, settled, (10, Severity::Warning), (30, Severity::Critical))?;
    let by_deadline = match expired_by_deadline {
        0 => String::new(),
        _ => format!(", {expired_by_deadline} of them by their own deadline"),
    };
    let mean = expired_wait_time.as_secs_f64() / (expired as f64).max(1.0);
    let drain_rate = evidence
        .bulkhead()
        .filter(|_| evidence.totals.admitted_from_queue >= 10)
        .and_then(|_| per_second(evidence.totals.admitted_from_queue as f64, evidence.pressure));
    let size = match (drain_rate, evidence.wait_limit()) {
        (Some(rate), Some(limit)) => format!(
            ": about {} can be admitted within the wait limit of {}",
            (rate * limit.as_secs_f64()).ceil() as u64,
            format::time(limit)
        ),
        _ => String::new(),
    };
    finding(
        FindingCode::ElevatedExpirationRate,
        severity,
        format!(
            "{expired} of {settled} waiters expired ({}) after {} on average{by_deadline}",
            format::percent(expired, settled),
            format::time(format::seconds(mean))
        ),
        // Too few units are left: sizes that suit them would be too small for all.
        if evidence.held.is_some() {
            causes::remedy(evidence)
        } else {
            format!(
                "many operations wait in vain: a smaller waiting room rejects them sooner and shortens the wait of the \
                 others{size}"
            )
        },
    )
}

pub(super) fn wait_time_near_limit(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    if evidence.was_paused {
        return None;
    }
    let limit = evidence.wait_limit()?;
    let average = evidence.totals.average_wait()?;
    let longest = evidence.longest_wait.unwrap_or_default();
    let is_near = average.as_nanos() * 100 >= limit.as_nanos() * 75
        || longest.as_nanos() * 100 >= limit.as_nanos() * 95;
    if evidence.totals.admitted_from_queue < 5 || !is_near {
        return None;
    }
    finding(
        FindingCode::WaitTimeNearLimit,
        Severity::Warning,
        format!(
            "average wait {} and longest wait {}, with a wait limit of {}",
            format::time(average),
            format::time(longest),
            format::time(limit)
        ),
        format!(
            "expirations are imminent: admitted operations have waited almost as long as the wait limit allows; {}",
            causes::remedy(evidence)
        ),
    )
}
