//! One run: a Poisson stream of operations against a real bulkhead, on tokio's paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bulklink::{Bulkhead, BulkheadInterval, BulkheadStatus, WeightedBulkhead};
use tokio::time::{Instant, sleep, sleep_until};

/// Holds are around a second, so that the timer's resolution of a millisecond does not matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// The squared coefficient of variation of the holds: 0.25 is Erlang-4, 1 exponential, and 4 hyperexponential with
    /// balanced means.
    pub(crate) variability: f64,
    /// Whether operations cost 1, 2 or 6 units, and hold them for longer the more they cost.
    pub(crate) weighted: bool,
}

/// One operation: its cost and its hold in seconds.
type Operation = (usize, f64);

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// From 0 to 1, and neither.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::EPSILON / 4.0
    }

    fn exponential(&mut self) -> f64 {
        -self.uniform().ln()
    }
}

impl Work {
    fn draw(self, random: &mut Random) -> Operation {
        let hold = if self.variability < 1.0 {
            let phases = (1.0 / self.variability).round() as usize;
            (0..phases).map(|_| random.exponential()).sum::<f64>() / phases as f64
        } else {
            let spread = (self.variability - 1.0) / (self.variability + 1.0);
            let chance = (1.0 + spread.sqrt()) / 2.0;
            let mean = if random.uniform() < chance { chance } else { 1.0 - chance };
            random.exponential() / (2.0 * mean)
        };
        if !self.weighted {
            return (1, hold);
        }
        match random.uniform() {
            draw if draw < 0.6 => (1, hold * 0.6),
            draw if draw < 0.85 => (2, hold),
            _ => (6, hold * 2.0),
        }
    }

    /// Returns the mean unit-seconds of an operation, and the 99th percentile of the holds, from many draws.
    pub(crate) fn known(self) -> (f64, f64) {
        let mut random = Random(7);
        let drawn: Vec<Operation> = (0..400_000).map(|_| self.draw(&mut random)).collect();
        let unit_seconds = drawn.iter().map(|&(cost, hold)| cost as f64 * hold).sum::<f64>();
        let mut holds: Vec<f64> = drawn.iter().map(|&(_, hold)| hold).collect();
        holds.sort_by(f64::total_cmp);
        (unit_seconds / drawn.len() as f64, holds[holds.len() * 99 / 100])
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) work: Work,
    pub(crate) rate: f64,
    pub(crate) operations: u32,
    pub(crate) seed: u64,
    pub(crate) goal: Duration,
    pub(crate) capacity: usize,
    pub(crate) room: usize,
    pub(crate) limit: Option<Duration>,
}

/// How the operations fared that arrived after the first tenth. `arrived` and `in_time` are in unit-seconds where operations
/// have costs: with numbers of operations, it would be best to serve the cheap ones only.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) interval: BulkheadInterval,
    operations: f64,
    late: f64,
    arrived: f64,
    in_time: f64,
}

impl Outcome {
    pub(crate) fn late_share(&self) -> f64 {
        self.late / self.operations
    }

    /// The share of the operations, or of the unit-seconds, that were answered within the goal.
    pub(crate) fn goodput(&self) -> f64 {
        self.in_time / self.arrived
    }
}

#[derive(Default)]
struct Counters {
    in_time: AtomicU64,
    late: AtomicU64,
    done: AtomicU64,
}

#[derive(Clone)]
enum Either {
    Plain(Bulkhead),
    Weighted(WeightedBulkhead),
}

impl Either {
    fn build(setup: &Setup) -> Self {
        let Setup { capacity, room, limit, work, .. } = *setup;
        if work.weighted {
            let builder = WeightedBulkhead::builder("advice").capacity(capacity).waiting_room(room);
            let builder =
                limit.into_iter().fold(builder, |builder, limit| builder.wait_limit(limit));
            Self::Weighted(builder.build().expect("valid settings"))
        } else {
            let builder = Bulkhead::builder("advice").parallelism(capacity).waiting_room(room);
            let builder =
                limit.into_iter().fold(builder, |builder, limit| builder.wait_limit(limit));
            Self::Plain(builder.build().expect("valid settings"))
        }
    }

    fn status(&self) -> BulkheadStatus {
        match self {
            Self::Plain(bulkhead) => bulkhead.status(),
            Self::Weighted(bulkhead) => bulkhead.status(),
        }
    }

    async fn execute(&self, cost: usize, hold: Duration) -> bool {
        // A `Sleep` counts from its creation, so it is created once the operation is admitted.
        let work = async { sleep(hold).await };
        match self {
            Self::Plain(bulkhead) => bulkhead.execute(work).await.is_ok(),
            Self::Weighted(bulkhead) => bulkhead.execute(cost, work).await.is_ok(),
        }
    }
}

pub(crate) fn run(setup: &Setup) -> Outcome {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(drive(setup))
}

async fn drive(setup: &Setup) -> Outcome {
    let Setup { work, rate, operations, seed, goal, .. } = *setup;
    let bulkhead = Either::build(setup);
    let counters = Arc::new(Counters::default());
    // Two streams: runs of one seed have the same arrivals and the same work, whatever the settings.
    let (mut gaps, mut works) = (Random(seed), Random(seed ^ 0x5DEE_CE66_D1CE_4E5B));
    let warm_up = operations / 10;
    let (start, mut at) = (Instant::now(), 0.0);
    let mut before = bulkhead.status();
    let mut arrived_worth = 0;
    for number in 0..operations {
        at += gaps.exponential() / rate;
        let (cost, hold) = work.draw(&mut works);
        sleep_until(start + Duration::from_secs_f64(at)).await;
        if number == warm_up {
            before = bulkhead.status();
        }
        // In micro-unit-seconds.
        let worth = if work.weighted { (cost as f64 * hold * 1e6) as u64 } else { 1 };
        if number >= warm_up {
            arrived_worth += worth;
        }
        let (bulkhead, counters) = (bulkhead.clone(), counters.clone());
        tokio::spawn(async move {
            let arrived = Instant::now();
            let answered = bulkhead.execute(cost, Duration::from_secs_f64(hold)).await;
            if answered && number >= warm_up {
                let in_time = arrived.elapsed() <= goal;
                if in_time {
                    counters.in_time.fetch_add(worth, Relaxed);
                } else {
                    counters.late.fetch_add(1, Relaxed);
                }
            }
            counters.done.fetch_add(1, Relaxed);
        });
    }
    let interval = bulkhead.status().since(&before).expect("two statuses of one bulkhead");
    while counters.done.load(Relaxed) < u64::from(operations) {
        sleep(Duration::from_secs(60)).await;
    }
    Outcome {
        interval,
        operations: f64::from(operations - warm_up),
        late: counters.late.load(Relaxed) as f64,
        arrived: arrived_worth as f64,
        in_time: counters.in_time.load(Relaxed) as f64,
    }
}
