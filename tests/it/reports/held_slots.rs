//! Slots that do not come back are found, and healthy traffic is not mistaken for them.

use std::time::Duration;

use bulklink::FindingCode::SlotsHeldLong;

use super::traffic::{Traffic, Work};

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
        LITERAL.fetch_add(usize::from(literal(&interval)), std::sync::atomic::Ordering::Relaxed);
    }
    eprintln!(
        "{:?} literal {}",
        traffic.work,
        LITERAL.swap(0, std::sync::atomic::Ordering::Relaxed)
    );
    alarms
}

static LITERAL: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
fn literal(i: &bulklink::BulkheadInterval) -> bool {
    let lo = i.start.used.min(i.end.used) as f64;
    let t = i.elapsed.as_secs_f64();
    let Some(p99) = i.holds.quantile(0.99).or(i.start.holds.quantile(0.99)) else { return false };
    if i.elapsed < std::cmp::max(Duration::from_secs(1), 10 * p99) {
        return false;
    }
    if i.totals.finished == 0 {
        return lo >= 1.0;
    }
    let e = i.holds.unit_seconds() / t;
    if i.pressure() == i.elapsed {
        let m = i.holds.mean().unwrap_or_default().as_secs_f64();
        let e2 = m * m * (1.0 + i.holds.variability().unwrap_or(0.0));
        return lo - e >= 0.9 && lo - e > 3.0 * (2.0 * lo * e2).sqrt() / t;
    }
    lo - e > 3.0 * e.max(1.0).sqrt()
}

const WORKS: [Work; 3] = [Work::Fixed, Work::Exponential, Work::Bimodal];

#[tokio::test(start_paused = true)]
async fn healthy_traffic_holds_no_slots() {
    let mut found = Vec::new();
    for work in WORKS {
        for (capacity, loads) in
            [(1, [0.3, 0.8, 1.5, 3.0]), (10, [0.3, 0.8, 1.0, 2.0]), (20, [0.3, 0.6, 0.8, 1.2])]
        {
            for load in loads {
                let traffic = Traffic::plain(capacity, capacity, load, work, 7);
                let alarms = false_alarms(traffic).await;
                if alarms > 0 {
                    found.push((work, capacity, load, alarms));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn healthy_traffic_of_different_costs_holds_no_slots() {
    let mut found = Vec::new();
    for work in WORKS {
        for costs in [vec![1, 2, 3, 4, 5, 6], vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 10]] {
            for load in [0.3, 0.8, 1.5] {
                let traffic = Traffic::weighted(20, 20, costs.clone(), load, work, 7);
                let alarms = false_alarms(traffic).await;
                if alarms > 0 {
                    found.push((work, costs.clone(), load, alarms));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
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
            eprintln!("{work:?} {load} {found:?}");
            assert!(found.is_some_and(|leaked| leaked <= 3), "{work:?} at {load}: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_slots_leaked_one_by_one_are_found_before_the_last_in_quiet_traffic() {
    for work in WORKS {
        for load in [0.01, 0.1, 0.3] {
            let found = found_after(load, work, 11).await;
            eprintln!("{work:?} {load} {found:?}");
            assert!(found.is_some_and(|leaked| leaked <= 9), "{work:?} at {load}: {found:?}");
        }
    }
}
