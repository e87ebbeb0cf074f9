//! The fields of every kind of event.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bulklink::{BulkheadEvent, BulkheadLayer, Deadline, EventKind, WeightedBulkhead};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok};
use tower::Layer;
use tower_test::mock::Spawn;

use crate::support::{
    Log, bulkhead,
    http_service::{request, shop},
    rejection_of, slot_of, waiting, weighted,
};

const SECOND: Duration = Duration::from_secs(1);

/// The state of the bulkhead in an event: used, in flight, waiting.
fn state(event: &BulkheadEvent) -> (usize, usize, usize) {
    (event.used, event.in_flight, event.waiting)
}

/// The operation in an event: its cost, whether it comes from the line, and how long it waited.
fn operation(event: &BulkheadEvent) -> (Option<usize>, bool, Option<Duration>) {
    (event.cost, event.from_queue, event.waited)
}

/// A weighted bulkhead, and a log of its events.
struct Logged {
    reports: WeightedBulkhead,
    log: Log,
    _subscription: bulklink::Subscription,
}

fn logged() -> Logged {
    let reports = weighted(10, 3);
    let log = Log::default();
    let _subscription = reports.subscribe(log.handler());
    Logged { reports, log, _subscription }
}

impl Logged {
    /// Takes the only event since the last call.
    #[track_caller]
    fn only_event(&self, kind: EventKind) -> BulkheadEvent {
        let events = self.log.take();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].kind, kind);
        events.into_iter().next().unwrap()
    }

    /// Takes the only two events since the last call.
    #[track_caller]
    fn only_two(&self, kinds: [EventKind; 2]) -> [BulkheadEvent; 2] {
        let events = self.log.take();
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), kinds);
        assert!(events[0].sequence < events[1].sequence);
        events.try_into().unwrap()
    }
}

#[test]
fn every_event_carries_the_state_of_its_bulkhead() {
    let before = SystemTime::now();
    let logged = logged();
    let slot = logged.reports.slot_now(4).unwrap();
    let event = logged.only_event(EventKind::Admitted);
    assert_eq!(&*event.label, "reports");
    assert_eq!((event.capacity, event.waiting_room, event.is_closed), (10, 3, false));
    assert!((before..=SystemTime::now()).contains(&event.occurred_at));
    assert_eq!((event.affected_waiters, event.previous_capacity), (0, None));
    drop(slot);
    assert!(event.sequence < logged.only_event(EventKind::Released).sequence);
}

#[test]
fn fields_of_admitted_at_once_and_released() {
    let logged = logged();
    let slot = logged.reports.slot_now(4).unwrap();
    let event = logged.only_event(EventKind::Admitted);
    assert_eq!((state(&event), operation(&event)), ((4, 1, 0), (Some(4), false, None)));
    drop(slot);
    let event = logged.only_event(EventKind::Released);
    assert_eq!((state(&event), operation(&event)), ((0, 0, 0), (Some(4), false, None)));
}

#[tokio::test(start_paused = true)]
async fn fields_of_queued_and_admitted_from_the_line() {
    let logged = logged();
    let slot = logged.reports.slot_now(7).unwrap();
    logged.only_event(EventKind::Admitted);
    let mut waiter = waiting(logged.reports.slot(5));
    let event = logged.only_event(EventKind::Queued);
    assert_eq!((state(&event), operation(&event)), ((7, 1, 1), (Some(5), true, None)));
    advance(SECOND * 3).await;
    drop(slot);
    let [released, admitted] = logged.only_two([EventKind::Released, EventKind::Admitted]);
    assert_eq!((state(&released), operation(&released)), ((0, 0, 1), (Some(7), false, None)));
    assert_eq!(state(&admitted), (5, 1, 0));
    assert_eq!(operation(&admitted), (Some(5), true, Some(SECOND * 3)));
    drop(slot_of(&mut waiter));
    logged.only_event(EventKind::Released);
}

#[test]
fn fields_of_saturated() {
    let logged = logged();
    let _slot = logged.reports.slot_now(7).unwrap();
    logged.log.take();
    assert!(logged.reports.slot_now(4).is_err());
    let event = logged.only_event(EventKind::Saturated);
    assert_eq!((state(&event), operation(&event)), ((7, 1, 0), (Some(4), false, None)));
    let _line = [1, 2, 3].map(|_| waiting(logged.reports.slot(9)));
    logged.log.take();
    assert_ready_err!(tokio_test::task::spawn(logged.reports.slot(2)).poll());
    let event = logged.only_event(EventKind::Saturated);
    assert_eq!((state(&event), operation(&event)), ((7, 1, 3), (Some(2), false, None)));
}

#[tokio::test(start_paused = true)]
async fn fields_of_expired_on_arrival_and_in_line() {
    let logged = logged();
    let reports = &logged.reports;
    reports.slot_before(Deadline::at(Instant::now()), 2).await.unwrap_err();
    let event = logged.only_event(EventKind::Expired);
    assert_eq!(operation(&event), (Some(2), false, Some(Duration::ZERO)));
    reports.slot_within(Duration::ZERO, 3).await.unwrap_err();
    let event = logged.only_event(EventKind::Expired);
    assert_eq!(operation(&event), (Some(3), false, Some(Duration::ZERO)));

    let _slot = reports.slot_now(10).unwrap();
    let mut waiter = waiting(reports.slot_within(SECOND, 4));
    logged.log.take();
    advance(SECOND * 2).await;
    rejection_of(&mut waiter);
    let event = logged.only_event(EventKind::Expired);
    assert_eq!((state(&event), operation(&event)), ((10, 1, 0), (Some(4), true, Some(SECOND * 2))));
}

#[tokio::test(start_paused = true)]
async fn fields_of_cancelled_and_abandoned() {
    let logged = logged();
    let slot = logged.reports.slot_now(10).unwrap();
    let waiter = waiting(logged.reports.slot(4));
    logged.log.take();
    advance(SECOND).await;
    drop(waiter);
    let event = logged.only_event(EventKind::Cancelled);
    assert_eq!((state(&event), operation(&event)), ((10, 1, 0), (Some(4), true, Some(SECOND))));

    // The wait of an abandoned operation goes on after its admission, until it is dropped.
    let waiter = waiting(logged.reports.slot(6));
    advance(SECOND).await;
    drop(slot);
    logged.log.take();
    advance(SECOND * 2).await;
    drop(waiter);
    let event = logged.only_event(EventKind::Abandoned);
    assert_eq!((state(&event), operation(&event)), ((0, 0, 0), (Some(6), true, Some(SECOND * 3))));
}

/// The only `Abandoned` event of a bulkhead with one slot: whether it came from the line, and how long it waited.
fn abandoned(log: &Log) -> (bool, Option<Duration>) {
    let events = log.take();
    let mut abandoned = events.iter().filter(|event| event.kind == EventKind::Abandoned);
    let event = abandoned.next().unwrap();
    assert_eq!((event.used, event.cost, abandoned.next()), (0, Some(1), None));
    (event.from_queue, event.waited)
}

#[tokio::test(start_paused = true)]
async fn fields_of_abandoned_by_a_service() {
    let payments = bulkhead(1, 1);
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    let service = || Spawn::new(BulkheadLayer::new(&payments).layer(shop()));
    let late = || request().extension(Deadline::after(Duration::ZERO)).body(()).unwrap();

    // Ready at once.
    let mut ready = service();
    assert_ready_ok!(ready.poll_ready());
    advance(SECOND).await;
    drop(ready);
    assert_eq!(abandoned(&log), (false, None));
    let mut ready = service();
    assert_ready_ok!(ready.poll_ready());
    advance(SECOND).await;
    drop(ready.call(late()));
    assert_eq!(abandoned(&log), (false, None));

    // Ready after a wait of one second, and dropped or called late two seconds after that.
    for calls in [false, true] {
        let slot = payments.slot_now().unwrap();
        let mut ready = service();
        assert_pending!(ready.poll_ready());
        advance(SECOND).await;
        drop(slot);
        assert_ready_ok!(ready.poll_ready());
        advance(SECOND * 2).await;
        if calls {
            drop(ready.call(late()));
        }
        drop(ready);
        assert_eq!(abandoned(&log), (true, Some(SECOND * 3)), "called: {calls}");
    }
}

#[test]
fn fields_of_resized() {
    let logged = logged();
    let _slot = logged.reports.slot_now(7).unwrap();
    logged.log.take();
    logged.reports.resize(5).unwrap();
    let event = logged.only_event(EventKind::Resized);
    assert_eq!((event.capacity, event.previous_capacity), (5, Some(10)));
    assert_eq!((state(&event), operation(&event)), ((7, 1, 0), (None, false, None)));
    logged.reports.resize(20).unwrap();
    let event = logged.only_event(EventKind::Resized);
    assert_eq!((event.capacity, event.previous_capacity), (20, Some(5)));
}

#[tokio::test(start_paused = true)]
async fn fields_of_closed_closed_rejection_and_drained() {
    let logged = logged();
    let slot = logged.reports.slot_now(10).unwrap();
    let _line = [4, 6].map(|cost| waiting(logged.reports.slot(cost)));
    advance(SECOND).await;
    logged.log.take();
    logged.reports.close();
    let events = logged.log.take();
    let [closed, first, second] = &events[..] else { panic!("{events:?}") };
    assert_eq!((closed.kind, closed.is_closed), (EventKind::Closed, true));
    assert_eq!(closed.affected_waiters, 2);
    assert_eq!((state(closed), operation(closed)), ((10, 1, 2), (None, false, None)));
    for (event, (cost, left)) in [first, second].into_iter().zip([(4, 1), (6, 0)]) {
        assert_eq!((event.kind, state(event)), (EventKind::ClosedRejection, (10, 1, left)));
        assert_eq!(operation(event), (Some(cost), true, Some(SECOND)));
        assert_eq!((event.is_closed, event.affected_waiters), (true, 0));
    }
    assert!(logged.reports.slot_now(3).is_err());
    let event = logged.only_event(EventKind::ClosedRejection);
    assert_eq!((state(&event), operation(&event)), ((10, 1, 0), (Some(3), false, None)));
    drop(slot);
    let [_, drained] = logged.only_two([EventKind::Released, EventKind::Drained]);
    assert_eq!((state(&drained), operation(&drained)), ((0, 0, 0), (None, false, None)));
    assert!(drained.is_closed);
    logged.reports.close();
    assert!(logged.log.take().is_empty(), "closing again causes no event");
}

#[test]
fn in_a_plain_bulkhead_every_cost_is_one() {
    let payments = bulkhead(1, 1);
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    assert!(payments.slot_now().is_err());
    drop(slot);
    drop(slot_of(&mut waiter));
    let events = log.take();
    assert_eq!(events.len(), 6);
    for event in &events {
        assert_eq!((event.cost, event.used), (Some(1), event.in_flight));
        assert!(
            Arc::ptr_eq(&event.label, &payments.status().label),
            "the label is shared and not copied"
        );
    }
}

#[test]
fn an_impossible_cost_is_counted_without_an_event() {
    let logged = logged();
    assert!(logged.reports.slot_now(0).is_err() && logged.reports.slot_now(11).is_err());
    assert!(logged.log.take().is_empty());
    let totals = logged.reports.status().totals;
    assert_eq!((totals.invalid_cost, totals.oversized), (1, 1));
}
