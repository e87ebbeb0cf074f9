//! Simulated traffic through a real bulkhead, on paused time: arrivals at random, work of random length.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    task::Poll,
    time::Duration,
};

use bulklink::{Admission, Bulkhead, BulkheadInterval, BulkheadStatus, Slot, WeightedBulkhead};
use tokio::time::{Instant, advance};
use tokio_test::task::{self, Spawn};

use crate::support::Random;

/// How long operations hold their slots: 100 ms on average.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    Fixed,
    Exponential,
    /// Nine of ten take 50 ms, the others 550 ms.
    Bimodal,
}

pub(super) const MEAN_HOLD: f64 = 0.1;

impl Work {
    fn seconds(self, random: &mut Random) -> f64 {
        match self {
            Self::Fixed => MEAN_HOLD,
            Self::Exponential => exponential(random, MEAN_HOLD),
            Self::Bimodal => {
                if random.below(10) > 0 {
                    0.05
                } else {
                    0.55
                }
            }
        }
    }
}

fn exponential(random: &mut Random, mean: f64) -> f64 {
    let uniform = (random.below(1 << 30) + 1) as f64 / (1_u64 << 30) as f64;
    -uniform.ln() * mean
}

/// A bulkhead under traffic.
pub(super) struct Traffic {
    admit: Box<dyn Fn(usize) -> Admission>,
    status: Box<dyn Fn() -> BulkheadStatus>,
    pub(super) work: Work,
    pub(super) mean_hold: f64,
    /// Operations per second.
    pub(super) rate: f64,
    /// The costs of operations, of equal chance.
    costs: Vec<usize>,
    random: Random,
    begun: Instant,
    next_arrival: f64,
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    running: Vec<Option<Slot>>,
    free: Vec<u64>,
    line: VecDeque<Spawn<Admission>>,
    /// How many of the operations that are admitted next never end.
    pub(super) leaking: usize,
    pub(super) leaked: Vec<Slot>,
}

impl Traffic {
    /// Traffic that would use `load` times the capacity of a plain bulkhead on average.
    pub(super) fn plain(capacity: usize, room: usize, load: f64, work: Work, seed: u64) -> Self {
        let builder = Bulkhead::builder("payments").parallelism(capacity).waiting_room(room);
        let payments = builder.build().unwrap();
        let other = payments.clone();
        let rate = load * capacity as f64 / MEAN_HOLD;
        Self::new(move |_| payments.slot(), move || other.status(), vec![1], rate, work, seed)
    }

    /// The same for a weighted bulkhead.
    pub(super) fn weighted(
        capacity: usize,
        room: usize,
        costs: Vec<usize>,
        load: f64,
        work: Work,
        seed: u64,
    ) -> Self {
        let builder = WeightedBulkhead::builder("reports").capacity(capacity).waiting_room(room);
        let reports = builder.build().unwrap();
        let other = reports.clone();
        let mean = costs.iter().sum::<usize>() as f64 / costs.len() as f64;
        let rate = load * capacity as f64 / MEAN_HOLD / mean;
        Self::new(move |cost| reports.slot(cost), move || other.status(), costs, rate, work, seed)
    }

    fn new(
        admit: impl Fn(usize) -> Admission + 'static,
        status: impl Fn() -> BulkheadStatus + 'static,
        costs: Vec<usize>,
        rate: f64,
        work: Work,
        seed: u64,
    ) -> Self {
        Self {
            admit: Box::new(admit),
            status: Box::new(status),
            work,
            mean_hold: MEAN_HOLD,
            rate,
            costs,
            random: Random::new(seed),
            begun: Instant::now(),
            next_arrival: 0.0,
            ends: BinaryHeap::new(),
            running: Vec::new(),
            free: Vec::new(),
            line: VecDeque::new(),
            leaking: 0,
            leaked: Vec::new(),
        }
    }

    pub(super) fn status(&self) -> BulkheadStatus {
        (self.status)()
    }

    /// Lets traffic run for a while, and returns that interval.
    pub(super) async fn run(&mut self, time: Duration) -> BulkheadInterval {
        self.admit_from_line();
        let before = self.status();
        let until = self.now() + time.as_secs_f64();
        loop {
            let end = self.ends.peek().map(|Reverse((nanos, _))| *nanos as f64 / 1e9);
            let next = end.unwrap_or(f64::MAX).min(self.next_arrival);
            if next >= until {
                break;
            }
            self.advance_to(next).await;
            if end.is_some_and(|end| end <= self.next_arrival) {
                let Reverse((_, id)) = self.ends.pop().unwrap();
                self.running[id as usize] = None;
                self.free.push(id);
                self.admit_from_line();
            } else {
                self.arrive();
                self.next_arrival += exponential(&mut self.random, 1.0 / self.rate);
            }
        }
        self.advance_to(until).await;
        self.status().since(&before).unwrap()
    }

    fn now(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    async fn advance_to(&self, seconds: f64) {
        let step = seconds - self.now();
        if step > 0.0 {
            advance(Duration::from_secs_f64(step)).await;
        }
    }

    fn arrive(&mut self) {
        let cost = self.costs[self.random.below(self.costs.len())];
        let mut waiter = task::spawn((self.admit)(cost));
        match waiter.poll() {
            Poll::Ready(Ok(slot)) => self.start(slot),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.line.push_back(waiter),
        }
    }

    fn admit_from_line(&mut self) {
        while self.line.front().is_some_and(Spawn::is_woken) {
            let mut waiter = self.line.pop_front().unwrap();
            if let Poll::Ready(Ok(slot)) = waiter.poll() {
                self.start(slot);
            }
        }
    }

    fn start(&mut self, slot: Slot) {
        if self.leaking > 0 {
            self.leaking -= 1;
            self.leaked.push(slot);
            return;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.running.push(None);
            self.running.len() as u64 - 1
        });
        self.running[id as usize] = Some(slot);
        let seconds = self.work.seconds(&mut self.random) * self.mean_hold / MEAN_HOLD;
        self.ends.push(Reverse((((self.now() + seconds) * 1e9) as u64, id)));
    }
}
