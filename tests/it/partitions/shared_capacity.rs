//! One capacity that all keys share.

use std::{
    convert::Infallible,
    future::ready,
    sync::atomic::{AtomicU64, Ordering},
    task::{Poll, Waker},
    thread,
    time::Duration,
};

use bulklink::{
    ConfigError, PartitionLimits, PartitionedBulkhead, PartitionedBulkheadLayer, PartitionedChange,
    Rejection, RejectionReason, ResizeError, Slot,
};
use tokio::time::advance;
use tokio_test::task;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Random, advance_unnoticed, ms, poll_with, rejection_of, slot_of, waiting};

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
    // The client has its share of the places: that is its own doing. Whoever finds none at all has done nothing.
    let answer = |rejection: Rejection| {
        let hint = rejection.retry_after().is_some();
        (rejection.status().as_u16(), rejection.grpc_code(), hint)
    };
    assert_eq!(answer(slot(&customers, 2).await.unwrap_err()), (429, 8, true));
    assert_eq!(answer(customers.slot_now(&3).unwrap_err()), (503, 14, true));
    let light = [3, 4, 5, 6].map(|key| waiting(slot(&customers, key)));
    assert_eq!(answer(slot(&customers, 2).await.unwrap_err()), (503, 14, true));
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

#[tokio::test(start_paused = true)]
async fn a_guarantee_comes_first_and_is_lent_while_it_is_not_used() {
    let limits = |&key: &u64| match key {
        1 => PartitionLimits::new(9).waiting_room(9).guaranteed(2),
        _ => PartitionLimits::new(9).waiting_room(9),
    };
    let builder = Customers::builder("customers").parallelism(9).max_partitions(9);
    let builder = builder.total_parallelism(3).total_waiting_room(8).limits_for(limits);
    let customers = builder.build().unwrap();
    let mut flood: Vec<_> = (0..3).map(|_| customers.slot_now(&2).unwrap()).collect();
    let waiters: Vec<_> = (0..4).map(|_| waiting(customers.slot(&2))).collect();
    let others: Vec<_> = [3, 4, 5, 6].map(|key| waiting(slot(&customers, key))).into();
    // The room is full, but not for the guarantee.
    assert!(matches!(rejected(&customers, 7).await, RejectionReason::TotalSaturated { .. }));
    let mut gold: Vec<_> = (0..2).map(|_| waiting(customers.slot(&1))).collect();
    assert!(matches!(
        rejected(&customers, 1).await,
        RejectionReason::TotalSaturated { partition_waiting: 2, .. }
    ));
    assert_eq!(customers.status().total.unwrap().waiting, 10);
    for gold in &mut gold {
        advance(ms(10)).await;
        flood.pop();
        assert!(gold.is_woken(), "before all others");
    }
    let gold = gold.iter_mut().map(slot_of).collect::<Vec<_>>();
    assert!(waiters.iter().all(|waiter| !waiter.is_woken()));
    drop((waiters, others, gold, flood));
    assert_nothing_left(&customers);
}

#[tokio::test]
async fn after_a_pause_seats_go_to_those_whose_turn_it_is() {
    for gold in 0..8 {
        let customers = shared(1, 30);
        let limits = PartitionLimits::new(9).waiting_room(9).guaranteed(1);
        customers.set_limits(&gold, limits).unwrap();
        let before = customers.slot_now(&9).unwrap();
        let mut line: Vec<_> = (0..8).map(|key| (key, waiting(slot(&customers, key)))).collect();
        customers.pause();
        drop(before);
        let rejection = customers.slot_now(&10).unwrap_err();
        assert_eq!(*rejection.reason(), RejectionReason::Paused);
        customers.resume();
        let woken: Vec<_> =
            line.iter().filter(|(_, waiter)| waiter.is_woken()).map(|(key, _)| *key).collect();
        assert_eq!(woken, [gold]);
        customers.pause();
        drop(slot_of(&mut line[gold as usize].1));
        // What was held back is not lost where the pause does not end in a resume.
        customers.drain();
        assert_eq!(customers.status().total.unwrap().in_flight, 1);
        drop(line);
        assert_nothing_left(&customers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_at_its_own_parallelism_keeps_nobody_waiting() {
    let limits = |&key: &u64| PartitionLimits::new(if key == 1 { 1 } else { 9 }).waiting_room(9);
    let builder = Customers::builder("customers").parallelism(9).max_partitions(9);
    let builder = builder.total_parallelism(3).total_waiting_room(99).limits_for(limits);
    let customers = builder.build().unwrap();
    let one = customers.slot_now(&1).unwrap();
    let mut second = waiting(customers.slot(&1));
    advance(ms(50)).await;
    // There are seats, so nobody competes.
    let others = [customers.slot_now(&2).unwrap(), customers.slot_now(&3).unwrap()];
    let total = customers.status().total.unwrap();
    assert_eq!((total.in_flight, total.waiting, total.pressure), (3, 1, ms(0)));
    drop(one);
    let second = slot_of(&mut second);
    drop((second, others));
    assert_nothing_left(&customers);
}

#[tokio::test(start_paused = true)]
async fn a_changed_total_hands_seats_over_or_takes_none_back() {
    let customers = shared(1, 9);
    let first = customers.slot_now(&1).unwrap();
    let mut line: Vec<_> = [2, 3, 4].map(|key| waiting(slot(&customers, key))).into();
    customers.resize_total(3).unwrap();
    let woken: Vec<_> = line.iter().map(|waiter| waiter.is_woken()).collect();
    assert_eq!(woken, [true, true, false]);
    let slots: Vec<_> = line.iter_mut().take(2).map(slot_of).collect();
    customers.resize_total(1).unwrap();
    let total = customers.status().total.unwrap();
    assert_eq!((total.in_flight, total.peak_in_flight), (3, 3));
    drop((first, slots));
    let last = slot_of(&mut line[2]);
    assert!(customers.slot_now(&5).is_err());
    customers.reconfigure(PartitionedChange::new().total_waiting_room(0)).unwrap();
    assert_eq!((customers.total_parallelism(), customers.total_waiting_room()), (Some(1), Some(0)));
    assert!(matches!(
        rejected(&customers, 5).await,
        RejectionReason::TotalSaturated { waiting_room: 0, .. }
    ));
    drop(last);
    assert_nothing_left(&customers);
}

#[tokio::test(start_paused = true)]
async fn changed_limits_of_a_key_hold_at_once() {
    let customers = shared(4, 99);
    let slots: Vec<_> = (0..4).map(|_| customers.slot_now(&1).unwrap()).collect();
    let mut line: Vec<_> = (0..4).map(|_| waiting(customers.slot(&2))).collect();
    let mut other = waiting(customers.slot(&3));
    customers
        .set_limits(&3, PartitionLimits::new(9).waiting_room(9).guaranteed(1).weight(2))
        .unwrap();
    let share = customers.partition_share(&3).unwrap();
    assert_eq!((share.weight, share.guaranteed), (2, 1));
    customers.set_limits(&2, PartitionLimits::new(1).waiting_room(9)).unwrap();
    drop(slots);
    drop(slot_of(&mut other));
    let woken = line.iter().filter(|waiter| waiter.is_woken()).count();
    assert_eq!(woken, 1, "no more than its own parallelism");
    customers.resize_partition(&2, 3).unwrap();
    assert_eq!(line.iter().filter(|waiter| waiter.is_woken()).count(), 3);
    customers.set_limits(&2, PartitionLimits::refused()).unwrap();
    assert!(customers.clear_limits(&2));
    assert!(customers.clear_limits(&3));
    assert_eq!(customers.partition_share(&3).unwrap().weight, 1);
    let slots: Vec<_> = line.iter_mut().map(slot_of).collect();
    drop(slots);
    assert_nothing_left(&customers);
}

#[tokio::test(start_paused = true)]
async fn a_pause_a_drain_and_a_close_hold_for_all_keys() {
    let customers = shared(1, 9);
    let slot = customers.slot_now(&1).unwrap();
    let mut line = [2, 3].map(|key| waiting(self::slot(&customers, key)));
    advance(ms(10)).await;
    customers.pause();
    drop(slot);
    assert!(line.iter().all(|waiter| !waiter.is_woken()));
    advance(ms(10)).await;
    assert_eq!(customers.status().total.unwrap().pressure, ms(10), "nobody could run in the pause");
    customers.resume();
    // The keys are resumed one after the other.
    let first = usize::from(!line[0].is_woken());
    drop(slot_of(&mut line[first]));
    drop(slot_of(&mut line[1 - first]));

    let slot = customers.slot_now(&1).unwrap();
    let mut line = [2, 3].map(|key| waiting(self::slot(&customers, key)));
    customers.drain();
    assert!(customers.is_draining());
    drop(slot);
    drop(slot_of(&mut line[0]));
    drop(slot_of(&mut line[1]));
    assert!(customers.is_closed());
    customers.wait_closed().await;
    assert_nothing_left(&customers);

    let customers = shared(1, 9);
    let slot = customers.slot_now(&1).unwrap();
    let mut line = [2, 3].map(|key| waiting(self::slot(&customers, key)));
    customers.close();
    for waiter in &mut line {
        assert_eq!(*rejection_of(waiter).reason(), RejectionReason::Closed);
    }
    assert_eq!(customers.status().total.unwrap().waiting, 0);
    drop(slot);
    assert_nothing_left(&customers);
}

/// Whoever has used more than the others owes it still when it comes back, unless it is forgiven.
#[tokio::test(start_paused = true)]
async fn going_and_coming_back_forgives_nothing_but_a_discard_does() {
    for is_discarded in [false, true] {
        let builder = Customers::builder("customers").parallelism(1).waiting_room(9);
        let builder = builder.max_partitions(3).total_parallelism(1).total_waiting_room(99);
        let customers = builder.idle_timeout(Duration::MAX).build().unwrap();
        // The first key runs for a second while another one waits.
        let flood = customers.slot_now(&1).unwrap();
        let mut light = waiting(customers.slot(&2));
        advance(ms(1_000)).await;
        drop(flood);
        let light = slot_of(&mut light);
        if is_discarded {
            assert!(customers.discard(&1));
        } else {
            for key in [3, 4] {
                assert!(customers.slot_now(&key).is_err());
            }
            assert!(customers.partition_status(&1).is_none(), "it made room for others");
        }
        let mut back = waiting(customers.slot(&1));
        let mut new = waiting(customers.slot(&5));
        drop(light);
        assert_eq!((back.is_woken(), new.is_woken()), (is_discarded, !is_discarded));
        let (first, last) =
            if is_discarded { (&mut back, &mut new) } else { (&mut new, &mut back) };
        drop(slot_of(first));
        drop(slot_of(last));
        assert_nothing_left(&customers);
    }
}

#[tokio::test]
async fn a_handle_under_backpressure_is_woken_by_a_release_of_another_key() {
    let customers = shared(1, 0);
    let slot = customers.slot_now(&1).unwrap();
    let shop = service_fn(|_: ()| ready(Ok::<_, Infallible>(())));
    let layer = PartitionedBulkheadLayer::fixed(&customers, 2).into_error().backpressure();
    let mut handle = layer.layer(shop);
    let mut poll = task::spawn(handle.ready());
    assert!(poll.poll().is_pending());
    drop(slot);
    assert!(poll.is_woken());
    assert!(poll.poll().is_ready());
    drop(poll);
    drop(handle);
    assert_nothing_left(&customers);
}

#[tokio::test]
async fn the_load_of_a_key_is_infinite_while_the_others_leave_it_neither_a_slot_nor_a_place() {
    let customers = shared(2, 2);
    let shop = || service_fn(|_: ()| ready(Ok::<_, Infallible>(())));
    let load = |key| PartitionedBulkheadLayer::fixed(&customers, key).layer(shop()).load();
    let slots = [1, 1].map(|key| customers.slot_now(&key).unwrap());
    drop(customers.slot_now(&2));
    assert_eq!((load(1), load(2)), (2.0 / 9.0, 0.0));
    let line = [3, 4].map(|key| waiting(slot(&customers, key)));
    assert_eq!((load(1), load(2)), (f64::INFINITY, f64::INFINITY));
    drop(line);
    assert_eq!(load(2), 0.0);
    drop(slots);
    assert_nothing_left(&customers);
}

#[tokio::test(start_paused = true)]
async fn whoever_stands_learns_of_places_that_are_freed_while_others_are_asked() {
    let customers = shared(1, 2);
    let _slot = customers.slot_now(&9).unwrap();
    customers.set_limits(&3, PartitionLimits::new(9).waiting_room(9).weight(4)).unwrap();
    let late: Vec<_> = (0..2).map(|_| waiting(customers.slot_within(ms(10), &3))).collect();
    let shop = || service_fn(|_: ()| ready(Ok::<_, Infallible>(())));
    let layer = |key| PartitionedBulkheadLayer::fixed(&customers, key).into_error().backpressure();
    let mut handles = [1, 2, 3].map(|key| layer(key).layer(shop()));
    let mut polls: Vec<_> = handles.iter_mut().map(|handle| task::spawn(handle.ready())).collect();
    for poll in &mut polls {
        assert!(poll.poll().is_pending());
    }
    advance_unnoticed(ms(10));
    // A section of the first. It takes out those who are late at the last.
    customers.set_limits(&1, PartitionLimits::new(8).waiting_room(9)).unwrap();
    assert!(late.iter().all(|waiter| waiter.is_woken()));
    assert!(polls.iter().all(|poll| poll.is_woken()));
}

#[tokio::test]
async fn a_guarantee_comes_back_with_the_parallelism() {
    let limits = |_: &u64| PartitionLimits::new(8).guaranteed(4);
    let chosen = Customers::builder("customers").limits_for(limits);
    let chosen = chosen.parallelism(8).max_partitions(9).total_parallelism(20);
    let chosen = chosen.total_waiting_room(0).build().unwrap();
    drop(chosen.slot_now(&1).unwrap());
    let set = shared(20, 9);
    drop(set.slot_now(&1).unwrap());
    set.set_limits(&1, limits(&1)).unwrap();
    for customers in [chosen, set] {
        let guaranteed = || customers.partition_share(&1).unwrap().guaranteed;
        assert_eq!(guaranteed(), 4);
        customers.resize_partition(&1, 2).unwrap();
        assert_eq!((guaranteed(), customers.partition_status(&1).unwrap().capacity), (2, 2));
        customers.resize_partition(&1, 8).unwrap();
        assert_eq!((guaranteed(), customers.partition_status(&1).unwrap().capacity), (4, 8));
    }
}

/// An hour in which a key needs nothing gives it no hour later, whether it is remembered or not.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_idle_is_a_newcomer_whether_its_partition_is_retained_or_not() {
    for discards in [false, true] {
        let customers = shared(1, 40);
        drop(customers.slot_now(&1).unwrap());
        // Two others compete for a while.
        let mut held = customers.slot_now(&2).unwrap();
        let mut line: Vec<_> =
            (0..8).map(|number| waiting(slot(&customers, 2 + number % 2))).collect();
        while !line.is_empty() {
            advance(ms(1_000)).await;
            drop(held);
            let next = line.iter().position(|waiter| waiter.is_woken()).unwrap();
            held = slot_of(&mut line.remove(next));
        }
        drop(held);
        if discards {
            assert!(customers.discard(&1));
        }
        // The first comes back, and holds the slot while a newcomer waits.
        let long = customers.slot_now(&1).unwrap();
        let mut newcomer: Vec<_> = (0..3).map(|_| waiting(slot(&customers, 4))).collect();
        advance(ms(3_000)).await;
        let mut first: Vec<_> = (0..3).map(|_| waiting(slot(&customers, 1))).collect();
        let mut held = long;
        // It owes three seconds.
        for waiter in &mut newcomer {
            drop(held);
            assert!(waiter.is_woken(), "discards: {discards}");
            held = slot_of(waiter);
            advance(ms(900)).await;
        }
        drop(held);
        assert!(first.iter_mut().any(|waiter| waiter.is_woken()));
    }
}

/// Whatever many threads do with many keys, the numbers of the whole are those of its parts.
#[test]
fn threads_and_keys_leave_nothing_behind() {
    let customers = shared(3, 20);
    let most = AtomicU64::new(0);
    let running = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (customers, most, running) = (&customers, &most, &running);
            scope.spawn(move || {
                let mut random = Random::new(thread);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
                runtime.unwrap().block_on(async {
                    for _ in 0..5_000 {
                        let key = random.below(6) as u64;
                        let mut waiter = Box::pin(customers.slot(&key));
                        let outcome = match poll_with(&mut waiter, Waker::noop()) {
                            Poll::Ready(outcome) => outcome,
                            // Some leave.
                            Poll::Pending if random.below(3) == 0 => continue,
                            Poll::Pending => waiter.await,
                        };
                        if let Ok(slot) = outcome {
                            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(now, Ordering::SeqCst);
                            if random.below(2) == 0 {
                                tokio::task::yield_now().await;
                            }
                            running.fetch_sub(1, Ordering::SeqCst);
                            drop(slot);
                        }
                        if random.below(50) == 0 {
                            customers.resize_total(2 + random.below(2)).unwrap();
                        }
                    }
                });
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    assert_nothing_left(&customers);
    let status = customers.status();
    let totals = &status.totals;
    assert_eq!(totals.admitted, totals.finished + totals.abandoned);
    assert_eq!(totals.queued, totals.admitted_from_queue + totals.cancelled);
    assert!(status.total.unwrap().peak_in_flight <= 3);
}
