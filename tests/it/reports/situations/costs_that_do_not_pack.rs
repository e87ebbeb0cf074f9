//! A weighted bulkhead: 7 of 10 units in use, 5 operations of cost 5 wait, and the room is full.
//!
//! Three units are free, so that the bulkhead does not look full. None of the waiters fits into them, and every newcomer
//! is rejected.

use std::time::Duration;

use bulklink::{CapacityReport, FindingCode::*, Severity::*, WeightedBulkhead};
use tokio::time::advance;
use tokio_test::{assert_pending, task};

use super::{
    MINUTE, SECOND,
    callers::{Callers, lasting},
    cause, contains, never_advises, number_after, silent,
};
use crate::support::ms;

fn reports(capacity: usize, limit: Duration) -> WeightedBulkhead {
    let builder = WeightedBulkhead::builder("reports").capacity(capacity).waiting_room(5);
    builder.wait_limit(limit).build().unwrap()
}

/// The reports of a status and of half a minute, with these units in use and this many waiters of cost 5.
async fn with_waiters(in_use: &[usize], waiters: usize) -> [CapacityReport; 2] {
    let reports = reports(10, 10 * MINUTE);
    let before = reports.status();
    let _slots: Vec<_> = in_use.iter().map(|&cost| reports.slot_now(cost).unwrap()).collect();
    let _line: Vec<_> = (0..waiters)
        .map(|_| {
            let mut waiter = task::spawn(reports.slot(5));
            assert_pending!(waiter.poll());
            waiter
        })
        .collect();
    if waiters == 5 {
        reports.slot_now(1).unwrap_err();
    }
    advance(MINUTE / 2).await;
    let status = reports.status();
    [status.capacity_report(), status.since(&before).unwrap().capacity_report()]
}

#[tokio::test(start_paused = true)]
async fn a_full_room_is_critical_although_units_are_free() {
    for in_use in [&[7][..], &[5, 2], &[1, 1, 5]] {
        for report in with_waiters(in_use, 5).await {
            let finding = cause(&report, WaitingRoomFull, Critical);
            contains(&finding.message, &["5 of 5 places", "7 of 10 units in use"]);
            contains(&finding.recommendation, &["new operations are rejected", "multiple of"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_use_without_waiters_causes_no_finding() {
    for report in with_waiters(&[7], 0).await {
        silent(&report);
    }
}

/// Two minutes of operations that cost 5 or 7 each, and the report of the second one.
async fn of_costs_5_and_7(capacity: usize, rate: f64) -> CapacityReport {
    let reports = reports(capacity, 10 * SECOND);
    let mut callers = Callers::new(rate, ms(500));
    let call = |random: usize, work| {
        let reports = reports.clone();
        async move { reports.execute(5 + 2 * (random % 2), lasting(work)).await }
    };
    callers.run(MINUTE, call).await;
    let before = reports.status();
    callers.run(MINUTE, call).await;
    reports.status().since(&before).unwrap().capacity_report()
}

#[tokio::test(start_paused = true)]
async fn costs_that_block_each_other_need_a_capacity_into_which_they_fit() {
    // One of cost 7 or two of cost 5 run at once, so that between two and four per second are served.
    let report = of_costs_5_and_7(10, 3.5).await;
    let finding = report.finding(ElevatedRejectionRate).unwrap();
    assert_eq!(report.severity(), Critical, "{report:#?}");
    contains(&report.summary(), &["the costs do not pack"]);
    contains(&finding.recommendation, &["multiple of the usual cost of about 6", "split the work"]);
    never_advises(&report, &["raise the capacity", "operations to wait"]);
    // The advised capacity serves the same load.
    let advised = number_after(&finding.recommendation, "such as ");
    assert!((12..=14).contains(&advised), "{advised}");
    let better = of_costs_5_and_7(advised, 3.5).await;
    let share = |report: &CapacityReport| report.totals.overload_share().unwrap();
    assert!(share(&better) < share(&report) / 2.0, "{} {}", share(&better), share(&report));
}

#[tokio::test(start_paused = true)]
async fn a_load_of_such_costs_that_fits_causes_no_finding() {
    silent(&of_costs_5_and_7(24, 1.0).await);
}
