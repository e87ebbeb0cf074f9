//! `Overview`: what `status.json` says, and the time it covers.

use std::time::Duration;

use serde::Serialize;

use super::recent::LONGEST_WINDOW;
use crate::{
    core::gate::{counts::Totals, histogram::Histogram, times::HoldTimes},
    integrations::serde::fields::InUnixMs,
    observe::{
        registry::{RegisteredInterval, RegistryInterval, RegistrySnapshot, RegistryStatus},
        report::{CapacityFinding, Severity},
        status::BulkheadStatus,
    },
    registry::BulkheadRegistry,
};

/// The time that the figures cover unless the query says otherwise.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// Partitions of a bulkhead that are ranked.
const RANKS: usize = 10;

/// A bulkhead with more partitions has no ranks, because finding the busiest reads all of them.
const MOST_RANKED: usize = 10_000;

/// Reads the parameter `window` of a query: whole seconds.
pub(super) fn window(query: &str) -> Result<Duration, String> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("window="));
    let Some(value) = values.next() else { return Ok(DEFAULT_WINDOW) };
    let longest = LONGEST_WINDOW.as_secs();
    match value.parse() {
        Ok(seconds) if (1..=longest).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("window {value:?}: must be whole seconds from 1 to {longest}\n")),
    }
}

/// All bulkheads of a registry.
#[derive(Serialize)]
pub(super) struct Overview<'a> {
    taken_at_unix_ms: Option<u64>,
    is_draining: bool,
    is_closed: bool,
    allows_changes: bool,
    window_seconds: Option<f64>,
    severity: Severity,
    bulkheads: Vec<BulkheadOverview<'a>>,
}

/// One of them: now, lately, and what is to be said of it.
#[derive(Serialize)]
struct BulkheadOverview<'a> {
    status: &'a RegistryStatus,
    window: Window,
    severity: Severity,
    findings: Vec<CapacityFinding>,
    busiest: Vec<Rank>,
}

/// What happened in the time that the figures cover.
#[derive(Serialize)]
struct Window {
    elapsed_seconds: f64,
    arrivals_per_second: Option<f64>,
    admissions_per_second: Option<f64>,
    completions_per_second: Option<f64>,
    rejections_per_second: Option<f64>,
    utilization: Option<f64>,
    demand: Option<f64>,
    pressure_seconds: f64,
    totals: Totals,
    waits: Histogram,
    patience: Histogram,
    holds: HoldTimes,
}

/// A partition without its key.
#[derive(Serialize)]
struct Rank {
    used: usize,
    in_flight: usize,
    waiting: usize,
    capacity: usize,
    waiting_room: usize,
    arrived: u64,
}

impl<'a> Overview<'a> {
    /// `interval` ends with `now`; without one, the figures are of all time.
    pub(super) fn new(
        registry: &BulkheadRegistry,
        now: &'a RegistrySnapshot,
        interval: Option<RegistryInterval>,
        allows_changes: bool,
    ) -> Self {
        let window_seconds = interval.as_ref().map(|interval| interval.elapsed.as_secs_f64());
        let interval =
            interval.unwrap_or_else(|| now.since(&RegistrySnapshot::new(now.taken_at, Vec::new())));
        let bulkheads: Vec<_> = now
            .statuses
            .iter()
            .zip(&interval.intervals)
            .map(|(status, interval)| BulkheadOverview::new(registry, status, interval))
            .collect();
        Self {
            taken_at_unix_ms: now.taken_at.in_unix_ms(),
            is_draining: registry.is_draining(),
            is_closed: registry.is_closed(),
            allows_changes,
            window_seconds,
            severity: bulkheads
                .iter()
                .map(|bulkhead| bulkhead.severity)
                .max()
                .unwrap_or(Severity::Ok),
            bulkheads,
        }
    }
}

impl<'a> BulkheadOverview<'a> {
    fn new(
        registry: &BulkheadRegistry,
        status: &'a RegistryStatus,
        interval: &RegisteredInterval,
    ) -> Self {
        let report = interval.capacity_report();
        let busiest = match status.partitioned() {
            // A bulkhead that is removed in the meantime has none.
            Some(status) if status.partitions <= MOST_RANKED => {
                registry.busiest_partitions(&status.label, RANKS).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Self {
            status,
            window: Window::new(interval),
            severity: report.severity(),
            findings: report.findings,
            busiest: busiest.iter().map(Rank::new).collect(),
        }
    }
}

impl Window {
    fn new(interval: &RegisteredInterval) -> Self {
        match interval {
            RegisteredInterval::Bulkhead(interval) => Self {
                elapsed_seconds: interval.elapsed.as_secs_f64(),
                arrivals_per_second: interval.arrivals_per_second(),
                admissions_per_second: interval.admissions_per_second(),
                completions_per_second: interval.completions_per_second(),
                rejections_per_second: interval.rejections_per_second(),
                utilization: interval.utilization(),
                demand: interval.demand(),
                pressure_seconds: interval.pressure().as_secs_f64(),
                totals: interval.totals,
                waits: interval.waits.clone(),
                patience: interval.patience.clone(),
                holds: interval.holds.clone(),
            },
            RegisteredInterval::Partitioned(interval) => Self {
                elapsed_seconds: interval.elapsed.as_secs_f64(),
                arrivals_per_second: interval.arrivals_per_second(),
                admissions_per_second: interval.admissions_per_second(),
                completions_per_second: interval.completions_per_second(),
                rejections_per_second: interval.rejections_per_second(),
                utilization: None,
                demand: None,
                pressure_seconds: interval.pressure().as_secs_f64(),
                totals: interval.totals,
                waits: interval.waits.clone(),
                patience: interval.patience.clone(),
                holds: interval.holds.clone(),
            },
        }
    }
}

impl Rank {
    fn new(status: &BulkheadStatus) -> Self {
        Self {
            used: status.used,
            in_flight: status.in_flight,
            waiting: status.waiting,
            capacity: status.capacity,
            waiting_room: status.waiting_room,
            arrived: status.totals.arrived(),
        }
    }
}
