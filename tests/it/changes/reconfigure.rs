//! `reconfigure`: all settings change at one instant or none does, and those in line keep their places and limits.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadLayer, BulkheadStatus, Change, EventKind, FindingCode, RejectionReason,
    ResizeError, WeightedChange,
};
use http::{Request, Response};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, service_fn};

use crate::support::{
    Log, Wakes, assert_identities, assert_nothing_left, assert_plain, bulkhead, checked_status,
    full, limited, ms, poll_with, weighted,
};

/// What a reconfiguration can change.
fn settings(status: &BulkheadStatus) -> (usize, usize, Option<Duration>) {
    (status.capacity, status.waiting_room, status.wait_limit)
}

/// The status of a bulkhead that may have more waiters than its room has places.
fn plain_status(bulkhead: &Bulkhead) -> BulkheadStatus {
    let status = bulkhead.status();
    assert_plain(&status);
    status
}

#[test]
fn what_is_not_named_stays() {
    let payments = Bulkhead::builder("payments").parallelism(2).waiting_room(3);
    let payments = payments.wait_limit(ms(40)).build().unwrap();
    let steps = [
        (Change::new().parallelism(7), (7, 3, Some(ms(40)))),
        (Change::new().waiting_room(0), (7, 0, Some(ms(40)))),
        (Change::new().wait_limit(ms(90)), (7, 0, Some(ms(90)))),
        (Change::new().no_wait_limit(), (7, 0, None)),
        (Change::new().wait_limit(Duration::MAX), (7, 0, Some(Duration::MAX))),
        (Change::new().parallelism(1).waiting_room(9).wait_limit(ms(1)), (1, 9, Some(ms(1)))),
        (Change::new(), (1, 9, Some(ms(1)))),
    ];
    for (change, expected) in steps {
        payments.reconfigure(change).unwrap();
        assert_eq!(settings(&checked_status(&payments)), expected);
        let own = (payments.parallelism(), payments.waiting_room(), payments.wait_limit());
        assert_eq!(own, expected);
    }
}

#[test]
fn an_invalid_value_is_an_error_that_names_it_and_changes_nothing() {
    let payments = limited(1, ms(50));
    let slot = payments.slot_now().unwrap();
    let mut waiter = task::spawn(payments.slot_before(Instant::now() + ms(1000)));
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    let before = checked_status(&payments);
    let all = || Change::new().parallelism(5).waiting_room(6).wait_limit(ms(7));
    let absurd = Bulkhead::MAX_CAPACITY + 1;
    let invalid = [
        (all().parallelism(0), "parallelism 0 is not allowed, the minimum is 1".to_owned()),
        (all().parallelism(absurd), format!("parallelism {absurd} exceeds the maximum 2147483647")),
        (
            all().parallelism(usize::MAX),
            format!("parallelism {} exceeds the maximum 2147483647", usize::MAX),
        ),
        (
            all().waiting_room(usize::MAX),
            format!("waiting_room {} exceeds the maximum 2147483647", usize::MAX),
        ),
        (
            all().wait_limit(Duration::ZERO),
            "wait_limit 0 is not allowed, it must be greater than 0".to_owned(),
        ),
    ];
    for (change, message) in invalid {
        let error = payments.reconfigure(change).unwrap_err();
        assert_eq!(error.to_string(), format!("bulkhead \"payments\": {message}"));
    }
    assert_eq!(checked_status(&payments), before);
    assert!(log.take().is_empty());
    drop(slot);
    drop(assert_ready_ok!(waiter.poll()));
}

#[test]
fn a_closed_bulkhead_cannot_be_reconfigured() {
    let payments = bulkhead(2, 1);
    payments.close();
    for change in [Change::new(), Change::new().parallelism(2), Change::new().waiting_room(5)] {
        let error = payments.reconfigure(change).unwrap_err();
        assert!(matches!(error, ResizeError::Closed { .. }), "{error}");
    }
    assert_eq!(settings(&checked_status(&payments)), (2, 1, None));
}

#[test]
fn one_event_says_what_was_before_and_the_same_values_cause_none() {
    let payments = limited(3, ms(20));
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    payments.reconfigure(Change::new().parallelism(4).waiting_room(0).no_wait_limit()).unwrap();
    let events = log.take();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event.kind, EventKind::Reconfigured);
    assert_eq!((event.capacity, event.waiting_room, event.wait_limit), (4, 0, None));
    let previous = event.previous.unwrap();
    let before = (previous.capacity, previous.waiting_room, previous.wait_limit);
    assert_eq!((before, event.previous_capacity), ((1, 3, Some(ms(20))), Some(1)));

    for change in [Change::new(), Change::new().parallelism(4).waiting_room(0).no_wait_limit()] {
        payments.reconfigure(change).unwrap();
        assert!(log.take().is_empty());
    }
    payments.reconfigure(Change::new().wait_limit(Duration::MAX)).unwrap();
    assert_eq!(log.take_kinds(), [EventKind::Reconfigured]);
    // 585 years and more are all the same.
    payments.reconfigure(Change::new().wait_limit(Duration::from_secs(u64::MAX / 2))).unwrap();
    assert!(log.take().is_empty());

    payments.resize(5).unwrap();
    let event = &log.take()[0];
    assert_eq!((event.kind, event.previous_capacity), (EventKind::Resized, Some(4)));
    assert_eq!(event.previous, None, "a resize says the capacity alone");
}

#[test]
fn more_parallelism_admits_from_the_line_in_order_before_it_returns() {
    let (payments, slot) = full(9);
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    payments.reconfigure(Change::new().parallelism(4).waiting_room(2)).unwrap();
    assert_eq!(wakes.order(), [0, 1, 2]);
    let status = checked_status(&payments);
    assert_eq!((status.in_flight, status.waiting, status.waiting_room), (4, 2, 2));
    let rejection = assert_ready_err!(task::spawn(payments.slot()).poll());
    assert!(matches!(
        rejection.reason(),
        RejectionReason::Saturated { capacity: 4, waiting: 2, waiting_room: 2, .. }
    ));
    drop((slot, waiters));
    assert_nothing_left(&payments);
}

#[test]
fn a_smaller_room_throws_nobody_out_and_nobody_joins_until_there_is_a_place() {
    let (payments, slot) = full(4);
    let mut waiters: Vec<_> = (0..4).map(|_| task::spawn(payments.slot())).collect();
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    payments.reconfigure(Change::new().waiting_room(2)).unwrap();
    let status = plain_status(&payments);
    assert_eq!((status.waiting, status.waiting_room, status.totals.saturated), (4, 2, 0));
    assert!(waiters.iter().all(|waiter| !waiter.is_woken()));
    assert!(status.is_saturated());
    let report = status.capacity_report();
    let finding = report.finding(FindingCode::WaitingRoomFull).unwrap();
    assert!(finding.message.starts_with("4 of 2 places"), "{}", finding.message);

    // 4, 3 and 2 waiters are no fewer than 2.
    for _ in 0..3 {
        assert_ready_err!(task::spawn(payments.slot()).poll());
        drop(waiters.pop());
    }
    let mut newcomer = task::spawn(payments.slot());
    assert_pending!(newcomer.poll());
    assert_ready_err!(task::spawn(payments.slot()).poll());
    drop(slot);
    drop(assert_ready_ok!(waiters[0].poll()));
    drop(assert_ready_ok!(newcomer.poll()));
    drop(waiters);
    assert_eq!(plain_status(&payments).totals.saturated, 4);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn a_new_wait_limit_holds_for_those_who_arrive_from_now_on() {
    let payments = limited(9, ms(100));
    let slot = payments.slot_now().unwrap();
    let mut early = task::spawn(payments.slot());
    assert_pending!(early.poll());
    payments.reconfigure(Change::new().wait_limit(ms(10))).unwrap();
    let mut short = task::spawn(payments.slot());
    assert_pending!(short.poll());
    payments.reconfigure(Change::new().wait_limit(ms(300))).unwrap();
    let mut long = task::spawn(payments.slot());
    assert_pending!(long.poll());
    payments.reconfigure(Change::new().no_wait_limit()).unwrap();
    let mut endless = task::spawn(payments.slot());
    assert_pending!(endless.poll());

    let limit_of = |rejection: bulklink::Rejection| match *rejection.reason() {
        RejectionReason::WaitLimit { waited, limit } => (waited, limit),
        ref other => panic!("{other}"),
    };
    advance(ms(10)).await;
    assert!(short.is_woken() && !early.is_woken() && !long.is_woken());
    assert_eq!(limit_of(assert_ready_err!(short.poll())), (ms(10), ms(10)));
    advance(ms(90)).await;
    assert!(early.is_woken() && !long.is_woken());
    assert_eq!(limit_of(assert_ready_err!(early.poll())), (ms(100), ms(100)));
    advance(ms(200)).await;
    assert!(long.is_woken() && !endless.is_woken());
    assert_eq!(limit_of(assert_ready_err!(long.poll())), (ms(300), ms(300)));
    advance(Duration::from_secs(3600)).await;
    assert_pending!(endless.poll());
    drop(slot);
    drop(assert_ready_ok!(endless.poll()));
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_was_not_polled_before_the_change_gets_the_new_limit_and_the_new_room() {
    let (payments, slot) = full(0);
    let mut waiter = task::spawn(payments.slot());
    payments.reconfigure(Change::new().waiting_room(1).wait_limit(ms(5))).unwrap();
    assert_pending!(waiter.poll());
    advance(ms(5)).await;
    assert!(waiter.is_woken());
    assert_ready_err!(waiter.poll());
    drop(slot);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn layers_made_before_the_change_see_it() {
    let (payments, slot) = full(0);
    let inner = service_fn(|_: Request<()>| async { Ok::<_, ()>(Response::new(())) });
    let mut waiting = BulkheadLayer::new(&payments).layer(inner);
    let mut per_request = BulkheadLayer::new(&payments).per_request().layer(inner);
    payments.reconfigure(Change::new().waiting_room(2).wait_limit(ms(30))).unwrap();
    let mut ready = task::spawn(std::future::poll_fn(|cx| waiting.poll_ready(cx)));
    assert_pending!(ready.poll());
    let mut response = task::spawn(per_request.call(Request::new(())));
    assert_pending!(response.poll());
    advance(ms(30)).await;
    assert!(ready.is_woken() && response.is_woken());
    let response = assert_ready_ok!(response.poll());
    assert_eq!(response.status(), 503);
    assert_ready_ok!(ready.poll());
    drop((ready, slot));
    assert_eq!(checked_status(&payments).totals.expired, 2);
}

#[test]
fn a_weighted_capacity_below_the_largest_cost_in_line_changes_nothing() {
    let reports = weighted(8, 4);
    let slot = reports.slot_now(8).unwrap();
    let mut waiters = [5, 2].map(|cost| task::spawn(reports.slot(cost)));
    for waiter in &mut waiters {
        assert_pending!(waiter.poll());
    }
    let change = WeightedChange::new().capacity(4).waiting_room(1).wait_limit(ms(1));
    let error = reports.reconfigure(change).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bulkhead \"reports\": capacity 4 is below the cost 5 of a waiting operation"
    );
    assert_eq!(settings(&reports.status()), (8, 4, None));
    assert_eq!(
        reports.reconfigure(WeightedChange::new().capacity(0)).unwrap_err().to_string(),
        "bulkhead \"reports\": capacity 0 is not allowed, the minimum is 1"
    );

    reports.reconfigure(WeightedChange::new().capacity(15).waiting_room(1)).unwrap();
    assert!(waiters.iter().all(task::Spawn::is_woken), "both fit");
    let status = reports.status();
    assert_identities(&status);
    assert_eq!((status.used, status.waiting, status.waiting_room), (15, 0, 1));
    drop((slot, waiters));
    assert_eq!(reports.status().used, 0);
}

#[test]
fn a_report_judges_the_settings_that_are_in_force() {
    let payments = bulkhead(1, 0);
    let codes = || -> Vec<FindingCode> {
        payments.capacity_report().findings.iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(), []);
    payments.reconfigure(Change::new().waiting_room(200)).unwrap();
    assert_eq!(codes(), [FindingCode::UnboundedQueueWait, FindingCode::LargeWaitingRoom]);
    payments.reconfigure(Change::new().parallelism(50).wait_limit(ms(100))).unwrap();
    assert_eq!(codes(), []);
    payments.reconfigure(Change::new().waiting_room(0)).unwrap();
    assert_eq!(codes(), [FindingCode::LimitWithoutRoom]);
}
