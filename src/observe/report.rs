//! `CapacityReport`: what a status says of the sizes that were chosen.
//!
//! It owns the rules, which are pure functions of one status and conservative with small samples.

use std::{fmt, time::SystemTime};

use super::status::BulkheadStatus;
use crate::core::gate::counts::Totals;

/// What a status says of the sizes that were chosen, and what to do about it.
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
    /// What was found, in the order of the rules.
    pub findings: Vec<CapacityFinding>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapacityFinding {
    /// Which rule found it.
    pub code: FindingCode,
    /// How much it matters.
    pub severity: Severity,
    /// What was found, with the numbers.
    pub message: String,
    /// What to do about it.
    pub recommendation: &'static str,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing was found.
    Ok,
    /// Worth knowing.
    Notice,
    /// Worth acting on.
    Warning,
    /// Operations are being lost, or about to be.
    Critical,
}

/// The rules of a capacity report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingCode {
    /// Closed, and something still runs.
    ClosedWithActiveWork,
    /// More units in use than the capacity, after a shrink.
    ActiveWorkAboveCapacity,
    /// No free unit and no free place to wait.
    WaitingRoomFull,
    /// No free unit.
    ExecutionFull,
    /// No free unit, and at least 80 % of the waiting room taken.
    WaitingRoomNearCapacity,
    /// Operations may wait, for as long as it takes.
    UnboundedQueueWait,
    /// A waiting room that takes many rounds of the capacity to empty.
    LargeWaitingRoom,
    /// At least half of the operations had to wait.
    FrequentQueueing,
    /// At least 5 % of the operations were saturated or expired.
    ElevatedRejectionRate,
    /// At least 10 % of the waiters expired.
    ElevatedExpirationRate,
    /// Those who were admitted had nearly waited too long.
    WaitTimeNearLimit,
}

impl CapacityReport {
    pub(crate) fn new(status: BulkheadStatus) -> Self {
        let findings = findings(&status);
        Self { assessed_at: SystemTime::now(), status, findings }
    }

    /// The highest severity of all findings.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    /// Whether anything was found that is worth acting on.
    #[must_use]
    pub fn requires_attention(&self) -> bool {
        self.severity() >= Severity::Warning
    }

    /// The report in one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let label = &self.status.label;
        let worst = self.findings.iter().rev().max_by_key(|finding| finding.severity);
        match (worst, self.findings.len()) {
            (None, _) => format!("bulkhead \"{label}\" is ok: nothing was found"),
            (Some(worst), 1) => {
                format!("bulkhead \"{label}\" is at {}: {}", worst.severity, worst.message)
            }
            (Some(worst), count) => format!(
                "bulkhead \"{label}\" is at {}: {}, the most severe of {count} findings",
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

/// A rule that may find something.
type Rule = fn(&BulkheadStatus) -> Option<CapacityFinding>;

/// The rules, in the order of their findings.
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

/// `part` as a share of `whole`, in percent, for a threshold that counts when it is reached.
fn reaches(part: u64, whole: u64, percent: u64) -> bool {
    u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

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
        "await wait_closed before tearing down what they use",
    )
}

fn active_work_above_capacity(status: &BulkheadStatus) -> Option<CapacityFinding> {
    if !status.is_over_capacity() || status.is_closed {
        return None;
    }
    finding(
        FindingCode::ActiveWorkAboveCapacity,
        if status.waiting > 0 { Severity::Warning } else { Severity::Notice },
        format!("{} units in use of {} after a shrink", status.used, status.capacity),
        "let running work end; nothing is admitted until it has",
    )
}

/// The room is full and nobody could take a unit. It says all there is to say of current pressure.
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
            "{} of {} places to wait taken and no free unit",
            status.waiting, status.waiting_room
        ),
        "newcomers are rejected: find out what is slow, or raise the capacity if the dependency bears it",
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
        "if this lasts, the dependency is slower or the load higher than the capacity was chosen for",
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
        format!("{waiting} of {room} places to wait taken and no free unit"),
        "rejections are near: shed load earlier or find out what is slow",
    )
}

fn unbounded_queue_wait(status: &BulkheadStatus) -> Option<CapacityFinding> {
    if status.waiting_room == 0 || status.wait_limit.is_some() {
        return None;
    }
    finding(
        FindingCode::UnboundedQueueWait,
        Severity::Notice,
        format!("{} operations may wait without a limit of time", status.waiting_room),
        "set a wait limit, so that nobody waits for longer than the answer is worth",
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
        format!("waiting room {room} for capacity {capacity}"),
        "a long line is latency: the last in it waits for many rounds of the capacity",
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
        "waiting is the rule here: raise the capacity if the dependency bears it",
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
        "the load is above what the capacity and the waiting room hold",
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
        "many wait in vain: a smaller waiting room rejects them sooner and keeps the others' wait short",
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
            "waits of {average:.1?} on average and {longest:.1?} at most, of {limit:.1?} allowed"
        ),
        "expirations are near: the waits have little time left",
    )
}
