//! A partition in use is neither evicted nor discarded, whatever uses it.

use std::{
    sync::{Arc, Mutex, OnceLock},
    task::Poll,
};

use bulklink::{PartitionedBulkhead, RejectionReason, Slot};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};

use crate::support::{Hook, poll_with};
use crate::support::{assert_all_consistent, assert_panics};

/// A bulkhead for one partition only. Its partition, of key 1, has been used and is idle.
fn customers(parallelism: usize, room: usize) -> PartitionedBulkhead<u64> {
    let customers = crate::support::customers(parallelism, room, 1);
    drop(customers.slot_now(&1).unwrap());
    customers
}

/// Asserts that the partition of key 1, the only one allowed, is in use: nothing removes it.
#[track_caller]
fn assert_kept(customers: &PartitionedBulkhead<u64>) {
    let instance = customers.partition_status(&1).expect("retained").instance;
    assert!(!customers.discard(&1), "discarded in use");
    assert_eq!(customers.cleanup_idle(), 0);
    let rejection = customers.slot_now(&2).unwrap_err();
    assert!(
        matches!(
            rejection.reason(),
            RejectionReason::PartitionLimit { max_partitions: 1, active_partitions: 1, .. }
        ),
        "{rejection}"
    );
    assert_eq!(customers.status().active_partitions, 1);
    assert_eq!(customers.partition_status(&1).expect("retained").instance, instance);
}

#[track_caller]
fn assert_idle(customers: &PartitionedBulkhead<u64>) {
    let status = customers.status();
    assert_eq!((status.partitions, status.active_partitions), (1, 0));
    assert_eq!((status.in_flight, status.waiting), (0, 0));
    assert_all_consistent(&status);
    assert!(customers.discard(&1));
    assert!(!customers.discard(&1), "it is gone");
}

#[test]
fn a_partition_is_kept_by_the_slot_that_created_it() {
    let customers = crate::support::customers(1, 0, 1);
    let slot = customers.slot_now(&1).unwrap();
    assert_kept(&customers);
    drop(slot);
    assert_idle(&customers);
}

#[test]
fn a_partition_is_kept_until_its_last_slot_is_dropped() {
    let customers = customers(2, 0);
    let slots = (customers.slot_now(&1).unwrap(), customers.slot_now(&1).unwrap());
    assert_kept(&customers);
    drop(slots.0);
    assert_kept(&customers);
    drop(slots.1);
    assert_idle(&customers);
}

#[test]
fn a_partition_is_kept_by_a_waiter_after_the_running_work_has_ended() {
    let customers = customers(1, 2);
    let slot = customers.slot_now(&1).unwrap();
    let mut waiter = task::spawn(customers.slot(&1));
    assert_pending!(waiter.poll());
    assert_kept(&customers);
    drop(slot);
    // Admitted, but not polled since.
    assert_kept(&customers);
    let slot = assert_ready_ok!(waiter.poll());
    drop(waiter);
    assert_kept(&customers);
    drop(slot);
    assert_idle(&customers);
}

#[test]
fn a_partition_is_kept_by_a_waiter_until_it_is_dropped() {
    let customers = customers(1, 2);
    let slot = customers.slot_now(&1).unwrap();
    let mut first = task::spawn(customers.slot(&1));
    let mut second = task::spawn(customers.slot(&1));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(second);
    drop(slot);
    assert_kept(&customers);
    drop(first);
    assert_idle(&customers);
    let totals = customers.status().totals;
    assert_eq!((totals.cancelled, totals.abandoned), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_kept_by_a_waiter_that_does_not_know_yet_that_its_limit_has_passed() {
    let customers = customers(1, 2);
    let slot = customers.slot_now(&1).unwrap();
    let limit = std::time::Duration::from_secs(1);
    let mut waiter = task::spawn(customers.slot_within(limit, &1));
    assert_pending!(waiter.poll());
    tokio::time::advance(limit).await;
    drop(slot);
    assert_kept(&customers);
    assert!(matches!(assert_ready_err!(waiter.poll()).reason(), RejectionReason::WaitLimit { .. }));
    drop(waiter);
    assert_idle(&customers);
}

#[test]
fn a_partition_is_kept_by_running_and_by_queued_work() {
    let customers = customers(1, 1);
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let mut running = task::spawn(customers.execute(&1, wait));
    assert_pending!(running.poll());
    assert_kept(&customers);
    let mut queued = task::spawn(customers.execute(&1, async { customers.discard(&1) }));
    assert_pending!(queued.poll());
    done.send(()).unwrap();
    assert_ready_ok!(running.poll()).unwrap();
    drop(running);
    assert_kept(&customers);
    assert!(!assert_ready_ok!(queued.poll()), "discarded while its own work ran");
    drop(queued);
    assert_idle(&customers);
}

#[test]
fn a_partition_is_idle_after_its_work_has_panicked() {
    let customers = customers(1, 1);
    let mut panicking = task::spawn(customers.execute(&1, async { panic!("on purpose") }));
    assert_panics(|| panicking.poll().map(|_: Result<(), _>| ()));
    drop(panicking);
    assert_idle(&customers);
}

#[test]
fn a_future_that_was_never_polled_uses_no_partition() {
    let customers = crate::support::customers(1, 1, 1);
    let unpolled = customers.slot(&1);
    assert_eq!(customers.status().created, 0);
    drop(unpolled);
    drop(customers.slot_now(&1).unwrap());
    let unpolled = customers.execute(&1, async {});
    assert_idle(&customers);
    drop(unpolled);
}

#[test]
fn a_partition_is_kept_by_a_caller_between_its_lookup_and_its_admission() {
    let customers = customers(1, 1);
    let slot: Arc<Mutex<Option<Slot>>> =
        Arc::new(Mutex::new(Some(customers.slot_now(&1).unwrap())));
    let hook_ran = Arc::new(OnceLock::new());
    // The waker of an operation that must wait is cloned after its lookup and before its admission.
    let waker = Hook::new()
        .on_clone({
            let (customers, slot, hook_ran) = (customers.clone(), slot.clone(), hook_ran.clone());
            move || {
                let running = slot.lock().unwrap().take();
                if running.is_some() {
                    drop(running);
                    assert_eq!(customers.status().in_flight, 0, "nothing runs and nothing waits");
                    assert_kept(&customers);
                    hook_ran.set(()).unwrap();
                }
            }
        })
        .waker();
    let mut waiter: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(customers.slot(&1));
    let Poll::Ready(Ok(admitted)) = poll_with(&mut waiter, &waker) else { panic!("not admitted") };
    assert!(hook_ran.get().is_some(), "the waker was cloned");
    assert_kept(&customers);
    drop((admitted, waiter));
    assert_idle(&customers);
}

#[test]
fn a_slot_may_be_dropped_on_another_thread_and_after_the_last_handle() {
    let customers = customers(1, 1);
    let slot = customers.slot_now(&1).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| assert_kept(&customers));
    });
    std::thread::spawn(move || drop(slot)).join().unwrap();
    assert_idle(&customers);
    let slot = customers.slot_now(&1).unwrap();
    let mut waiter = Box::pin(async move { customers.slot(&1).await });
    assert!(task::spawn(waiter.as_mut()).poll().is_pending());
    drop(waiter);
    // The slot is the last reference to the bulkhead.
    drop(slot);
}
