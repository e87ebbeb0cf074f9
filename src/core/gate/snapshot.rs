//! `Snapshot`: one instant of a gate, assembled from its word, its state and its counts.
//!
//! It owns the derived values: in each identity between the totals, the term that the gate does not count. It
//! does not own the counting.

use std::time::Duration;

use tokio::time::Instant;

use crate::core::gate::{
    counts::{Peaks, Totals, UnitCounts},
    lifecycle::Phase,
    reconfiguring::GateSettings,
    section::Section,
    state::GateState,
};

/// One instant of a gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) sequence: u64,
    pub(crate) taken_at: Instant,
    /// In whole seconds.
    pub(crate) age: Duration,
    /// Without the wait limit in a partition.
    pub(crate) settings: GateSettings,
    pub(crate) used: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    pub(crate) waiting_units: u64,
    pub(crate) phase: Phase,
    /// Whether this is the partition of a key that is refused.
    pub(crate) is_refused: bool,
    /// When the current period of pressure began.
    pub(crate) under_pressure_since: Option<Instant>,
    pub(crate) totals: Totals,
    pub(crate) peaks: Peaks,
}

impl Section<'_> {
    /// Settles what has changed and returns a snapshot. All fields belong to one instant: the reading of the word, because
    /// nothing else changes while the lock is held.
    pub(in crate::core) fn settled_snapshot(&mut self) -> Snapshot {
        self.settle();
        let (sequence, taken_at) = (self.next_sequence(), self.now());
        let (used, in_flight) = (self.used(), self.in_flight());
        let GateState { phase, is_refused, ref counts, ref lazy, .. } = *self.state;
        let cold = self.state.cold_counts();
        let waits =
            self.state.records.as_ref().map(|own| own.times.lost_waits()).unwrap_or_default();
        let waiting = self.state.waiting();
        let waiting_units = lazy.as_ref().map_or(0, |lazy| lazy.line.units());
        let admitted = self.state.admitted + self.word.admissions();
        let queued = u64::from(waiting)
            + counts.admitted_from_queue
            + counts.expired
            + counts.cancelled
            + cold.closed_while_waiting;
        let finished = admitted - u64::from(in_flight) - counts.abandoned;
        let units = match self.state.units() {
            Some(units) => {
                UnitCounts { admitted: units.admitted + self.word.counted_units(), ..*units }
            }
            // In a plain gate every operation has one unit.
            None => UnitCounts {
                admitted,
                admitted_from_queue: counts.admitted_from_queue,
                abandoned: counts.abandoned,
                cut_short: counts.cut_short,
                queued,
                ceiling: 0,
                peak_in_flight: counts.peak_used,
                peak_waiting: u64::from(counts.peak_waiting),
            },
        };
        Snapshot {
            sequence,
            taken_at,
            age: self.state.age(taken_at),
            settings: self.settings(),
            used,
            in_flight,
            waiting,
            waiting_units,
            phase,
            is_refused,
            under_pressure_since: lazy.as_ref().and_then(|lazy| lazy.pressed_since),
            totals: Totals {
                admitted,
                admitted_units: units.admitted,
                admitted_from_queue: counts.admitted_from_queue,
                admitted_from_queue_units: units.admitted_from_queue,
                abandoned: counts.abandoned,
                abandoned_units: units.abandoned,
                abandoned_by_deadline: cold.abandoned_by_deadline,
                queued,
                queued_units: units.queued,
                saturated: counts.saturated,
                total_saturated: cold.total_saturated,
                expired: counts.expired,
                expired_by_deadline: cold.expired_by_deadline,
                expired_before_queue: cold.expired_before_queue,
                expired_before_queue_by_deadline: cold.expired_before_queue_by_deadline,
                cancelled: counts.cancelled,
                closed_before_queue: cold.closed_before_queue,
                closed_while_waiting: cold.closed_while_waiting,
                paused: cold.paused,
                oversized: cold.oversized,
                invalid_cost: cold.invalid_cost,
                partition_limited: cold.partition_limited,
                invalid_limits: cold.invalid_limits,
                key_refused: cold.key_refused,
                missing_key: cold.missing_key,
                bypassed: cold.bypassed,
                nested: cold.nested,
                finished,
                finished_units: units.admitted - u64::from(used) - units.abandoned,
                cut_short: counts.cut_short,
                cut_short_units: units.cut_short,
                bodies_ended_early: cold.bodies_ended_early,
                handler_panics: cold.handler_panics,
                wait_time: Duration::from_nanos(counts.wait_nanos),
                cancelled_wait_time: waits.cancelled,
                expired_wait_time: waits.expired,
                pressure_time: Duration::from_nanos(counts.pressure_nanos),
            },
            peaks: Peaks {
                used: counts.peak_used as usize,
                in_flight: units.peak_in_flight as usize,
                waiting: counts.peak_waiting as usize,
                waiting_units: units.peak_waiting as usize,
                wait: Duration::from_nanos(counts.longest_wait_nanos),
            },
        }
    }
}
