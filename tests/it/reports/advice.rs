//! What an interval advises, and when it has no advice.

use std::{error::Error, time::Duration};

use bulklink::{Advice, AdviceError, BulkheadInterval, Goal, Histogram, Totals};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::support::{Random, bulkhead, in_paused_time, ms, weighted};

/// An interval in which operations of these costs and holds ran, arrived at `rate` per second, and did not wait.
///
/// The holds are real: the operations ran one after the other, and all were timed since each waited for the one before.
/// Two must not fit into `most` units. The rest is set: an interval is plain data.
fn interval(
    operations: &[(usize, Duration)],
    most: usize,
    in_force: usize,
    rate: f64,
) -> BulkheadInterval {
    let mut interval = in_paused_time(async {
        let reports = weighted(most, 1);
        let mut running = reports.slot_now(most).unwrap();
        let mut before = None;
        for &(cost, hold) in operations {
            let mut waiter = task::spawn(reports.slot(cost));
            assert_pending!(waiter.poll());
            drop(running);
            running = assert_ready_ok!(waiter.poll());
            before.get_or_insert_with(|| reports.status());
            tokio::time::advance(hold).await;
        }
        drop(running);
        reports.status().since(&before.unwrap()).unwrap()
    });
    for end in [&mut interval.start, &mut interval.end] {
        (end.capacity, end.used, end.in_flight) = (in_force, 0, 0);
        end.totals.pressure_time = Duration::ZERO;
    }
    let totals = &mut interval.totals;
    *totals = Totals::default();
    (totals.admitted, totals.finished) = (operations.len() as u64, operations.len() as u64);
    totals.admitted_units = operations.iter().map(|&(cost, _)| cost as u64).sum();
    totals.finished_units = totals.admitted_units;
    interval.elapsed = Duration::from_secs_f64(operations.len() as f64 / rate);
    interval
}

/// An interval of a plain bulkhead whose holds are exponential, with a mean of one second: 2,000 quantiles.
fn exponential(in_force: usize, rate: f64) -> BulkheadInterval {
    let quantile = |at| -(1.0 - (f64::from(at) + 0.5) / 2000.0).ln();
    let holds = (0..2000).map(|at| (1, Duration::from_secs_f64(quantile(at))));
    interval(&holds.collect::<Vec<_>>(), 1, in_force, rate)
}

/// An interval of a plain bulkhead in which `count` operations held their slots for a second each.
fn constant(count: usize, in_force: usize, rate: f64) -> BulkheadInterval {
    interval(&vec![(1, ms(1000)); count], 1, in_force, rate)
}

/// `count` waiters that gave up after this time.
fn patience(count: usize, gave_up_after: Duration) -> Histogram {
    in_paused_time(async {
        let payments = bulkhead(1, count);
        let _slot = payments.slot_now().unwrap();
        let mut waiters: Vec<_> = (0..count).map(|_| task::spawn(payments.slot())).collect();
        waiters.iter_mut().for_each(|waiter| assert_pending!(waiter.poll()));
        tokio::time::advance(gave_up_after).await;
        drop(waiters);
        payments.status().patience
    })
}

fn within(seconds: f64) -> Goal {
    Goal::answer_within(Duration::from_secs_f64(seconds))
}

fn says(advice: &Advice, text: &str) -> bool {
    advice.reasons.iter().any(|reason| reason.contains(text))
}

/// The room for a line that moves up by `drained` on average: two standard deviations more, and one.
fn room(interval: &BulkheadInterval, drained: f64) -> usize {
    let variability = interval.holds.variability().unwrap();
    assert!((variability - 1.0).abs() < 0.05, "{variability}");
    (drained + 2.0 * (drained * variability).sqrt()).ceil() as usize + 1
}

/// M/M/c with a mean hold of 1 s and 1.6 arrivals per second, by hand. Two servers: B = 0.330, C = 0.711, and
/// the chance of an answer after t is (1 - C) e^-t + C (e^-0.4t - 0.4 e^-t) / 0.6, which is 0.085 at 6.6 s. Three servers:
/// C = 0.274, and it is 0.002. The mean wait of two servers is 1.8 s, less than the 2 s that the goal leaves beside the p99
/// hold of 4.6 s: a rule for the mean would be content with two.
#[test]
fn the_least_capacity_of_m_m_c_is_advised() {
    let advice = exponential(2, 1.6).advise(within(6.6)).unwrap();
    assert_eq!(advice.capacity, 3..=3);
    assert!((advice.demand - 1.6).abs() < 0.01, "{}", advice.demand);
    // Four times the goal: 0.711 (e^-10.56) / 0.6 is nothing.
    let patient = exponential(2, 1.55).advise(within(26.4)).unwrap();
    assert_eq!(patient.capacity, 2..=3, "and up to 2.1 by the error of the mean");
}

#[test]
fn the_capacity_leaves_a_fifth_of_it_for_errors_of_the_demand() {
    // 8.1 / 0.8 = 10.1. The mean hold is known exactly, as all holds are equal.
    let advice = constant(1000, 10, 8.1).advise(within(30.0)).unwrap();
    assert_eq!(advice.capacity, 11..=11);
    let advice = constant(1000, 10, 8.0).advise(within(30.0)).unwrap();
    assert_eq!(advice.capacity, 10..=10);
}

#[test]
fn rejected_and_cancelled_operations_are_part_of_the_demand() {
    let mut interval = constant(1000, 10, 4.0);
    (interval.totals.saturated, interval.totals.expired, interval.totals.cancelled) =
        (500, 300, 200);
    let advice = interval.advise(within(30.0)).unwrap();
    assert!((advice.demand - 8.0).abs() < 0.01, "{}", advice.demand);
    assert_eq!(advice.capacity, 10..=10);
}

#[test]
fn costly_operations_that_expire_more_often_are_part_of_the_demand() {
    // 1,000 joined the line and 600 expired: the 400 that were admitted cost 2 units on average, and all of them 3.
    let mut interval = interval(&[(2, ms(1000))].repeat(1000), 2, 100, 4.0);
    let totals = &mut interval.totals;
    (totals.queued, totals.queued_units) = (1000, 3000);
    (totals.admitted, totals.admitted_units) = (400, 800);
    (totals.admitted_from_queue, totals.admitted_from_queue_units) = (400, 800);
    totals.expired = 600;
    let advice = interval.advise(within(30.0)).unwrap();
    assert!((advice.demand - 12.0).abs() < 0.01, "{}", advice.demand);
}

#[test]
fn the_range_is_that_of_the_mean_hold() {
    // 2 cv / sqrt(2,000) = 4.5 %: 40 / 0.8 times 0.955 to 1.045.
    let advice = exponential(40, 40.0).advise(within(30.0)).unwrap();
    assert_eq!(advice.capacity, 48..=53);
}

#[test]
fn the_wait_limit_leaves_time_for_the_work_and_the_room_is_what_moves_up_meanwhile() {
    let interval = exponential(10, 4.0);
    let [p90, p99] = [0.9, 0.99].map(|q| interval.holds.quantile(q).unwrap());
    let advice = interval.advise(within(10.0)).unwrap();
    assert_eq!(advice.wait_limit, Duration::from_secs(10) - p90);
    let drained = *advice.capacity.end() as f64 * (10.0 - p99.as_secs_f64());
    assert_eq!(advice.waiting_room, room(&interval, drained), "{advice:?}");
    // The least is the median hold.
    let p50 = interval.holds.quantile(0.5).unwrap();
    let advice = constant(1000, 10, 4.0).advise(within(1.1)).unwrap();
    assert!((advice.wait_limit.as_secs_f64() - 1.0).abs() < 0.07, "{advice:?}");
    assert!(p50 < p90 && says(&advice, "median"));
}

#[test]
fn a_measured_drain_rate_is_scaled_to_the_advised_capacity() {
    let mut interval = exponential(10, 4.0);
    interval.totals.admitted_from_queue = 600;
    interval.end.totals.pressure_time = Duration::from_secs(100);
    // 6 per second with 10 units.
    let advice = interval.advise(within(10.0)).unwrap();
    let p99 = interval.holds.quantile(0.99).unwrap().as_secs_f64();
    let drained = 0.6 * *advice.capacity.end() as f64 * (10.0 - p99);
    assert_eq!(advice.waiting_room, room(&interval, drained), "{advice:?}");
    assert!(says(&advice, "as measured"));
}

#[test]
fn callers_that_give_up_sooner_than_the_goal_shorten_the_wait() {
    let mut interval = exponential(10, 4.0);
    let unhurried = interval.advise(within(20.0)).unwrap();
    interval.patience = patience(100, ms(8000));
    interval.totals.cancelled = 100;
    let hurried = interval.advise(within(20.0)).unwrap();
    let [p90, p99] = [0.9, 0.99].map(|q| interval.holds.quantile(q).unwrap().as_secs_f64());
    let patience = interval.patience.quantile(0.1).unwrap().as_secs_f64();
    assert!((hurried.wait_limit.as_secs_f64() - (patience - p90)).abs() < 1e-6, "{hurried:?}");
    assert!(patience > p99 && hurried.waiting_room < unhurried.waiting_room / 2, "{hurried:?}");
    assert!(says(&hurried, "gave up") && !says(&unhurried, "gave up"));
    // Longer than the goal, or of a few only, it says nothing.
    for (callers, gave_up_after) in [(100, 100_000), (19, 8000)] {
        interval.patience = self::patience(callers, ms(gave_up_after));
        let advice = interval.advise(within(20.0)).unwrap();
        assert_eq!(advice.wait_limit, unhurried.wait_limit);
    }
}

#[test]
fn more_than_half_as_much_again_as_was_in_force_is_not_advised() {
    let advice = constant(1000, 4, 8.0).advise(within(30.0)).unwrap();
    assert_eq!(advice.capacity, 6..=6);
    assert!(says(&advice, "not met yet"), "{advice:?}");
    // A capacity of one may become two, and the larger one of both ends counts.
    assert_eq!(constant(1000, 1, 8.0).advise(within(30.0)).unwrap().capacity, 2..=2);
    let mut resized = constant(1000, 4, 8.0);
    resized.start.capacity = 10;
    let advice = resized.advise(within(30.0)).unwrap();
    assert_eq!(advice.capacity, 10..=10);
    assert!(!says(&advice, "not met yet"));
}

#[test]
fn an_uneven_load_is_named() {
    // A demand of 4 of 10 makes operations wait for less than 1 % of the time.
    let mut interval = exponential(10, 4.0);
    assert!(!says(&interval.advise(within(10.0)).unwrap(), "uneven"));
    interval.end.totals.pressure_time = interval.elapsed / 5;
    assert!(says(&interval.advise(within(10.0)).unwrap(), "uneven"));
}

/// Half of the operations cost 5 and hold 1 s, the other half cost 9 and hold 3 s: 16 unit-seconds in 2 s, so that 8
/// units are in use for each operation that runs.
#[test]
fn costs_are_weighted_by_how_long_they_are_held() {
    let operations = [(5, ms(1000)), (9, ms(3000))].repeat(600);
    let interval = interval(&operations, 9, 40, 1.5);
    let advice = interval.advise(within(60.0)).unwrap();
    // The mean cost times the mean hold would be 7 x 2 x 1.5 = 21.
    assert!((advice.demand - 24.0).abs() < 0.01, "{}", advice.demand);
    // 24 / 0.8 = 30 units, for 3 servers of 8, but the load is 3 servers: 4 x 8, and 3.5 that do not fit.
    let end = *advice.capacity.end();
    assert!((32..=37).contains(&end) && *advice.capacity.start() >= 29, "{advice:?}");
    assert!(says(&advice, "largest cost is not recorded"));
    assert!(!says(&constant(1000, 4, 8.0).advise(within(30.0)).unwrap(), "cost"));
}

#[test]
fn the_capacity_is_not_below_a_cost_that_was_seen() {
    let operations = [(9, ms(1000))].repeat(1000);
    let mut interval = interval(&operations, 9, 40, 0.01);
    assert_eq!(
        *interval.advise(within(60.0)).unwrap().capacity.start(),
        13,
        "9 and 4 that do not fit"
    );
    (interval.end.waiting, interval.end.waiting_units) = (2, 50);
    assert_eq!(*interval.advise(within(60.0)).unwrap().capacity.start(), 25);
}

#[test]
fn it_knows_nothing_below_a_thousand_timed_operations() {
    let error = constant(999, 10, 4.0).advise(within(30.0)).unwrap_err();
    assert_eq!(error, constant(999, 10, 4.0).advise(within(0.0)).unwrap_err());
    assert!(matches!(error, AdviceError::NotEnoughEvidence { timed: 999, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "not enough evidence: 999 completed operations were timed, of at least 1000"
    );
    assert!(error.source().is_none());
    assert!(constant(1000, 10, 4.0).advise(within(30.0)).is_ok());
    let mut no_length = constant(1000, 10, 4.0);
    no_length.elapsed = Duration::ZERO;
    let error = no_length.advise(within(30.0)).unwrap_err();
    assert!(matches!(error, AdviceError::NotEnoughEvidence { timed: 1000, .. }), "{error:?}");
}

#[test]
fn no_capacity_reaches_a_goal_below_the_work() {
    let interval = exponential(10, 4.0);
    let p99 = interval.holds.quantile(0.99).unwrap();
    for goal in [Duration::ZERO, ms(1), p99 - ms(1)] {
        let error = interval.advise(Goal::answer_within(goal)).unwrap_err();
        let AdviceError::GoalBelowWork { p99_hold, .. } = error else { panic!("{error:?}") };
        assert_eq!(p99_hold, p99);
        assert!(error.to_string().contains("below the work"), "{error}");
    }
    assert!(interval.advise(Goal::answer_within(p99)).is_ok());
}

#[test]
fn nothing_is_advised_where_work_is_cut_short() {
    let mut interval = exponential(10, 4.0);
    interval.totals.cut_short = 199;
    assert!(interval.advise(within(10.0)).is_ok());
    interval.totals.cut_short = 200;
    let error = interval.advise(within(10.0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "10.0 % of the operations were cut short: how long the work takes is not known"
    );
    let AdviceError::WorkCutShort { share, .. } = error else { panic!("{error:?}") };
    assert!((share - 0.1).abs() < 1e-9);
    // Where all work is cut short, none is timed. The cause comes first.
    let mut all = constant(10, 10, 4.0);
    (all.totals.finished, all.totals.cut_short) = (2000, 1990);
    let error = all.advise(within(10.0)).unwrap_err();
    assert!(matches!(error, AdviceError::WorkCutShort { .. }), "{error:?}");
}

#[test]
fn nothing_is_advised_while_slots_are_held_long() {
    let held = |interval: &BulkheadInterval| match interval.advise(within(10.0)) {
        Err(AdviceError::SlotsHeldLong { held, .. }) => Some(held),
        _ => None,
    };
    // One operation a second of one second accounts for one unit in use.
    let mut interval = constant(1000, 10, 1.0);
    // Pressed throughout: one unit of two is missing.
    interval.end.totals.pressure_time = interval.elapsed;
    for (used, expected) in [(1, None), (2, Some(1.0)), (5, Some(4.0))] {
        (interval.start.used, interval.end.used) = (used, used);
        let held = held(&interval);
        assert_eq!(held.map(f64::round), expected, "{used}");
    }
    (interval.start.used, interval.end.used) = (5, 1);
    assert_eq!(held(&interval), None, "it came back");
    // Not pressed: what is in use at one time is less certain.
    interval.end.totals.pressure_time = Duration::ZERO;
    for (used, expected) in [(3, None), (5, Some(4.0))] {
        (interval.start.used, interval.end.used) = (used, used);
        assert_eq!(held(&interval).map(f64::round), expected, "{used}");
    }
    // Nothing ended, and the holds before are known.
    let mut idle = interval.clone();
    idle.start.holds = idle.holds.clone();
    (idle.holds, idle.totals) = Default::default();
    (idle.start.used, idle.end.used) = (1, 1);
    assert_eq!(held(&idle), Some(1.0));
    idle.elapsed = ms(9000);
    assert_eq!(held(&idle), None, "less than ten times the p99 hold");
    let text = interval.advise(within(10.0)).unwrap_err().to_string();
    assert_eq!(text, "about 4 units have been held for too long");
}

#[test]
fn the_room_has_no_margin_where_it_is_always_full() {
    let interval = exponential(2, 8.0);
    let advice = interval.advise(within(10.0)).unwrap();
    let p99 = interval.holds.quantile(0.99).unwrap().as_secs_f64();
    assert_eq!(
        (advice.capacity, advice.waiting_room),
        (3..=3, (3.0 * (10.0 - p99)).ceil() as usize + 1)
    );
}

#[test]
fn units_that_are_idle_since_costs_do_not_pack_are_not_taken_for_held() {
    // 8 of 10 units in use, pressed throughout, and 10 by chance at both ends.
    let operations = [(5, ms(1000)), (9, ms(1000))].repeat(600);
    let mut interval = interval(&operations, 9, 10, 8.0 / 7.0);
    interval.end.totals.pressure_time = interval.elapsed;
    (interval.start.used, interval.end.used) = (10, 10);
    assert!(interval.advise(within(60.0)).is_ok());
    (interval.start.used, interval.end.used) = (30, 30);
    let error = interval.advise(within(60.0)).unwrap_err();
    assert!(matches!(error, AdviceError::SlotsHeldLong { .. }), "{error:?}");
}

/// Whatever the numbers are, an advice is one that a builder accepts.
#[test]
fn absurd_numbers_make_no_absurd_advice() {
    let sound = exponential(10, 4.0);
    let counts = [0, 1, 1000, u64::MAX / 2, u64::MAX];
    let times = [Duration::ZERO, Duration::from_nanos(1), ms(1000), Duration::MAX];
    let sizes = [0, 1, 10, 1 << 31, usize::MAX];
    let mut random = Random::new(1);
    let mut advised = 0;
    for _ in 0..20_000 {
        let mut interval = sound.clone();
        let totals = &mut interval.totals;
        for counter in [
            &mut totals.admitted,
            &mut totals.admitted_units,
            &mut totals.admitted_from_queue,
            &mut totals.queued,
            &mut totals.queued_units,
            &mut totals.saturated,
            &mut totals.expired,
            &mut totals.cancelled,
            &mut totals.finished,
            &mut totals.finished_units,
            &mut totals.cut_short_units,
        ] {
            if random.below(2) == 0 {
                *counter = counts[random.below(counts.len())];
            }
        }
        interval.elapsed = times[random.below(times.len())];
        for status in [&mut interval.start, &mut interval.end] {
            status.totals.pressure_time = times[random.below(times.len())];
            status.capacity = sizes[random.below(sizes.len())];
            if random.below(4) == 0 {
                for size in [&mut status.used, &mut status.in_flight, &mut status.waiting_units] {
                    *size = sizes[random.below(sizes.len())];
                }
            }
        }
        let goal = Goal::answer_within(times[random.below(times.len())]);
        let Ok(advice) = interval.advise(goal) else { continue };
        advised += 1;
        let (low, high) = (*advice.capacity.start(), *advice.capacity.end());
        let most = (1 << 31) - 1;
        let in_force = interval.start.capacity.max(interval.end.capacity).max(1);
        assert!(1 <= low && low <= high && high <= most, "{advice:?}");
        assert!(high <= in_force.saturating_mul(3).div_ceil(2), "{advice:?}");
        assert!((1..=most).contains(&advice.waiting_room), "{advice:?}");
        assert!(advice.wait_limit > Duration::ZERO, "{advice:?}");
        assert!(advice.demand.is_finite() && advice.demand >= 0.0, "{advice:?}");
        assert!(!advice.reasons.iter().any(|reason| reason.contains("NaN")), "{advice:?}");
    }
    assert!(advised > 1000, "{advised}");
}
