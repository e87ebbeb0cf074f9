//! Situations that an operator meets, played on paused time. In each of them the report must name the cause and the right
//! action. A control beside it, in which all is well, must stay silent.

mod bursts;
mod callers;
mod costs_that_do_not_pack;
mod impatient_callers;
mod leaked_slots;
mod load_or_latency;
mod partitions;
mod past_incident;
mod sudden_rejections;
mod unservable_requests;

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadRegistry, CapacityFinding, CapacityReport, FindingCode, Severity,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Returns a plain bulkhead with a wait limit.
fn payments(parallelism: usize, room: usize, limit: Duration) -> Bulkhead {
    let builder = Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room);
    builder.wait_limit(limit).build().unwrap()
}

/// Returns a registry with this bulkhead alone.
fn registry_of(payments: &Bulkhead) -> BulkheadRegistry {
    let registry = BulkheadRegistry::new();
    registry.register(payments).unwrap();
    registry
}

/// Returns what the operator reads.
fn text(report: &CapacityReport) -> String {
    let mut text = report.summary();
    for finding in &report.findings {
        let CapacityFinding { code, severity, message, recommendation, .. } = finding;
        text += &format!("\n  {severity} {}: {message}\n    -> {recommendation}", code.name());
    }
    text
}

/// Asserts that the summary names this cause with this severity, and returns the finding.
#[track_caller]
fn cause(report: &CapacityReport, code: FindingCode, severity: Severity) -> &CapacityFinding {
    println!("{}", text(report));
    assert_eq!(report.severity(), severity, "{}", text(report));
    let first = report.findings.iter().find(|finding| finding.severity == severity).unwrap();
    assert_eq!(first.code, code, "{}", text(report));
    assert!(report.summary().contains(&first.message), "{}", text(report));
    first
}

/// Asserts that a text contains all of these parts.
#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

/// Asserts that no recommendation contains any of these parts.
#[track_caller]
fn never_advises(report: &CapacityReport, parts: &[&str]) {
    for (finding, part) in
        report.findings.iter().flat_map(|finding| parts.iter().map(move |part| (finding, part)))
    {
        assert!(!finding.recommendation.contains(part), "{part:?}: {}", text(report));
    }
}

/// Asserts that there is nothing to act on, and no finding but these notices.
#[track_caller]
fn silent_but(report: &CapacityReport, notices: &[FindingCode]) {
    let others = report.findings.iter().filter(|finding| !notices.contains(&finding.code));
    assert!(!report.requires_attention() && others.count() == 0, "{}", text(report));
}

/// Asserts that there are no findings.
#[track_caller]
fn silent(report: &CapacityReport) {
    silent_but(report, &[]);
}

/// Returns the number that follows this part of a text.
#[track_caller]
fn number_after(text: &str, part: &str) -> usize {
    let (_, rest) = text.split_once(part).unwrap_or_else(|| panic!("{part:?} is missing: {text}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after {part:?}: {text}"))
}
