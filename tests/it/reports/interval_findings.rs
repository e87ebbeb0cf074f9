//! The capacity report of an interval: current values count as far as they lasted, an incident is over afterwards, and
//! rejections name their cause.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadInterval, BulkheadStatus, CapacityReport,
    FindingCode::{self, *},
    Severity::{self, *},
};
use tokio::time::advance;

use super::traffic::{Traffic, Work};
use crate::support::{ms, slot_of, waiting};

const MINUTE: Duration = Duration::from_secs(60);

fn found(report: &CapacityReport) -> Vec<(FindingCode, Severity)> {
    report.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn limited(room: usize, limit: Duration) -> Bulkhead {
    let builder = Bulkhead::builder("payments").parallelism(1).waiting_room(room);
    builder.wait_limit(limit).build().unwrap()
}

/// The findings of an interval of 100 ms that ends with a line of this length, which began this long before its end.
async fn pressed_for(line: usize, time: Duration) -> Vec<(FindingCode, Severity)> {
    let payments = limited(5, Duration::from_secs(3600));
    let before = payments.status();
    let _slot = payments.slot_now().unwrap();
    advance(ms(100) - time).await;
    let _line: Vec<_> = (0..line).map(|_| waiting(payments.slot())).collect();
    advance(time).await;
    found(&payments.status().since(&before).unwrap().capacity_report())
}

#[tokio::test(start_paused = true)]
async fn current_values_are_notices_unless_operations_waited_for_half_of_the_interval() {
    let near = |severity| vec![(ExecutionFull, severity), (WaitingRoomNearCapacity, severity)];
    assert_eq!(pressed_for(1, ms(49)).await, [(ExecutionFull, Notice)]);
    assert_eq!(pressed_for(1, ms(50)).await, [(ExecutionFull, Warning)]);
    assert_eq!(pressed_for(4, ms(49)).await, near(Notice));
    assert_eq!(pressed_for(4, ms(51)).await, near(Warning));
    assert_eq!(pressed_for(5, ms(49)).await, [(WaitingRoomFull, Notice)]);
    assert_eq!(pressed_for(5, ms(50)).await, [(WaitingRoomFull, Critical)]);
}

#[tokio::test(start_paused = true)]
async fn work_above_a_shrunk_capacity_is_a_notice_unless_operations_waited_for_half_of_the_interval()
 {
    for (pressed, severity) in [(49, Notice), (50, Warning)] {
        let builder = Bulkhead::builder("payments").parallelism(2).waiting_room(5);
        let payments = builder.wait_limit(MINUTE).build().unwrap();
        let _slots = (payments.slot_now().unwrap(), payments.slot_now().unwrap());
        payments.resize(1).unwrap();
        let before = payments.status();
        advance(ms(100 - pressed)).await;
        let _waiter = waiting(payments.slot());
        advance(ms(pressed)).await;
        let report = payments.status().since(&before).unwrap().capacity_report();
        assert_eq!(found(&report), [(ActiveWorkAboveCapacity, severity)]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_interval_of_no_length_has_no_lasting_pressure() {
    let payments = limited(1, MINUTE);
    let _slot = payments.slot_now().unwrap();
    let _waiter = waiting(payments.slot());
    let status = payments.status();
    let report = status.since(&status).unwrap().capacity_report();
    assert_eq!(found(&report), [(WaitingRoomFull, Notice)]);
    assert_eq!(report.pressure_share(), None);
    assert_eq!(found(&status.capacity_report()), [(WaitingRoomFull, Critical)]);
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_over_in_the_interval_after_it() {
    let payments = limited(2, ms(100));
    let start = payments.status();
    let slot = payments.slot_now().unwrap();
    for _ in 0..20 {
        let _line = [waiting(payments.slot()), waiting(payments.slot())];
        payments.slot_now().unwrap_err();
        advance(ms(100)).await;
    }
    let _last = waiting(payments.slot());
    drop(slot);
    let middle = payments.status();
    let incident = middle.since(&start).unwrap().capacity_report();
    assert_eq!(incident.severity(), Critical, "{}", incident.summary());
    assert!(incident.finding(ElevatedRejectionRate).is_some());
    drop(_last);
    for _ in 0..100 {
        drop(payments.slot_now().unwrap());
        advance(ms(10)).await;
    }
    let end = payments.status();
    let after = end.since(&middle).unwrap().capacity_report();
    assert_eq!(found(&after), [], "{}", after.summary());
    assert!(end.capacity_report().requires_attention(), "all time remembers it");
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_of_an_interval_is_the_top_of_its_highest_bucket() {
    // Buckets end at 92.3 and 100.7 ms.
    for (wait, expected) in [(92, vec![]), (93, vec![(WaitTimeNearLimit, Warning)])] {
        let payments = limited(9, ms(100));
        let wait_for = async |milliseconds| {
            let slot = payments.slot_now().unwrap();
            let mut waiter = waiting(payments.slot());
            advance(ms(milliseconds)).await;
            drop(slot);
            drop(slot_of(&mut waiter));
        };
        // It is near the limit before the interval.
        for _ in 0..5 {
            wait_for(99).await;
        }
        let before = payments.status();
        assert_eq!(found(&before.capacity_report()), [(WaitTimeNearLimit, Warning)]);
        for milliseconds in [1, 1, 1, 1, wait] {
            wait_for(milliseconds).await;
        }
        let after = payments.status();
        assert_eq!(found(&after.since(&before).unwrap().capacity_report()), expected, "{wait}");
    }
}

fn rejections(interval: &BulkheadInterval) -> (String, String) {
    let report = interval.capacity_report();
    let finding = report.finding(ElevatedRejectionRate).unwrap_or_else(|| panic!("{report:#?}"));
    (finding.message.clone(), finding.recommendation.clone())
}

#[tokio::test(start_paused = true)]
async fn more_load_is_named_as_the_cause() {
    let mut traffic = Traffic::plain(10, 10, 0.5, Work::Exponential, 3);
    traffic.run(5 * MINUTE).await;
    traffic.rate *= 4.0;
    let (message, advice) = rejections(&traffic.run(MINUTE).await);
    assert!(message.contains("units wanted of 10; arrivals were "), "{message}");
    assert!(!message.contains("the work took"), "{message}");
    assert!(advice.contains("raise the capacity to about "), "{advice}");
}

#[tokio::test(start_paused = true)]
async fn slower_work_is_named_as_the_cause() {
    let mut traffic = Traffic::plain(10, 10, 0.5, Work::Exponential, 3);
    traffic.run(5 * MINUTE).await;
    traffic.mean_hold *= 4.0;
    let (message, advice) = rejections(&traffic.run(MINUTE).await);
    assert!(message.contains("units wanted of 10; the work took "), "{message}");
    assert!(!message.contains("arrivals were"), "{message}");
    assert!(advice.contains("why the work takes longer"), "{advice}");
}

#[tokio::test(start_paused = true)]
async fn a_steady_overload_names_neither() {
    let mut traffic = Traffic::plain(10, 10, 2.0, Work::Exponential, 3);
    traffic.run(MINUTE).await;
    let (message, advice) = rejections(&traffic.run(MINUTE).await);
    assert!(message.ends_with("units wanted of 10"), "{message}");
    assert!(advice.contains("raise the capacity to about "), "{advice}");
}

/// Five minutes in which so many arrive together each second, and each takes 10 ms.
async fn bursts(capacity: usize, room: usize, arrivals: usize) -> BulkheadInterval {
    let payments =
        Bulkhead::builder("payments").parallelism(capacity).waiting_room(room).build().unwrap();
    let before = payments.status();
    for _ in 0..300 {
        let slots: Vec<_> = (0..arrivals).map_while(|_| payments.slot_now().ok()).collect();
        (slots.len() + 1..arrivals).for_each(|_| drop(payments.slot_now().unwrap_err()));
        advance(ms(10)).await;
        drop(slots);
        advance(ms(990)).await;
    }
    payments.status().since(&before).unwrap()
}

#[tokio::test(start_paused = true)]
async fn bursts_into_an_idle_bulkhead_need_a_room_and_no_capacity() {
    let (message, advice) = rejections(&bursts(40, 0, 50).await);
    assert!(message.contains("in bursts: 1 % of the capacity was used"), "{message}");
    assert!(advice.starts_with("allow 400 operations to wait"), "{advice}");
    assert!(advice.contains("the last waits about 100 ms"), "{advice}");
    assert!(advice.contains("a larger capacity is not needed"), "{advice}");
}

#[tokio::test(start_paused = true)]
async fn costs_that_block_each_other_are_named_as_the_cause() {
    let mut traffic = Traffic::weighted(11, 10, vec![6], 1.5, Work::Exponential, 3);
    traffic.run(MINUTE).await;
    let (message, advice) = rejections(&traffic.run(MINUTE).await);
    assert!(message.contains("the costs do not pack, about 5.0 units stay unused"), "{message}");
    assert!(advice.contains("such as 12"), "{advice}");
    // Two of 6 fit into 12.
    let mut traffic = Traffic::weighted(12, 10, vec![6], 1.5, Work::Exponential, 3);
    traffic.run(MINUTE).await;
    let (message, _) = rejections(&traffic.run(MINUTE).await);
    assert!(message.contains("units wanted of 12") && !message.contains("pack"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_requires_no_attention() {
    for load in [0.3, 0.5, 0.7] {
        let mut traffic = Traffic::plain(10, 40, load, Work::Exponential, 5);
        traffic.run(MINUTE).await;
        for _ in 0..20 {
            let report = traffic.run(MINUTE / 2).await.capacity_report();
            assert!(!report.requires_attention(), "{load}: {:#?}", report.findings);
        }
    }
}

/// Everything that a status counts, at its maximum.
fn extreme(mut status: BulkheadStatus) -> BulkheadStatus {
    let totals = &mut status.totals;
    for counter in [
        &mut totals.admitted,
        &mut totals.admitted_units,
        &mut totals.admitted_from_queue,
        &mut totals.admitted_from_queue_units,
        &mut totals.abandoned,
        &mut totals.abandoned_by_deadline,
        &mut totals.queued,
        &mut totals.queued_units,
        &mut totals.saturated,
        &mut totals.expired,
        &mut totals.expired_by_deadline,
        &mut totals.expired_before_queue,
        &mut totals.cancelled,
        &mut totals.closed_before_queue,
        &mut totals.closed_while_waiting,
        &mut totals.oversized,
        &mut totals.invalid_cost,
        &mut totals.partition_limited,
        &mut totals.invalid_limits,
        &mut totals.missing_key,
        &mut totals.finished,
        &mut totals.cut_short,
        &mut totals.cut_short_units,
        &mut totals.handler_panics,
    ] {
        *counter = u64::MAX - 7;
    }
    for time in [
        &mut totals.wait_time,
        &mut totals.cancelled_wait_time,
        &mut totals.expired_wait_time,
        &mut totals.pressure_time,
    ] {
        *time = Duration::MAX;
    }
    status
}

#[tokio::test(start_paused = true)]
async fn totals_near_their_maximum_and_any_length_of_time_cause_no_panic() {
    let mut traffic = Traffic::weighted(11, 10, vec![6, 1], 2.0, Work::Exponential, 3);
    let zero = traffic.status();
    traffic.run(MINUTE).await;
    let status = traffic.status();
    for age in [Duration::ZERO, Duration::from_nanos(1), MINUTE, Duration::MAX] {
        let mut high = extreme(status.clone());
        high.age = age;
        high.wait_limit = Some(Duration::MAX);
        high.peaks.wait = Duration::MAX;
        assert_eq!(high.capacity_report().severity(), Critical);
        high.wait_limit = Some(Duration::ZERO);
        let report = high.capacity_report();
        assert_eq!(report.severity(), Critical);
        assert!(report.totals.overload_share().is_some_and(|share| share <= 1.0));
        let mut interval = high.since(&zero).unwrap();
        for elapsed in [Duration::ZERO, Duration::from_nanos(1), MINUTE, Duration::MAX] {
            interval.elapsed = elapsed;
            for (capacity, used) in [(0, 0), (1, usize::MAX), (usize::MAX, 1)] {
                (interval.end.capacity, interval.end.used) = (capacity, used);
                (interval.start.used, interval.end.in_flight) = (used, used);
                assert_eq!(interval.capacity_report().severity(), Critical);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_causes_no_panic_and_no_finding_on_time() {
    let payments = limited(2, MINUTE);
    let before = payments.status();
    for _ in 0..1000 {
        let slot = payments.slot_now().unwrap();
        let mut waiter = waiting(payments.slot());
        drop(slot);
        drop(slot_of(&mut waiter));
    }
    let interval = payments.status().since(&before).unwrap();
    assert_eq!(interval.elapsed, Duration::ZERO);
    assert_eq!(found(&interval.capacity_report()), [(FrequentQueueing, Notice)]);
    assert_eq!(found(&payments.capacity_report()), [(FrequentQueueing, Notice)]);
}
