//! Limits of single keys, and settings of a bulkhead with partitions, that change while it is in use.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bulklink::{
    Bulkhead, HeaderKey, PartitionLimits, PartitionedBulkhead, PartitionedBulkheadLayer,
    PartitionedChange, Rejection, RejectionReason, ResizeError,
};
use http::Request;
use tokio::time::advance;
use tokio_test::{assert_ready, task};
use tower::{Layer, ServiceExt};

use crate::support::{
    assert_all_consistent, customers, http_service::shop, ms, rejection_of, slot_of, waiting,
};

/// Capacity and waiting room of the partition of a key.
fn limits(customers: &PartitionedBulkhead<u64>, key: u64) -> Option<(usize, usize)> {
    let status = customers.partition_status(&key)?;
    Some((status.capacity, status.waiting_room))
}

#[test]
fn limits_set_for_one_key_survive_a_flood_of_others() {
    let customers = customers(1, 0, 100);
    customers.set_limits(&7, PartitionLimits::new(20).waiting_room(100)).unwrap();
    assert_eq!((customers.status().overrides, customers.status().partitions), (1, 0));
    drop(customers.slot_now(&7).unwrap());
    for key in 1_000..101_000 {
        drop(customers.slot_now(&key).unwrap());
    }
    assert_eq!(limits(&customers, 7), None, "it was evicted");
    let slots: Vec<_> = (0..20).map(|_| customers.slot_now(&7).unwrap()).collect();
    assert_eq!(limits(&customers, 7), Some((20, 100)));
    assert!(customers.slot_now(&7).is_err());
    drop(slots);
    assert!(customers.clear_limits(&7));
    assert_eq!((limits(&customers, 7), customers.status().overrides), (Some((1, 0)), 0));
}

#[test]
fn limits_of_a_partition_in_use_change_at_once_and_admit_its_waiters() {
    let customers = customers(1, 3, 10);
    let slot = customers.slot_now(&1).unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| waiting(customers.slot(&1))).collect();
    customers.set_limits(&1, PartitionLimits::new(3).waiting_room(0)).unwrap();
    assert!(waiters[0].is_woken() && waiters[1].is_woken() && !waiters[2].is_woken());
    let slots = (slot_of(&mut waiters[0]), slot_of(&mut waiters[1]));
    // The room is full, and nobody was thrown out.
    assert!(assert_ready!(task::spawn(customers.slot(&1)).poll()).is_err());
    drop(slot);
    drop((slots, slot_of(&mut waiters[2])));
    assert_all_consistent(&customers.status());
}

#[tokio::test]
async fn a_refused_key_is_rejected_and_retains_nothing() {
    let customers = customers(1, 1, 10);
    let slot = customers.slot_now(&1).unwrap();
    let mut waiter = waiting(customers.slot(&1));
    customers.set_limits(&1, PartitionLimits::refused()).unwrap();
    customers.set_limits(&2, PartitionLimits::refused()).unwrap();
    for key in [1, 2] {
        let rejection = customers.slot_now(&key).unwrap_err();
        assert_eq!(*rejection.reason(), RejectionReason::KeyRefused);
        assert_eq!((rejection.status().as_u16(), rejection.grpc_code()), (403, 7));
        assert_eq!((rejection.retry_after(), rejection.to_string().contains('1')), (None, false));
    }
    assert_eq!((customers.status().partitions, customers.status().totals.key_refused), (1, 2));
    // Whoever was in line is served.
    drop(slot);
    drop(slot_of(&mut waiter));
    assert!(customers.slot_now(&1).is_err());
    customers.discard(&1);
    assert!(customers.slot_now(&1).is_err());
    assert_eq!((customers.status().partitions, customers.status().totals.key_refused), (0, 4));
    assert!(customers.clear_limits(&1) && customers.slot_now(&1).is_ok());

    let names = PartitionedBulkhead::<String>::builder("names").parallelism(1).max_partitions(9);
    let names = names.limits_for(|name| match &**name {
        "mallory" => PartitionLimits::refused(),
        _ => PartitionLimits::new(2),
    });
    let names = names.build().unwrap();
    let layer = PartitionedBulkheadLayer::new(&names, HeaderKey::new("x-customer"));
    let request = Request::builder().header("x-customer", "mallory").body(()).unwrap();
    let Ok(response) = layer.layer(shop()).oneshot(request).await;
    assert_eq!(response.status(), 403);
    assert!(response.extensions().get::<Rejection>().is_some());
    assert_eq!(names.status().totals.key_refused, 1);
}

#[test]
fn limits_for_is_asked_again_for_what_is_retained() {
    let plan = Arc::new(AtomicUsize::new(2));
    let (panics, chosen) = (Arc::new(AtomicBool::new(false)), plan.clone());
    let fails = panics.clone();
    let builder = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = builder.max_partitions(1_000).limits_for(move |&key| {
        if key == 5 && fails.load(Ordering::SeqCst) {
            std::panic::resume_unwind(Box::new(()));
        }
        match chosen.load(Ordering::SeqCst) {
            0 if key % 2 == 0 => PartitionLimits::refused(),
            0 => PartitionLimits::new(0),
            plan => PartitionLimits::new(plan).waiting_room(key as usize),
        }
    });
    let customers = customers.build().unwrap();
    drop((0..300).map(|key| customers.slot_now(&key).unwrap()).collect::<Vec<_>>());
    customers.set_limits(&3, PartitionLimits::new(9)).unwrap();
    assert_eq!(customers.refresh_limits(), 0, "nothing has changed");
    plan.store(4, Ordering::SeqCst);
    panics.store(true, Ordering::SeqCst);
    assert_eq!(customers.refresh_limits(), 298);
    assert_eq!(limits(&customers, 8), Some((4, 8)));
    assert_eq!(limits(&customers, 3), Some((9, 0)), "what was set goes first");
    assert_eq!(limits(&customers, 5), Some((2, 5)), "it keeps its own where the function panics");
    plan.store(0, Ordering::SeqCst);
    assert_eq!(customers.refresh_limits(), 150);
    assert_eq!(*customers.slot_now(&8).unwrap_err().reason(), RejectionReason::KeyRefused);
    assert!(customers.slot_now(&9).is_ok(), "it keeps its own where they are invalid");
    plan.store(4, Ordering::SeqCst);
    assert_eq!(customers.refresh_limits(), 150);
    assert!(customers.slot_now(&8).is_ok());
    // Usual limits are nobody's here.
    customers.reconfigure(PartitionedChange::new().parallelism(7)).unwrap();
    assert_eq!((customers.parallelism(), limits(&customers, 8)), (7, Some((4, 8))));
}

#[tokio::test(start_paused = true)]
async fn usual_limits_reach_those_who_have_them_and_those_who_come() {
    let customers = customers(1, 1, 1_000);
    let slots: Vec<_> = (0..300).map(|key| customers.slot_now(&key).unwrap()).collect();
    customers.set_limits(&1, PartitionLimits::new(1)).unwrap();
    customers.resize_partition(&2, 1).unwrap();
    let mut waiter = waiting(customers.slot(&0));
    let change = PartitionedChange::new().parallelism(2).waiting_room(5).wait_limit(ms(30));
    customers.reconfigure(change).unwrap();
    let status = customers.status();
    assert_eq!((status.parallelism, status.waiting_room), (2, 5));
    assert_eq!((status.wait_limit, customers.wait_limit()), (Some(ms(30)), Some(ms(30))));
    assert_eq!(limits(&customers, 299), Some((2, 5)));
    assert_eq!(limits(&customers, 1), Some((1, 0)));
    assert_eq!(limits(&customers, 2), Some((1, 5)), "only its parallelism was set");
    drop(slot_of(&mut waiter));
    let mut waiter = waiting(customers.slot(&2));
    advance(ms(30)).await;
    assert!(matches!(rejection_of(&mut waiter).reason(), RejectionReason::WaitLimit { .. }));
    drop((customers.slot_now(&500).unwrap(), customers.slot_now(&500).unwrap()));
    customers.reconfigure(PartitionedChange::new().no_wait_limit()).unwrap();
    assert_eq!(customers.wait_limit(), None);
    drop(slots);
}

#[test]
fn a_lower_number_of_partitions_evicts_idle_ones_and_admits_no_new_key_until_enough_are_gone() {
    let customers = customers(1, 0, 1_000);
    let mut slots: Vec<_> = (0..10).map(|key| customers.slot_now(&key).unwrap()).collect();
    drop((10..500).map(|key| customers.slot_now(&key).unwrap()).collect::<Vec<_>>());
    customers.reconfigure(PartitionedChange::new().max_partitions(5)).unwrap();
    let status = customers.status();
    assert_eq!((status.partitions, status.evicted, status.max_partitions), (10, 490, 5));
    let limit = RejectionReason::PartitionLimit { max_partitions: 5, active_partitions: 10 };
    assert_eq!(*customers.slot_now(&777).unwrap_err().reason(), limit);
    assert!(customers.slot_now(&3).is_err(), "it is known, and full");
    slots.truncate(5);
    assert!(customers.slot_now(&777).is_err(), "five are still in use");
    slots.truncate(4);
    assert!(customers.slot_now(&777).is_ok());
    assert_eq!(customers.status().partitions, 5);
    customers.reconfigure(PartitionedChange::new().max_partitions(500)).unwrap();
    drop((1_000..1_400).map(|key| customers.slot_now(&key).unwrap()).collect::<Vec<_>>());
    assert_eq!(customers.status().partitions, 405);
}

#[tokio::test(start_paused = true)]
async fn the_idle_timeout_changes_also_from_and_to_forever() {
    let builder = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = builder.max_partitions(10).idle_timeout(Duration::MAX).build().unwrap();
    let timeout = |time| customers.reconfigure(PartitionedChange::new().idle_timeout(time));
    drop(customers.slot_now(&1).unwrap());
    advance(ms(60_000)).await;
    assert_eq!(customers.cleanup_idle(), 0);
    // What was idle for ever so long is idle since now.
    timeout(ms(100)).unwrap();
    advance(ms(99)).await;
    assert_eq!(customers.cleanup_idle(), 0);
    drop(customers.slot_now(&2).unwrap());
    advance(ms(1)).await;
    assert_eq!((customers.cleanup_idle(), customers.partition_status(&1).is_none()), (1, true));
    timeout(ms(300)).unwrap();
    advance(ms(250)).await;
    assert_eq!(customers.cleanup_idle(), 0);
    timeout(ms(200)).unwrap();
    assert_eq!(customers.cleanup_idle(), 1);
    drop(customers.slot_now(&3).unwrap());
    timeout(Duration::MAX).unwrap();
    advance(ms(60_000)).await;
    assert_eq!((customers.cleanup_idle(), customers.idle_timeout()), (0, Duration::MAX));
}

#[test]
fn an_invalid_value_is_an_error_that_names_it_and_changes_nothing() {
    let customers = customers(2, 1, 10);
    let too_many = Bulkhead::MAX_CAPACITY + 1;
    let valid = || PartitionedChange::new().parallelism(9).waiting_room(9).max_partitions(9);
    let cases = [
        (valid().parallelism(0), "parallelism 0 is not allowed, the minimum is 1"),
        (valid().parallelism(too_many), "parallelism 2147483648 exceeds the maximum 2147483647"),
        (valid().waiting_room(too_many), "waiting_room 2147483648 exceeds the maximum 2147483647"),
        (valid().max_partitions(0), "max_partitions 0 is not allowed, the minimum is 1"),
        (valid().wait_limit(ms(0)), "wait_limit 0 is not allowed, it must be greater than 0"),
        (valid().idle_timeout(ms(0)), "idle_timeout 0 is not allowed, it must be greater than 0"),
    ];
    let before = customers.status();
    for (change, text) in cases {
        let error = customers.reconfigure(change).unwrap_err();
        assert_eq!(error.to_string(), format!("bulkhead \"customers\": {text}"));
    }
    let error = customers.set_limits(&1, PartitionLimits::new(0)).unwrap_err();
    assert!(matches!(error, ResizeError::Zero { setting: "parallelism", .. }));
    let limits = PartitionLimits::new(1).waiting_room(too_many);
    let error = customers.set_limits(&1, limits).unwrap_err();
    assert!(matches!(error, ResizeError::TooLarge { setting: "waiting_room", .. }));
    assert_eq!(customers.status(), before);
    customers.set_limits(&1, PartitionLimits::new(5)).unwrap();
    customers.close();
    assert_eq!(customers.status().overrides, 0, "a closed bulkhead holds no keys");
    assert!(matches!(customers.reconfigure(valid()), Err(ResizeError::Closed { .. })));
    let error = customers.set_limits(&1, PartitionLimits::new(5)).unwrap_err();
    assert!(matches!(error, ResizeError::Closed { .. }) && !customers.clear_limits(&1));
}

/// Keys arrive while others change limits: in the end every partition has the limits that were set last.
#[test]
fn of_changes_that_race_the_last_one_prevails_in_every_partition() {
    for _ in 0..50 {
        let customers = customers(1, 0, 1_000);
        let held: Vec<_> = (0..200).map(|key| customers.slot_now(&key).unwrap()).collect();
        std::thread::scope(|scope| {
            for parallelism in [3, 4] {
                let customers = &customers;
                scope.spawn(move || {
                    let change = PartitionedChange::new().parallelism(parallelism);
                    customers.reconfigure(change).unwrap();
                });
            }
            for key in 200..260 {
                drop(customers.slot_now(&key).unwrap());
            }
        });
        let usual = customers.parallelism();
        let wrong = Mutex::new(Vec::new());
        customers.for_each_partition(|&key, status| {
            if status.capacity != usual {
                wrong.lock().unwrap().push(key);
            }
        });
        assert_eq!(wrong.into_inner().unwrap(), Vec::<u64>::new(), "{usual}");
        drop(held);
    }
}

/// A key that asks another thread for a status of its bulkhead when it is dropped: that needs the locks of the bulkhead.
struct Curious(u64);

static ASKED: std::sync::OnceLock<PartitionedBulkhead<Curious>> = std::sync::OnceLock::new();
static REFUSED: AtomicUsize = AtomicUsize::new(0);

impl Clone for Curious {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl PartialEq for Curious {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Curious {}

impl std::hash::Hash for Curious {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let Some(customers) = ASKED.get() else { return };
        let (sender, answer) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(customers.is_paused()));
        if answer.recv_timeout(Duration::from_secs(10)).is_err() {
            REFUSED.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn no_key_is_dropped_under_a_lock() {
    let builder = PartitionedBulkhead::<Curious>::builder("customers").parallelism(1);
    let customers = builder.waiting_room(1).max_partitions(2).build().unwrap();
    ASKED.set(customers.clone()).ok().unwrap();
    let key = Curious(1);
    for parallelism in [1, 2] {
        customers.set_limits(&key, PartitionLimits::new(parallelism)).unwrap();
    }
    assert!(customers.resize_partition(&key, 3).is_err(), "it has no partition");
    let slots = [customers.slot_now(&key).unwrap(), customers.slot_now(&key).unwrap()];
    customers.resize_partition(&key, 3).unwrap();
    customers.refresh_limits();
    assert!(customers.clear_limits(&key) && !customers.clear_limits(&key));
    customers.set_limits(&key, PartitionLimits::new(2).waiting_room(1)).unwrap();
    let waiter = waiting(customers.slot(&key));
    customers.drain();
    customers.set_limits(&key, PartitionLimits::new(2)).unwrap();
    customers.resize_partition(&key, 2).unwrap();
    drop((waiter, slots));
    assert!(customers.set_limits(&key, PartitionLimits::new(2)).is_err());
    assert_eq!(REFUSED.load(Ordering::SeqCst), 0, "a key was dropped under the creation lock");
}
