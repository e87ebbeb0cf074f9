//! One capacity that all keys share.

use bulklink::{
    ConfigError, PartitionLimits, PartitionedBulkhead, PartitionedChange, Rejection,
    RejectionReason, ResizeError, Slot,
};
use tokio::time::advance;

use crate::support::{ms, rejection_of, slot_of, waiting};

type Customers = PartitionedBulkhead<u64>;

/// Keys with a parallelism and a room of 9 each.
fn shared(total: usize, room: usize) -> Customers {
    let builder = Customers::builder("customers").parallelism(9).waiting_room(9).max_partitions(99);
    builder.total_parallelism(total).total_waiting_room(room).build().unwrap()
}

#[track_caller]
fn assert_nothing_left(customers: &Customers) {
    let total = customers.status().total.unwrap();
    assert_eq!((total.in_flight, total.waiting), (0, 0));
    let status = customers.status();
    assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0));
}

#[tokio::test]
async fn no_more_run_than_all_keys_may_together() {
    let customers = shared(2, 9);
    let one = customers.slot_now(&1).unwrap();
    let two = customers.slot_now(&2).unwrap();
    let rejection = customers.slot_now(&3).unwrap_err();
    assert_eq!(
        *rejection.reason(),
        RejectionReason::TotalSaturated {
            used: 2,
            capacity: 2,
            waiting: 0,
            waiting_room: 9,
            partition_waiting: 0,
            partition_room: 9,
        }
    );
    let mut three = waiting(customers.slot(&3));
    let total = customers.status().total.unwrap();
    assert_eq!((total.in_flight, total.waiting), (2, 1));
    // Of another key: whoever could run gets the slot.
    drop(one);
    let three = slot_of(&mut three);
    drop((two, three));
    let status = customers.status();
    assert_eq!((status.totals.admitted, status.totals.total_saturated), (3, 1));
    let total = status.total.unwrap();
    assert_eq!((total.peak_in_flight, total.peak_waiting), (2, 1));
    assert_nothing_left(&customers);
}

#[tokio::test(start_paused = true)]
async fn keys_that_compete_take_turns_however_many_wait() {
    let customers = shared(1, 99);
    let slot = customers.slot_now(&0).unwrap();
    let mut flood: Vec<_> = (0..9).map(|_| waiting(customers.slot(&1))).collect();
    let mut light = waiting(customers.slot(&2));
    drop(slot);
    // The first of the flood came first. The light one is next.
    let first = slot_of(&mut flood[0]);
    advance(ms(10)).await;
    drop(first);
    assert!(!flood[1].is_woken());
    let second = slot_of(&mut light);
    advance(ms(10)).await;
    drop(second);
    for waiter in &mut flood[1..] {
        advance(ms(10)).await;
        drop(slot_of(waiter));
    }
    assert_nothing_left(&customers);
}

#[tokio::test]
async fn a_bulkhead_without_anybody_waiting_hands_nothing_over() {
    let customers = shared(3, 9);
    let slots: Vec<_> = (0..3).map(|key| customers.slot_now(&key).unwrap()).collect();
    drop(slots);
    assert_nothing_left(&customers);
    assert_eq!(customers.status().total.unwrap().pressure, ms(0));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_leaves_when_its_limit_passes_or_it_is_dropped() {
    let customers = shared(1, 9);
    let slot = customers.slot_now(&1).unwrap();
    let mut late = waiting(customers.slot_within(ms(10), &2));
    let dropped = waiting(customers.slot(&3));
    let mut patient = waiting(customers.slot(&4));
    advance(ms(10)).await;
    assert!(matches!(rejection_of(&mut late).reason(), RejectionReason::WaitLimit { .. }));
    drop(dropped);
    assert_eq!(customers.status().total.unwrap().waiting, 1);
    drop(slot);
    drop(slot_of(&mut patient));
    assert_nothing_left(&customers);
    assert_eq!(customers.status().total.unwrap().pressure, ms(10));
}

#[tokio::test]
async fn a_key_leaves_places_for_others() {
    let customers = shared(1, 8);
    let _slot = customers.slot_now(&1).unwrap();
    let flood: Vec<_> = (0..4).map(|_| waiting(customers.slot(&2))).collect();
    // Half of the room: as many as it leaves free.
    let rejection = rejected(&customers, 2).await;
    assert_eq!(
        rejection.to_string(),
        "saturated in total: 1 of 1 in use and 4 of 8 waiting over all keys, 4 of 4 for this key"
    );
    let light = [3, 4, 5, 6].map(|key| waiting(slot(&customers, key)));
    let full = rejected(&customers, 7).await;
    assert!(matches!(full, RejectionReason::TotalSaturated { waiting: 8, partition_room: 0, .. }));
    drop((flood, light));
}

async fn slot(customers: &Customers, key: u64) -> Result<Slot, Rejection> {
    customers.slot(&key).await
}

async fn rejected(customers: &Customers, key: u64) -> RejectionReason {
    *customers.slot(&key).await.unwrap_err().reason()
}

#[tokio::test]
async fn what_the_settings_must_be() {
    let builder = || Customers::builder("customers").parallelism(9).max_partitions(99);
    let error = |built: Result<Customers, ConfigError>| built.unwrap_err().to_string();
    let without = error(builder().total_waiting_room(5).build());
    assert_eq!(without, "bulkhead \"customers\": total_waiting_room 5 needs a total_parallelism");
    let missing = error(builder().waiting_room(1).total_parallelism(5).build());
    assert_eq!(missing, "bulkhead \"customers\": total_waiting_room is not set");
    let limits_for = builder().limits_for(|_| PartitionLimits::new(1)).total_parallelism(5);
    assert_eq!(error(limits_for.build()), missing);
    let zero = error(builder().total_parallelism(0).build());
    assert_eq!(
        zero,
        "bulkhead \"customers\": total_parallelism 0 is not allowed, it must be greater than 0"
    );
    let above = error(builder().total_parallelism((1 << 20) + 1).build());
    assert_eq!(
        above,
        "bulkhead \"customers\": total_parallelism 1048577 exceeds the maximum 1048576"
    );
    let room = error(builder().total_parallelism(1).total_waiting_room(1 << 31).build());
    assert_eq!(
        room,
        "bulkhead \"customers\": total_waiting_room 2147483648 exceeds the maximum 2147483647"
    );
    let largest = builder().total_parallelism(Customers::MAX_TOTAL_PARALLELISM).build().unwrap();
    assert_eq!(
        (largest.total_parallelism(), largest.total_waiting_room()),
        (Some(1 << 20), Some(0))
    );

    let alone = builder().build().unwrap();
    assert_eq!((alone.total_parallelism(), alone.total_waiting_room()), (None, None));
    assert_eq!(alone.status().total, None);
    let refused = [
        alone.resize_total(5).unwrap_err(),
        alone.reconfigure(PartitionedChange::new().total_waiting_room(5)).unwrap_err(),
        alone.set_limits(&1, PartitionLimits::new(5).weight(5)).unwrap_err(),
        alone.set_limits(&1, PartitionLimits::new(5).guaranteed(5)).unwrap_err(),
    ];
    let settings = ["total_parallelism", "total_waiting_room", "weight", "guaranteed"];
    for (error, name) in refused.iter().zip(settings) {
        assert!(
            matches!(error, ResizeError::WithoutTotal { setting, value: 5, .. } if *setting == name)
        );
    }

    let customers = shared(2, 9);
    let error = |limits| customers.set_limits(&1, limits).unwrap_err().to_string();
    let limits = || PartitionLimits::new(5);
    assert_eq!(
        error(limits().weight(0)),
        "bulkhead \"customers\": weight 0 is not allowed, the minimum is 1"
    );
    assert_eq!(
        error(limits().weight(65)),
        "bulkhead \"customers\": weight 65 exceeds the maximum 64"
    );
    assert_eq!(
        error(limits().guaranteed(6)),
        "bulkhead \"customers\": guaranteed 6 exceeds the maximum 5"
    );
    assert!(matches!(customers.resize_total(0), Err(ResizeError::Zero { .. })));
    assert!(matches!(
        customers.resize_total(1 << 21),
        Err(ResizeError::TooLarge { maximum: 1_048_576, .. })
    ));
    let unlimited = |limits: PartitionLimits, total: bool| {
        let builder = builder().limits_for(move |_| limits);
        let builder =
            if total { builder.total_parallelism(5).total_waiting_room(5) } else { builder };
        *builder.build().unwrap().slot_now(&1).unwrap_err().reason()
    };
    for (limits, total, setting, value) in [
        (limits().weight(0), true, "weight", 0),
        (limits().weight(65), true, "weight", 65),
        (limits().guaranteed(6), true, "guaranteed", 6),
        (limits().weight(2), false, "weight", 2),
        (limits().guaranteed(1), false, "guaranteed", 1),
    ] {
        assert_eq!(unlimited(limits, total), RejectionReason::InvalidLimits { setting, value });
    }
    customers.close();
    assert!(matches!(customers.resize_total(5), Err(ResizeError::Closed { .. })));
}
