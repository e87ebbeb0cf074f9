//! The rules on the configured sizes.

use super::{
    CapacityFinding, Severity, causes,
    code::FindingCode,
    evidence::{ENOUGH_TIMED, Evidence},
    finding, format,
};
use crate::observe::interval::per_second;

pub(super) fn unbounded_queue_wait(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let room = evidence.waiting_room();
    if room == 0 || evidence.wait_limit().is_some() {
        return None;
    }
    let advice = match evidence.patience.quantile(0.1) {
        Some(patience) if evidence.patience.count() >= 10 => {
            format!(
                "; 90 % of the waiters that gave up waited for {} or longer",
                format::time(patience)
            )
        }
        _ => String::new(),
    };
    finding(
        FindingCode::UnboundedQueueWait,
        Severity::Notice,
        format!("{room} operations may wait without a limit"),
        format!("set a wait limit below the time after which the caller gives up{advice}"),
    )
}

pub(super) fn large_waiting_room(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (room, capacity) = (evidence.waiting_room(), evidence.capacity());
    if room < 100 || room < capacity.saturating_mul(20) {
        return None;
    }
    let wait = evidence.bulkhead().and_then(|_| {
        let mean = evidence.holds.mean_unit_seconds()?;
        let wait = format::seconds(room as f64 * mean / capacity as f64);
        (evidence.holds.timed() >= ENOUGH_TIMED)
            .then(|| format!("about {} with the present hold times", format::time(wait)))
    });
    let wait = wait.unwrap_or_else(|| {
        format!("until the capacity has been used {} times over", room / capacity.max(1))
    });
    finding(
        FindingCode::LargeWaitingRoom,
        Severity::Notice,
        format!("waiting room of {room} for a capacity of {capacity}"),
        format!("a long waiting line adds latency: the last waiter waits {wait}"),
    )
}

pub(super) fn limit_without_room(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (status, limit) = (evidence.bulkhead()?, evidence.wait_limit()?);
    if status.waiting_room > 0 {
        return None;
    }
    finding(
        FindingCode::LimitWithoutRoom,
        Severity::Notice,
        format!(
            "a wait limit of {} and no waiting room: no operation ever waits",
            format::time(limit)
        ),
        "allow some operations to wait, or remove the wait limit",
    )
}

pub(super) fn room_outlasts_limit(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (status, limit) = (evidence.bulkhead()?, evidence.wait_limit()?);
    let (admitted, expired) = (evidence.totals.admitted_from_queue, evidence.totals.expired);
    if expired < 10 || admitted < 10 {
        return None;
    }
    let drain_rate = per_second(admitted as f64, evidence.pressure)?;
    let in_time = drain_rate * limit.as_secs_f64();
    if in_time >= status.waiting_room as f64 * 0.8 {
        return None;
    }
    let in_time = in_time.ceil().max(1.0) as u64;
    finding(
        FindingCode::RoomOutlastsLimit,
        Severity::Notice,
        format!(
            "{} x {} = {in_time} of {} places in the waiting room can be admitted within the wait limit, and {expired} \
             waiters expired",
            format::rate(drain_rate),
            format::time(limit),
            status.waiting_room
        ),
        // With all units, more can be admitted.
        if evidence.held.is_some() {
            causes::remedy(evidence)
        } else {
            format!("shrink the waiting room to {in_time}: the places beyond are in vain")
        },
    )
}
