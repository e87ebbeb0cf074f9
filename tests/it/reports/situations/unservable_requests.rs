//! Requests that no capacity can serve: their deadlines have passed when they arrive, or each costs more than there is.
//! The bulkhead is idle, and nobody is served.

use bulklink::{
    CapacityReport, Deadline,
    FindingCode::{self, *},
    Severity::*,
    WeightedBulkhead,
};

use super::{
    MINUTE, SECOND,
    callers::{Callers, lasting},
    cause, contains, never_advises, payments, silent,
};
use crate::support::ms;

/// A minute of requests that have this much time left when they arrive.
async fn with_time_left(left: std::time::Duration) -> [CapacityReport; 2] {
    let payments = payments(10, 20, SECOND);
    let before = payments.status();
    let mut callers = Callers::new(20.0, ms(100));
    let call = |_, work| {
        let payments = payments.clone();
        async move { payments.execute_before(Deadline::after(left), lasting(work)).await }
    };
    callers.run(MINUTE, call).await;
    let status = payments.status();
    [status.since(&before).unwrap().capacity_report(), status.capacity_report()]
}

#[tokio::test(start_paused = true)]
async fn requests_whose_deadlines_have_passed_on_arrival_are_late_and_not_too_many() {
    for report in with_time_left(ms(0)).await {
        let finding = cause(&report, DeadlinesPassed, Critical);
        contains(&finding.message, &["came too late (100.0 %)", "with a deadline that had passed"]);
        contains(
            &finding.recommendation,
            &["before the bulkhead", "clocks", "the capacity is not the cause"],
        );
        never_advises(&report, &["raise the capacity", "waiting room", "wait limit"]);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_with_time_left_cause_no_finding() {
    for report in with_time_left(SECOND).await {
        silent(&report);
    }
}

/// A minute of requests of this cost, for a capacity of 10.
async fn of_cost(cost: usize) -> [CapacityReport; 2] {
    let builder = WeightedBulkhead::builder("reports").capacity(10).waiting_room(20);
    let reports = builder.wait_limit(SECOND).build().unwrap();
    let before = reports.status();
    let mut callers = Callers::new(5.0, ms(100));
    let call = |_, work| {
        let reports = reports.clone();
        async move { reports.execute(cost, lasting(work)).await }
    };
    callers.run(MINUTE, call).await;
    let status = reports.status();
    [status.since(&before).unwrap().capacity_report(), status.capacity_report()]
}

#[tokio::test(start_paused = true)]
async fn requests_that_cost_more_than_the_capacity_are_oversized_and_not_too_many() {
    for report in of_cost(11).await {
        let finding = cause(&report, OversizedRequests, Critical);
        contains(
            &finding.message,
            &["cost more than the capacity of 10 (100.0 %)", "can never be admitted"],
        );
        contains(&finding.recommendation, &["to the largest cost, or bound the cost"]);
        never_advises(&report, &["to about", "waiting room", "wait limit", "slow"]);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_cost_need_another_cost_function_and_no_capacity() {
    for report in of_cost(0).await {
        let finding = cause(&report, OversizedRequests, Critical);
        contains(&finding.recommendation, &["correct the cost function"]);
        never_advises(&report, &["capacity"]);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_fit_cause_no_finding() {
    for report in of_cost(5).await {
        let silenced: Vec<FindingCode> = report.findings.iter().map(|found| found.code).collect();
        assert_eq!(silenced, [], "{}", report.summary());
    }
}
