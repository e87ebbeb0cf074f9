//! What is printed while a phase runs: one line a second.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Route;
use crate::shop::Shop;
use crate::tally::{Latencies, in_words};

pub(crate) const TICKS_PER_SECOND: u32 = 20;

pub(crate) struct Progress<'a> {
    shop: &'a Shop,
    phase: &'static str,
    start: Instant,
    length: Duration,
    ticks: u32,
    last_line: Instant,
    /// The most requests found waiting for one of the pool's connections.
    pub(crate) peak_pool_waiters: usize,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        shop: &'a Shop,
        phase: &'static str,
        start: Instant,
        length: Duration,
    ) -> Self {
        // Answers that the previous phase got after its last line are not of this phase.
        shop.client.take_paid();
        Self { shop, phase, start, length, ticks: 0, last_line: start, peak_pool_waiters: 0 }
    }

    /// Notes how many requests wait for a connection, and prints a line once a second.
    pub(crate) fn tick(&mut self) {
        let waiting = self.shop.store.pool_status().waiting;
        self.peak_pool_waiters = self.peak_pool_waiters.max(waiting);
        self.ticks += 1;
        if self.ticks % TICKS_PER_SECOND == 0 {
            self.print_line();
        }
    }

    fn print_line(&mut self) {
        let Shop { client, store, .. } = self.shop;
        let elapsed = self.start.elapsed();
        let phase = if elapsed > self.length { "drain" } else { self.phase };
        let since_last_line = self.last_line.elapsed();
        self.last_line = Instant::now();
        let paid = Latencies::from(client.take_paid());
        let pool = store.pool_status();
        print!(
            "  {phase:6} {:3.0} s{:>12.0}{:>9}{:>10}{:>9}{:>7}{:>9}",
            elapsed.as_secs_f64(),
            paid.count() as f64 / since_last_line.as_secs_f64(),
            in_words(paid.percentile(99)),
            client.in_flight(Route::Payments),
            client.in_flight(Route::Reports),
            pool.size - pool.available,
            pool.waiting,
        );
        for bulkhead in self.shop.bulkhead_statuses() {
            let (running, waiting) = (bulkhead.in_flight, bulkhead.waiting);
            print!("{:>10}", format!("{running}+{waiting}"));
        }
        println!();
    }
}

pub(crate) fn print_header(shop: &Shop) {
    let bulkheads = shop.bulkhead_statuses();
    let over_bulkheads = if bulkheads.is_empty() { "" } else { "     running+waiting" };
    println!(
        "{:14}{:>21}{:>19}{:>16}{over_bulkheads}",
        "", "answered payments", "in flight", "connections"
    );
    print!(
        "{:14}{:>12}{:>9}{:>10}{:>9}{:>7}{:>9}",
        "", "payments/s", "p99", "payments", "reports", "taken", "waiting"
    );
    for bulkhead in bulkheads {
        print!("{:>10}", bulkhead.label);
    }
    println!();
}
