//! `CapacityReport`: an assessment of a bulkhead, based on a status or an interval.
//!
//! It owns the report and the order of the rules. The rules are pure functions of an [`Evidence`], one file for each
//! theme: `held` slots, `outcomes`, `partitions`, the `pressure` at this instant, `sizes` and `rates`. `causes` explains
//! rejections, and `format` writes the numbers.

mod causes;
pub(crate) mod code;
mod evidence;
mod format;
mod held;
mod outcomes;
mod partitions;
mod pressure;
mod rates;
mod sizes;
mod total;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use self::{code::FindingCode, evidence::Evidence};
use super::{
    interval::BulkheadInterval,
    partitions::{PartitionedInterval, PartitionedStatus},
    registry::RegistryStatus,
    status::BulkheadStatus,
};
use crate::core::gate::counts::Totals;

/// From this age on, a report of all time may be of what is long over.
const LONG_AGO: Duration = Duration::from_secs(60);

/// An assessment of a bulkhead, with recommendations.
///
/// A report of a status judges everything since the bulkhead was created, so that an incident remains visible in it for
/// long. A report of an interval judges what happened between two statuses, and is the one to act on. Current values,
/// such as the units in use, are those of the status, or of the end of the interval.
///
/// The report of a [`PartitionedBulkhead`](crate::PartitionedBulkhead) judges rates over all keys, and the partitions.
/// How full a single partition is, is in the report of its own
/// [`partition_status`](crate::PartitionedBulkhead::partition_status).
///
/// A rule is silent if there are too few operations to judge. See [`FindingCode`] for the rules.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, FindingCode, Severity};
///
/// let payments = Bulkhead::builder("payments").parallelism(1).build()?;
/// let slot = payments.slot_now()?;
/// let before = payments.status();
/// let report = before.capacity_report();
/// assert_eq!(report.findings[0].code, FindingCode::ExecutionFull);
/// assert_eq!(report.severity(), Severity::Warning);
///
/// // In an interval it matters how long operations waited for the slot: none did.
/// let interval = payments.status().since(&before)?;
/// assert_eq!(interval.capacity_report().severity(), Severity::Notice);
/// # drop(slot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CapacityReport {
    /// When the report was made.
    pub assessed_at: SystemTime,
    /// The status that was assessed, or that of the end of the interval.
    pub status: RegistryStatus,
    /// What was counted since the bulkhead was created, or in the interval. Its methods are the ratios behind the findings.
    pub totals: Totals,
    /// How long the bulkhead has existed, or the length of the interval.
    pub elapsed: Duration,
    /// How long operations were waiting in that time. In a partitioned bulkhead, the sum over its partitions.
    pub pressure: Duration,
    /// The findings, in the order of the rules: causes come before their effects.
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
    /// What to do about it, with the relevant numbers.
    pub recommendation: String,
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
    /// Operations are being rejected or are about to be, or their work is wasted.
    Critical,
}

impl CapacityReport {
    fn new(status: RegistryStatus, evidence: &Evidence<'_>) -> Self {
        Self {
            assessed_at: SystemTime::now(),
            status,
            totals: *evidence.totals,
            elapsed: evidence.elapsed,
            pressure: evidence.pressure,
            findings: RULES.iter().filter_map(|rule| rule(evidence)).collect(),
        }
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

    /// Returns the first finding of this code, or `None` if there is none.
    #[must_use]
    pub fn finding(&self, code: FindingCode) -> Option<&CapacityFinding> {
        self.findings.iter().find(|finding| finding.code == code)
    }

    /// Returns the share of the assessed time in which operations were waiting, from 0 to 1. `None` if no time has passed, or
    /// for a partitioned bulkhead, in which each partition has its own.
    #[must_use]
    pub fn pressure_share(&self) -> Option<f64> {
        let is_single = matches!(self.status, RegistryStatus::Bulkhead(_));
        (is_single && !self.elapsed.is_zero())
            .then(|| (self.pressure.as_secs_f64() / self.elapsed.as_secs_f64()).min(1.0))
    }

    /// Returns the report in one sentence: whether the bulkhead is paused, draining, closed or drained, and its first finding of the highest severity. If
    /// the report is of everything since the bulkhead was created, a minute ago or longer, the sentence ends with that.
    #[must_use]
    pub fn summary(&self) -> String {
        let label = self.status.label();
        let state = match &self.status {
            status if status.is_drained() => Some("drained"),
            status if status.is_closed() => Some("closed"),
            status if status.is_draining() => Some("draining"),
            status if status.is_paused() => Some("paused"),
            _ => None,
        };
        let worst = self.findings.iter().rev().max_by_key(|finding| finding.severity);
        let Some(worst) = worst else {
            let state = state.unwrap_or("ok");
            return format!("bulkhead \"{label}\" is {state}: no findings{}", self.all_time());
        };
        let mut text = match state {
            Some(state) => format!("bulkhead \"{label}\" is {state} and"),
            None => format!("bulkhead \"{label}\""),
        };
        text += &format!(" has a {} finding: {}", worst.severity, worst.message);
        if self.findings.len() > 1 {
            text += &format!(", the most severe of {} findings", self.findings.len());
        }
        text + &self.all_time()
    }

    /// Returns the end of the summary of all time. Its shares include incidents that are over, and hardly change at the start of a new one.
    fn all_time(&self) -> String {
        let age = match &self.status {
            RegistryStatus::Bulkhead(status) => status.age,
            RegistryStatus::Partitioned(status) => status.age,
        };
        if self.elapsed < age || age < LONG_AGO {
            return String::new();
        }
        format!(", in the {} since it was created", format::time(age))
    }
}

impl BulkheadStatus {
    /// Assesses everything since the bulkhead was created, and its current state.
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        let evidence = Evidence::of_status(self);
        CapacityReport::new(RegistryStatus::Bulkhead(self.clone()), &evidence)
    }
}

impl BulkheadInterval {
    /// Assesses the interval, and the state of the bulkhead at its end.
    ///
    /// # Examples
    ///
    /// ```
    /// # let payments = bulklink::Bulkhead::builder("payments").parallelism(2).build()?;
    /// let before = payments.status();
    /// // Some time later:
    /// let report = payments.status().since(&before)?.capacity_report();
    /// for finding in &report.findings {
    ///     println!("{}: {}; {}", finding.severity, finding.message, finding.recommendation);
    /// }
    /// assert_eq!(report.summary(), "bulkhead \"payments\" is ok: no findings");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        let evidence = Evidence::of_interval(self);
        CapacityReport::new(RegistryStatus::Bulkhead(self.end.clone()), &evidence)
    }

    /// Returns how many units have been held for much longer than operations usually hold theirs: leaked, stuck, or in use by
    /// long streams. An estimate, see [`FindingCode::SlotsHeldLong`]; `None` if that finding would not be reported.
    #[must_use]
    pub fn units_held_long(&self) -> Option<f64> {
        held::units_held_long(self)
    }
}

impl PartitionedStatus {
    /// Assesses everything since the bulkhead was created, over all keys, and the current state of its partitions.
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        let evidence = Evidence::of_partitioned_status(self);
        CapacityReport::new(RegistryStatus::Partitioned(self.clone()), &evidence)
    }
}

impl PartitionedInterval {
    /// Assesses the interval over all keys, and the state of the partitions at its end.
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        let evidence = Evidence::of_partitioned_interval(self);
        CapacityReport::new(RegistryStatus::Partitioned(self.end.clone()), &evidence)
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
type Rule = fn(&Evidence<'_>) -> Option<CapacityFinding>;

/// The rules, in the order in which their findings are listed. Causes come before their effects, so that of two findings
/// of the same severity the summary names the cause.
const RULES: [Rule; 26] = [
    pressure::closed_with_active_work,
    pressure::paused,
    pressure::active_work_above_capacity,
    held::slots_held_long,
    outcomes::work_cut_short,
    outcomes::waiters_give_up,
    outcomes::deadlines_passed,
    outcomes::oversized_requests,
    partitions::keys_turned_away,
    partitions::partitions_full,
    total::guarantees_exceed_total,
    total::total_full,
    total::total_room_too_small,
    outcomes::unused_admissions,
    pressure::waiting_room_full,
    pressure::execution_full,
    pressure::waiting_room_near_capacity,
    sizes::unbounded_queue_wait,
    sizes::large_waiting_room,
    sizes::limit_without_room,
    sizes::room_outlasts_limit,
    rates::frequent_queueing,
    rates::elevated_rejection_rate,
    rates::elevated_expiration_rate,
    rates::wait_time_near_limit,
    outcomes::handlers_panic,
];

fn finding(
    code: FindingCode,
    severity: Severity,
    message: String,
    recommendation: impl Into<String>,
) -> Option<CapacityFinding> {
    Some(CapacityFinding { code, severity, message, recommendation: recommendation.into() })
}

/// Returns whether `part` is at least `percent` percent of `whole`.
fn reaches(part: u64, whole: u64, percent: u64) -> bool {
    u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

/// Returns the severity of a share: `None` below `lower` percent, and the higher severity from `upper` percent on.
fn graded(
    part: u64,
    whole: u64,
    (lower, low): (u64, Severity),
    (upper, high): (u64, Severity),
) -> Option<Severity> {
    reaches(part, whole, lower).then(|| if reaches(part, whole, upper) { high } else { low })
}
