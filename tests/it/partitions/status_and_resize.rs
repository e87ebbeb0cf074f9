//! The status of a partitioned bulkhead and of one partition, and resizing a partition.

use bulklink::{Bulkhead, IntervalError, PartitionLimits, PartitionedBulkhead, ResizeError};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{assert_all_consistent, assert_identities, bulkhead, customers};

#[test]
fn a_status_is_the_sum_of_the_partitions() {
    let customers = customers(2, 3, 10);
    let slots: Vec<_> =
        [1, 1, 2, 2, 3].map(|key| customers.slot_now(&key).unwrap()).into_iter().collect();
    let mut line: Vec<_> = (0..2).map(|_| task::spawn(customers.slot(&1))).collect();
    line.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    assert!(customers.slot_now(&2).is_err());
    drop(customers.slot_now(&4).unwrap());
    let status = customers.status();
    assert_all_consistent(&status);
    assert_eq!((status.partitions, status.active_partitions), (4, 3));
    assert_eq!((status.in_flight, status.waiting), (5, 2));
    assert_eq!((status.totals.admitted, status.totals.queued, status.totals.saturated), (6, 2, 1));
    assert_eq!(
        (status.created, status.peak_partitions, status.totals.partition_limited),
        (4, 4, 0)
    );
    assert_eq!((status.parallelism, status.waiting_room, status.max_partitions), (2, 3, 10));
    assert!(!status.is_closed && !status.is_drained());
    let gauges = customers.gauges();
    assert_eq!((gauges.partitions, gauges.active_partitions, gauges.max_partitions), (4, 3, 10));
    assert!(gauges.total.is_none());
    drop((slots, line));
    assert!(customers.discard(&4));
    assert_eq!((customers.gauges().partitions, customers.gauges().active_partitions), (3, 0));
}

#[test]
fn the_gauges_know_the_capacity_that_all_keys_share() {
    let customers = PartitionedBulkhead::builder("customers").parallelism(2).waiting_room(1);
    let customers =
        customers.max_partitions(10).total_parallelism(3).total_waiting_room(5).build().unwrap();
    let slots: Vec<_> = [1, 1, 2].map(|key| customers.slot_now(&key).unwrap()).into();
    let mut waiter = task::spawn(customers.slot(&3));
    assert_pending!(waiter.poll());
    let total = customers.gauges().total.unwrap();
    assert_eq!((total.in_flight, total.parallelism, total.waiting), (3, 3, 1));
    assert_eq!(Some(total), customers.status().total);
    drop(slots);
}

#[test]
fn statuses_are_numbered_and_form_intervals() {
    let customers = customers(1, 0, 1);
    drop(customers.slot_now(&1).unwrap());
    let first = customers.status();
    drop(customers.slot_now(&2).unwrap());
    drop(customers.slot_now(&2).unwrap());
    let second = customers.status();
    assert!(first.sequence < second.sequence);
    let interval = second.since(&first).unwrap();
    // The partition evicted in between takes no counts with it.
    assert_eq!((interval.totals.admitted, interval.totals.finished), (2, 2));
    assert_eq!((interval.start.created, interval.end.created), (1, 2));
    let error = first.since(&second).unwrap_err();
    assert!(matches!(error, IntervalError::ReverseOrder { .. }), "{error}");
    assert!(error.to_string().contains("\"customers\""));
    let other = crate::support::customers(1, 0, 1).status();
    let error = other.since(&first).unwrap_err();
    assert!(matches!(error, IntervalError::DifferentInstances { .. }), "{error}");
    assert_ne!(other.instance, bulkhead(1, 0).status().instance);
}

#[test]
fn a_partition_has_the_status_of_a_bulkhead() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(2)
        .waiting_room(1)
        .wait_limit(std::time::Duration::from_secs(9))
        .max_partitions(10)
        .build()
        .unwrap();
    assert!(customers.partition_status(&7).is_none(), "reading a status creates none");
    assert_eq!(customers.status().created, 0);
    let _slot = customers.slot_now(&7).unwrap();
    let status = customers.partition_status(&7).unwrap();
    assert_eq!((&*status.label, status.capacity, status.waiting_room), ("customers", 2, 1));
    assert_eq!(status.wait_limit, Some(std::time::Duration::from_secs(9)));
    assert_eq!((status.in_flight, status.used, status.is_closed), (1, 1, false));
    assert_identities(&status);
    let later = customers.partition_status(&7).unwrap();
    assert!(status.sequence < later.sequence && status.instance == later.instance);
    assert_ne!(status.instance, customers.status().instance);
    assert_eq!(later.since(&status).unwrap().totals.admitted, 0);
}

#[test]
fn a_full_partition_does_not_affect_the_others() {
    let customers = customers(1, 1, 10);
    let _busy = customers.slot_now(&1).unwrap();
    let mut waiter = task::spawn(customers.slot(&1));
    assert_pending!(waiter.poll());
    assert!(customers.slot_now(&1).is_err());
    let other = assert_ready_ok!(task::spawn(customers.slot(&2)).poll());
    drop(other);
    assert!(!waiter.is_woken());
}

#[test]
fn resizing_a_partition_affects_no_other_and_admits_its_waiters() {
    let customers = customers(1, 2, 10);
    let _one = customers.slot_now(&1).unwrap();
    let _two = customers.slot_now(&2).unwrap();
    let mut waiter = task::spawn(customers.slot(&1));
    assert_pending!(waiter.poll());
    customers.resize_partition(&1, 2).unwrap();
    assert!(waiter.is_woken());
    let slot = assert_ready_ok!(waiter.poll());
    assert!(customers.slot_now(&2).is_err());
    assert_eq!(customers.partition_status(&1).unwrap().capacity, 2);
    assert_eq!(customers.partition_status(&2).unwrap().capacity, 1);
    assert_eq!(customers.status().parallelism, 1);
    customers.resize_partition(&1, 1).unwrap();
    assert!(customers.partition_status(&1).unwrap().is_over_capacity());
    drop(slot);
    assert!(customers.slot_now(&1).is_err());
}

#[test]
fn a_resized_partition_that_is_created_again_keeps_its_capacity_until_it_is_cleared() {
    let customers = customers(1, 0, 1);
    drop(customers.slot_now(&1).unwrap());
    customers.resize_partition(&1, 5).unwrap();
    assert_eq!(customers.partition_status(&1).unwrap().capacity, 5);
    assert!(customers.discard(&1), "a resize does not keep it in use");
    drop(customers.slot_now(&1).unwrap());
    assert_eq!(customers.partition_status(&1).unwrap().capacity, 5);
    assert_eq!(customers.status().overrides, 1);
    assert!(customers.clear_limits(&1) && !customers.clear_limits(&1));
    assert_eq!(customers.partition_status(&1).unwrap().capacity, 1);
    assert_eq!(customers.status().overrides, 0);
}

#[test]
fn an_invalid_resize_names_the_bulkhead_and_not_the_key() {
    let customers = customers(1, 0, 2);
    let error = customers.resize_partition(&8_765, 5).unwrap_err();
    assert!(matches!(error, ResizeError::NoPartition { .. }));
    assert_eq!(error.to_string(), "bulkhead \"customers\" has no partition for this key");
    assert_eq!(customers.status().created, 0, "a refused resize creates none");
    let _slot = customers.slot_now(&8_765).unwrap();
    let error = customers.resize_partition(&8_765, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bulkhead \"customers\": parallelism 0 is not allowed, the minimum is 1"
    );
    let error = customers.resize_partition(&8_765, Bulkhead::MAX_CAPACITY + 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bulkhead \"customers\": parallelism 2147483648 exceeds the maximum 2147483647"
    );
    assert_eq!(customers.partition_status(&8_765).unwrap().capacity, 1);
    customers.close();
    let error = customers.resize_partition(&8_765, 5).unwrap_err();
    assert_eq!(error.to_string(), "bulkhead \"customers\" is closed");
}

#[test]
fn every_key_has_the_limits_chosen_for_it() {
    let customers = PartitionedBulkhead::<u64>::builder("customers")
        .parallelism(1)
        .waiting_room(5)
        .max_partitions(10)
        .limits_for(|&key| PartitionLimits::new(key as usize).waiting_room(2 * key as usize))
        .build()
        .unwrap();
    for key in 1..5 {
        drop(customers.slot_now(&key).unwrap());
        let status = customers.partition_status(&key).unwrap();
        assert_eq!((status.capacity, status.waiting_room), (key as usize, 2 * key as usize));
    }
    assert_eq!((customers.parallelism(), customers.waiting_room()), (1, 5));
}
