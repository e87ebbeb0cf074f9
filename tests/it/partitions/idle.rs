//! Idle partitions: evicted after the idle timeout, or discarded on request.

use std::time::Duration;

use bulklink::{Deadline, PartitionedBulkhead};
use tokio::time::advance;

use crate::support::{assert_all_consistent, retained};

const TIMEOUT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(1);

fn customers(max: usize) -> PartitionedBulkhead<u64> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(max);
    builder.idle_timeout(TIMEOUT).build().unwrap()
}

fn touch(customers: &PartitionedBulkhead<u64>, key: u64) {
    drop(customers.slot_now(&key).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_partition_idle_for_exactly_the_timeout_is_evicted() {
    let customers = customers(10);
    touch(&customers, 1);
    advance(TIMEOUT - TICK).await;
    assert_eq!(customers.cleanup_idle(), 0);
    advance(TICK).await;
    assert_eq!(customers.cleanup_idle(), 1);
    assert_eq!(customers.cleanup_idle(), 0);
    let status = customers.status();
    assert_eq!((status.partitions, status.evicted, status.discarded), (0, 1, 0));
    assert_eq!(status.totals.finished, 1);
}

#[tokio::test(start_paused = true)]
async fn with_an_unlimited_timeout_only_the_partition_limit_evicts() {
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(3);
    let customers = builder.idle_timeout(Duration::MAX).build().unwrap();
    (0..3).for_each(|key| touch(&customers, key));
    touch(&customers, 0);
    advance(Duration::from_secs(1_000_000_000)).await;
    assert_eq!(customers.cleanup_idle(), 0);
    touch(&customers, 3);
    assert_eq!(retained(&customers, 0..4), [0, 2, 3], "the least recently used made room");
    assert_eq!(customers.status().evicted, 1);
}

#[tokio::test(start_paused = true)]
async fn each_use_restarts_the_idle_time_and_time_in_use_does_not_count() {
    let customers = customers(10);
    touch(&customers, 1);
    let two = customers.slot_now(&2).unwrap();
    advance(TIMEOUT - TICK).await;
    touch(&customers, 1);
    advance(TIMEOUT - TICK).await;
    assert_eq!(customers.cleanup_idle(), 0);
    drop(two);
    advance(TICK).await;
    assert_eq!(customers.cleanup_idle(), 1);
    assert_eq!(retained(&customers, 1..3), [2]);
    advance(TIMEOUT - TICK).await;
    assert_eq!(customers.cleanup_idle(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_removes_exactly_the_overdue_partitions() {
    let customers = customers(200);
    (0..100).for_each(|key| touch(&customers, key));
    let held = customers.slot_now(&50).unwrap();
    advance(TIMEOUT / 2).await;
    (100..150).for_each(|key| touch(&customers, key));
    advance(TIMEOUT / 2).await;
    assert_eq!(customers.cleanup_idle(), 99);
    assert_eq!(retained(&customers, 0..200), [50].into_iter().chain(100..150).collect::<Vec<_>>());
    drop(held);
    assert_all_consistent(&customers.status());
}

#[tokio::test(start_paused = true)]
async fn creating_partitions_removes_overdue_ones() {
    let customers = customers(1_000);
    (0..100).for_each(|key| touch(&customers, key));
    advance(TIMEOUT - TICK).await;
    touch(&customers, 1_000);
    assert_eq!(customers.status().partitions, 101, "none was overdue");
    advance(TICK).await;
    // Using an existing partition creates none, and so removes none.
    touch(&customers, 1_000);
    assert_eq!(customers.status().partitions, 101);
    (2_000..2_100).for_each(|key| touch(&customers, key));
    assert!(retained(&customers, 0..100).is_empty(), "removed by as many creations");
    let status = customers.status();
    assert_eq!((status.partitions, status.evicted), (101, 100));
    assert_eq!(retained(&customers, 1_000..1_001), [1_000]);
    assert_all_consistent(&status);
}

#[tokio::test(start_paused = true)]
async fn an_overdue_partition_that_is_used_before_a_cleanup_is_kept() {
    let customers = customers(10);
    touch(&customers, 1);
    let instance = customers.partition_status(&1).unwrap().instance;
    advance(TIMEOUT * 3).await;
    touch(&customers, 1);
    assert_eq!(customers.partition_status(&1).unwrap().instance, instance);
    assert_eq!(customers.cleanup_idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn overdue_partitions_are_removed_before_a_new_key_needs_their_room() {
    let customers = customers(2);
    touch(&customers, 1);
    touch(&customers, 2);
    advance(TIMEOUT).await;
    touch(&customers, 3);
    assert_eq!(retained(&customers, 1..4), [3]);
    assert_eq!(customers.status().evicted, 2);
}

#[test]
fn discard_removes_an_idle_partition_and_reports_whether_it_did() {
    let customers = customers(10);
    assert!(!customers.discard(&1), "there is none");
    touch(&customers, 1);
    touch(&customers, 2);
    assert!(customers.discard(&1));
    assert_eq!(retained(&customers, 1..3), [2]);
    let slot = customers.slot_now(&2).unwrap();
    assert!(!customers.discard(&2));
    drop(slot);
    assert!(customers.discard(&2));
    let status = customers.status();
    assert_eq!((status.partitions, status.discarded, status.evicted), (0, 2, 0));
    assert_eq!((status.totals.admitted, status.peak_partitions), (3, 2));
    assert_all_consistent(&status);
}

#[tokio::test(start_paused = true)]
async fn a_late_arrival_does_not_renew_the_idle_time() {
    let customers = customers(2);
    touch(&customers, 1);
    advance(TICK).await;
    touch(&customers, 2);
    let late = Deadline::at(tokio::time::Instant::now());
    let rejection = customers.slot_before(late, &1).await.unwrap_err();
    assert_eq!(rejection.reason().name(), "deadline");
    let rejection = customers.slot_within(Duration::ZERO, &1).await.unwrap_err();
    assert_eq!(rejection.reason().name(), "wait_limit");
    let totals = customers.partition_status(&1).unwrap().totals;
    assert_eq!((totals.expired_before_queue, totals.admitted), (2, 1));
    assert_eq!(totals.expired_before_queue_by_deadline, 1);
    // It is still the one that has been idle longest, and overdue when its last use says.
    touch(&customers, 3);
    assert_eq!(retained(&customers, 1..4), [2, 3]);
    advance(TIMEOUT - TICK).await;
    assert!(customers.slot_within(Duration::ZERO, &2).await.is_err());
    advance(TICK).await;
    assert_eq!(customers.cleanup_idle(), 2);
    assert_eq!(customers.status().totals.expired_before_queue, 3);
}
