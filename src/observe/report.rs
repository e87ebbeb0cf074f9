//! `CapacityReport`: an assessment of the configured sizes, based on one status.
//!
//! It owns the rules, which are pure functions of a status and conservative with small samples.

use std::{fmt, time::SystemTime};

use super::status::BulkheadStatus;
use crate::core::gate::counts::Totals;

/// An assessment of a bulkhead's configured sizes based on one status, with recommendations.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, FindingCode, Severity};
///
/// let payments = Bulkhead::builder("payments").parallelism(1).build()?;
/// let slot = payments.slot_now()?;
/// let report = payments.capacity_report();
/// assert_eq!(report.findings[0].code, FindingCode::ExecutionFull);
/// assert_eq!(report.severity(), Severity::Warning);
/// # drop(slot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CapacityReport {
    /// When the status was taken.
    pub assessed_at: SystemTime,
    /// The status that was assessed.
    pub status: BulkheadStatus,
    /// The findings, in the order of the rules.
    pub findings: Vec<CapacityFinding>,
}

/// A finding of a capacity report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapacityFinding {
    /// The rule that produced the finding.
    pub code: FindingCode,
    /// How severe it is.
    pub severity: Severity,
    /// What was found, with the relevant numbers.
    pub message: String,
    /// What to do about it.
    pub recommendation: &'static str,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// There are no findings.
    Ok,
    /// Worth knowing.
    Notice,
    /// Worth acting on.
    Warning,
    /// Operations are being rejected or are about to be.
    Critical,
}

/// The rules of a capacity report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingCode {
    /// Closed, with operations still running.
    ClosedWithActiveWork,
    /// More units in use than the capacity, after a shrink.
    ActiveWorkAboveCapacity,
    /// No free unit and a full waiting room.
    WaitingRoomFull,
    /// No free unit.
    ExecutionFull,
    /// No free unit, and at least 80 % of the waiting room in use.
    WaitingRoomNearCapacity,
    /// Operations may wait, with no wait limit.
    UnboundedQueueWait,
    /// A large waiting room: at least 100 operations, and at least 20 times the capacity.
    LargeWaitingRoom,
    /// At least half of the operations had to wait.
    FrequentQueueing,
    /// At least 5 % of the operations were saturated or expired.
    ElevatedRejectionRate,
    /// At least 10 % of the waiters expired.
    ElevatedExpirationRate,
    /// Admitted waiters had waited for almost as long as the wait limit allows.
    WaitTimeNearLimit,
}

impl FindingCode {
    /// Returns the name of the code, as metrics and logs use it. It is stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ClosedWithActiveWork => "closed_with_active_work",
            Self::ActiveWorkAboveCapacity => "active_work_above_capacity",
            Self::WaitingRoomFull => "waiting_room_full",
            Self::ExecutionFull => "execution_full",
            Self::WaitingRoomNearCapacity => "waiting_room_near_capacity",
            Self::UnboundedQueueWait => "unbounded_queue_wait",
            Self::LargeWaitingRoom => "large_waiting_room",
            Self::FrequentQueueing => "frequent_queueing",
            Self::ElevatedRejectionRate => "elevated_rejection_rate",
            Self::ElevatedExpirationRate => "elevated_expiration_rate",
            Self::WaitTimeNearLimit => "wait_time_near_limit",
        }
    }
}

impl CapacityReport {
    pub(crate) fn new(status: BulkheadStatus) -> Self {
        let findings = findings(&status);
        Self { assessed_at: SystemTime::now(), status, findings }
    }

    /// Returns the highest severity of all findings, or [`Severity::Ok`] if there are none.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    /// Returns `true` if there is a finding worth acting on, of severity [`Severity::Warning`] or higher.
    #[must_use]
    pub fn requires_attention(&self) -> bool {
        self.severity() >= Severity::Warning
    }

    /// Returns the report in one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let label = &self.status.label;
        let worst = self.findings.iter().rev().max_by_key(|finding| finding.severity);
        match (worst, self.findings.len()) {
            (None, _) => format!("bulkhead \"{label}\" is ok: no findings"),
            (Some(worst), 1) => {
                format!("bulkhead \"{label}\" has a {} finding: {}", worst.severity, worst.message)
            }
            (Some(worst), count) => format!(
                "bulkhead \"{label}\" has a {} finding: {}, the most severe of {count} findings",
                worst.severity, worst.message
            ),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// A rule, which returns at most one finding.
type Rule = fn(&BulkheadStatus) -> Option<CapacityFinding>;

/// The rules, in the order in which their findings are listed.
const RULES: [Rule; 11] = [
    closed_with_active_work,
    active_work_above_capacity,
    waiting_room_full,
    execution_full,
    waiting_room_near_capacity,
    unbounded_queue_wait,
    large_waiting_room,
    frequent_queueing,
    elevated_rejection_rate,
    elevated_expiration_rate,
    wait_time_near_limit,
];

fn findings(status: &BulkheadStatus) -> Vec<CapacityFinding> {
    RULES.iter().filter_map(|rule| rule(status)).collect()
}

fn finding(
    code: FindingCode,
    severity: Severity,
    message: String,
    recommendation: &'static str,
) -> Option<CapacityFinding> {
    Some(CapacityFinding { code, severity, message, recommendation })
}

/// Returns whether `part` is at least `percent` percent of `whole`.
fn reaches(part: u64, whole: u64, percent: u64) -> bool {
    u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

/// Returns `part` as a percentage of `whole`.
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

fn closed_with_active_work(status: &BulkheadStatus) -> Option<CapacityFinding> {
    if !status.is_closed || status.is_drained() {
        return None;
    }
    finding(
        FindingCode::ClosedWithActiveWork,
        Severity::Notice,
        format!("closed with {} operations running", status.in_flight),
        "await wait_closed before tearing down the resources they use",
    )
}

fn active_work_above_capacity(status: &BulkheadStatus) -> Option<CapacityFinding> {
    if !status.is_over_capacity() || status.is_closed {
        return None;
    }
    finding(
        FindingCode::ActiveWorkAboveCapacity,
        if status.waiting > 0 { Severity::Warning } else { Severity::Notice },
        format!(
            "{} units in use, above the capacity of {} after a shrink",
            status.used, status.capacity
        ),
        "let running work finish; no operation is admitted until enough of it has",
    )
}

/// Returns whether the waiting room is full and no unit is free. If so, no other finding on the current load is
/// reported.
fn is_full(status: &BulkheadStatus) -> bool {
    let room = status.waiting_room;
    !status.is_closed && status.free() == 0 && room > 0 && status.waiting >= room
}

fn waiting_room_full(status: &BulkheadStatus) -> Option<CapacityFinding> {
    if !is_full(status) {
        return None;
    }
    finding(
        FindingCode::WaitingRoomFull,
        Severity::Critical,
        format!(
            "{} of {} places in the waiting room taken and no free unit",
            status.waiting, status.waiting_room
        ),
        "new operations are rejected: find out what is slow, or raise the capacity if the dependency can take it",
    )
}

fn execution_full(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let is_open = !status.is_closed && !status.is_over_capacity();
    if status.free() > 0 || !is_open || is_full(status) {
        return None;
    }
    let is_urgent = status.waiting > 0 || status.waiting_room == 0;
    finding(
        FindingCode::ExecutionFull,
        if is_urgent { Severity::Warning } else { Severity::Notice },
        format!("{} of {} units in use, {} waiting", status.used, status.capacity, status.waiting),
        "if this persists, the dependency is slower or the load higher than the capacity was sized for",
    )
}

fn waiting_room_near_capacity(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let (waiting, room) = (status.waiting as u64, status.waiting_room as u64);
    if status.free() > 0 || room == 0 || !reaches(waiting, room, 80) || is_full(status) {
        return None;
    }
    finding(
        FindingCode::WaitingRoomNearCapacity,
        Severity::Warning,
        format!("{waiting} of {room} places in the waiting room taken and no free unit"),
        "rejections are imminent: shed load earlier or find out what is slow",
    )
}

fn unbounded_queue_wait(status: &BulkheadStatus) -> Option<CapacityFinding> {
    if status.waiting_room == 0 || status.wait_limit.is_some() {
        return None;
    }
    finding(
        FindingCode::UnboundedQueueWait,
        Severity::Notice,
        format!("{} operations may wait with no wait limit", status.waiting_room),
        "set a wait limit, so that no operation waits longer than its result is useful",
    )
}

fn large_waiting_room(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let (room, capacity) = (status.waiting_room, status.capacity);
    if room < 100 || room < capacity.saturating_mul(20) {
        return None;
    }
    finding(
        FindingCode::LargeWaitingRoom,
        Severity::Notice,
        format!("waiting room of {room} for a capacity of {capacity}"),
        "a long waiting line adds latency: the last waiter waits until the capacity has been reused many times",
    )
}

fn frequent_queueing(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let totals = &status.totals;
    let arrived = totals.direct_admitted() + totals.queued + totals.saturated;
    if arrived < 20 || !reaches(totals.queued, arrived, 50) {
        return None;
    }
    finding(
        FindingCode::FrequentQueueing,
        Severity::Notice,
        format!("{} of {arrived} operations had to wait", totals.queued),
        "waiting is the norm here: raise the capacity if the dependency can take it",
    )
}

fn elevated_rejection_rate(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let totals = &status.totals;
    let rejected = totals.saturated + totals.expired;
    let decided = totals.admitted + rejected;
    if decided < 20 || !reaches(rejected, decided, 5) {
        return None;
    }
    let is_critical = reaches(rejected, decided, 20);
    finding(
        FindingCode::ElevatedRejectionRate,
        if is_critical { Severity::Critical } else { Severity::Warning },
        format!(
            "{rejected} of {decided} operations rejected ({:.1} %)",
            percent(rejected, decided)
        ),
        "the load exceeds what the capacity and the waiting room can absorb",
    )
}

fn elevated_expiration_rate(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let Totals { queued, expired, .. } = status.totals;
    if queued < 10 || !reaches(expired, queued, 10) {
        return None;
    }
    let is_critical = reaches(expired, queued, 30);
    finding(
        FindingCode::ElevatedExpirationRate,
        if is_critical { Severity::Critical } else { Severity::Warning },
        format!("{expired} of {queued} waiters expired ({:.1} %)", percent(expired, queued)),
        "many operations wait in vain: a smaller waiting room rejects them sooner and shortens the wait of the others",
    )
}

fn wait_time_near_limit(status: &BulkheadStatus) -> Option<CapacityFinding> {
    let limit = status.wait_limit?;
    let average = status.totals.average_wait()?;
    let longest = status.peaks.wait;
    let is_near = average.as_nanos() * 100 >= limit.as_nanos() * 75
        || longest.as_nanos() * 100 >= limit.as_nanos() * 95;
    if status.totals.admitted_from_queue < 5 || !is_near {
        return None;
    }
    finding(
        FindingCode::WaitTimeNearLimit,
        Severity::Warning,
        format!(
            "average wait {average:.1?} and longest wait {longest:.1?}, with a wait limit of {limit:.1?}"
        ),
        "expirations are imminent: admitted operations have waited almost as long as the wait limit allows",
    )
}
