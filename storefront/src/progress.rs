//! What is printed while a phase plays: who is under way, and who waits for what.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Route;
use crate::shop::Shop;

pub(crate) const LOOKS_PER_SECOND: u32 = 20;

pub(crate) struct Progress {
    phase: &'static str,
    start: Instant,
    length: Duration,
    looks: u32,
    pub(crate) longest_pool_line: usize,
}

impl Progress {
    pub(crate) fn new(phase: &'static str, start: Instant, length: Duration) -> Self {
        Self { phase, start, length, looks: 0, longest_pool_line: 0 }
    }

    /// Notes how long the line for connections is, and once a second prints how things stand.
    pub(crate) fn look(&mut self, shop: &Shop) {
        let waiting = shop.store.pool_status().waiting;
        self.longest_pool_line = self.longest_pool_line.max(waiting);
        self.looks += 1;
        if self.looks % LOOKS_PER_SECOND == 0 {
            self.print(shop);
        }
    }

    fn print(&self, shop: &Shop) {
        let elapsed = self.start.elapsed();
        let phase = if elapsed > self.length { "drain" } else { self.phase };
        let pool = shop.store.pool_status();
        print!(
            "  {phase:6} {:3.0} s   in flight: {:3} payments, {:2} reports   connections: {} of {} taken, {:3} waited for",
            elapsed.as_secs_f64(),
            shop.client.in_flight(Route::Payments),
            shop.client.in_flight(Route::Reports),
            pool.size - pool.available,
            pool.max_size,
            pool.waiting,
        );
        for bulkhead in shop.bulkhead_statuses() {
            let (running, waiting) = (bulkhead.in_flight, bulkhead.waiting);
            print!("   {} {running}+{waiting}", bulkhead.label);
        }
        println!();
    }
}
