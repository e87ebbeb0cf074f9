//! The points, and the verdict on the advice at each.

use std::time::Duration;

use bulklink::{Advice, Goal};

use crate::simulate::{Setup, Work, run};

/// The largest share of operations answered later than the goal.
const MOST_LATE: f64 = 0.02;

/// The least goodput, as a share of the best that was found.
const LEAST_GOODPUT: f64 = 0.97;

/// Of weighted work: (0.6 x 1 x 0.6 + 0.25 x 2 + 0.15 x 6 x 2) / (0.6 x 0.6 + 0.25 + 0.15 x 2) = 2.92, rounded up.
const MEAN_COST_IN_PROGRESS: f64 = 3.0;

/// One situation: a bulkhead of some capacity, and a load on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) work: Work,
    /// The capacity in force.
    pub(crate) capacity: usize,
    /// The demand, as a multiple of that capacity.
    pub(crate) load: f64,
    /// The goal, as a multiple of the 99th percentile of the holds.
    pub(crate) goal: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) point: Point,
    pub(crate) timed: u64,
    pub(crate) floor: usize,
    pub(crate) cap: usize,
    /// The least capacity from the floor on that meets the goal; `None` if it is above the cap.
    pub(crate) least: Option<usize>,
    pub(crate) advised: (usize, usize),
    pub(crate) room: usize,
    /// In seconds.
    pub(crate) limit: f64,
    pub(crate) goodput: f64,
    pub(crate) best: f64,
    /// The room and the limit, as multiples of those advised, of the best goodput.
    pub(crate) best_at: (f64, Option<f64>),
    pub(crate) says_uneven: bool,
    pub(crate) failures: Vec<String>,
}

pub(crate) fn points(quick: bool) -> Vec<Point> {
    let (capacities, loads, variabilities): (&[_], &[_], &[_]) = if quick {
        (&[2, 10], &[0.5, 1.0, 2.0], &[0.25, 4.0])
    } else {
        (&[1, 2, 10, 50], &[0.5, 0.8, 1.0, 1.5, 2.0, 3.0], &[0.25, 1.0, 4.0])
    };
    let goals: &[_] = if quick { &[1.5] } else { &[1.25, 2.0] };
    let mut points = Vec::new();
    for &goal in goals {
        for &variability in variabilities {
            for &capacity in capacities {
                for &load in loads {
                    let work = Work { variability, weighted: false };
                    points.push(Point { work, capacity, load, goal });
                }
            }
            let work = Work { variability, weighted: true };
            let loads: &[_] = if quick { &[1.0] } else { &[0.5, 0.8, 1.0, 2.0] };
            points.extend(loads.iter().map(|&load| Point { work, capacity: 40, load, goal }));
        }
    }
    points
}

/// Judges one point. The run that the advice is derived from and those that judge it have different seeds.
pub(crate) fn judge(point: Point, seed: u64) -> Verdict {
    let Point { work, capacity, load, goal } = point;
    let (unit_seconds, p99) = work.known();
    let goal = Duration::from_secs_f64(goal * p99);
    let setup = Setup {
        work,
        rate: load * capacity as f64 / unit_seconds,
        // Without pressure one operation in 64 is timed.
        operations: match load < 1.0 {
            true if work.weighted => 400_000,
            true => 150_000,
            false => 50_000,
        },
        seed: 2 * seed + 1,
        goal,
        capacity,
        room: 2 * capacity + 10,
        limit: Some(goal),
    };
    let evidence = run(&setup).interval;
    let demand = load * capacity as f64;
    let cap = (capacity as f64 * 1.5).ceil() as usize;
    let largest_cost = if work.weighted { 6 } else { 1 };
    let floor = ((demand / 0.8 - 1e-6).ceil() as usize).max(largest_cost);
    let setup = Setup { seed: 2 * seed + 2, ..setup };
    let mut verdict = Verdict {
        point,
        timed: evidence.holds.timed(),
        floor,
        cap,
        least: least(&setup, floor, cap),
        advised: (0, 0),
        room: 0,
        limit: 0.0,
        goodput: 0.0,
        best: 0.0,
        best_at: (0.0, None),
        says_uneven: false,
        failures: Vec::new(),
    };
    match evidence.advise(Goal::answer_within(goal)) {
        Ok(advice) => {
            check_capacity(&mut verdict, &advice, demand);
            check_goodput(&mut verdict, &advice, &setup);
        }
        Err(error) => verdict.failures.push(format!("no advice: {error}")),
    }
    verdict
}

fn check_capacity(verdict: &mut Verdict, advice: &Advice, demand: f64) {
    let (low, high) = (*advice.capacity.start(), *advice.capacity.end());
    verdict.advised = (low, high);
    verdict.says_uneven = advice.reasons.iter().any(|reason| reason.contains("uneven"));
    // The even load of the simulation must not be taken for an uneven one.
    if verdict.says_uneven {
        verdict.failures.push("says uneven".into());
    }
    if (advice.demand / demand - 1.0).abs() > 0.1 {
        verdict.failures.push(format!("demand {:.2} of {demand:.2}", advice.demand));
    }
    // Above the cap, the cap is what there is to advise.
    let target = verdict.least.unwrap_or(verdict.cap) as f64;
    // One server is as many units as an operation in progress has on average.
    let server = if verdict.point.work.weighted { MEAN_COST_IN_PROGRESS } else { 1.0 };
    let allowed = (target * 0.1).max(server) + 1e-9;
    let middle = (low + high) as f64 / 2.0;
    if (middle - target).abs() > allowed {
        verdict.failures.push(format!("capacity {middle} for {target}"));
    }
    if high > verdict.cap {
        verdict.failures.push(format!("above the cap of {}", verdict.cap));
    }
}

fn check_goodput(verdict: &mut Verdict, advice: &Advice, setup: &Setup) {
    let goodput = |room: f64, limit: Option<f64>| {
        let room = (advice.waiting_room as f64 * room).round() as usize;
        let limit = limit.map(|limit| advice.wait_limit.mul_f64(limit));
        let capacity = *advice.capacity.end();
        run(&Setup { capacity, room, limit, operations: 30_000, ..*setup }).goodput()
    };
    verdict.room = advice.waiting_room;
    verdict.limit = advice.wait_limit.as_secs_f64();
    verdict.goodput = goodput(1.0, Some(1.0));
    for limit in [Some(0.5), Some(1.0), Some(2.0), None] {
        for room in [0.25, 0.5, 1.0, 2.0] {
            let found = goodput(room, limit);
            if found > verdict.best {
                (verdict.best, verdict.best_at) = (found, (room, limit));
            }
        }
    }
    // Where only a part of the operations can be served and they have costs, the best is to starve the costly ones, and
    // those expire more often, so that neither their share nor their holds are known. It is reported and not judged.
    let is_judged = !verdict.point.work.weighted || verdict.floor <= verdict.cap;
    if is_judged && verdict.goodput < LEAST_GOODPUT * verdict.best {
        verdict.failures.push(format!("goodput {:.3} of {:.3}", verdict.goodput, verdict.best));
    }
}

/// Returns the least capacity from `floor` to `cap` that meets the goal with neither a limit nor a full room.
fn least(setup: &Setup, floor: usize, cap: usize) -> Option<usize> {
    let meets = |capacity| {
        let setup = Setup { capacity, room: 1_000_000, limit: None, operations: 100_000, ..*setup };
        run(&setup).late_share() <= MOST_LATE
    };
    if floor > cap {
        return None;
    }
    if meets(floor) {
        return Some(floor);
    }
    if !meets(cap) {
        return None;
    }
    let (mut fails, mut meets_at) = (floor, cap);
    while meets_at - fails > 1 {
        let middle = fails.midpoint(meets_at);
        if meets(middle) { meets_at = middle } else { fails = middle }
    }
    Some(meets_at)
}
