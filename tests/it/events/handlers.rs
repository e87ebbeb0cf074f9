//! Handlers that call the bulkhead, panic, or run code when they are dropped.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use bulklink::{Bulkhead, EventKind, EventKind::*, Slot, Subscription};

use crate::support::must_end;
use crate::support::{Log, assert_identities, bulkhead, slot_of, waiting};

#[test]
fn a_handler_may_take_statuses_reports_and_slots() {
    must_end(|| {
        let payments = bulkhead(2, 1);
        let inner = payments.clone();
        let received = Arc::new(Mutex::new(Vec::new()));
        let slots: Arc<Mutex<Vec<Slot>>> = Arc::default();
        let (received_inside, slots_inside) = (received.clone(), slots.clone());
        let _subscription = payments.subscribe(move |event| {
            let status = inner.status();
            assert!(event.sequence < status.sequence);
            assert_identities(&status);
            let _ = (inner.capacity_report(), inner.parallelism(), inner.is_closed());
            received_inside.lock().unwrap().push((event.kind, status.used));
            if received_inside.lock().unwrap().len() == 1 {
                slots_inside.lock().unwrap().push(inner.slot_now().unwrap());
                assert!(inner.slot_now().is_err());
            }
        });
        let slot = payments.slot_now().unwrap();
        assert_eq!(*received.lock().unwrap(), [(Admitted, 1), (Admitted, 2), (Saturated, 2)]);
        drop(slot);
        let inside = std::mem::take(&mut *slots.lock().unwrap());
        drop(inside);
        assert_eq!(payments.status().in_flight, 0);
        assert_eq!(payments.status().totals.handler_panics, 0);
    });
}

#[test]
fn a_handler_may_resize_and_close() {
    must_end(|| {
        let payments = bulkhead(1, 5);
        let log = Log::default();
        let _slot = payments.slot_now().unwrap();
        let mut first = waiting(payments.slot());
        let mut second = waiting(payments.slot());
        let inner = payments.clone();
        let _acting = payments.subscribe(move |event| match event.kind {
            Saturated => inner.resize(2).unwrap(),
            Resized => inner.close(),
            _ => {}
        });
        let _subscription = payments.subscribe(log.handler());
        assert!(payments.slot_now().is_err());
        // The second handler receives each event before those that the first handler causes in response.
        assert_eq!(log.take_kinds(), [Saturated, Resized, Admitted, Closed, ClosedRejection]);
        drop(slot_of(&mut first));
        crate::support::rejection_of(&mut second);
        assert!(payments.is_closed());
        assert_eq!(payments.status().totals.handler_panics, 0);
    });
}

#[test]
fn nested_events_come_after_the_current_one_on_the_same_thread() {
    let payments = bulkhead(1, 5);
    let received = Arc::new(Mutex::new(Vec::new()));
    let (inner, record) = (payments.clone(), received.clone());
    let depth = AtomicUsize::new(0);
    let _subscription = payments.subscribe(move |event| {
        assert_eq!(depth.fetch_add(1, Relaxed), 0, "an event is delivered inside another");
        record.lock().unwrap().push((event.kind, event.capacity, thread::current().id()));
        if event.kind == Resized && event.capacity < 5 {
            inner.resize(event.capacity + 1).unwrap();
            drop(inner.slot_now().unwrap());
        }
        depth.fetch_sub(1, Relaxed);
    });
    payments.resize(3).unwrap();
    let here = thread::current().id();
    let received: Vec<_> = received.lock().unwrap().clone();
    assert!(received.iter().all(|&(_, _, thread)| thread == here));
    let kinds: Vec<_> = received.iter().map(|&(kind, capacity, _)| (kind, capacity)).collect();
    assert_eq!(
        kinds,
        [
            (Resized, 3),
            (Resized, 4),
            (Admitted, 4),
            (Released, 4),
            (Resized, 5),
            (Admitted, 5),
            (Released, 5),
        ]
    );
    assert_eq!(payments.status().totals.handler_panics, 0);
}

#[test]
fn events_of_another_bulkhead_caused_inside_a_handler_also_come_afterwards() {
    let (payments, orders) = (bulkhead(1, 0), bulkhead(1, 0));
    let received = Arc::new(Mutex::new(Vec::new()));
    let (record, other) = (received.clone(), orders.clone());
    let _outer = payments.subscribe(move |event| {
        drop(other.slot_now());
        record.lock().unwrap().push(("payments", event.kind));
    });
    let record = received.clone();
    let _inner = orders.subscribe(move |event| record.lock().unwrap().push(("orders", event.kind)));
    let _slot = payments.slot_now().unwrap();
    assert_eq!(
        *received.lock().unwrap(),
        [("payments", Admitted), ("orders", Admitted), ("orders", Released)]
    );
}

#[test]
fn a_handler_subscribed_by_a_handler_receives_later_events_only() {
    must_end(|| {
        let payments = bulkhead(2, 0);
        let late = Log::default();
        let since = Arc::new(OnceLock::new());
        let (inner, log, since_inside) = (payments.clone(), late.clone(), since.clone());
        let late_subscription: Mutex<Option<Subscription>> = Mutex::default();
        let _subscription = payments.subscribe(move |event| {
            if event.kind == Admitted && since_inside.get().is_none() {
                drop(inner.slot_now().unwrap());
                since_inside.set(inner.status().sequence).unwrap();
                *late_subscription.lock().unwrap() = Some(inner.subscribe(log.handler()));
                assert!(inner.resize(3).is_ok());
            }
        });
        let slot = payments.slot_now().unwrap();
        drop(slot);
        let events = late.take();
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Resized, Released]);
        assert!(events.iter().all(|event| event.sequence > *since.get().unwrap()));
    });
}

#[test]
fn a_handler_may_drop_its_own_subscription() {
    must_end(|| {
        let payments = bulkhead(1, 0);
        let log = Log::default();
        let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
        let (held, write) = (own.clone(), log.handler());
        let subscription = payments.subscribe(move |event| {
            write(event);
            let ended = held.lock().unwrap().take();
            drop(ended);
        });
        *own.lock().unwrap() = Some(subscription);
        drop(payments.slot_now().unwrap());
        drop(payments.slot_now().unwrap());
        assert_eq!(log.take_kinds(), [Admitted]);
        // The subscription has ended, and the handler has been dropped with its clone of the log.
        assert_eq!(Arc::strong_count(&log.0), 1);
    });
}

#[test]
fn handler_panics_are_caught_and_counted_and_lose_no_event() {
    let payments = bulkhead(1, 2);
    let log = Log::default();
    let _first = payments.subscribe(|_| panic!("a handler that panics, on purpose"));
    let _second = payments.subscribe(log.handler());
    let _third = payments.subscribe(|event| assert_ne!(event.kind, Released, "on purpose"));
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    assert_eq!(payments.status().totals.handler_panics, 2);
    drop(slot);
    drop(slot_of(&mut waiter));
    assert_eq!(log.take_kinds(), [Admitted, Queued, Released, Admitted, Released]);
    let status = payments.status();
    assert_eq!(status.totals.handler_panics, 5 + 2);
    assert_eq!((status.in_flight, status.totals.finished), (0, 2));
    assert_identities(&status);
    payments.close();
    assert_eq!(log.take_kinds(), [Closed, Drained]);
    assert_eq!(payments.status().totals.handler_panics, 9);
}

#[test]
fn events_caused_by_a_handler_that_panics_are_still_delivered() {
    let payments = bulkhead(1, 0);
    let (inner, log) = (payments.clone(), Log::default());
    let _acting = payments.subscribe(move |event| {
        if event.kind == Saturated {
            inner.resize(2).unwrap();
            panic!("after a resize, on purpose");
        }
    });
    let _subscription = payments.subscribe(log.handler());
    let _slot = payments.slot_now().unwrap();
    assert!(payments.slot_now().is_err());
    assert_eq!(log.take_kinds(), [Admitted, Saturated, Resized]);
    assert_eq!(payments.status().totals.handler_panics, 1);
}

#[test]
fn a_panic_payload_may_panic_when_it_is_dropped() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in the drop of a panic payload, on purpose");
        }
    }
    let payments = bulkhead(1, 0);
    let log = Log::default();
    let _first = payments.subscribe(|_| std::panic::panic_any(PanicsOnDrop));
    let _second = payments.subscribe(log.handler());
    drop(payments.slot_now().unwrap());
    assert_eq!(log.take_kinds(), [Admitted, Released]);
    assert_eq!(payments.status().totals.handler_panics, 2);
}

/// Calls its bulkhead when it is dropped, and records the units in use under `Drained`.
struct CallsOnDrop(Bulkhead, Arc<Mutex<Vec<(EventKind, usize)>>>);

impl Drop for CallsOnDrop {
    fn drop(&mut self) {
        let status = self.0.status();
        let other = self.0.subscribe(|_| {});
        drop(other);
        self.1.lock().unwrap().push((Drained, status.used));
    }
}

#[test]
fn a_handler_is_dropped_outside_every_lock() {
    must_end(|| {
        let payments = bulkhead(1, 0);
        let received = Arc::default();
        let calls_on_drop = CallsOnDrop(payments.clone(), Arc::clone(&received));
        let subscription = payments.subscribe(move |event| {
            calls_on_drop.1.lock().unwrap().push((event.kind, event.used));
        });
        let _slot = payments.slot_now().unwrap();
        drop(subscription);
        assert_eq!(*received.lock().unwrap(), [(Admitted, 1), (Drained, 1)]);
    });
}

#[test]
fn a_handler_that_unsubscribes_itself_is_dropped_outside_every_lock() {
    must_end(|| {
        let payments = bulkhead(1, 0);
        let received = Arc::default();
        let calls_on_drop = CallsOnDrop(payments.clone(), Arc::clone(&received));
        let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
        let held = own.clone();
        let subscription = payments.subscribe(move |_| {
            let _ = &calls_on_drop;
            let ended = held.lock().unwrap().take();
            drop(ended);
        });
        *own.lock().unwrap() = Some(subscription);
        let _slot = payments.slot_now().unwrap();
        assert_eq!(*received.lock().unwrap(), [(Drained, 1)]);
    });
}
