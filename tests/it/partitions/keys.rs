//! Keys are user code: they may panic, they may call the bulkhead, and they are dropped with their partitions.

use std::{
    cell::Cell,
    hash::{Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicIsize, Ordering::SeqCst},
    },
};

use bulklink::PartitionedBulkhead;
use tokio_test::{assert_pending, task};

use crate::support::{assert_all_consistent, customers};
use crate::support::{must_end, panics};

/// The operation in which a key panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Hash,
    Eq,
    Clone,
    Drop,
}

thread_local! {
    static FAULT: Cell<Fault> = const { Cell::new(Fault::None) };
}

struct Faulty(u64);

fn panic_if(fault: Fault) {
    assert_ne!(FAULT.get(), fault, "on purpose");
}

impl Hash for Faulty {
    fn hash<H: Hasher>(&self, state: &mut H) {
        panic_if(Fault::Hash);
        // All keys have the same hash, so every lookup compares them.
        0u8.hash(state);
    }
}

impl PartialEq for Faulty {
    fn eq(&self, other: &Self) -> bool {
        panic_if(Fault::Eq);
        self.0 == other.0
    }
}

impl Eq for Faulty {}

impl Clone for Faulty {
    fn clone(&self) -> Self {
        panic_if(Fault::Clone);
        Self(self.0)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if !std::thread::panicking() && FAULT.replace(Fault::None) == Fault::Drop {
            panic!("on purpose");
        }
    }
}

fn faulty(max: usize) -> PartitionedBulkhead<Faulty> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(max);
    builder.waiting_room(1).build().unwrap()
}

/// Whether `call` panicked, with this fault in all keys.
fn panics_with<T>(fault: Fault, call: impl FnOnce() -> T) -> bool {
    FAULT.set(fault);
    let panicked = panics(|| drop(call()));
    FAULT.set(Fault::None);
    panicked
}

#[test]
fn a_panic_in_hash_or_eq_affects_that_call_only() {
    for fault in [Fault::Hash, Fault::Eq] {
        let customers = faulty(3);
        let running = customers.slot_now(&Faulty(1)).unwrap();
        drop(customers.slot_now(&Faulty(2)).unwrap());
        assert!(panics_with(fault, || customers.slot_now(&Faulty(1)).map(drop)));
        assert!(panics_with(fault, || customers.slot_now(&Faulty(3)).map(drop)));
        assert!(panics_with(fault, || {
            let key = Faulty(1);
            let _ = task::spawn(customers.slot(&key)).poll();
        }));
        assert!(panics_with(fault, || customers.partition_status(&Faulty(1))));
        assert!(panics_with(fault, || customers.resize_partition(&Faulty(1), 2)));
        assert!(panics_with(fault, || customers.discard(&Faulty(2))));

        let status = customers.status();
        assert_all_consistent(&status);
        assert_eq!((status.partitions, status.in_flight, status.created), (2, 1, 2));
        assert_eq!((status.active_partitions, status.totals.admitted), (1, 2));
        assert!(customers.slot_now(&Faulty(1)).is_err(), "still in use");
        drop(running);
        drop(customers.slot_now(&Faulty(1)).unwrap());
        // These calls neither hash nor compare keys.
        assert!(!panics_with(fault, || customers.cleanup_idle()));
        assert!(!panics_with(fault, || customers.status()));
        for key in 3..10 {
            drop(customers.slot_now(&Faulty(key)).unwrap());
        }
        assert!(customers.discard(&Faulty(9)));
        assert!(!panics_with(fault, || customers.close()));
        assert_eq!(customers.status().partitions, 0);
        assert_all_consistent(&customers.status());
        assert!(task::spawn(customers.wait_closed()).poll().is_ready());
    }
}

#[test]
fn a_panic_in_clone_creates_no_partition() {
    let customers = faulty(1);
    assert!(panics_with(Fault::Clone, || customers.slot_now(&Faulty(1)).map(drop)));
    assert_eq!(customers.status().created, 0);
    drop(customers.slot_now(&Faulty(1)).unwrap());
    // An existing partition needs no clone of the key.
    assert!(!panics_with(Fault::Clone, || customers.slot_now(&Faulty(1)).map(drop)));
    assert_all_consistent(&customers.status());
}

#[test]
fn a_panic_in_the_drop_of_an_evicted_key_leaks_nothing() {
    let customers = faulty(1);
    drop(customers.slot_now(&Faulty(1)).unwrap());
    let key = std::mem::ManuallyDrop::new(Faulty(2));
    // The panic of the evicted key does not affect the newcomer: it is admitted.
    assert!(!panics_with(Fault::Drop, || customers.slot_now(&key).map(drop).unwrap()));
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((status.partitions, status.evicted, status.in_flight), (1, 1, 0));
    assert_eq!(status.active_partitions, 0, "the partition of the newcomer does not stay in use");
    drop(customers.slot_now(&Faulty(3)).unwrap());
    assert_eq!(customers.status().evicted, 2);
}

/// A key that counts its instances.
#[derive(PartialEq, Eq)]
struct Counted(u64);

static COUNTED: AtomicIsize = AtomicIsize::new(0);

impl Counted {
    fn new(number: u64) -> Self {
        COUNTED.fetch_add(1, SeqCst);
        Self(number)
    }
}

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNTED.fetch_sub(1, SeqCst);
    }
}

#[test]
fn a_key_lives_exactly_as_long_as_its_partition() {
    let customers = PartitionedBulkhead::<Counted>::builder("customers")
        .parallelism(1)
        .waiting_room(1)
        .max_partitions(3)
        .build()
        .unwrap();
    let touch = |number| drop(customers.slot_now(&Counted::new(number)).unwrap());
    let held = || COUNTED.load(SeqCst);
    [1, 2, 3, 1, 2, 3].into_iter().for_each(touch);
    assert_eq!(held(), 3, "one for each partition");
    [4, 5].into_iter().for_each(touch);
    assert_eq!(held(), 3, "evicted");
    assert!(customers.discard(&Counted::new(5)));
    assert_eq!(held(), 2, "discarded");
    let key = Counted::new(3);
    let slot = customers.slot_now(&key).unwrap();
    let mut waiter = task::spawn(customers.slot(&key));
    assert_pending!(waiter.poll());
    drop(waiter);
    drop(key);
    let slots = (slot, customers.slot_now(&Counted::new(6)), customers.slot_now(&Counted::new(7)));
    assert!(customers.slot_now(&Counted::new(8)).is_err());
    assert_eq!(held(), 3, "a rejected newcomer leaves nothing behind");
    drop(customers);
    assert_eq!(held(), 0, "slots do not keep the keys of a dropped bulkhead alive");
    drop(slots);
}

/// A key that calls its bulkhead whenever it is cloned or dropped.
#[derive(PartialEq, Eq, Hash)]
struct Reentrant(u64);

static BULKHEAD: OnceLock<PartitionedBulkhead<Reentrant>> = OnceLock::new();

fn call_back() {
    if let Some(customers) = BULKHEAD.get() {
        assert_all_consistent(&customers.status());
        customers.cleanup_idle();
        // These calls create no key.
        assert_eq!(customers.is_closed(), customers.status().is_closed);
    }
}

impl Clone for Reentrant {
    fn clone(&self) -> Self {
        call_back();
        Self(self.0)
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        call_back();
    }
}

#[test]
fn keys_are_cloned_and_dropped_outside_every_lock() {
    must_end(|| {
        let customers = PartitionedBulkhead::<Reentrant>::builder("customers")
            .parallelism(1)
            .max_partitions(2)
            .limits_for(|_| {
                call_back();
                bulklink::PartitionLimits::new(1)
            })
            .build()
            .unwrap();
        BULKHEAD.set(customers.clone()).unwrap();
        for number in 0..10 {
            drop(customers.slot_now(&Reentrant(number)).unwrap());
        }
        assert!(customers.discard(&Reentrant(9)));
        let _one = customers.slot_now(&Reentrant(1)).unwrap();
        let _two = customers.slot_now(&Reentrant(2)).unwrap();
        assert!(customers.slot_now(&Reentrant(3)).is_err());
        customers.close();
        assert!(customers.slot_now(&Reentrant(3)).is_err());
    });
}

#[test]
fn strings_and_arcs_can_be_keys() {
    let by_name = PartitionedBulkhead::<String>::builder("customers")
        .parallelism(1)
        .max_partitions(2)
        .build()
        .unwrap();
    let name = String::from("ann");
    let _slot = by_name.slot_now(&name).unwrap();
    assert!(by_name.slot_now(&"ann".to_owned()).is_err());
    let by_arc = PartitionedBulkhead::<Arc<(u8, Option<&'static str>)>>::builder("customers")
        .parallelism(1)
        .max_partitions(2)
        .build()
        .unwrap();
    let key = Arc::new((1, Some("a")));
    let _slot = by_arc.slot_now(&key).unwrap();
    assert!(by_arc.slot_now(&Arc::new((1, Some("a")))).is_err());
    let by_unit = PartitionedBulkhead::<()>::builder("customers")
        .parallelism(1)
        .max_partitions(1)
        .build()
        .unwrap();
    let _slot = by_unit.slot_now(&()).unwrap();
    assert!(by_unit.slot_now(&()).is_err());
    drop(customers(1, 0, 1));
}
