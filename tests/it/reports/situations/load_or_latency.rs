//! Twice the load, or a dependency that takes twice as long.
//!
//! Both need twice the units and reject as many. More capacity helps against load, if the dependency can bear it. Against a
//! slow dependency it only adds to the dependency's load.

use bulklink::{CapacityReport, FindingCode::*, Severity::*};

use super::{
    MINUTE, SECOND, callers::Callers, contains, never_advises, payments, silent_but, text,
};
use crate::support::ms;

/// Twenty minutes at a use of 70 %, each without a finding; then a minute with more load, slower work or neither.
async fn after_growth(load: f64, slowness: f64) -> CapacityReport {
    let payments = payments(10, 20, 2 * SECOND);
    let mut callers = Callers::new(14.0, ms(500)).fixed();
    for _ in 0..4 {
        let report = callers.call(&payments, 5 * MINUTE).await.capacity_report();
        silent_but(&report, &[ExecutionFull]);
    }
    callers.rate *= load;
    callers.work = callers.work.mul_f64(slowness);
    let report = callers.call(&payments, MINUTE).await.capacity_report();
    println!("{}", text(&report));
    report
}

#[tokio::test(start_paused = true)]
async fn twice_the_load_is_named_as_such() {
    let report = after_growth(2.0, 1.0).await;
    let finding = report.finding(ElevatedRejectionRate).unwrap();
    assert_eq!((report.severity(), finding.severity), (Critical, Critical), "{}", text(&report));
    contains(
        &finding.message,
        &["28/s x ", "= 14 units wanted of 10", "arrivals were 14/s before"],
    );
    contains(&report.summary(), &["arrivals were 14/s before"]);
    assert!(!finding.message.contains("the work took"), "{}", finding.message);
    contains(&finding.recommendation, &["raise the capacity to about 15 at first", "be rejected"]);
    never_advises(&report, &["why the work takes longer"]);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_takes_twice_as_long_is_named_as_such() {
    let report = after_growth(1.0, 2.0).await;
    let finding = report.finding(ElevatedRejectionRate).unwrap();
    assert_eq!((report.severity(), finding.severity), (Critical, Critical), "{}", text(&report));
    contains(&finding.message, &["15/s x ", "= 14 units wanted of 10", "the work took "]);
    contains(&report.summary(), &["the work took "]);
    assert!(!finding.message.contains("arrivals were"), "{}", finding.message);
    contains(&finding.recommendation, &["find out why the work takes longer than before"]);
    never_advises(&report, &["raise the capacity"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_load_and_latency_cause_no_finding() {
    let report = after_growth(1.0, 1.0).await;
    silent_but(&report, &[ExecutionFull]);
    never_advises(&report, &["raise the capacity", "takes longer"]);
}

#[tokio::test(start_paused = true)]
async fn a_steady_load_that_is_too_high_has_not_grown_by_chance() {
    let payments = payments(10, 5, SECOND);
    let mut callers = Callers::new(19.0, ms(500));
    callers.call(&payments, 3 * MINUTE).await;
    let mut rejections = 0;
    for _ in 0..60 {
        // Quiet traffic has few samples of its hold times, whose mean varies much.
        let report = callers.call(&payments, MINUTE / 2).await.capacity_report();
        rejections += usize::from(report.finding(ElevatedRejectionRate).is_some());
        for finding in &report.findings {
            assert!(!finding.message.contains(" before"), "{}", text(&report));
        }
    }
    assert!(rejections > 20, "{rejections}");
}
