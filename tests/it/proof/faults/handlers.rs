//! Event handlers that panic when called or dropped.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio_test::{assert_pending, assert_ready_ok, task};

use super::{Switch, drops::PanicsOnDrop, fault};
use crate::support::{assert_nothing_left, bulkhead, checked_status, panics};

#[test]
fn handlers_that_panic_on_every_event_lose_nothing() {
    let payments = bulkhead(1, 2);
    let delivered = Arc::new(AtomicUsize::new(0));
    let count = delivered.clone();
    let failing = payments.subscribe(|_| fault());
    let behind = payments.subscribe(move |_| _ = count.fetch_add(1, Ordering::Relaxed));
    let slot = payments.slot_now().unwrap();
    let mut first = task::spawn(payments.slot());
    let mut second = task::spawn(payments.slot());
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    assert!(payments.slot_now().is_err());
    drop(second);
    drop(slot);
    drop(assert_ready_ok!(first.poll()));
    payments.resize(2).unwrap();
    payments.close();
    let status = checked_status(&payments);
    let delivered = delivered.load(Ordering::Relaxed) as u64;
    assert_eq!(
        (status.totals.handler_panics, delivered),
        (delivered, 11),
        "each event failed once"
    );
    drop((failing, behind));
    assert_nothing_left(&payments);
}

#[test]
fn a_handler_whose_drop_panics_ends_its_own_subscription_and_nothing_else() {
    let payments = bulkhead(1, 1);
    let (armed, delivered) = (Switch::default(), Arc::new(AtomicUsize::new(0)));
    let (captured, count) = (PanicsOnDrop(armed.clone()), delivered.clone());
    let failing = payments.subscribe(move |_| _ = &captured);
    let behind = payments.subscribe(move |_| _ = count.fetch_add(1, Ordering::Relaxed));
    drop(payments.slot_now().unwrap());
    armed.set(true);
    let panicked = panics(|| drop(failing));
    let is_dropped = !armed.is_set();
    armed.set(false);
    assert!(is_dropped, "the handler is not dropped with its subscription");
    assert!(!panicked, "the panic reached the caller");
    drop(payments.slot_now().unwrap());
    assert_eq!(delivered.load(Ordering::Relaxed), 4, "the other handler misses events");
    drop(behind);
    assert_nothing_left(&payments);
}
