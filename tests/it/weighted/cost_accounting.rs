//! What a weighted bulkhead counts, in operations and in units.

use std::time::Duration;

use bulklink::{Bulkhead, Deadline, RejectionReason, WeightedBulkhead};
use tokio::time::{Instant, advance};

use crate::support::{assert_identities, rejection_of, slot_of, waiting, weighted};

#[tokio::test]
async fn a_cost_of_zero_is_invalid_for_every_method() {
    let reports = weighted(10, 5);
    let rejections = [
        reports.slot_now(0).unwrap_err(),
        reports.slot(0).await.unwrap_err(),
        reports.slot_within(Duration::ZERO, 0).await.unwrap_err(),
        reports.slot_before(Deadline::at(Instant::now()), 0).await.unwrap_err(),
        reports.execute(0, async {}).await.unwrap_err(),
    ];
    for rejection in rejections {
        assert_eq!(*rejection.reason(), RejectionReason::InvalidCost);
        assert_eq!(rejection.retry_after(), None);
        assert!(rejection.to_string().ends_with("cost 0 is not allowed, the minimum is 1"));
    }
    let totals = reports.status().totals;
    assert_eq!((totals.invalid_cost, totals.admitted, totals.expired_before_queue), (5, 0, 0));
    assert_eq!((totals.oversized, totals.rejected()), (0, 5));
}

#[tokio::test]
async fn a_cost_above_the_capacity_is_rejected_with_the_numbers() {
    let reports = weighted(10, 5);
    for cost in [11, Bulkhead::MAX_CAPACITY, (1 << 32) + 1, usize::MAX] {
        let rejection = reports.slot(cost).await.unwrap_err();
        assert!(
            matches!(rejection.reason(), RejectionReason::CostExceedsCapacity { cost: c, capacity: 10, .. } if *c == cost)
        );
        assert_eq!(rejection.retry_after(), None);
        let message =
            format!("bulkhead \"reports\" rejected the operation: cost {cost} exceeds capacity 10");
        assert_eq!(rejection.to_string(), message);
        assert_eq!(reports.slot_now(cost).unwrap_err(), rejection);
    }
    let status = reports.status();
    assert_eq!((status.totals.oversized, status.used, status.waiting), (8, 0, 0));
    assert_eq!((status.totals.invalid_cost, status.totals.rejected()), (0, 8));
    let _all = reports.slot_now(10).unwrap();
}

#[test]
fn the_current_capacity_decides_what_is_oversized() {
    let reports = weighted(10, 5);
    let _running = reports.slot_now(1).unwrap();
    reports.resize(4).unwrap();
    assert!(matches!(
        reports.slot_now(5).unwrap_err().reason(),
        RejectionReason::CostExceedsCapacity { cost: 5, capacity: 4, .. }
    ));
    reports.resize(6).unwrap();
    assert!(reports.slot_now(5).is_ok());
}

#[test]
fn closed_takes_precedence_over_an_impossible_cost() {
    let reports = weighted(10, 5);
    reports.close();
    for cost in [0, 1, 11, usize::MAX] {
        assert_eq!(*reports.slot_now(cost).unwrap_err().reason(), RejectionReason::Closed);
    }
    let totals = reports.status().totals;
    assert_eq!((totals.closed_before_queue, totals.oversized, totals.invalid_cost), (4, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn totals_and_peaks_count_operations_and_units() {
    let reports = WeightedBulkhead::builder("reports")
        .capacity(10)
        .waiting_room(3)
        .wait_limit(Duration::from_secs(9))
        .build()
        .unwrap();
    let first = [reports.slot_now(4).unwrap(), reports.slot_now(1).unwrap()];
    let five = reports.slot_now(5).unwrap();
    let mut seven = waiting(reports.slot(7));
    let expires = waiting(reports.slot_within(Duration::from_secs(2), 2));
    let mut expires = expires;
    let mut three = waiting(reports.slot(3));
    assert!(reports.slot_now(1).is_err(), "saturated");
    let status = reports.status();
    assert_eq!((status.waiting, status.waiting_units), (3, 12));
    assert_eq!((status.peaks.used, status.peaks.in_flight), (10, 3));
    assert_eq!((status.peaks.waiting, status.peaks.waiting_units), (3, 12));

    advance(Duration::from_secs(2)).await;
    assert!(matches!(rejection_of(&mut expires).reason(), RejectionReason::WaitLimit { .. }));
    advance(Duration::from_secs(3)).await;
    drop(five);
    assert!(!seven.is_woken());
    drop(first);
    // The waiters of cost 7 and 3 are admitted, both after five seconds.
    let seven = slot_of(&mut seven);
    drop(three);
    drop(seven);
    three = completed_admission(&reports);
    drop(three);

    let status = reports.status();
    assert_identities(&status);
    let totals = &status.totals;
    assert_eq!((totals.admitted, totals.admitted_units), (6, 4 + 1 + 5 + 7 + 3 + 10));
    assert_eq!((totals.direct_admitted(), totals.direct_admitted_units()), (4, 20));
    assert_eq!((totals.admitted_from_queue, totals.admitted_from_queue_units), (2, 10));
    assert_eq!((totals.queued, totals.queued_units), (3, 12));
    assert_eq!((totals.abandoned, totals.abandoned_units), (1, 3));
    assert_eq!((totals.finished, totals.finished_units), (5, 27));
    assert_eq!((totals.expired, totals.saturated, totals.cancelled), (1, 1, 0));
    assert_eq!(totals.wait_time, Duration::from_secs(10));
    assert_eq!(totals.average_wait(), Some(Duration::from_secs(5)));
    assert_eq!(totals.average_cost(), Some(5.0));
    assert_eq!(status.peaks.wait, Duration::from_secs(5));
    assert_eq!((status.peaks.used, status.peaks.in_flight), (10, 3));
    assert_eq!((status.used, status.in_flight, status.waiting_units), (0, 0, 0));
}

/// An admission of all ten units that has completed.
fn completed_admission(reports: &WeightedBulkhead) -> tokio_test::task::Spawn<bulklink::Admission> {
    let mut all = tokio_test::task::spawn(reports.slot(10));
    drop(tokio_test::assert_ready_ok!(all.poll()));
    all
}

#[test]
fn the_peaks_of_operations_and_of_units_may_come_from_different_instants() {
    let reports = weighted(10, 8);
    let small: Vec<_> = (0..4).map(|_| reports.slot_now(1).unwrap()).collect();
    let ten = waiting(reports.slot(10));
    drop(small);
    drop(ten);
    let _running = reports.slot_now(10).unwrap();
    let one_large = waiting(reports.slot(10));
    drop(one_large);
    let _line: Vec<_> = (0..5).map(|_| waiting(reports.slot(1))).collect();
    let peaks = reports.status().peaks;
    assert_eq!((peaks.used, peaks.in_flight, peaks.waiting, peaks.waiting_units), (10, 4, 5, 10));
    assert_identities(&reports.status());
}

#[test]
fn an_interval_counts_the_units_in_between() {
    let reports = weighted(10, 8);
    drop(reports.slot_now(3).unwrap());
    let before = reports.status();
    drop(reports.slot_now(7).unwrap());
    let interval = reports.status().since(&before).unwrap();
    assert_eq!((interval.totals.admitted, interval.totals.admitted_units), (1, 7));
    assert_eq!((interval.totals.finished, interval.totals.finished_units), (1, 7));
}
