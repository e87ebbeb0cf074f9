//! What an interval advises, and when it has no advice.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use bulklink::{AdviceError, BulkheadInterval, Goal, WeightedBulkhead};
use tokio_test::{assert_pending, task};

use crate::support::{Random, in_paused_time, ms, weighted};

/// The shortest interval in which every operation of these costs and holds ran, one after the other. Each waited for the
/// one before it, so each was timed. No operation is in use at either end.
fn interval_of(capacity: usize, operations: &[(usize, Duration)]) -> BulkheadInterval {
    in_paused_time(async {
        let reports: WeightedBulkhead = weighted(capacity, 10);
        let before = reports.status();
        let mut running = reports.slot_now(capacity).unwrap();
        for &(cost, hold) in operations {
            let mut waiter = Box::pin(reports.slot(cost));
            let mut polled = task::spawn(poll_fn(|cx| Poll::Ready(Pin::new(&mut waiter).poll(cx))));
            assert!(matches!(polled.poll(), Poll::Ready(Poll::Pending)));
            drop(polled);
            drop(running);
            running = waiter.await.unwrap();
            tokio::time::advance(hold).await;
        }
        drop(running);
        reports.status().since(&before).unwrap()
    })
}

/// `count` holds whose distribution is exponential with a mean of one second.
fn exponential(count: usize) -> Vec<Duration> {
    let quantile = |at: usize| -(1.0 - (at as f64 + 0.5) / count as f64).ln();
    (0..count).map(|at| Duration::from_secs_f64(quantile(at))).collect()
}

/// An interval of a plain bulkhead of this capacity: operations that held their slots for these times arrived at `rate` per
/// second, and none had to wait.
fn plain(in_force: usize, rate: f64, holds: &[Duration]) -> BulkheadInterval {
    let operations: Vec<_> = holds.iter().map(|&hold| (1, hold)).collect();
    at_rate(interval_of(1, &operations), in_force, rate)
}

fn at_rate(mut interval: BulkheadInterval, in_force: usize, rate: f64) -> BulkheadInterval {
    interval.start.capacity = in_force;
    interval.end.capacity = in_force;
    interval.end.totals.pressure_time = Duration::ZERO;
    let (operations, units) = (interval.totals.finished - 1, interval.totals.finished_units);
    interval.totals = Default::default();
    interval.totals.admitted = operations;
    interval.totals.finished = operations;
    let units = units - interval.start.capacity.min(usize::MAX) as u64;
    let _ = units;
    interval.totals.admitted_units = operations;
    interval.totals.finished_units = operations;
    interval.elapsed = Duration::from_secs_f64(operations as f64 / rate);
    interval
}
