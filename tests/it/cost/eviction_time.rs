//! The time of an eviction among few and among many partitions. Ignored by default: run it by name, with
//! `--release`.

use std::time::{Duration, Instant};

use crate::support::customers;

/// Returns the nanoseconds per eviction, over a million evictions with `retained` partitions.
fn nanos_per_eviction(retained: u64) -> f64 {
    const EVICTIONS: u64 = 1_000_000;
    let customers = customers(1, 0, retained as usize);
    (0..retained).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    let start = Instant::now();
    (retained..retained + EVICTIONS).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    let elapsed: Duration = start.elapsed();
    assert_eq!(customers.status().evicted, EVICTIONS);
    elapsed.as_nanos() as f64 / EVICTIONS as f64
}

#[test]
#[ignore = "measures time"]
fn an_eviction_among_a_million_costs_at_most_three_times_one_among_a_thousand() {
    let best =
        |retained| (0..5).map(|_| nanos_per_eviction(retained)).fold(f64::INFINITY, f64::min);
    let (few, many) = (best(1_000), best(1_000_000));
    println!("{few:.0} ns at 1,000, {many:.0} ns at 1,000,000: {:.2} times", many / few);
    assert!(many <= 3.0 * few, "{many:.0} ns among many, {few:.0} ns among few");
}
