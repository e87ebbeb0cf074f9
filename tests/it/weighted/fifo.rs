//! The line of a weighted bulkhead: first in, first out, whatever the costs.

use std::time::Duration;

use bulklink::{Deadline, RejectionReason};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, task};

use crate::support::{assert_identities, rejection_of, slot_of, waiting, weighted};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn no_method_lets_a_small_operation_overtake_a_large_one() {
    let reports = weighted(10, 10);
    let running = reports.slot_now(6).unwrap();
    let mut large = waiting(reports.slot(8));
    assert_eq!(reports.status().free(), 4);

    let rejection = reports.slot_now(1).unwrap_err();
    assert!(matches!(
        rejection.reason(),
        RejectionReason::Saturated { cost: 1, used: 6, capacity: 10, waiting: 1, .. }
    ));
    assert!(reports.execute_now(1, async {}).await.is_err());
    let mut small = [
        waiting(reports.slot(1)),
        waiting(reports.slot_within(SECOND, 1)),
        waiting(reports.slot_before(Deadline::after(SECOND), 1)),
    ];
    let guarded = reports.guard(1, |()| async {});
    let mut calls = (
        task::spawn(reports.execute(1, async {})),
        task::spawn(reports.execute_within(SECOND, 1, async {})),
        task::spawn(reports.execute_before(Instant::now() + SECOND, 1, async {})),
        task::spawn(guarded(())),
    );
    assert_pending!(calls.0.poll());
    assert_pending!(calls.1.poll());
    assert_pending!(calls.2.poll());
    assert_pending!(calls.3.poll());
    let status = reports.status();
    assert_eq!((status.used, status.waiting, status.waiting_units), (6, 8, 15));

    drop(running);
    let _large = slot_of(&mut large);
    let _first = slot_of(&mut small[0]);
    let _second = slot_of(&mut small[1]);
    assert_pending!(small[2].poll());
    assert_eq!(reports.status().used, 10);
}

#[test]
fn one_release_admits_from_the_head_exactly_what_fits() {
    let reports = weighted(10, 10);
    let running = reports.slot_now(10).unwrap();
    let mut line: Vec<_> = [8, 1, 2, 1].map(|cost| waiting(reports.slot(cost))).into();
    drop(running);
    // The last waiter would fit, but it stays behind the one before it, which does not.
    assert_eq!(
        line.iter().map(|waiter| waiter.is_woken()).collect::<Vec<_>>(),
        [true, true, false, false]
    );
    let eight = slot_of(&mut line[0]);
    let _one = slot_of(&mut line[1]);
    let status = reports.status();
    assert_eq!((status.used, status.in_flight, status.waiting, status.waiting_units), (9, 2, 2, 3));
    drop(eight);
    let _rest = (slot_of(&mut line[2]), slot_of(&mut line[3]));
    assert_eq!(reports.status().used, 4);
    assert_identities(&reports.status());
}

/// Queues waiters behind a large head. With four units free, the first three fit and the last does not.
fn line_behind(reports: &bulklink::WeightedBulkhead) -> Vec<task::Spawn<bulklink::Admission>> {
    [2, 1, 1, 3].map(|cost| waiting(reports.slot(cost))).into()
}

fn assert_three_admitted(line: &mut [task::Spawn<bulklink::Admission>]) {
    assert!(!line[3].is_woken(), "the last does not fit");
    let slots: Vec<_> = line[..3].iter_mut().map(slot_of).collect();
    assert_eq!(slots.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_large_head_that_reaches_its_wait_limit_admits_the_waiters_behind_it_at_once() {
    let reports = weighted(10, 10);
    let _running = reports.slot_now(6).unwrap();
    let mut large = waiting(reports.slot_within(SECOND, 8));
    let mut line = line_behind(&reports);
    advance(SECOND - Duration::from_millis(1)).await;
    assert!(!large.is_woken() && line.iter().all(|waiter| !waiter.is_woken()));
    advance(Duration::from_millis(1)).await;
    let rejection = rejection_of(&mut large);
    assert_eq!(*rejection.reason().to_string(), *"wait limit of 1s reached after 1s");
    let status = reports.status();
    assert_eq!((status.used, status.in_flight, status.waiting), (10, 4, 1));
    assert_eq!((status.totals.expired, status.totals.admitted_from_queue), (1, 3));
    assert_eq!(status.totals.admitted_from_queue_units, 4);
    assert_three_admitted(&mut line);
}

#[tokio::test(start_paused = true)]
async fn a_large_head_that_reaches_its_deadline_admits_the_waiters_behind_it_at_once() {
    let reports = weighted(10, 10);
    let _running = reports.slot_now(6).unwrap();
    let mut large = waiting(reports.slot_before(Deadline::after(SECOND), 8));
    let mut line = line_behind(&reports);
    advance(SECOND).await;
    assert!(matches!(rejection_of(&mut large).reason(), RejectionReason::Deadline { .. }));
    assert_eq!(reports.status().used, 10);
    assert_three_admitted(&mut line);
}

#[test]
fn a_large_head_that_is_cancelled_admits_the_waiters_behind_it_at_once() {
    let reports = weighted(10, 10);
    let _running = reports.slot_now(6).unwrap();
    let large = waiting(reports.slot(8));
    let mut line = line_behind(&reports);
    drop(large);
    let status = reports.status();
    assert_eq!((status.used, status.in_flight, status.waiting), (10, 4, 1));
    assert_eq!((status.totals.cancelled, status.totals.admitted_from_queue), (1, 3));
    assert_three_admitted(&mut line);
}

#[test]
fn an_admitted_waiter_that_is_dropped_passes_its_units_to_several_waiters_behind_it() {
    let reports = weighted(10, 10);
    let running = reports.slot_now(10).unwrap();
    let large = waiting(reports.slot(8));
    let mut line = [3, 3, 3, 3].map(|cost| waiting(reports.slot(cost)));
    drop(running);
    assert_eq!((reports.status().used, reports.status().waiting), (8, 4));
    drop(large);
    let _slots: Vec<_> = line[..3].iter_mut().map(slot_of).collect();
    assert!(!line[3].is_woken());
    let totals = reports.status().totals;
    assert_eq!((totals.abandoned, totals.abandoned_units, totals.cancelled), (1, 8, 0));
    assert_identities(&reports.status());
}

#[test]
fn a_waiter_that_leaves_from_the_middle_admits_no_waiter_past_the_head() {
    let reports = weighted(10, 10);
    let running = reports.slot_now(9).unwrap();
    let mut head = waiting(reports.slot(5));
    let middle = waiting(reports.slot(6));
    let mut small = waiting(reports.slot(1));
    drop(middle);
    assert!(!head.is_woken() && !small.is_woken());
    assert_eq!((reports.status().waiting, reports.status().waiting_units), (2, 6));
    drop(running);
    let _slots = (slot_of(&mut head), slot_of(&mut small));
}

#[test]
fn close_rejects_the_line_in_order_whatever_the_costs() {
    let reports = weighted(10, 10);
    let running = reports.slot_now(10).unwrap();
    let mut line = [9, 1, 10].map(|cost| waiting(reports.slot(cost)));
    reports.close();
    for waiter in &mut line {
        assert_eq!(*rejection_of(waiter).reason(), RejectionReason::Closed);
    }
    let mut drained = task::spawn(reports.wait_closed());
    assert_pending!(drained.poll());
    drop(running);
    assert!(drained.is_woken() && drained.poll().is_ready());
    assert!(reports.status().is_drained());
}
