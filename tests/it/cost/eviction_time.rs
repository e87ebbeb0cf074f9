//! What an eviction costs, few partitions or many. Run it by name, in release.

use std::time::{Duration, Instant};

use crate::support::customers;

/// Nanoseconds for each of a million evictions with this many partitions retained.
fn nanos_per_eviction(retained: u64) -> f64 {
    const EVICTIONS: u64 = 1_000_000;
    let customers = customers(1, 0, retained as usize);
    (0..retained).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    let begun = Instant::now();
    (retained..retained + EVICTIONS).for_each(|key| drop(customers.slot_now(&key).unwrap()));
    let taken: Duration = begun.elapsed();
    assert_eq!(customers.status().evicted, EVICTIONS);
    taken.as_nanos() as f64 / EVICTIONS as f64
}

#[test]
#[ignore = "a measurement of time"]
fn an_eviction_among_a_million_costs_at_most_three_times_one_among_a_thousand() {
    let best =
        |retained| (0..5).map(|_| nanos_per_eviction(retained)).fold(f64::INFINITY, f64::min);
    let (few, many) = (best(1_000), best(1_000_000));
    println!("{few:.0} ns at 1,000, {many:.0} ns at 1,000,000: {:.2} times", many / few);
    assert!(many <= 3.0 * few, "{few:.0} ns have become {many:.0} ns");
}
