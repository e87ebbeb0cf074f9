//! Callers give up after 1 s, the wait limit is 10 s, and three times the possible load arrives.
//!
//! The line is first in, first out, so that it admits those who have waited longest: a moment before they leave. Each
//! starts its work, and drops it. The bulkhead is busy all the time, rejects nobody, and answers almost nobody.

use bulklink::{FindingCode::*, RegisteredInterval, Severity::*};

use super::{
    MINUTE, SECOND, callers::Callers, cause, contains, never_advises, number_after, payments,
    registry_of, silent_but, text,
};
use crate::support::ms;

/// Ten slots of 500 ms each answer 20 per second.
const WORK_MS: u64 = 500;

#[tokio::test(start_paused = true)]
async fn callers_that_leave_before_their_answer_need_a_shorter_wait_limit() {
    let payments = payments(10, 100, 10 * SECOND);
    let registry = registry_of(&payments);
    let before = registry.snapshot();
    let mut callers = Callers::new(60.0, ms(WORK_MS)).fixed().patience(SECOND);
    let interval = callers.call(&payments, 25 * SECOND).await;
    assert!(interval.totals.admitted > 1300 && interval.totals.rejected() == 0);
    assert!(callers.answered() < 50, "{}", callers.answered());
    let intervals = registry.snapshot().since(&before);
    let of_registry = intervals.get("payments").unwrap();
    assert!(matches!(of_registry, RegisteredInterval::Bulkhead(_)));
    for report in
        [interval.capacity_report(), of_registry.capacity_report(), payments.capacity_report()]
    {
        let finding = cause(&report, WorkCutShort, Critical);
        contains(&finding.message, &["callers leave while their work runs"]);
        contains(&finding.recommendation, &["wait limit, now 10 s, to 4"]);
        never_advises(&report, &["raise the capacity", "allow more", "run more"]);
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_advised_wait_limit_callers_are_answered_or_rejected_in_time() {
    let before = payments(10, 100, 10 * SECOND);
    let mut callers = Callers::new(60.0, ms(WORK_MS)).fixed().patience(SECOND);
    let report = callers.call(&before, 25 * SECOND).await.capacity_report();
    let advised = number_after(&report.findings[0].recommendation, "now 10 s, to ");
    let after = payments(10, 100, ms(advised as u64));
    let mut callers = Callers::new(60.0, ms(WORK_MS)).fixed().patience(SECOND);
    let interval = callers.call(&after, 25 * SECOND).await;
    let report = interval.capacity_report();
    println!("{}", text(&report));
    assert!(callers.answered() > 450, "of 500 possible: {}", callers.answered());
    assert_eq!(report.finding(WorkCutShort), None, "{}", text(&report));
    assert_eq!(report.finding(WaitersGiveUp), None, "{}", text(&report));
    // Two thirds of the load are still too much, and now it says so.
    assert!(report.finding(ElevatedRejectionRate).is_some(), "{}", text(&report));
}

#[tokio::test(start_paused = true)]
async fn callers_with_the_same_patience_under_a_load_that_fits_cause_no_finding() {
    let payments = payments(10, 100, 10 * SECOND);
    let mut callers = Callers::new(12.0, ms(WORK_MS)).fixed().patience(SECOND);
    for _ in 0..5 {
        let report = callers.call(&payments, MINUTE).await.capacity_report();
        silent_but(&report, &[ExecutionFull]);
    }
    silent_but(&payments.capacity_report(), &[]);
}
