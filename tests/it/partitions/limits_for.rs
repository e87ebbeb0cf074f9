//! `limits_for`: what it says of one key is that key's affair, however it says it.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use bulklink::{Bulkhead, PartitionLimits, PartitionedBulkhead, RejectionReason};

use crate::support::must_end;
use crate::support::{assert_all_consistent, retained};

fn choosing(
    limits_for: impl Fn(&u64) -> PartitionLimits + Send + Sync + 'static,
) -> PartitionedBulkhead<u64> {
    PartitionedBulkhead::builder("customers")
        .parallelism(1)
        .max_partitions(4)
        .limits_for(limits_for)
        .build()
        .unwrap()
}

#[tokio::test]
async fn invalid_limits_are_a_rejection_that_names_them() {
    let customers = choosing(|&key| match key {
        0 => PartitionLimits::new(0),
        1 => PartitionLimits::new(Bulkhead::MAX_CAPACITY + 1),
        2 => PartitionLimits::new(1).waiting_room(usize::MAX),
        3 => PartitionLimits::new((1 << 32) + 1),
        _ => PartitionLimits::new(Bulkhead::MAX_CAPACITY).waiting_room(Bulkhead::MAX_CAPACITY),
    });
    let cases = [
        (0, "parallelism", 0),
        (1, "parallelism", Bulkhead::MAX_CAPACITY + 1),
        (2, "waiting_room", usize::MAX),
        (3, "parallelism", (1 << 32) + 1),
    ];
    for (key, name, wrong) in cases {
        for rejection in
            [customers.slot_now(&key).unwrap_err(), customers.slot(&key).await.unwrap_err()]
        {
            assert!(
                matches!(rejection.reason(), RejectionReason::InvalidLimits { setting, value, .. }
                    if *setting == name && *value == wrong),
                "{rejection}"
            );
            assert!(rejection.to_string().contains(&format!("limits_for gave {name} {wrong}")));
            assert_eq!((rejection.label(), rejection.retry_after()), ("customers", None));
        }
    }
    let _slot = customers.slot_now(&4).unwrap();
    let status = customers.status();
    assert_eq!((status.partitions, status.created, status.limit_rejected), (1, 1, 8));
    assert_eq!(retained(&customers, 0..5), [4]);
    assert_all_consistent(&status);
}

#[tokio::test]
async fn a_panic_in_limits_for_is_a_rejection_and_the_next_call_may_succeed() {
    let calls = AtomicUsize::new(0);
    let customers = choosing(move |_| {
        assert!(calls.fetch_add(1, SeqCst) >= 2, "on purpose");
        PartitionLimits::new(3)
    });
    for rejection in [customers.slot_now(&1).unwrap_err(), customers.slot(&1).await.unwrap_err()] {
        assert_eq!(*rejection.reason(), RejectionReason::LimitsPanicked);
        assert!(rejection.to_string().ends_with("limits_for panicked for a new key"));
    }
    assert_eq!((customers.status().limit_rejected, customers.status().partitions), (2, 0));
    let _slot = customers.slot_now(&1).unwrap();
    assert_eq!(customers.partition_status(&1).unwrap().capacity, 3);
}

#[test]
fn invalid_limits_evict_no_partition() {
    let customers = choosing(|&key| PartitionLimits::new(if key < 4 { 1 } else { 0 }));
    (0..4).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    assert!(customers.slot_now(&9).is_err());
    assert_eq!(retained(&customers, 0..10), [0, 1, 2, 3]);
    assert_eq!(customers.status().evicted, 0);
}

#[test]
fn a_slow_limits_for_does_not_delay_other_keys() {
    must_end(|| {
        let (inside, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (held, held_go) = (inside.clone(), go.clone());
        let customers = choosing(move |&key| {
            if key == 1 {
                held.wait();
                held_go.wait();
            }
            PartitionLimits::new(1)
        });
        let slow = thread::spawn({
            let customers = customers.clone();
            move || customers.slot_now(&1).unwrap()
        });
        inside.wait();
        // Everything goes on: known keys, new keys, evictions, statuses.
        for key in 2..40 {
            let slot = customers.slot_now(&key).unwrap();
            assert!(customers.slot_now(&key).is_err());
            drop(slot);
            drop(customers.slot_now(&key).unwrap());
        }
        let status = customers.status();
        assert_eq!((status.created, status.evicted, status.partitions), (38, 34, 4));
        assert!(customers.discard(&39));
        customers.cleanup_idle();
        customers.resize_partition(&38, 2).unwrap();
        assert!(customers.partition_status(&1).is_none());
        go.wait();
        drop(slow.join().unwrap());
        assert_eq!(customers.status().created, 39);
    });
}

#[test]
fn two_first_users_of_one_key_share_one_partition() {
    for parallelism in [1, 2] {
        let both = Arc::new(Barrier::new(2));
        let (met, asked) = (both.clone(), Arc::new(AtomicUsize::new(0)));
        let calls = asked.clone();
        let customers = choosing(move |_| {
            calls.fetch_add(1, SeqCst);
            met.wait();
            PartitionLimits::new(parallelism)
        });
        let users: Vec<_> = (0..2)
            .map(|_| {
                let customers = customers.clone();
                thread::spawn(move || customers.slot_now(&7))
            })
            .collect();
        let slots: Vec<_> = users.into_iter().map(|user| user.join().unwrap()).collect();
        assert_eq!(asked.load(SeqCst), 2, "both found the key new");
        let status = customers.status();
        assert_eq!((status.created, status.partitions), (1, 1));
        assert_eq!(slots.iter().filter(|slot| slot.is_ok()).count(), parallelism);
        assert_eq!(customers.partition_status(&7).unwrap().in_flight, parallelism);
        assert_eq!(status.totals.saturated as usize, 2 - parallelism);
        assert_all_consistent(&status);
    }
}

#[test]
fn invalid_limits_are_ignored_if_another_caller_has_created_the_partition() {
    let both = Arc::new(Barrier::new(2));
    let (met, asked) = (both.clone(), AtomicUsize::new(0));
    let made = Arc::new(Barrier::new(2));
    let held = made.clone();
    let customers = choosing(move |_| {
        let number = asked.fetch_add(1, SeqCst);
        met.wait();
        if number == 0 {
            return PartitionLimits::new(2);
        }
        held.wait();
        PartitionLimits::new(0)
    });
    let users: Vec<_> = (0..2)
        .map(|_| {
            let (customers, made) = (customers.clone(), made.clone());
            thread::spawn(move || {
                let slot = customers.slot_now(&7).unwrap();
                if customers.partition_status(&7).unwrap().totals.admitted == 1 {
                    made.wait();
                }
                slot
            })
        })
        .collect();
    let slots: Vec<_> = users.into_iter().map(|user| user.join().unwrap()).collect();
    assert_eq!((slots.len(), customers.status().created), (2, 1));
    assert_eq!(customers.status().limit_rejected, 0);
}

#[test]
fn limits_for_runs_for_new_keys_only_and_may_use_the_bulkhead() {
    let asked = Arc::new(AtomicUsize::new(0));
    let own = Arc::new(std::sync::OnceLock::<PartitionedBulkhead<u64>>::new());
    let (calls, inner) = (asked.clone(), own.clone());
    let customers = choosing(move |&key| {
        calls.fetch_add(1, SeqCst);
        let customers = inner.get().unwrap();
        let _ = customers.status();
        if key < 3 {
            drop(customers.slot_now(&(key + 1)).unwrap());
        }
        PartitionLimits::new(1)
    });
    own.set(customers.clone()).unwrap();
    drop(customers.slot_now(&1).unwrap());
    assert_eq!((asked.load(SeqCst), retained(&customers, 0..9)), (3, vec![1, 2, 3]));
    drop(customers.slot_now(&1).unwrap());
    assert_eq!(asked.load(SeqCst), 3);
}
