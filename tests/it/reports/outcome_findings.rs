//! The capacity report's findings on operations that came to nothing, just under, at and just over each threshold.

use std::{convert::Infallible, future::pending, time::Duration};

use bulklink::{
    Bulkhead, BulkheadLayer, CapacityReport, Deadline,
    FindingCode::{self, *},
    Severity::{self, *},
    WeightedBulkhead,
};
use http::{Request, Response};
use tokio::time::{advance, sleep, timeout};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{bulkhead, ms, rejection_of, slot_of, waiting, weighted};

fn severity(report: &CapacityReport, code: FindingCode) -> Option<Severity> {
    report.finding(code).map(|finding| finding.severity)
}

fn complete(payments: &Bulkhead, operations: usize) {
    (0..operations).for_each(|_| drop(payments.slot_now().unwrap()));
}

fn cut_short(payments: &Bulkhead, operations: usize) {
    for _ in 0..operations {
        let mut run = task::spawn(payments.execute(pending::<()>()));
        assert_pending!(run.poll());
    }
}

#[test]
fn work_cut_short_from_twenty_finished_at_a_tenth_and_at_half() {
    let found = |completed, cut| {
        let payments = bulkhead(1, 0);
        complete(&payments, completed);
        cut_short(&payments, cut);
        severity(&payments.capacity_report(), WorkCutShort)
    };
    assert_eq!(found(0, 19), None, "nineteen are too few");
    assert_eq!(found(19, 1), None, "under a tenth");
    assert_eq!(found(18, 2), Some(Warning));
    assert_eq!(found(19, 2), None);
    assert_eq!(found(11, 9), Some(Warning));
    assert_eq!(found(10, 10), Some(Critical));
    assert_eq!(found(0, 20), Some(Critical));
}

#[tokio::test(start_paused = true)]
async fn waiters_that_give_up_from_ten_settled_at_a_tenth_and_at_three_tenths() {
    let found = async |served, cancelled| {
        let payments = bulkhead(1, 9);
        let mut slot = payments.slot_now().unwrap();
        for _ in 0..served {
            let mut waiter = waiting(payments.slot());
            drop(slot);
            slot = slot_of(&mut waiter);
        }
        for _ in 0..cancelled {
            let waiter = waiting(payments.slot());
            advance(ms(700)).await;
            drop(waiter);
        }
        // Many more wait: they are not settled.
        let _line: Vec<_> = (0..9).map(|_| waiting(payments.slot())).collect();
        payments.capacity_report()
    };
    assert_eq!(severity(&found(0, 9).await, WaitersGiveUp), None, "nine are too few");
    assert_eq!(severity(&found(10, 1).await, WaitersGiveUp), None, "under a tenth");
    assert_eq!(severity(&found(9, 1).await, WaitersGiveUp), Some(Warning));
    assert_eq!(severity(&found(8, 3).await, WaitersGiveUp), Some(Warning));
    let report = found(7, 3).await;
    assert_eq!(severity(&report, WaitersGiveUp), Some(Critical));
    let message = &report.finding(WaitersGiveUp).unwrap().message;
    assert!(message.contains("3 of 10") && message.contains("half of them within 7"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn deadlines_passed_from_twenty_decided_at_a_twentieth_and_at_a_fifth() {
    let found = async |admitted, late, without_time| {
        let payments = bulkhead(1, 0);
        complete(&payments, admitted);
        for _ in 0..late {
            payments.slot_before(Deadline::after(Duration::ZERO)).await.unwrap_err();
        }
        for _ in 0..without_time {
            payments.slot_within(Duration::ZERO).await.unwrap_err();
        }
        severity(&payments.capacity_report(), DeadlinesPassed)
    };
    assert_eq!(found(0, 19, 0).await, None, "nineteen are too few");
    assert_eq!(found(20, 1, 0).await, None, "under a twentieth");
    assert_eq!(found(19, 1, 0).await, Some(Warning));
    assert_eq!(found(19, 0, 1).await, Some(Warning));
    assert_eq!(found(17, 2, 2).await, Some(Warning));
    assert_eq!(found(16, 2, 2).await, Some(Critical));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_between_readiness_and_request_is_one_that_passed() {
    let payments = bulkhead(1, 0);
    complete(&payments, 19);
    let answer = service_fn(|_: Request<()>| async {
        Result::Ok::<_, Infallible>(Response::new(String::new()))
    });
    let mut service = BulkheadLayer::new(&payments).layer(answer);
    let deadline = Deadline::after(ms(10));
    let ready = service.ready().await.unwrap();
    advance(ms(10)).await;
    let request = Request::builder().extension(deadline).body(()).unwrap();
    ready.call(request).await.unwrap();
    let report = payments.capacity_report();
    assert_eq!(report.totals.abandoned_by_deadline, 1);
    assert_eq!(severity(&report, DeadlinesPassed), Some(Warning));
    assert_eq!(report.totals.late_share(), Some(0.05));
    assert_eq!(report.totals.unused_share(), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn oversized_requests_from_twenty_decided_at_each_threshold() {
    let found = |admitted, oversized, free| {
        let reports = weighted(10, 0);
        (0..admitted).for_each(|_| drop(reports.slot_now(1).unwrap()));
        (0..oversized).for_each(|_| drop(reports.slot_now(11).unwrap_err()));
        (0..free).for_each(|_| drop(reports.slot_now(0).unwrap_err()));
        reports.capacity_report()
    };
    assert_eq!(severity(&found(0, 19, 0), OversizedRequests), None, "nineteen are too few");
    assert_eq!(severity(&found(100, 1, 0), OversizedRequests), None, "under a hundredth");
    assert_eq!(severity(&found(99, 1, 0), OversizedRequests), Some(Notice));
    assert_eq!(severity(&found(99, 0, 1), OversizedRequests), Some(Notice));
    assert_eq!(severity(&found(20, 1, 0), OversizedRequests), Some(Notice));
    assert_eq!(severity(&found(19, 1, 0), OversizedRequests), Some(Warning));
    assert_eq!(severity(&found(17, 2, 2), OversizedRequests), Some(Warning));
    let report = found(16, 2, 2);
    assert_eq!(severity(&report, OversizedRequests), Some(Critical));
    let message = &report.finding(OversizedRequests).unwrap().message;
    assert!(
        message.contains("2 cost more than the capacity of 10, 2 had a cost of 0"),
        "{message}"
    );
}

#[test]
fn unused_admissions_from_twenty_admitted_at_a_tenth_and_at_half() {
    let found = |used, unused| {
        let payments = bulkhead(1, 1);
        complete(&payments, used);
        for _ in 0..unused {
            // The first of each pair is used.
            let slot = payments.slot_now().unwrap();
            let waiter = waiting(payments.slot());
            drop(slot);
            drop(waiter);
        }
        severity(&payments.capacity_report(), UnusedAdmissions)
    };
    assert_eq!(found(0, 9), None, "eighteen are too few");
    assert_eq!(found(17, 2), None, "two of 21 are under a tenth");
    assert_eq!(found(16, 2), Some(Notice));
    assert_eq!(found(1, 10), Some(Notice), "ten of 21 are under half");
    assert_eq!(found(0, 10), Some(Warning));
}

#[tokio::test(start_paused = true)]
async fn a_room_outlasts_the_limit_if_less_than_four_fifths_of_it_can_be_admitted() {
    let found = async |room, expiring| {
        let builder = Bulkhead::builder("payments").parallelism(1).waiting_room(room);
        let payments = builder.wait_limit(ms(100)).build().unwrap();
        let mut slot = payments.slot_now().unwrap();
        let line: Vec<_> = (0..10).map(|_| waiting(payments.slot())).collect();
        for mut waiter in line {
            advance(Duration::from_micros(2500)).await;
            drop(slot);
            slot = slot_of(&mut waiter);
        }
        let mut line: Vec<_> = (0..expiring).map(|_| waiting(payments.slot())).collect();
        advance(ms(100)).await;
        line.iter_mut().for_each(|waiter| drop(rejection_of(waiter)));
        payments.capacity_report()
    };
    // Ten in 125 ms are eight in 100 ms.
    assert_eq!(severity(&found(10, 10).await, RoomOutlastsLimit), None, "exactly four fifths");
    assert_eq!(severity(&found(11, 9).await, RoomOutlastsLimit), None, "nine are too few");
    let report = found(11, 10).await;
    assert_eq!(severity(&report, RoomOutlastsLimit), Some(Notice));
    let finding = report.finding(RoomOutlastsLimit).unwrap();
    assert!(finding.message.contains("80/s x 100 ms = 8 of 11"), "{}", finding.message);
    assert!(finding.recommendation.contains("to 8"), "{}", finding.recommendation);
}

#[test]
fn one_panic_of_a_handler_is_found() {
    let payments = bulkhead(1, 0);
    assert_eq!(severity(&payments.capacity_report(), HandlersPanic), None);
    let _subscription = payments.subscribe(|_| std::panic::resume_unwind(Box::new(())));
    drop(payments.slot_now());
    let report = payments.capacity_report();
    assert_eq!(severity(&report, HandlersPanic), Some(Warning));
    assert!(report.finding(HandlersPanic).unwrap().message.contains("2 panics"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn callers_that_leave_while_their_work_runs_are_the_cause_that_is_named() {
    let builder = Bulkhead::builder("payments").parallelism(10).waiting_room(1000);
    let payments = builder.wait_limit(Duration::from_secs(10)).build().unwrap();
    let before = payments.status();
    let mut answered = 0;
    let mut callers = Vec::new();
    for _ in 0..1500 {
        let payments = payments.clone();
        callers.push(tokio::spawn(async move {
            timeout(Duration::from_secs(1), payments.execute(async { sleep(ms(500)).await }))
                .await
                .is_ok()
        }));
        sleep(Duration::from_micros(16_667)).await;
    }
    for caller in callers {
        answered += usize::from(caller.await.unwrap());
    }
    assert!(answered < 300, "{answered}");
    let report = payments.status().since(&before).unwrap().capacity_report();
    assert_eq!(report.findings[0].code, WorkCutShort, "{:#?}", report.findings);
    assert_eq!(report.severity(), Critical);
    let finding = &report.findings[0];
    assert!(report.summary().contains(&finding.message), "{}", report.summary());
    assert!(finding.recommendation.contains("now 10 s"), "{}", finding.recommendation);
    assert!(finding.recommendation.contains("to 406 ms"), "{}", finding.recommendation);
    assert!(
        report
            .findings
            .iter()
            .all(|finding| !finding.recommendation.contains("raise the capacity to"))
    );
}

#[test]
fn weighted_bulkheads_have_the_same_findings() {
    let reports = WeightedBulkhead::builder("reports").capacity(10).build().unwrap();
    for _ in 0..20 {
        let mut run = task::spawn(reports.execute(7, pending::<()>()));
        assert_pending!(run.poll());
    }
    assert_eq!(severity(&reports.capacity_report(), WorkCutShort), Some(Critical));
}
