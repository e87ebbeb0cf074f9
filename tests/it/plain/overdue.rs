//! Waiters that nobody polls: at their limit they are gone from the line.

use std::{
    sync::{Arc, Mutex},
    task::Waker,
    time::Duration,
};

use bulklink::{
    Bulkhead, Deadline, EventKind, PartitionedBulkhead, RejectionReason, WeightedBulkhead,
};
use tokio::{
    runtime::Runtime,
    time::{advance, resume},
};
use tokio_test::{assert_pending, task};

use crate::support::{
    Hook, Log, advance_unnoticed, assert_nothing_left, assert_panics, bulkhead, checked_status,
    customers, in_paused_time, limited, ms, must_end, poll_with, rejection_of, slot_of, waiting,
    weighted,
};

fn has_expired(rejection: &bulklink::Rejection) -> bool {
    matches!(
        rejection.reason(),
        RejectionReason::WaitLimit { .. } | RejectionReason::Deadline { .. }
    )
}

/// Nothing but the alarm touches the bulkhead here: the handler tells what it did.
#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_that_nobody_polls_are_gone_at_their_limits() {
    let payments = limited(2_000, ms(1_000));
    let _slot = payments.slot_now().unwrap();
    let mut waiters: Vec<_> = (0..1_000).map(|_| waiting(payments.slot())).collect();
    // Behind them, with earlier and earlier ends.
    waiters.extend((0..100).map(|n| waiting(payments.slot_within(ms(900 - n)))));
    let log = Log::default();
    let _events = payments.subscribe(log.handler());
    let expired = || log.take_kinds().len();
    advance(ms(800)).await;
    assert_eq!(expired(), 0);
    advance(ms(50)).await;
    assert_eq!(expired(), 50, "limits of 801 to 850 ms");
    advance(ms(50)).await;
    assert_eq!(expired(), 50);
    advance(ms(100)).await;
    let kinds = log.take_kinds();
    assert_eq!(kinds, vec![EventKind::Expired; 1_000]);
    assert!(waiters.iter().all(|waiter| waiter.is_woken()));
    assert_eq!(checked_status(&payments).waiting, 0);
    assert!(waiters.iter_mut().all(|waiter| has_expired(&rejection_of(waiter))));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_by_the_line_too() {
    let payments = bulkhead(1, 3);
    let _slot = payments.slot_now().unwrap();
    let patient = waiting(payments.slot());
    let mut late = waiting(payments.slot_before(Deadline::after(ms(30))));
    let mut later = waiting(payments.slot_before(Deadline::after(ms(40))));
    let log = Log::default();
    let _events = payments.subscribe(log.handler());
    advance(ms(30)).await;
    assert_eq!(log.take_kinds(), [EventKind::Expired]);
    assert!(late.is_woken() && !later.is_woken() && !patient.is_woken());
    advance(ms(10)).await;
    assert!(later.is_woken());
    let waited = |rejection: bulklink::Rejection| match *rejection.reason() {
        RejectionReason::Deadline { waited } => waited,
        ref other => panic!("{other}"),
    };
    // However late they are polled.
    advance(ms(1_000)).await;
    assert_eq!(
        (waited(rejection_of(&mut late)), waited(rejection_of(&mut later))),
        (ms(30), ms(40))
    );
    assert_eq!(checked_status(&payments).waiting, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slot_goes_to_the_next_one_whose_limit_has_not_passed() {
    let payments = bulkhead(1, 9);
    let slot = payments.slot_now().unwrap();
    let mut first = waiting(payments.slot_within(ms(10)));
    let mut second = waiting(payments.slot_within(ms(20)));
    advance(ms(15)).await;
    drop(slot);
    let slot = slot_of(&mut second);
    assert!(has_expired(&rejection_of(&mut first)));
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.expired, totals.admitted_from_queue, totals.cancelled), (1, 1, 0));
    drop(slot);
    assert_nothing_left(&payments);
}

/// The large one at the head of the line kept the small one behind it from the units that were free.
#[tokio::test(start_paused = true)]
async fn whoever_fits_once_the_head_is_gone_is_admitted_without_another_call() {
    let jobs: WeightedBulkhead = weighted(10, 9);
    let _most = jobs.slot_now(6).unwrap();
    let mut large = task::spawn(jobs.slot_within(ms(20), 8));
    let mut small = task::spawn(jobs.slot(4));
    assert_pending!(large.poll());
    assert_pending!(small.poll());
    advance(ms(20)).await;
    assert!(large.is_woken() && small.is_woken());
    assert!(small.poll().is_ready() && large.poll().is_ready());
}

/// Nobody has noticed that the limit of the head has passed when somebody new arrives.
#[tokio::test(start_paused = true)]
async fn whoever_fits_behind_an_overdue_head_comes_before_an_arrival() {
    let jobs: WeightedBulkhead = weighted(10, 9);
    let _most = jobs.slot_now(6).unwrap();
    let mut large = task::spawn(jobs.slot_within(ms(20), 8));
    let mut small = task::spawn(jobs.slot(3));
    assert_pending!(large.poll());
    assert_pending!(small.poll());
    advance_unnoticed(ms(20));
    let last_unit = jobs.slot_now(1).expect("the line is empty by now, and a unit is free");
    assert!(small.is_woken() && large.is_woken());
    assert!(jobs.slot_now(1).is_err());
    let status = jobs.status();
    assert_eq!((status.used, status.totals.expired, status.totals.saturated), (10, 1, 1));
    drop(last_unit);
    assert!(small.poll().is_ready() && large.poll().is_ready());
}

/// The arrival that takes out the only waiter joins the line itself: operations were waiting all the time.
#[tokio::test(start_paused = true)]
async fn pressure_goes_on_from_an_overdue_waiter_to_the_arrival_that_takes_it_out() {
    let payments = limited(9, ms(10));
    let _slot = payments.slot_now().unwrap();
    let mut first = waiting(payments.slot());
    advance_unnoticed(ms(10));
    let second = waiting(payments.slot());
    advance_unnoticed(ms(5));
    drop(second);
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.pressure_time, totals.expired, totals.cancelled), (ms(15), 1, 1));
    assert!(has_expired(&rejection_of(&mut first)));
}

/// The waiter was in the line of another runtime, with a timer there. Here the alarm is to be armed for it.
#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_when_it_is_cloned_leaves_the_alarm_armed() {
    let payments = bulkhead(1, 9);
    let _slot = payments.slot_now().unwrap();
    let ours = waiting(payments.slot_within(ms(100)));
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let other = builder.enable_time().start_paused(true).build().unwrap();
    let mut theirs = Box::pin(payments.slot_within(ms(50)));
    let entered = other.enter();
    assert_pending!(poll_with(&mut theirs, Waker::noop()));
    drop(entered);
    let panicking = Hook::new().on_clone(|| panic!("a waker that cannot be cloned")).waker();
    assert_panics(|| poll_with(&mut theirs, &panicking));
    let log = Log::default();
    let _events = payments.subscribe(log.handler());
    advance(ms(60)).await;
    assert_eq!(log.take_kinds(), [EventKind::Expired]);
    assert!(!ours.is_woken());
    advance(ms(40)).await;
    assert_eq!(log.take_kinds(), [EventKind::Expired]);
    assert!(ours.is_woken());
    other.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn partitions_keep_limits_too() {
    const KEYS: [u64; 2] = [1, 2];
    let customers: PartitionedBulkhead<u64> = customers(1, 5, 10);
    let _slots = [customers.slot_now(&1).unwrap(), customers.slot_now(&2).unwrap()];
    let mut waiters: Vec<_> = (0..6)
        .map(|n| task::spawn(customers.slot_within(ms(10 * (n + 1)), &KEYS[n as usize % 2])))
        .collect();
    waiters.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
    for gone in 1..=6 {
        advance(ms(10)).await;
        let woken = waiters.iter().filter(|waiter| waiter.is_woken()).count();
        assert_eq!(woken, gone, "the line has taken it out");
        assert_eq!(customers.status().waiting, 6 - gone);
    }
    assert_eq!(customers.status().totals.expired, 6);
}

/// A waiter of a runtime that nobody drives, and one of a runtime that is driven.
#[test]
fn each_of_two_runtimes_keeps_the_limits_of_its_waiters() {
    let runtime = |paused| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(paused).build().unwrap()
    };
    let (stuck, driven): (Runtime, Runtime) = (runtime(false), runtime(false));
    let payments = limited(9, ms(5));
    let slot = payments.slot_now().unwrap();
    // The alarm of the line belongs to the runtime that is stuck.
    let join = |runtime: &Runtime| {
        let _entered = runtime.enter();
        waiting(payments.slot())
    };
    let (first, second) = (join(&stuck), join(&driven));
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    let gone = std::sync::Mutex::new(Some(gone));
    let _events = payments.subscribe(move |event| {
        if event.kind == EventKind::Expired {
            gone.lock().unwrap().take().map(|gone| gone.send(()));
        }
    });
    driven.block_on(is_gone).unwrap();
    assert!(second.is_woken());
    assert_eq!(payments.status().waiting, 0, "whoever sees the line keeps the limits");
    assert!(first.is_woken());
    drop((first, second, slot));
    assert_nothing_left(&payments);
}

/// Without an alarm, the next arrival, release, status or poll keeps the limit.
#[test]
fn after_the_end_of_its_runtime_whoever_comes_next_keeps_the_limit() {
    let looks: [fn(&Bulkhead); 4] = [
        |payments| drop(payments.slot_now().unwrap_err()),
        |payments| drop(payments.status()),
        |payments| assert!(payments.resize(1).is_ok()),
        |payments| drop(payments.capacity_report()),
    ];
    for look in looks {
        let payments = limited(9, Duration::from_millis(2));
        let _slot = payments.slot_now().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let entered = runtime.enter();
        let mut waiter = waiting(payments.slot());
        drop(entered);
        drop(runtime);
        let log = Log::default();
        let _events = payments.subscribe(log.handler());
        let joined = std::time::Instant::now();
        while joined.elapsed() < Duration::from_millis(3) {
            std::hint::spin_loop();
        }
        assert!(log.take().is_empty(), "nobody has come yet");
        look(&payments);
        assert!(log.take_kinds().contains(&EventKind::Expired));
        assert!(has_expired(&rejection_of(&mut waiter)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_does_not_wait_for_a_waiter_that_nobody_polls() {
    let payments = limited(9, ms(50));
    let slot = payments.slot_now().unwrap();
    let mut waiter = waiting(payments.slot());
    let mut drained = task::spawn(payments.drain_and_wait());
    assert_pending!(drained.poll());
    drop(slot);
    // It was admitted: the slot is its own now, polled or not.
    drop(slot_of(&mut waiter));
    assert!(drained.poll().is_ready());

    let payments = limited(9, ms(50));
    let _slot = payments.slot_now().unwrap();
    let _waiter = waiting(payments.slot());
    payments.drain();
    assert!(!payments.is_closed());
    advance(ms(50)).await;
    assert!(payments.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_after_its_limit_has_expired_and_was_not_cancelled() {
    let payments = bulkhead(1, 1);
    let _slot = payments.slot_now().unwrap();
    let waiter = waiting(payments.slot_within(ms(10)));
    advance(ms(10)).await;
    drop(waiter);
    let totals = checked_status(&payments).totals;
    assert_eq!((totals.expired, totals.cancelled, totals.expired_wait_time), (1, 0, ms(10)));
    // Its place is free.
    let _next = waiting(payments.slot());
    resume();
}

/// The runtime has ended, so the status of the partition keeps the limit: for the whole bulkhead.
#[test]
fn the_status_of_a_partition_keeps_its_limits() {
    let customers: PartitionedBulkhead<u64> = customers(1, 5, 10);
    let slot = customers.slot_now(&1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let entered = runtime.enter();
    let mut waiter = task::spawn(customers.slot_within(Duration::from_millis(2), &1));
    assert_pending!(waiter.poll());
    drop(entered);
    drop(runtime);
    customers.drain();
    let joined = std::time::Instant::now();
    while joined.elapsed() < Duration::from_millis(3) {
        std::hint::spin_loop();
    }
    assert!(!customers.is_closed(), "nobody has looked yet");
    assert_eq!(customers.partition_status(&1).unwrap().waiting, 0);
    assert!(customers.is_closed(), "the line is empty");
    let totals = customers.status().totals;
    assert!(totals.expired_wait_time >= Duration::from_millis(2), "{:?}", totals.expired_wait_time);
    assert!(waiter.poll().is_ready());
    drop(slot);
}

/// Its waker does at once what a task might do later: it takes statuses, uses the key, and drops the wait.
#[test]
fn a_status_wakes_whoever_it_takes_out_under_no_lock() {
    must_end(|| {
        in_paused_time(async {
            let customers: PartitionedBulkhead<u64> = customers(1, 5, 10);
            let _slot = customers.slot_now(&1).unwrap();
            let waits = customers.clone();
            let wait = Box::pin(async move { waits.slot_within(ms(10), &1).await });
            let wait = Arc::new(Mutex::new(Some(wait)));
            let (own, calls) = (wait.clone(), customers.clone());
            let waker = Hook::new().on_wake(move || {
                drop(own.lock().unwrap().take());
                assert_eq!(calls.status().waiting, 0);
                assert!(calls.slot_now(&1).is_err());
            });
            let mut polled = wait.lock().unwrap();
            assert_pending!(poll_with(polled.as_mut().unwrap(), &waker.waker()));
            drop(polled);
            advance_unnoticed(ms(10));
            assert_eq!(customers.status().waiting, 0);
            assert!(wait.lock().unwrap().is_none(), "it was woken");
        });
    });
}
