//! Slots leak: a handler keeps them in a list, a task hangs without a timeout. One tenth of the capacity is left.
//!
//! The bulkhead sees operations that run. What gives the leak away is that the operations which end do not account for all
//! units in use.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadInterval,
    FindingCode::*,
    Severity::{Critical, Warning},
    Slot,
};
use tokio::time::sleep;

use super::{
    MINUTE, SECOND, callers::Callers, cause, contains, never_advises, number_after, payments,
    registry_of, silent, text,
};
use crate::support::ms;

/// Lets callers arrive until hold times are known. One operation in 64 is timed, and at least one in 127.
async fn run_until_timed(callers: &mut Callers, payments: &Bulkhead) {
    let time = Duration::from_secs_f64(300.0 / callers.rate).max(MINUTE);
    callers.call(payments, time).await;
    assert!(payments.status().holds.timed() > 0);
}

/// Takes slots as soon as they are free, and keeps them.
async fn leak(payments: &Bulkhead, slots: usize) -> Vec<Slot> {
    let mut leaked = Vec::new();
    while leaked.len() < slots {
        match payments.slot().await {
            Ok(slot) => leaked.push(slot),
            Err(_) => sleep(ms(1)).await,
        }
    }
    leaked
}

#[tokio::test(start_paused = true)]
async fn nine_of_ten_leaked_slots_are_found_whatever_the_load() {
    for rate in [1.0, 50.0, 150.0] {
        let payments = payments(10, 20, SECOND);
        let registry = registry_of(&payments);
        let mut callers = Callers::new(rate, ms(100));
        run_until_timed(&mut callers, &payments).await;
        let _leaked = leak(&payments, 9).await;
        callers.call(&payments, SECOND).await;
        let before = registry.snapshot();
        let report = callers.call(&payments, MINUTE).await.capacity_report();
        for report in [&report, &registry.snapshot().since(&before).capacity_reports()[0]] {
            let finding = cause(report, SlotsHeldLong, Critical);
            contains(&finding.message, &["of 10 units have not come back"]);
            // An estimate: how long the others held their slots is known from samples.
            let held = number_after(&finding.message, "about ");
            assert!((8..=9).contains(&held), "{}", finding.message);
            contains(
                &finding.recommendation,
                &["find the operations that hold them", &format!("leave about {} unit", 10 - held)],
            );
            never_advises(
                report,
                &["raise the capacity", "takes longer", "operations to wait", "waiting room"],
            );
        }
    }
}

/// Leaks ten slots of ten one by one, a minute apart, and returns with which of them a leak is found.
async fn found_after(rate: f64) -> Option<usize> {
    let payments = payments(10, 20, SECOND);
    let mut callers = Callers::new(rate, ms(100));
    run_until_timed(&mut callers, &payments).await;
    let mut leaked = Vec::new();
    for _ in 0..10 {
        leaked.extend(leak(&payments, 1).await);
        let report = callers.call(&payments, MINUTE).await.capacity_report();
        if let Some(finding) = report.finding(SlotsHeldLong) {
            never_advises(&report, &["raise the capacity", "takes longer"]);
            println!("{} leaked at {rate}/s: {}", leaked.len(), finding.message);
            return Some(leaked.len());
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_found_by_the_third_slot_under_pressure() {
    let found = found_after(150.0).await;
    assert!(found.is_some_and(|leaked| leaked <= 3), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_found_before_the_last_slot_in_quiet_traffic() {
    for rate in [0.2, 5.0, 20.0] {
        let found = found_after(rate).await;
        assert!(found.is_some_and(|leaked| leaked <= 9), "{rate}: {found:?}");
    }
}

/// Which of 200 intervals hold slots too long, with a change to the traffic before each.
async fn false_alarms(mut change: impl FnMut(usize, &mut Callers)) -> Vec<String> {
    let payments = payments(5, 10, SECOND);
    let mut callers = Callers::new(25.0, ms(100));
    let mut alarms = Vec::new();
    for number in 0..200 {
        change(number, &mut callers);
        let interval: BulkheadInterval = callers.call(&payments, 6 * SECOND).await;
        if interval.units_held_long().is_some() {
            alarms.push(format!("{number}: {}", text(&interval.capacity_report())));
        }
    }
    alarms
}

#[tokio::test(start_paused = true)]
async fn traffic_that_comes_and_goes_holds_no_slots() {
    let rates = [2.5, 25.0, 75.0, 40.0, 150.0, 0.5];
    let alarms = false_alarms(|number, callers| callers.rate = rates[number % 6]).await;
    assert!(alarms.is_empty(), "{alarms:#?}");
}

#[tokio::test(start_paused = true)]
async fn work_that_becomes_slower_and_faster_holds_no_slots() {
    let works = [ms(100), ms(200), ms(400), ms(50)];
    let alarms = false_alarms(|number, callers| callers.work = works[number / 5 % 4]).await;
    assert!(alarms.is_empty(), "{alarms:#?}");
}

#[tokio::test(start_paused = true)]
async fn callers_that_leave_hold_no_slots() {
    let patience = [ms(50), ms(300), SECOND];
    let alarms = false_alarms(|number, callers| {
        callers.rate = 75.0;
        callers.patience = patience[number / 5 % 3];
    });
    let alarms = alarms.await;
    assert!(alarms.is_empty(), "{alarms:#?}");
}

/// Streams hold their slots on purpose. They look like leaks, and the finding says so.
#[tokio::test(start_paused = true)]
async fn streams_of_an_hour_are_named_as_a_possible_cause() {
    let payments = payments(10, 20, SECOND);
    let _streams = leak(&payments, 4).await;
    let mut callers = Callers::new(1.0, ms(100));
    run_until_timed(&mut callers, &payments).await;
    let report = callers.call(&payments, MINUTE).await.capacity_report();
    let finding = cause(&report, SlotsHeldLong, Warning);
    contains(&finding.message, &["of 10 units"]);
    let held = number_after(&finding.message, "about ");
    assert!((3..=4).contains(&held), "{}", finding.message);
    contains(&finding.recommendation, &["Long streams are better kept in a bulkhead of their own"]);
}

#[tokio::test(start_paused = true)]
async fn slots_that_come_back_cause_no_finding() {
    let payments = payments(10, 20, SECOND);
    let mut callers = Callers::new(50.0, ms(100));
    callers.call(&payments, MINUTE).await;
    let held = leak(&payments, 5).await;
    callers.call(&payments, SECOND).await;
    drop(held);
    silent(&callers.call(&payments, MINUTE).await.capacity_report());
    silent(&callers.call(&payments, MINUTE).await.capacity_report());
}
