//! Slots that do not come back are found, and healthy traffic is not mistaken for them.

use std::time::Duration;

use bulklink::{FindingCode::SlotsHeldLong, Severity::*};
use tokio::time::advance;

use super::traffic::{Traffic, Work};
use crate::support::bulkhead;

/// Ten times the 99th percentile, the shortest interval that is judged, or a second.
fn shortest(work: Work) -> Duration {
    Duration::from_secs_f64(match work {
        Work::Fixed => 1.1,
        Work::Exponential => 5.0,
        Work::Bimodal => 6.0,
    })
}

/// How many of 200 intervals of healthy traffic are said to hold slots too long.
async fn false_alarms(mut traffic: Traffic) -> usize {
    let time = shortest(traffic.work);
    traffic.run(10 * time).await;
    let mut alarms = 0;
    for _ in 0..200 {
        let interval = traffic.run(time).await;
        alarms += usize::from(interval.units_held_long().is_some());
    }
    alarms
}

const WORKS: [Work; 3] = [Work::Fixed, Work::Exponential, Work::Bimodal];

async fn healthy(work: Work) {
    for (capacity, load) in [(1, 0.8), (1, 3.0), (5, 0.3), (5, 0.8), (5, 1.1), (5, 2.0)] {
        let traffic = Traffic::plain(capacity, capacity, load, work, 7);
        assert_eq!(false_alarms(traffic).await, 0, "{work:?}, {capacity} slots, load {load}");
    }
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_of_fixed_work_holds_no_slots() {
    healthy(Work::Fixed).await;
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_of_exponential_work_holds_no_slots() {
    healthy(Work::Exponential).await;
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_of_bimodal_work_holds_no_slots() {
    healthy(Work::Bimodal).await;
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_of_many_slots_holds_none() {
    for load in [0.5, 0.8, 1.2] {
        let traffic = Traffic::plain(50, 50, load, Work::Fixed, 7);
        assert_eq!(false_alarms(traffic).await, 0, "load {load}");
    }
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_of_different_costs_holds_no_slots() {
    let (even, few_large) = (vec![1, 2, 3, 4, 5, 6], vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 10]);
    for (work, costs, load) in [
        (Work::Fixed, &even, 0.8),
        (Work::Fixed, &even, 1.5),
        (Work::Fixed, &few_large, 1.5),
        (Work::Exponential, &even, 1.5),
        (Work::Exponential, &few_large, 1.5),
        (Work::Bimodal, &even, 1.5),
    ] {
        let traffic = Traffic::weighted(20, 20, costs.clone(), load, work, 7);
        assert_eq!(false_alarms(traffic).await, 0, "{work:?}, {costs:?}, load {load}");
    }
}

/// Leaks ten slots of ten one by one, and returns after which of them a leak is found.
async fn found_after(load: f64, work: Work, seed: u64) -> Option<usize> {
    let mut traffic = Traffic::plain(10, 10, load, work, seed);
    traffic.run(Duration::from_secs(300)).await;
    for leaked in 1..=10 {
        traffic.leaking = 1;
        while traffic.leaked.len() < leaked {
            traffic.run(Duration::from_secs(1)).await;
        }
        let report = traffic.run(Duration::from_secs(60)).await.capacity_report();
        if report.finding(SlotsHeldLong).is_some() {
            return Some(leaked);
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn ten_slots_leaked_one_by_one_are_found_by_the_third_under_pressure() {
    for work in WORKS {
        for load in [1.5, 3.0] {
            let found = found_after(load, work, 11).await;
            assert!(found.is_some_and(|leaked| leaked <= 3), "{work:?} at {load}: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_slots_leaked_one_by_one_are_found_before_the_last_in_quiet_traffic() {
    for work in WORKS {
        for load in [0.01, 0.1, 0.3] {
            let found = found_after(load, work, 11).await;
            assert!(found.is_some_and(|leaked| leaked <= 9), "{work:?} at {load}: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_slot_of_two_that_leaks_under_pressure_is_found() {
    for work in [Work::Fixed, Work::Exponential] {
        let mut traffic = Traffic::plain(2, 5, 1.5, work, 13);
        traffic.run(Duration::from_secs(60)).await;
        traffic.leaking = 1;
        traffic.run(Duration::from_secs(1)).await;
        let report = traffic.run(Duration::from_secs(60)).await.capacity_report();
        let finding = report.finding(SlotsHeldLong).unwrap();
        assert_eq!(finding.severity, Critical);
        assert!(finding.message.contains("1 of 2 units"), "{}", finding.message);
        assert_eq!(&report.findings[0], finding, "the cause comes first");
        assert!(report.summary().contains(&finding.message), "{}", report.summary());
    }
}

#[tokio::test(start_paused = true)]
async fn slots_of_which_none_ended_are_found_after_a_minute_if_no_hold_is_known() {
    let found = async |held: usize, seconds| {
        let payments = bulkhead(20, 0);
        let _streams: Vec<_> = (0..held).map(|_| payments.slot_now().unwrap()).collect();
        let before = payments.status();
        advance(Duration::from_secs(seconds)).await;
        let status = payments.status();
        assert!(status.capacity_report().finding(SlotsHeldLong).is_none(), "a status has no ends");
        let report = status.since(&before).unwrap().capacity_report();
        report.finding(SlotsHeldLong).map(|finding| finding.severity)
    };
    assert_eq!(found(20, 59).await, None);
    assert_eq!(found(0, 60).await, None);
    assert_eq!(found(1, 60).await, Some(Notice), "under a tenth");
    assert_eq!(found(2, 60).await, Some(Warning));
    assert_eq!(found(9, 60).await, Some(Warning));
    assert_eq!(found(10, 60).await, Some(Critical), "half");
    assert_eq!(found(20, 3600).await, Some(Critical), "streams of an hour");
}

#[tokio::test(start_paused = true)]
async fn an_interval_shorter_than_a_second_or_ten_holds_is_not_judged() {
    let mut traffic = Traffic::plain(2, 5, 1.5, Work::Fixed, 13);
    traffic.run(Duration::from_secs(60)).await;
    traffic.leaking = 2;
    traffic.run(Duration::from_secs(1)).await;
    assert_eq!(traffic.leaked.len(), 2);
    let held = async |traffic: &mut Traffic, millis| {
        traffic.run(Duration::from_millis(millis)).await.units_held_long()
    };
    // Their 99th percentile is between 100 and 107 ms.
    assert_eq!(held(&mut traffic, 999).await, None);
    assert_eq!(held(&mut traffic, 1100).await, Some(2.0));
    // Once they are given back, they are not held.
    traffic.leaked.clear();
    assert_eq!(held(&mut traffic, 1100).await, None);
}
