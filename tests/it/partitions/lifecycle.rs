//! Partitions: created on first use, limited in number, kept while in use, evicted in order.

use std::time::Duration;

use bulklink::{PartitionLimits, PartitionedBulkhead, RejectionReason};

use crate::support::customers;

#[test]
fn the_partition_idle_longest_makes_room_for_a_new_key() {
    let customers = customers(1, 2, 3);
    for key in [1, 2, 3, 1] {
        drop(customers.slot_now(&key).unwrap());
    }
    drop(customers.slot_now(&4).unwrap());
    assert!(customers.partition_status(&2).is_none());
    assert!([1, 3, 4].iter().all(|key| customers.partition_status(key).is_some()));
    let status = customers.status();
    assert_eq!((status.partitions, status.created, status.evicted), (3, 4, 1));
    assert_eq!((status.totals.admitted, status.totals.finished), (5, 5));
}

#[test]
fn a_partition_in_use_is_never_evicted() {
    let customers = customers(1, 2, 2);
    let _one = customers.slot_now(&1).unwrap();
    let _two = customers.slot_now(&2).unwrap();
    let rejection = customers.slot_now(&3).unwrap_err();
    assert!(matches!(
        rejection.reason(),
        RejectionReason::PartitionLimit { max_partitions: 2, active_partitions: 2, .. }
    ));
    assert_eq!(customers.status().totals.partition_limited, 1);
}

#[tokio::test(start_paused = true)]
async fn partitions_idle_for_the_timeout_are_cleaned_up() {
    let customers = customers(1, 2, 10);
    drop(customers.slot(&1).await.unwrap());
    tokio::time::advance(Duration::from_secs(299)).await;
    drop(customers.slot(&2).await.unwrap());
    assert_eq!(customers.cleanup_idle(), 0);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(customers.cleanup_idle(), 1);
    assert!(customers.discard(&2) && !customers.discard(&2));
    assert_eq!(customers.status().partitions, 0);
}

#[test]
fn invalid_or_panicking_limits_reject_their_key_and_no_other() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(1)
        .max_partitions(10)
        .limits_for(|key| match key {
            0 => PartitionLimits::new(0),
            1 => panic!("no limits for this one"),
            _ => PartitionLimits::new(2),
        })
        .build()
        .unwrap();
    let rejection = customers.slot_now(&0).unwrap_err();
    assert!(rejection.to_string().contains("limits_for gave parallelism 0"), "{rejection}");
    assert!(customers.slot_now(&1).unwrap_err().to_string().contains("limits_for panicked"));
    let _slots = (customers.slot_now(&2).unwrap(), customers.slot_now(&2).unwrap());
    assert_eq!(customers.status().partitions, 1);
}

#[tokio::test]
async fn closing_rejects_waiters_in_all_partitions_and_waits_for_running_work() {
    let customers = customers(1, 2, 10);
    let slot = customers.slot(&1).await.unwrap();
    let waiter = tokio::spawn({
        let customers = customers.clone();
        async move { customers.slot(&1).await.map(drop) }
    });
    while customers.status().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let mut closing = tokio_test::task::spawn(customers.close_and_wait());
    assert!(closing.poll().is_pending());
    assert_eq!(*waiter.await.unwrap().unwrap_err().reason(), RejectionReason::Closed);
    assert!(customers.slot_now(&2).is_err());
    drop(slot);
    assert!(closing.is_woken() && closing.poll().is_ready());
    let totals = customers.status().totals;
    assert_eq!((totals.closed_before_queue, totals.closed_while_waiting), (1, 1));
}
