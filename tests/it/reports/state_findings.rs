//! Findings of the capacity report on the current state and on the configured sizes.

use std::time::{Duration, SystemTime};

use bulklink::{
    Bulkhead, CapacityReport,
    FindingCode::{self, *},
    Severity::{self, *},
    Slot, WeightedBulkhead,
};
use tokio_test::task::Spawn;

use crate::support::{waiting, weighted};

/// With a wait limit that is never reached if operations may wait, so that only the current state has findings.
fn bulkhead(parallelism: usize, room: usize) -> Bulkhead {
    let builder = Bulkhead::builder("payments").parallelism(parallelism).waiting_room(room);
    match room {
        0 => builder.build().unwrap(),
        _ => builder.wait_limit(Duration::from_secs(3600)).build().unwrap(),
    }
}

fn found(report: &CapacityReport) -> Vec<(FindingCode, Severity)> {
    report.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn running(payments: &Bulkhead, operations: usize) -> Vec<Slot> {
    (0..operations).map(|_| payments.slot_now().unwrap()).collect()
}

fn line(payments: &Bulkhead, operations: usize) -> Vec<Spawn<bulklink::Admission>> {
    (0..operations).map(|_| waiting(payments.slot())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_with_a_free_slot_has_no_findings() {
    let payments = bulkhead(3, 5);
    let before = SystemTime::now();
    let report = payments.capacity_report();
    assert!((before..=SystemTime::now()).contains(&report.assessed_at));
    assert_eq!((report.severity(), report.requires_attention()), (Ok, false));
    assert_eq!(report.summary(), "bulkhead \"payments\" is ok: no findings");
    let _slots = running(&payments, 2);
    let report = payments.capacity_report();
    assert_eq!((found(&report), report.status.bulkhead().unwrap().used), (vec![], 2));
}

#[tokio::test(start_paused = true)]
async fn execution_full_is_a_warning_with_waiters_or_without_a_waiting_room_and_otherwise_a_notice()
{
    let payments = bulkhead(2, 9);
    let _slots = running(&payments, 2);
    assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Notice)]);
    let _line = line(&payments, 1);
    assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Warning)]);

    let payments = bulkhead(2, 0);
    let mut slots = running(&payments, 2);
    assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Warning)]);
    slots.pop();
    assert_eq!(found(&payments.capacity_report()), []);
}

#[tokio::test(start_paused = true)]
async fn the_waiting_room_is_near_its_capacity_at_four_fifths_and_then_full() {
    for room in [5, 10] {
        let payments = bulkhead(1, room);
        let _slot = running(&payments, 1);
        let mut waiters = line(&payments, room * 4 / 5 - 1);
        assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Warning)]);
        let near = [(ExecutionFull, Warning), (WaitingRoomNearCapacity, Warning)];
        while waiters.len() + 1 < room {
            waiters.push(waiting(payments.slot()));
            assert_eq!(found(&payments.capacity_report()), near);
        }
        waiters.push(waiting(payments.slot()));
        // A full room replaces the other findings.
        let report = payments.capacity_report();
        assert_eq!(found(&report), [(WaitingRoomFull, Critical)]);
        assert_eq!((report.severity(), report.requires_attention()), (Critical, true));
        waiters.pop();
        assert_eq!(found(&payments.capacity_report()), near);
    }
}

#[tokio::test(start_paused = true)]
async fn three_waiters_of_four_are_not_near_capacity() {
    let payments = bulkhead(1, 4);
    let _slot = running(&payments, 1);
    let _line = line(&payments, 3);
    assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Warning)]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_room_of_one_is_full_with_one_waiter() {
    let payments = bulkhead(1, 1);
    let slot = running(&payments, 1);
    assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Notice)]);
    let waiter = line(&payments, 1);
    assert_eq!(found(&payments.capacity_report()), [(WaitingRoomFull, Critical)]);
    payments.close();
    // Closed, it is full no more, and its line is empty.
    let report = payments.capacity_report();
    assert_eq!(found(&report), [(ClosedWithActiveWork, Notice)]);
    assert_eq!(
        report.summary(),
        "bulkhead \"payments\" is closed and has a notice finding: closed with 1 operation running, 1 rejected by the \
         close"
    );
    drop((waiter, slot));
    let report = payments.capacity_report();
    assert_eq!(found(&report), []);
    assert_eq!(report.summary(), "bulkhead \"payments\" is drained: no findings");
}

#[tokio::test(start_paused = true)]
async fn more_in_use_than_the_capacity_is_found_after_a_shrink() {
    let payments = bulkhead(4, 5);
    let mut slots = running(&payments, 4);
    payments.resize(3).unwrap();
    assert_eq!(found(&payments.capacity_report()), [(ActiveWorkAboveCapacity, Notice)]);
    let mut waiters = line(&payments, 1);
    assert_eq!(found(&payments.capacity_report()), [(ActiveWorkAboveCapacity, Warning)]);
    waiters.extend(line(&payments, 3));
    assert_eq!(
        found(&payments.capacity_report()),
        [(ActiveWorkAboveCapacity, Warning), (WaitingRoomNearCapacity, Warning)]
    );
    waiters.extend(line(&payments, 1));
    assert_eq!(
        found(&payments.capacity_report()),
        [(ActiveWorkAboveCapacity, Warning), (WaitingRoomFull, Critical)]
    );
    waiters.clear();
    slots.pop();
    // Exactly at its capacity, it is merely full.
    assert_eq!(found(&payments.capacity_report()), [(ExecutionFull, Notice)]);
}

#[tokio::test(start_paused = true)]
async fn a_closed_bulkhead_over_capacity_has_no_finding_but_its_active_work() {
    let payments = bulkhead(4, 5);
    let slots = running(&payments, 4);
    payments.resize(1).unwrap();
    payments.close();
    let report = payments.capacity_report();
    assert_eq!(found(&report), [(ClosedWithActiveWork, Notice)]);
    assert_eq!((report.severity(), report.requires_attention()), (Notice, false));
    drop(slots);
    assert_eq!(payments.capacity_report().severity(), Ok);
}

#[tokio::test(start_paused = true)]
async fn a_weighted_bulkhead_whose_free_units_do_not_suffice_for_the_first_waiter_is_full() {
    let reports = WeightedBulkhead::builder("reports")
        .capacity(10)
        .waiting_room(5)
        .wait_limit(Duration::from_secs(3600))
        .build()
        .unwrap();
    let seven = reports.slot_now(7).unwrap();
    assert_eq!(found(&reports.capacity_report()), []);
    let mut line: Vec<_> = (0..4).map(|_| waiting(reports.slot(5))).collect();
    let near = [(ExecutionFull, Warning), (WaitingRoomNearCapacity, Warning)];
    assert_eq!(found(&reports.capacity_report()), near, "an operation of cost 1 has to wait");
    line.push(waiting(reports.slot(5)));
    let report = reports.capacity_report();
    assert_eq!(found(&report), [(WaitingRoomFull, Critical)]);
    assert!(report.findings[0].message.contains("7 of 10 units"), "{}", report.summary());
    reports.slot_now(1).unwrap_err();
    drop((line, seven));
    let _nine = reports.slot_now(9).unwrap();
    assert_eq!(found(&reports.capacity_report()), [], "cost 1 fits");
}

#[test]
fn a_waiting_room_without_a_wait_limit_and_a_large_one_are_found() {
    let sizes = [
        ((1, 0), vec![]),
        ((1, 1), vec![(UnboundedQueueWait, Notice)]),
        ((1, 99), vec![(UnboundedQueueWait, Notice)]),
        ((1, 100), vec![(UnboundedQueueWait, Notice), (LargeWaitingRoom, Notice)]),
        ((5, 100), vec![(UnboundedQueueWait, Notice), (LargeWaitingRoom, Notice)]),
        ((6, 100), vec![(UnboundedQueueWait, Notice)]),
        ((6, 119), vec![(UnboundedQueueWait, Notice)]),
        ((6, 120), vec![(UnboundedQueueWait, Notice), (LargeWaitingRoom, Notice)]),
        ((Bulkhead::MAX_CAPACITY, Bulkhead::MAX_CAPACITY), vec![(UnboundedQueueWait, Notice)]),
        (
            (1, Bulkhead::MAX_CAPACITY),
            vec![(UnboundedQueueWait, Notice), (LargeWaitingRoom, Notice)],
        ),
    ];
    for ((capacity, room), expected) in sizes {
        let unlimited = crate::support::bulkhead(capacity, room);
        assert_eq!(found(&unlimited.capacity_report()), expected, "{capacity} and {room}");
        assert_eq!(found(&weighted(capacity, room).capacity_report()), expected);
        let limited = bulkhead(capacity, room);
        let rest: Vec<_> =
            expected.into_iter().filter(|&(code, _)| code != UnboundedQueueWait).collect();
        assert_eq!(found(&limited.capacity_report()), rest, "{capacity} and {room}, limited");
    }
    let roomless = Bulkhead::builder("payments").parallelism(1).wait_limit(Duration::from_secs(1));
    let roomless = roomless.build().unwrap();
    assert_eq!(found(&roomless.capacity_report()), [(LimitWithoutRoom, Notice)]);
    // The capacity of the moment counts.
    let payments = bulkhead(6, 100);
    payments.resize(5).unwrap();
    assert_eq!(found(&payments.capacity_report()), [(LargeWaitingRoom, Notice)]);
}

#[test]
fn each_finding_states_the_numbers_and_what_to_do() {
    let payments = crate::support::bulkhead(1, 2);
    let _slot = payments.slot_now().unwrap();
    let _line = [waiting(payments.slot()), waiting(payments.slot())];
    let report = payments.capacity_report();
    let [full, unbounded] = &report.findings[..] else { panic!("{report:?}") };
    assert_eq!((full.code, unbounded.code), (WaitingRoomFull, UnboundedQueueWait));
    assert!(full.message.contains("2 of 2"), "{}", full.message);
    assert!(report.findings.iter().all(|finding| !finding.recommendation.is_empty()));
    let summary = report.summary();
    assert!(summary.contains("\"payments\"") && summary.contains("critical"), "{summary}");
    assert!(summary.contains(&full.message) && summary.contains('2'), "{summary}");
    assert_eq!(summary.lines().count(), 1);
    assert!(!summary.contains(". ") && !summary.ends_with('.'), "one sentence: {summary}");
}

#[test]
fn severities_are_ordered_and_named() {
    assert!(Ok < Notice && Notice < Warning && Warning < Critical);
    let names = [Ok, Notice, Warning, Critical].map(|severity| severity.to_string());
    assert_eq!(names, ["ok", "notice", "warning", "critical"]);
}

#[test]
fn codes_have_stable_names_like_their_own() {
    let codes = [
        ClosedWithActiveWork,
        ActiveWorkAboveCapacity,
        SlotsHeldLong,
        WorkCutShort,
        WaitersGiveUp,
        DeadlinesPassed,
        OversizedRequests,
        KeysTurnedAway,
        PartitionsFull,
        GuaranteesExceedTotal,
        TotalFull,
        TotalRoomTooSmall,
        UnusedAdmissions,
        WaitingRoomFull,
        ExecutionFull,
        WaitingRoomNearCapacity,
        UnboundedQueueWait,
        LargeWaitingRoom,
        LimitWithoutRoom,
        RoomOutlastsLimit,
        FrequentQueueing,
        ElevatedRejectionRate,
        ElevatedExpirationRate,
        WaitTimeNearLimit,
        HandlersPanic,
    ];
    for code in codes {
        let mut snake = String::new();
        for letter in format!("{code:?}").chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        assert_eq!(code.name(), snake);
    }
}
