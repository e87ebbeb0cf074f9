//! Subscriptions: which handlers receive an event, and from when until when.

use std::{
    sync::{Arc, Barrier, Mutex, mpsc},
    thread,
};

use bulklink::{EventKind::*, Subscription};

use crate::support::{Log, bulkhead, slot_of, waiting, weighted};

#[test]
fn two_handlers_receive_the_same_events_in_the_order_of_their_subscriptions() {
    let payments = bulkhead(1, 1);
    let (first, second) = (Log::default(), Log::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let subscribe = |name: &'static str, log: &Log| {
        let (order, write) = (order.clone(), log.handler());
        payments.subscribe(move |event| {
            order.lock().unwrap().push(name);
            write(event);
        })
    };
    let _subscriptions = (subscribe("first", &first), subscribe("second", &second));
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    drop(slot);
    drop(slot_of(&mut waiter));
    let (first, second) = (first.take(), second.take());
    assert_eq!(first.len(), 5);
    assert_eq!(first, second);
    assert_eq!(*order.lock().unwrap(), ["first", "second"].repeat(5));
}

#[test]
fn a_dropped_subscription_ends_and_leaves_the_others() {
    let payments = bulkhead(1, 0);
    let (first, second) = (Log::default(), Log::default());
    let subscription = payments.subscribe(first.handler());
    let _other = payments.subscribe(second.handler());
    let slot = payments.slot_now().unwrap();
    drop(subscription);
    drop(slot);
    assert_eq!(first.take_kinds(), [Admitted]);
    assert_eq!(second.take_kinds(), [Admitted, Released]);
    assert_eq!(Arc::strong_count(&first.0), 1, "the handler is dropped with its subscription");
}

#[test]
fn events_before_a_subscription_are_never_delivered_to_it() {
    let reports = weighted(10, 5);
    let _early = reports.subscribe(|_| {});
    let slot = reports.slot_now(10).unwrap();
    let mut waiter = waiting(reports.slot(4));
    let before = reports.status().sequence;
    let log = Log::default();
    let _late = reports.subscribe(log.handler());
    assert!(log.take().is_empty());
    drop(slot);
    drop(slot_of(&mut waiter));
    let events = log.take();
    assert_eq!(events.iter().map(|e| e.kind).collect::<Vec<_>>(), [Released, Admitted, Released]);
    assert!(events.iter().all(|event| event.sequence > before));
    // A handler subscribed in the middle receives the actual states.
    assert_eq!(events.iter().map(|e| e.used).collect::<Vec<_>>(), [0, 4, 0]);
}

#[test]
fn an_event_being_delivered_on_another_thread_does_not_reach_a_later_subscriber() {
    let payments = bulkhead(4, 0);
    let (entered, resume) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (has_entered, may_resume) = (entered.clone(), resume.clone());
    let slow = payments.subscribe(move |event| {
        if event.kind == Saturated {
            has_entered.wait();
            may_resume.wait();
        }
    });
    let slots: Vec<_> = (0..4).map(|_| payments.slot_now().unwrap()).collect();
    let caller = thread::spawn({
        let payments = payments.clone();
        move || payments.slot_now().map(drop)
    });
    entered.wait();
    let log = Log::default();
    let _late = payments.subscribe(log.handler());
    resume.wait();
    assert!(caller.join().unwrap().is_err());
    drop(slow);
    drop(slots);
    assert_eq!(log.take_kinds(), [Released; 4]);
}

#[test]
fn unsubscribing_does_not_wait_for_an_event_being_delivered_on_another_thread() {
    let payments = bulkhead(1, 0);
    let entered = Arc::new(Barrier::new(2));
    let (release, released) = mpsc::channel::<()>();
    let (has_entered, released) = (entered.clone(), Mutex::new(released));
    let log = Log::default();
    let write = log.handler();
    let subscription = payments.subscribe(move |event| {
        has_entered.wait();
        // Blocks until the test has dropped the subscription of this very handler.
        released.lock().unwrap().recv().unwrap();
        write(event);
    });
    let caller = thread::spawn({
        let payments = payments.clone();
        move || drop(payments.slot_now().unwrap())
    });
    entered.wait();
    drop(subscription);
    // No lock is held meanwhile, and a new subscription is independent.
    let next = Log::default();
    let _next = payments.subscribe(next.handler());
    assert_eq!(payments.status().in_flight, 1);
    assert!(payments.slot_now().is_err());
    assert!(log.take().is_empty(), "still being delivered");
    assert_eq!(next.take_kinds(), [Saturated]);
    release.send(()).unwrap();
    caller.join().unwrap();
    // The release on that thread came after the end of the subscription.
    assert_eq!(log.take_kinds(), [Admitted]);
    assert_eq!(next.take_kinds(), [Released]);
    assert_eq!(Arc::strong_count(&log.0), 1);
}

#[test]
fn handlers_may_subscribe_and_unsubscribe_while_events_are_delivered() {
    let payments = bulkhead(2, 0);
    let start = Arc::new(Barrier::new(4));
    let log = Log::default();
    let steady = payments.subscribe(log.handler());
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (payments, start) = (payments.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                for _ in 0..2_000 {
                    drop(payments.slot_now().unwrap());
                }
            })
        })
        .chain((0..2).map(|_| {
            let (payments, start) = (payments.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                for _ in 0..500 {
                    let own = Log::default();
                    let since = payments.status().sequence;
                    drop(payments.subscribe(own.handler()));
                    assert!(own.take().iter().all(|event| event.sequence > since));
                }
            })
        }))
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    drop(steady);
    assert_eq!(log.take().len(), 2 * 2_000 * 2, "the steady subscriber received every event");
    assert_eq!(payments.status().totals.handler_panics, 0);
}

#[test]
fn a_subscription_outlives_its_bulkhead_and_does_not_keep_it_alive() {
    let payments = bulkhead(1, 0);
    let log = Log::default();
    let subscription = payments.subscribe(log.handler());
    drop(payments);
    assert_eq!(Arc::strong_count(&log.0), 1, "the bulkhead is gone, and its handlers with it");
    drop(subscription);
}

#[test]
fn unsubscribing_frees_a_bulkhead_that_its_handler_held() {
    let payments = bulkhead(1, 0);
    let inner = payments.clone();
    let subscription: Subscription = payments.subscribe(move |_| drop(inner.status()));
    drop(payments);
    drop(subscription);
}
