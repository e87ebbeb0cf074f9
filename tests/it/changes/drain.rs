//! A drain: newcomers are rejected, those in line are served, and then the bulkhead is closed.

use bulklink::{BulkheadStatus, Change, EventKind, RejectionReason, ResizeError};
use tokio::time::advance;
use tokio_test::{assert_pending, assert_ready, task};

use crate::support::{
    Log, Wakes, assert_nothing_left, bulkhead, checked_status, full, limited, ms, poll_with,
    rejection_of, slot_of, waiting, weighted,
};

/// Draining, closed and drained.
fn phase(status: &BulkheadStatus) -> [bool; 3] {
    [status.is_draining, status.is_closed, status.is_drained()]
}

#[test]
fn those_in_line_are_served_in_order_and_newcomers_are_rejected() {
    let (payments, slot) = full(5);
    let wakes = Wakes::default();
    let mut waiters: Vec<_> = (0..2).map(|_| Box::pin(payments.slot())).collect();
    for (number, waiter) in waiters.iter_mut().enumerate() {
        assert!(poll_with(waiter, &wakes.waker(number)).is_pending());
    }
    let log = Log::default();
    let _subscription = payments.subscribe(log.handler());
    let mut ended = task::spawn(payments.drain_and_wait());
    assert_pending!(ended.poll());
    assert_eq!(phase(&checked_status(&payments)), [true, false, false]);
    assert!(payments.is_draining() && !payments.is_closed());
    assert_eq!(*payments.slot_now().unwrap_err().reason(), RejectionReason::Closed);
    assert_eq!(payments.slot_now().unwrap_err().retry_after(), None);
    payments.drain();

    drop(slot);
    assert_eq!(wakes.order(), [0]);
    drop(waiters.remove(0));
    assert_eq!(wakes.order(), [0, 1]);
    assert_eq!(phase(&checked_status(&payments)), [false, true, false]);
    assert!(payments.is_closed() && !payments.is_draining() && !ended.is_woken());
    waiters.clear();
    assert!(ended.is_woken());
    assert_ready!(ended.poll());
    assert_eq!(phase(&checked_status(&payments)), [false, true, true]);
    let events = log.take();
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let expected = [
        EventKind::Draining,
        EventKind::ClosedRejection,
        EventKind::ClosedRejection,
        EventKind::Released,
        EventKind::Admitted,
        EventKind::Abandoned,
        EventKind::Admitted,
        EventKind::Closed,
        EventKind::Abandoned,
        EventKind::Drained,
    ];
    assert_eq!(kinds, expected);
    assert_eq!((events[0].affected_waiters, events[0].is_draining), (2, true));
    assert_eq!(
        (events[7].affected_waiters, events[7].is_closed, events[7].is_draining),
        (0, true, false)
    );
    assert_nothing_left(&payments);
}

#[test]
fn what_nobody_waits_for_is_closed_at_once() {
    let (payments, slot) = full(5);
    let mut closing = task::spawn(payments.closing());
    assert_pending!(closing.poll());
    payments.drain();
    assert_eq!(phase(&checked_status(&payments)), [false, true, false]);
    assert!(closing.is_woken());
    assert_ready!(closing.poll());
    drop(slot);
    let idle = weighted(3, 2);
    idle.drain();
    assert!(idle.is_closed() && idle.status().is_drained());
    assert_ready!(task::spawn(idle.closing()).poll());
}

#[tokio::test(start_paused = true)]
async fn it_is_closed_when_the_last_waiter_leaves_in_any_way() {
    let (payments, slot) = full(5);
    let waiter = waiting(payments.slot());
    payments.drain();
    drop(waiter);
    assert_eq!(phase(&checked_status(&payments)), [false, true, false]);
    drop(slot);

    let payments = limited(5, ms(20));
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    payments.drain();
    advance(ms(20)).await;
    rejection_of(&mut waiter);
    assert_eq!(phase(&checked_status(&payments)), [false, true, false]);
    drop(slot);
    assert!(payments.status().is_drained());

    // A close rejects those who still wait.
    let (payments, slot) = full(5);
    let mut waiter = waiting(payments.slot());
    payments.drain();
    payments.close();
    assert_eq!(*rejection_of(&mut waiter).reason(), RejectionReason::Closed);
    assert_eq!(checked_status(&payments).totals.closed_while_waiting, 1);
    drop(slot);
    assert_nothing_left(&payments);
}

#[tokio::test(start_paused = true)]
async fn it_ends_a_pause_and_allows_changes() {
    let payments = bulkhead(1, 5);
    payments.pause();
    let mut waiters: Vec<_> = (0..3).map(|_| waiting(payments.slot())).collect();
    advance(ms(30)).await;
    let log = Log::default();
    let subscription = payments.subscribe(log.handler());
    payments.drain();
    drop(subscription);
    assert_eq!(log.take_kinds(), [EventKind::Draining, EventKind::Admitted]);
    let first = slot_of(&mut waiters[0]);
    assert_eq!(phase(&checked_status(&payments)), [true, false, false]);
    advance(ms(7)).await;
    let status = checked_status(&payments);
    assert_eq!(status.pressure(status.taken_at), ms(7), "the pause was no pressure");
    payments.resize(2).unwrap();
    let second = slot_of(&mut waiters[1]);
    payments.reconfigure(Change::new().parallelism(3).waiting_room(0)).unwrap();
    let third = slot_of(&mut waiters[2]);
    assert_eq!(phase(&payments.status()), [false, true, false]);
    assert!(matches!(payments.resize(4), Err(ResizeError::Closed { .. })));
    drop((first, second, third));
    assert!(payments.status().is_drained());
}

#[test]
fn many_may_wait_for_the_closing_and_leave() {
    let (payments, slot) = full(5);
    let waiter = waiting(payments.slot());
    let mut closing: Vec<_> = (0..20).map(|_| task::spawn(payments.closing())).collect();
    let mut drained: Vec<_> = (0..20).map(|_| task::spawn(payments.wait_closed())).collect();
    closing.iter_mut().for_each(|closing| assert_pending!(closing.poll()));
    drained.iter_mut().for_each(|drained| assert_pending!(drained.poll()));
    drop((closing.remove(7), drained.remove(11)));
    payments.drain();
    assert!(closing.iter().all(|closing| closing.is_woken()));
    assert!(drained.iter().all(|drained| !drained.is_woken()));
    // Of those that were woken, some leave without being polled again.
    closing.truncate(10);
    closing.iter_mut().for_each(|closing| assert_ready!(closing.poll()));
    let mut late = task::spawn(payments.closing());
    assert_ready!(late.poll());
    drop((waiter, slot));
    assert!(drained.iter().all(|drained| drained.is_woken()));
    drained.iter_mut().for_each(|drained| assert_ready!(drained.poll()));
}
