//! Removing bulkheads from a registry: the label is free at once, and the future tells when the last operation has ended.

use bulklink::{
    Bulkhead, BulkheadRegistry, PartitionedBulkhead, RegistryError, RegistryStatus,
    RejectionReason, WeightedBulkhead,
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};

use crate::support::{rejection_of, slot_of, waiting};

type Customers = PartitionedBulkhead<u64>;

fn registry() -> BulkheadRegistry {
    let registry = BulkheadRegistry::new();
    registry.create(WeightedBulkhead::builder("reports").capacity(10).waiting_room(5)).unwrap();
    registry.create(Bulkhead::builder("payments").parallelism(1).waiting_room(5)).unwrap();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1).waiting_room(5);
    registry.create(customers.max_partitions(10)).unwrap();
    registry
}

#[test]
fn a_removed_bulkhead_is_closed_and_its_label_is_free_when_the_call_returns() {
    let registry = registry();
    let payments = registry.get::<Bulkhead>("payments").unwrap();
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    let others: Vec<_> = registry.statuses().iter().map(|one| one.label().to_owned()).collect();
    assert_eq!(others, ["reports", "payments", "customers"]);

    let mut removing = task::spawn(registry.remove(" payments "));
    assert!(payments.is_closed() && !registry.contains("payments"));
    let rejection = rejection_of(&mut waiter);
    assert_eq!(*rejection.reason(), RejectionReason::Closed);
    let replacement =
        registry.create(Bulkhead::builder("payments").parallelism(1).waiting_room(5)).unwrap();
    assert_eq!(registry.labels(), ["reports", "customers", "payments"]);
    // A stale handle tells itself apart from the one that has the label now.
    let stale = payments.slot_now().unwrap_err();
    assert_eq!((stale.label(), stale.instance()), ("payments", payments.status().instance));
    assert_ne!(stale.instance(), replacement.status().instance);
    let _slot = replacement.slot_now().unwrap();
    assert_eq!(replacement.slot_now().unwrap_err().instance(), replacement.status().instance);

    assert_pending!(removing.poll());
    drop(slot);
    assert!(removing.is_woken());
    let RegistryStatus::Bulkhead(last) = assert_ready_ok!(removing.poll()) else {
        panic!("it is plain");
    };
    assert!(last.is_drained() && last.instance == payments.status().instance);
    assert_eq!(last.totals.admitted, 1);
    assert!(!replacement.is_closed());
    assert!(!registry.get::<WeightedBulkhead>("reports").unwrap().is_closed());
    assert!(!registry.get::<Customers>("customers").unwrap().is_closed());
}

#[test]
fn the_future_may_be_dropped_and_an_unknown_label_is_its_error() {
    let registry = registry();
    drop(registry.remove("payments"));
    assert!(!registry.contains("payments"));
    let again = assert_ready!(task::spawn(registry.remove("payments")).poll()).unwrap_err();
    assert!(matches!(again, RegistryError::UnknownLabel { .. }));
    let error = assert_ready!(task::spawn(registry.remove_drained("nobody")).poll()).unwrap_err();
    assert_eq!(error.to_string(), "no bulkhead is registered as \"nobody\"");
}

#[test]
fn one_that_is_removed_drained_serves_its_line() {
    let registry = registry();
    let customers = registry.get::<Customers>("customers").unwrap();
    let slot = customers.slot_now(&1).unwrap();
    let mut waiter = waiting(customers.slot(&1));
    let mut removing = task::spawn(registry.remove_drained("customers"));
    assert_pending!(removing.poll());
    assert!(customers.is_draining());
    assert_eq!(*customers.slot_now(&2).unwrap_err().reason(), RejectionReason::Closed);
    drop(slot);
    let served = slot_of(&mut waiter);
    assert_pending!(removing.poll());
    drop(served);
    assert!(assert_ready_ok!(removing.poll()).is_drained());
}

#[test]
fn the_end_of_the_registry_waits_for_what_was_removed_and_closes_it() {
    for closes in [false, true] {
        let registry = registry();
        let payments = registry.get::<Bulkhead>("payments").unwrap();
        let slot = payments.slot_now().unwrap();
        let mut waiter = waiting(payments.slot());
        drop(registry.remove_drained("payments"));
        // Another one that is drained is forgotten, this one is not.
        drop(registry.remove("reports"));
        drop(registry.remove("nobody"));
        let mut ended = task::spawn(async {
            if closes { registry.close_and_wait().await } else { registry.drain_and_wait().await }
        });
        assert_pending!(ended.poll());
        assert_eq!((registry.is_draining(), registry.is_closed()), (!closes, closes));
        let error = registry.create(Bulkhead::builder("late").parallelism(1)).unwrap_err();
        assert!(matches!(error, RegistryError::Closed { .. }));
        drop(slot);
        if closes {
            assert_eq!(*rejection_of(&mut waiter).reason(), RejectionReason::Closed);
        } else {
            assert_pending!(ended.poll());
            drop(slot_of(&mut waiter));
        }
        drop(waiter);
        assert_ready!(ended.poll());
        assert!(registry.is_closed() && !registry.is_draining());
    }
}

#[test]
fn a_registry_that_drains_serves_every_line_and_a_close_ends_that() {
    let registry = registry();
    let payments = registry.get::<Bulkhead>("payments").unwrap();
    let customers = registry.get::<Customers>("customers").unwrap();
    let slots = (payments.slot_now().unwrap(), customers.slot_now(&1).unwrap());
    let (mut one, mut other) = (waiting(payments.slot()), waiting(customers.slot(&1)));
    registry.drain_all();
    registry.drain_all();
    assert!(registry.is_draining() && payments.is_draining() && customers.is_draining());
    drop(slots.0);
    drop(slot_of(&mut one));
    assert!(payments.is_closed() && registry.is_draining());
    registry.close_all();
    registry.drain_all();
    assert!(registry.is_closed() && !registry.is_draining());
    assert_eq!(*rejection_of(&mut other).reason(), RejectionReason::Closed);
    drop(slots.1);
}

#[test]
fn a_bulkhead_of_any_kind_is_paused_and_resumed_by_its_label() {
    let registry = registry();
    for label in ["payments", "reports", "customers"] {
        registry.pause(label).unwrap();
        assert!(registry.status(label).unwrap().is_paused());
        registry.resume(label).unwrap();
        assert!(!registry.status(label).unwrap().is_paused());
    }
    assert!(matches!(registry.pause("nobody"), Err(RegistryError::UnknownLabel { .. })));
    assert!(matches!(registry.resume("nobody"), Err(RegistryError::UnknownLabel { .. })));
}

#[test]
fn ten_thousand_labels_are_registered_found_and_removed_in_no_time() {
    let registry = BulkheadRegistry::new();
    for number in 0..10_000 {
        registry.create(Bulkhead::builder(format!("b{number}")).parallelism(1)).unwrap();
    }
    for number in (0..10_000).step_by(2) {
        drop(registry.remove(&format!("b{number}")));
    }
    let labels = registry.labels();
    assert_eq!((labels.len(), &*labels[0], &*labels[4_999]), (5_000, "b1", "b9999"));
}
