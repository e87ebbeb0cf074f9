//! Callers that arrive at random and run real `execute` futures, which they drop once their patience ends.

use std::{future::Future, time::Duration};

use bulklink::{Bulkhead, BulkheadInterval, Rejection};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::support::Random;

/// Traffic through a bulkhead of any kind.
pub(super) struct Callers {
    /// Arrivals per second.
    pub(super) rate: f64,
    /// The mean duration of the work, which is distributed exponentially unless `is_fixed`.
    pub(super) work: Duration,
    pub(super) is_fixed: bool,
    /// When a caller leaves, counted from its arrival.
    pub(super) patience: Duration,
    random: Random,
    next: Instant,
    running: JoinSet<bool>,
    answered: usize,
}

impl Callers {
    pub(super) fn new(rate: f64, work: Duration) -> Self {
        Self {
            rate,
            work,
            is_fixed: false,
            patience: Duration::from_secs(86_400),
            random: Random::new(17),
            next: Instant::now(),
            running: JoinSet::new(),
            answered: 0,
        }
    }

    pub(super) fn fixed(mut self) -> Self {
        self.is_fixed = true;
        self
    }

    pub(super) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Lets callers arrive for a while. `call` gets a random number and the duration of the work.
    pub(super) async fn run<F>(&mut self, time: Duration, call: impl Fn(usize, Duration) -> F)
    where
        F: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        let end = Instant::now() + time;
        while self.next < end {
            sleep_until(self.next).await;
            let work = if self.is_fixed { self.work } else { self.exponential(self.work) };
            let call = call(self.random.below(1 << 30), work);
            let patience = self.patience;
            self.running.spawn(async move { matches!(timeout(patience, call).await, Ok(Ok(()))) });
            let gap = self.exponential(Duration::from_secs_f64(1.0 / self.rate));
            self.next += gap;
            self.count_answered();
        }
        sleep_until(end).await;
    }

    /// Lets callers arrive at a plain bulkhead for a while, and returns that interval.
    pub(super) async fn call(&mut self, payments: &Bulkhead, time: Duration) -> BulkheadInterval {
        let before = payments.status();
        self.run(time, |_, work| {
            let payments = payments.clone();
            async move { payments.execute(lasting(work)).await }
        })
        .await;
        payments.status().since(&before).unwrap()
    }

    /// Returns how many callers have had an answer.
    pub(super) fn answered(&mut self) -> usize {
        self.count_answered();
        self.answered
    }

    fn count_answered(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.answered += usize::from(ended.unwrap());
        }
    }

    fn exponential(&mut self, mean: Duration) -> Duration {
        let uniform = (self.random.below(1 << 30) + 1) as f64 / (1_u64 << 30) as f64;
        mean.mul_f64(-uniform.ln())
    }
}

/// Work of this duration from the moment on at which it is admitted.
pub(super) async fn lasting(work: Duration) {
    sleep(work).await;
}
