//! A pause: nobody is admitted, the line stays, and time spent in it is no pressure.

use bulklink::{
    Bulkhead, BulkheadLayer, Change, EventKind, FindingCode, Rejection, RejectionReason, Severity,
};
use http::Request;
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt};

use crate::support::{
    Log, Wakes, assert_nothing_left, bulkhead, checked_status, full, http_service::shop, limited,
    ms, poll_with, practised, rejection_of, slot_of, waiting, weighted,
};

#[test]
fn nobody_is_admitted_until_it_is_resumed_and_then_in_order() {
    // Without the pause, both slots could be taken without the lock.
    let payments = practised(2, 3);
    payments.pause();
    let status = checked_status(&payments);
    assert!(status.is_paused && !status.is_draining && !status.is_closed && payments.is_paused());
    assert!(!status.is_saturated() && !status.must_wait());
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    assert_eq!((checked_status(&payments).used, checked_status(&payments).waiting), (0, 3));

    payments.resume();
    assert!(!payments.is_paused());
    assert_eq!(wakes.order(), [0, 1]);
    let status = checked_status(&payments);
    assert_eq!((status.used, status.waiting), (2, 1));
    drop(waiters);
    assert_nothing_left(&payments);
}

#[test]
fn an_operation_that_does_not_wait_or_finds_no_place_is_rejected_as_paused() {
    let payments = bulkhead(2, 1);
    payments.pause();
    let rejection = payments.slot_now().unwrap_err();
    assert_eq!(*rejection.reason(), RejectionReason::Paused);
    assert_eq!(rejection.retry_after(), Some(ms(1000)));
    assert_eq!((rejection.status().as_u16(), rejection.grpc_code()), (503, 14));
    let waiter = waiting(payments.slot());
    let rejection = assert_ready!(task::spawn(payments.slot()).poll()).unwrap_err();
    assert_eq!(*rejection.reason(), RejectionReason::Paused);
    let status = checked_status(&payments);
    assert_eq!((status.totals.paused, status.totals.saturated, status.waiting), (2, 0, 1));
    drop(waiter);

    // A cost that can never be admitted, and a limit that has passed, are told first.
    let reports = weighted(2, 0);
    reports.pause();
    let reason = |cost| *reports.slot_now(cost).unwrap_err().reason();
    assert!(matches!(reason(3), RejectionReason::CostExceedsCapacity { .. }));
    assert_eq!((reason(0), reason(2)), (RejectionReason::InvalidCost, RejectionReason::Paused));
    let late = assert_ready!(task::spawn(reports.slot_within(ms(0), 1)).poll()).unwrap_err();
    assert!(matches!(late.reason(), RejectionReason::WaitLimit { .. }));
}

#[tokio::test(start_paused = true)]
async fn limits_run_on_and_released_slots_stay_free() {
    let payments = limited(2, ms(40));
    let slot = payments.slot_now().unwrap();
    payments.pause();
    let mut waiter = waiting(payments.slot());
    drop(slot);
    assert_pending!(waiter.poll());
    assert_eq!(checked_status(&payments).used, 0);
    // Neither a larger capacity nor one who leaves admits anybody.
    payments.reconfigure(Change::new().parallelism(5)).unwrap();
    drop(waiting(payments.slot()));
    advance(ms(40)).await;
    assert!(waiter.is_woken());
    assert!(matches!(rejection_of(&mut waiter).reason(), RejectionReason::WaitLimit { .. }));
    payments.resume();
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn paused_time_is_no_pressure() {
    let (payments, slot) = full(2);
    let mut waiter = waiting(payments.slot());
    advance(ms(10)).await;
    payments.pause();
    assert_eq!(checked_status(&payments).totals.pressure_time, ms(10));
    advance(ms(100)).await;
    let second = waiting(payments.slot());
    payments.resume();
    advance(ms(5)).await;
    let status = checked_status(&payments);
    assert_eq!(status.pressure(status.taken_at), ms(15));
    drop((slot, second));
    drop(slot_of(&mut waiter));
    assert_eq!(checked_status(&payments).totals.pressure_time, ms(15));
    // One that begins and ends with an empty line changes nothing.
    payments.pause();
    advance(ms(100)).await;
    payments.resume();
    assert_eq!(checked_status(&payments).totals.pressure_time, ms(15));
}

#[test]
fn each_change_is_told_once_and_pausing_what_is_closing_does_nothing() {
    let (payments, slot) = full(1);
    let waiter = waiting(payments.slot());
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    payments.pause();
    payments.pause();
    assert!(payments.slot_now().is_err());
    payments.resume();
    payments.resume();
    let events = log.take();
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.is_paused)).collect();
    let expected = [
        (EventKind::Paused, true),
        (EventKind::PausedRejection, true),
        (EventKind::Resumed, false),
    ];
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| event.instance == payments.status().instance));
    payments.drain();
    log.take();
    payments.pause();
    payments.resume();
    assert!(!payments.is_paused() && log.take().is_empty());
    drop((slot, waiter));
    payments.pause();
    assert!(payments.is_closed() && !payments.is_paused());
}

#[tokio::test]
async fn a_layer_waits_in_readiness_or_answers_503() {
    let payments = bulkhead(1, 1);
    payments.pause();
    let mut service = BulkheadLayer::new(&payments).layer(shop());
    let mut readiness = task::spawn(());
    assert!(
        readiness.enter(|cx, _| Service::<Request<()>>::poll_ready(&mut service, cx)).is_pending()
    );
    let Ok(response) = BulkheadLayer::new(&payments).layer(shop()).oneshot(Request::new(())).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(*rejection.reason(), RejectionReason::Paused);
    payments.resume();
    assert!(readiness.is_woken());
    let Ok(()) = assert_ready!(
        readiness.enter(|cx, _| Service::<Request<()>>::poll_ready(&mut service, cx))
    );
}

#[tokio::test(start_paused = true)]
async fn its_report_speaks_of_the_pause_and_not_of_the_load() {
    let builder = Bulkhead::builder("payments").parallelism(2).waiting_room(30).wait_limit(ms(40));
    let payments = builder.build().unwrap();
    let start = payments.status();
    payments.pause();
    let report = payments.capacity_report();
    let paused = report.finding(FindingCode::Paused).unwrap();
    assert_eq!((report.findings.len(), paused.severity), (1, Severity::Notice));
    assert_eq!(paused.message, "paused with 0 waiting operations");
    assert!(report.summary().starts_with("bulkhead \"payments\" is paused and has a notice"));

    let mut impatient: Vec<_> = (0..25).map(|_| waiting(payments.slot())).collect();
    for _ in 0..10 {
        assert!(payments.slot_now().is_err());
    }
    advance(ms(30)).await;
    let waiters: Vec<_> = (0..5).map(|_| waiting(payments.slot())).collect();
    advance(ms(10)).await;
    impatient.iter_mut().for_each(|waiter| drop(rejection_of(waiter)));
    let during = payments.status();
    for report in [during.capacity_report(), during.since(&start).unwrap().capacity_report()] {
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [FindingCode::Paused]);
        assert_eq!(report.severity(), Severity::Warning);
        let message = &report.findings[0].message;
        assert_eq!(message, "paused with 5 waiting operations, 10 operations rejected for it");
    }

    drop(waiters);
    payments.resume();
    let after = payments.status();
    let report = after.since(&start).unwrap().capacity_report();
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!((codes, report.severity()), (vec![FindingCode::Paused], Severity::Notice));
    assert!(after.since(&during).unwrap().capacity_report().findings.len() <= 1);
    assert!(after.capacity_report().finding(FindingCode::Paused).is_none(), "it is over");
}
