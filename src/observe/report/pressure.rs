//! The rules on the current load, and on bulkheads that are closed, paused or were shrunk.

use super::{
    CapacityFinding, Severity,
    causes::{self, remedy},
    code::FindingCode,
    evidence::{Evidence, Subject},
    finding, format, reaches,
};
use crate::observe::status::BulkheadStatus;

pub(super) fn closed_with_active_work(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (is_closed, in_flight) = match evidence.subject {
        Subject::Bulkhead(status) => (status.is_closed, status.in_flight),
        Subject::Partitioned(status) => (status.is_closed, status.in_flight),
    };
    if !is_closed || in_flight == 0 {
        return None;
    }
    let rejected = evidence.totals.closed();
    let rejected = match rejected {
        0 => String::new(),
        _ => format!(", {rejected} rejected by the close"),
    };
    finding(
        FindingCode::ClosedWithActiveWork,
        Severity::Notice,
        format!("closed with {} running{rejected}", format::count(in_flight as u64, "operation")),
        "await wait_closed before tearing down the resources they use",
    )
}

pub(super) fn paused(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let (is_paused, waiting) = match evidence.subject {
        Subject::Bulkhead(status) => (status.is_paused, status.waiting),
        Subject::Partitioned(status) => (status.is_paused, status.waiting),
    };
    let rejected = evidence.totals.paused;
    let is_worth_knowing = is_paused || (evidence.is_interval() && rejected > 0);
    if !is_worth_knowing {
        return None;
    }
    let rejected_text = match rejected {
        0 => String::new(),
        _ => format!(", {} rejected for it", format::count(rejected, "operation")),
    };
    let (message, advice) = if is_paused {
        (
            format!(
                "paused with {}{rejected_text}",
                format::count(waiting as u64, "waiting operation")
            ),
            "nobody is admitted until `resume` is called: find out who paused it and whether that is over",
        )
    } else {
        (
            format!("was paused for a time{rejected_text}"),
            "nothing has to be done: it has been resumed, and the rejections and waits of that time say nothing about the \
             load",
        )
    };
    let is_hurting = is_paused && rejected > 0;
    let severity = if is_hurting { Severity::Warning } else { Severity::Notice };
    finding(FindingCode::Paused, severity, message, advice)
}

/// Returns a severity of a finding on the current load: in an interval a notice, unless operations were waiting for at
/// least half of it. At a healthy utilization of 80 %, some operation waits at a third of all instants.
fn lasting(evidence: &Evidence<'_>, severity: Severity) -> Severity {
    if evidence.is_interval() && !evidence.was_pressed_for_half() {
        severity.min(Severity::Notice)
    } else {
        severity
    }
}

/// Returns why the current load has lasted, to be appended to a message. It is empty for a status, whose rates are of all time
/// and do not explain the present.
fn reason(evidence: &Evidence<'_>) -> String {
    if evidence.is_interval() && evidence.was_pressed_for_half() {
        causes::load(evidence).map_or_else(String::new, |load| format!(": {load}"))
    } else {
        String::new()
    }
}

pub(super) fn active_work_above_capacity(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let status = evidence.bulkhead()?;
    if !status.is_over_capacity() || status.is_closed {
        return None;
    }
    let severity = if status.waiting > 0 { Severity::Warning } else { Severity::Notice };
    finding(
        FindingCode::ActiveWorkAboveCapacity,
        lasting(evidence, severity),
        format!(
            "{} units in use, above the capacity of {} after a shrink",
            status.used, status.capacity
        ),
        format!(
            "let running work finish: no operation is admitted until more than {} units have come back",
            status.excess()
        ),
    )
}

/// Returns whether an operation of cost 1 would be rejected for a full waiting room. If so, no other finding on the current
/// load is reported.
fn is_full(status: &BulkheadStatus) -> bool {
    status.is_saturated() && status.waiting_room > 0
}

pub(super) fn waiting_room_full(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let status = evidence.bulkhead()?;
    if !is_full(status) {
        return None;
    }
    finding(
        FindingCode::WaitingRoomFull,
        lasting(evidence, Severity::Critical),
        format!(
            "{} of {} places in the waiting room taken with {} of {} units in use{}",
            status.waiting,
            status.waiting_room,
            status.used,
            status.capacity,
            reason(evidence)
        ),
        format!("new operations are rejected; {}", remedy(evidence)),
    )
}

pub(super) fn execution_full(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let status = evidence.bulkhead()?;
    if !status.must_wait() || status.is_over_capacity() || is_full(status) {
        return None;
    }
    let is_urgent = status.waiting > 0 || status.waiting_room == 0;
    let severity = if is_urgent { Severity::Warning } else { Severity::Notice };
    finding(
        FindingCode::ExecutionFull,
        lasting(evidence, severity),
        format!(
            "{} of {} units in use, {} waiting{}",
            status.used,
            status.capacity,
            status.waiting,
            reason(evidence)
        ),
        if evidence.is_interval() && !evidence.was_pressed_for_half() {
            "this is normal at times: nothing has to be done unless operations wait for most of the time".into()
        } else {
            format!("if this persists, {}", remedy(evidence))
        },
    )
}

pub(super) fn waiting_room_near_capacity(evidence: &Evidence<'_>) -> Option<CapacityFinding> {
    let status = evidence.bulkhead()?;
    let (waiting, room) = (status.waiting as u64, status.waiting_room as u64);
    if !status.must_wait() || room == 0 || !reaches(waiting, room, 80) || is_full(status) {
        return None;
    }
    finding(
        FindingCode::WaitingRoomNearCapacity,
        lasting(evidence, Severity::Warning),
        format!("{waiting} of {room} places in the waiting room taken"),
        format!(
            "once the {} remaining places are taken, new operations are rejected",
            room - waiting
        ),
    )
}
