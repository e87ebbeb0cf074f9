//! Panics in the drop of a waker, a handler or a key while an operation is admitted.

use std::{
    sync::{Arc, Barrier, Mutex},
    thread,
};

use bulklink::{EventKind, PartitionLimits, PartitionedBulkhead, Slot, Subscription};
use tokio_test::{assert_pending, task};

use super::{
    Switch,
    keys::{Key, assert_all_idle, customers},
};
use crate::support::{
    Hook, assert_nothing_left, bulkhead, checked_status, full, panics, poll_with,
};

/// Returns a waker that releases `slot` when it is cloned, and panics when it is dropped.
fn releasing_waker(slot: Arc<Mutex<Option<Slot>>>, armed: Switch) -> std::task::Waker {
    let release = move || drop(slot.lock().unwrap().take());
    Hook::new().on_clone(release).on_drop(move || armed.pass_once()).waker()
}

#[test]
fn an_operation_whose_waker_drops_a_slot_and_panics_loses_no_unit() {
    let (payments, slot) = full(1);
    let armed = Switch::default();
    let waker = releasing_waker(Arc::new(Mutex::new(Some(slot))), armed.clone());
    let mut arriving = Box::pin(payments.slot());
    armed.set(true);
    // Its waker is cloned because it seems to have to wait. Then it is admitted, and the clone is dropped.
    let panicked = panics(|| drop(poll_with(&mut arriving, &waker)));
    armed.set(false);
    drop(arriving);
    assert_eq!(checked_status(&payments).in_flight, 0, "a unit is lost (panicked: {panicked})");
    assert_nothing_left(&payments);
}

#[test]
fn a_waiter_whose_new_waker_drops_a_slot_and_panics_loses_no_unit() {
    let (payments, slot) = full(1);
    let armed = Switch::default();
    let mut waiter = Box::pin(payments.slot());
    assert_pending!(poll_with(&mut waiter, std::task::Waker::noop()));
    let waker = releasing_waker(Arc::new(Mutex::new(Some(slot))), armed.clone());
    armed.set(true);
    let panicked = panics(|| drop(poll_with(&mut waiter, &waker)));
    armed.set(false);
    let drop_panicked = panics(move || drop(waiter));
    assert!(!drop_panicked, "dropping the waiter panics (its poll panicked: {panicked})");
    assert_eq!(checked_status(&payments).in_flight, 0, "a unit is lost");
    assert_nothing_left(&payments);
}

/// Panics when it is dropped.
pub(super) struct PanicsOnDrop(pub(super) Switch);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        self.0.pass_once();
    }
}

#[test]
fn a_handler_that_unsubscribes_itself_and_whose_drop_panics_loses_no_unit() {
    for kind in [EventKind::Admitted, EventKind::Queued, EventKind::Released] {
        let payments = bulkhead(1, 1);
        let armed = Switch::default();
        let own = Arc::new(Mutex::new(None::<Subscription>));
        let captured = PanicsOnDrop(armed.clone());
        let subscription = payments.subscribe({
            let own = own.clone();
            move |event| {
                let _ = &captured;
                if event.kind == kind {
                    // The event being delivered is the last to hold the handler.
                    drop(own.lock().unwrap().take());
                }
            }
        });
        *own.lock().unwrap() = Some(subscription);
        armed.set(true);
        let mut slot = None;
        panics(|| slot = Some(payments.slot_now()));
        let mut waiter = task::spawn(payments.slot());
        panics(|| waiter.poll().is_pending());
        panics(|| drop(slot));
        armed.set(false);
        panics(move || drop(waiter));
        let status = checked_status(&payments);
        assert_eq!((status.in_flight, status.waiting), (0, 0), "a unit is lost in {kind:?}");
        assert_nothing_left(&payments);
    }
}

#[test]
fn an_evicted_key_whose_drop_panics_pins_no_partition() {
    let customers = customers(1);
    let failing = Key::new(1);
    drop(customers.slot_now(&failing).unwrap());
    failing.drop.set(true);
    let newcomer = Key::new(2);
    let mut slot = None;
    panics(|| slot = customers.slot_now(&newcomer).ok());
    failing.drop.set(false);
    drop(slot);
    assert_all_idle(&customers);
}

#[test]
fn a_spare_copy_of_a_key_whose_drop_panics_loses_no_slot() {
    // Two operations that are the first to use a key choose its limits at the same time. The second one
    // has cloned the key in vain.
    let choosing = Barrier::new(2);
    let customers = PartitionedBulkhead::<Key>::builder("customers")
        .parallelism(1)
        .max_partitions(1)
        .limits_for(move |key| {
            if key.number() == 1 {
                choosing.wait();
            }
            PartitionLimits::new(2)
        })
        .build()
        .unwrap();
    let keys = [Key::new(1), Key::new(1)];
    keys.iter().for_each(|key| key.drop.set(true));
    let users: Vec<_> = thread::scope(|scope| {
        let users = keys.each_ref().map(|key| scope.spawn(|| customers.slot_now(key)));
        users.into_iter().map(|user| user.join()).collect()
    });
    let has_failed = keys.each_ref().map(|key| !key.drop.is_set());
    keys.iter().for_each(|key| key.drop.set(false));
    assert_eq!(has_failed.iter().filter(|&&failed| failed).count(), 1, "one copy was dropped");
    let slots: Vec<_> =
        users.into_iter().map(|user| user.expect("the panic reached a caller").unwrap()).collect();
    let status = customers.status();
    assert_eq!((status.created, status.in_flight, status.active_partitions), (1, 2, 1));
    drop(slots);
    assert_all_idle(&customers);
}
