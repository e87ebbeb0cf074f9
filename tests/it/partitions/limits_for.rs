//! `limits_for`: whatever it returns for one key, and however it returns, affects that key alone.

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

fn with_limits_for(
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
async fn invalid_limits_cause_a_rejection_that_names_them() {
    let customers = with_limits_for(|&key| match key {
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
    assert_eq!((status.partitions, status.created, status.totals.invalid_limits), (1, 1, 8));
    assert_eq!(retained(&customers, 0..5), [4]);
    assert_all_consistent(&status);
}

#[tokio::test]
async fn a_panic_in_limits_for_causes_a_rejection_and_the_next_call_may_succeed() {
    let calls = AtomicUsize::new(0);
    let customers = with_limits_for(move |_| {
        assert!(calls.fetch_add(1, SeqCst) >= 2, "on purpose");
        PartitionLimits::new(3)
    });
    for rejection in [customers.slot_now(&1).unwrap_err(), customers.slot(&1).await.unwrap_err()] {
        assert_eq!(*rejection.reason(), RejectionReason::LimitsPanicked);
        assert!(rejection.to_string().ends_with("limits_for panicked for a new key"));
    }
    assert_eq!((customers.status().totals.invalid_limits, customers.status().partitions), (2, 0));
    let _slot = customers.slot_now(&1).unwrap();
    assert_eq!(customers.partition_status(&1).unwrap().capacity, 3);
}

#[test]
fn invalid_limits_evict_no_partition() {
    let customers = with_limits_for(|&key| PartitionLimits::new(if key < 4 { 1 } else { 0 }));
    (0..4).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    assert!(customers.slot_now(&9).is_err());
    assert_eq!(retained(&customers, 0..10), [0, 1, 2, 3]);
    assert_eq!(customers.status().evicted, 0);
}

#[test]
fn a_slow_limits_for_does_not_delay_other_keys() {
    must_end(|| {
        let (entered, resume) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (has_entered, may_resume) = (entered.clone(), resume.clone());
        let customers = with_limits_for(move |&key| {
            if key == 1 {
                has_entered.wait();
                may_resume.wait();
            }
            PartitionLimits::new(1)
        });
        let slow = thread::spawn({
            let customers = customers.clone();
            move || customers.slot_now(&1).unwrap()
        });
        entered.wait();
        // Everything else continues: known keys, new keys, evictions, statuses.
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
        resume.wait();
        drop(slow.join().unwrap());
        assert_eq!(customers.status().created, 39);
    });
}

#[test]
fn two_simultaneous_first_users_of_one_key_share_one_partition() {
    for parallelism in [1, 2] {
        let both = Arc::new(Barrier::new(2));
        let (both_inside, calls) = (both.clone(), Arc::new(AtomicUsize::new(0)));
        let counter = calls.clone();
        let customers = with_limits_for(move |_| {
            counter.fetch_add(1, SeqCst);
            both_inside.wait();
            PartitionLimits::new(parallelism)
        });
        let users: Vec<_> = (0..2)
            .map(|_| {
                let customers = customers.clone();
                thread::spawn(move || customers.slot_now(&7))
            })
            .collect();
        let slots: Vec<_> = users.into_iter().map(|user| user.join().unwrap()).collect();
        assert_eq!(calls.load(SeqCst), 2, "both found the key missing");
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
    let (both_inside, calls) = (both.clone(), AtomicUsize::new(0));
    let created = Arc::new(Barrier::new(2));
    let is_created = created.clone();
    let customers = with_limits_for(move |_| {
        let number = calls.fetch_add(1, SeqCst);
        both_inside.wait();
        if number == 0 {
            return PartitionLimits::new(2);
        }
        is_created.wait();
        PartitionLimits::new(0)
    });
    let users: Vec<_> = (0..2)
        .map(|_| {
            let (customers, created) = (customers.clone(), created.clone());
            thread::spawn(move || {
                let slot = customers.slot_now(&7).unwrap();
                if customers.partition_status(&7).unwrap().totals.admitted == 1 {
                    created.wait();
                }
                slot
            })
        })
        .collect();
    let slots: Vec<_> = users.into_iter().map(|user| user.join().unwrap()).collect();
    assert_eq!((slots.len(), customers.status().created), (2, 1));
    assert_eq!(customers.status().totals.invalid_limits, 0);
}

#[test]
fn limits_for_runs_for_new_keys_only_and_may_use_the_bulkhead() {
    let calls = Arc::new(AtomicUsize::new(0));
    let handle = Arc::new(std::sync::OnceLock::<PartitionedBulkhead<u64>>::new());
    let (counter, inner) = (calls.clone(), handle.clone());
    let customers = with_limits_for(move |&key| {
        counter.fetch_add(1, SeqCst);
        let customers = inner.get().unwrap();
        let _ = customers.status();
        if key < 3 {
            drop(customers.slot_now(&(key + 1)).unwrap());
        }
        PartitionLimits::new(1)
    });
    handle.set(customers.clone()).unwrap();
    drop(customers.slot_now(&1).unwrap());
    assert_eq!((calls.load(SeqCst), retained(&customers, 0..9)), (3, vec![1, 2, 3]));
    drop(customers.slot_now(&1).unwrap());
    assert_eq!(calls.load(SeqCst), 3);
}
