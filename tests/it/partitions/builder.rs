//! What the builder of a partitioned bulkhead accepts and refuses. An error names the setting and the value.

use std::time::Duration;

use bulklink::{Bulkhead, PartitionedBulkhead, PartitionedBulkheadBuilder};

const TOO_LARGE: usize = Bulkhead::MAX_CAPACITY + 1;

fn customers() -> PartitionedBulkheadBuilder<u64> {
    PartitionedBulkhead::builder("customers").parallelism(3).max_partitions(10)
}

#[test]
fn a_partitioned_builder_names_an_invalid_setting() {
    let message =
        |builder: PartitionedBulkheadBuilder<u64>| builder.build().err().unwrap().to_string();
    let bare = || PartitionedBulkhead::<u64>::builder(" customers ");
    let zero = |setting: &str| {
        format!("bulkhead \"customers\": {setting} 0 is not allowed, it must be greater than 0")
    };
    let too_large = |setting: &str| {
        format!("bulkhead \"customers\": {setting} 2147483648 exceeds the maximum 2147483647")
    };
    assert_eq!(message(bare().max_partitions(1)), "bulkhead \"customers\": parallelism is not set");
    assert_eq!(message(bare().parallelism(1)), "bulkhead \"customers\": max_partitions is not set");
    assert_eq!(message(customers().parallelism(0)), zero("parallelism"));
    assert_eq!(message(customers().max_partitions(0)), zero("max_partitions"));
    assert_eq!(message(customers().idle_timeout(Duration::ZERO)), zero("idle_timeout"));
    assert_eq!(message(customers().wait_limit(Duration::ZERO)), zero("wait_limit"));
    assert_eq!(message(customers().parallelism(TOO_LARGE)), too_large("parallelism"));
    assert_eq!(message(customers().max_partitions(TOO_LARGE)), too_large("max_partitions"));
    assert_eq!(message(customers().waiting_room(TOO_LARGE)), too_large("waiting_room"));
    let unnamed = PartitionedBulkhead::<u64>::builder("  ").parallelism(1).max_partitions(1);
    assert_eq!(message(unnamed), "label \"\" is empty");
}

#[test]
fn a_partitioned_builder_accepts_valid_settings() {
    let customers = PartitionedBulkhead::<String>::builder(" customers ")
        .parallelism(Bulkhead::MAX_CAPACITY)
        .waiting_room(Bulkhead::MAX_CAPACITY)
        .max_partitions(Bulkhead::MAX_CAPACITY)
        .wait_limit(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .build()
        .unwrap();
    assert_eq!((customers.label(), customers.is_closed()), ("customers", false));
    assert_eq!(customers.parallelism(), Bulkhead::MAX_CAPACITY);
    assert_eq!(customers.waiting_room(), Bulkhead::MAX_CAPACITY);
    assert_eq!(customers.max_partitions(), Bulkhead::MAX_CAPACITY);
    assert_eq!(customers.wait_limit(), Some(Duration::MAX));
    assert_eq!(customers.idle_timeout(), Duration::MAX);
    drop(customers.slot_now(&"ann".to_owned()).unwrap());
    assert_eq!(customers.cleanup_idle(), 0);
}

#[test]
fn a_partitioned_builder_has_defaults() {
    let customers = customers().build().unwrap();
    assert_eq!(customers.idle_timeout(), Duration::from_secs(300));
    assert_eq!((customers.waiting_room(), customers.wait_limit()), (0, None));
    let status = customers.status();
    assert_eq!((status.parallelism, status.max_partitions, status.partitions), (3, 10, 0));
    assert_eq!((status.idle_timeout, status.wait_limit), (customers.idle_timeout(), None));
    assert_eq!((&*status.label, status.created, status.is_closed), ("customers", 0, false));
    assert!(!status.totals.has_activity());
}
