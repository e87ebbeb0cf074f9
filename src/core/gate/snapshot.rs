//! `Snapshot`: one instant of a gate, assembled from its word, its state and its counts.
//!
//! It owns the derived values: in each identity between the totals, the term that the gate does not count. It
//! does not own the counting.

use std::time::Duration;

use crate::core::gate::{
    counts::{Peaks, Totals, UnitCounts},
    section::Section,
    state::GateState,
};

/// One instant of a gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Snapshot {
    pub(crate) sequence: u64,
    pub(crate) capacity: u32,
    pub(crate) used: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    pub(crate) waiting_units: u64,
    pub(crate) is_closed: bool,
    pub(crate) totals: Totals,
    pub(crate) peaks: Peaks,
}

impl Section<'_> {
    /// Returns a snapshot. All fields belong to one instant: the reading of the word, because nothing else
    /// changes while the lock is held.
    pub(in crate::core) fn snapshot(&mut self) -> Snapshot {
        let sequence = self.next_sequence();
        let (used, in_flight) = (self.used(), self.in_flight());
        let GateState { capacity, is_closed, ref counts, ref lazy, .. } = *self.state;
        let lazy_counts = lazy.as_ref().map(|lazy| lazy.counts).unwrap_or_default();
        let waiting = self.state.waiting();
        let waiting_units = lazy.as_ref().map_or(0, |lazy| lazy.line.units());
        let admitted = self.state.admitted + self.word.admissions();
        let queued = u64::from(waiting)
            + counts.admitted_from_queue
            + counts.expired
            + counts.cancelled
            + lazy_counts.closed_while_waiting;
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
                queued,
                ceiling: 0,
                peak_in_flight: counts.peak_used,
                peak_waiting: u64::from(counts.peak_waiting),
            },
        };
        Snapshot {
            sequence,
            capacity,
            used,
            in_flight,
            waiting,
            waiting_units,
            is_closed,
            totals: Totals {
                admitted,
                admitted_units: units.admitted,
                admitted_from_queue: counts.admitted_from_queue,
                admitted_from_queue_units: units.admitted_from_queue,
                abandoned: counts.abandoned,
                abandoned_units: units.abandoned,
                queued,
                queued_units: units.queued,
                saturated: counts.saturated,
                expired: counts.expired,
                expired_before_queue: counts.expired_before_queue,
                cancelled: counts.cancelled,
                closed_before_queue: lazy_counts.closed_before_queue,
                closed_while_waiting: lazy_counts.closed_while_waiting,
                oversized: lazy_counts.oversized,
                bypassed: lazy_counts.bypassed,
                finished,
                finished_units: units.admitted - u64::from(used) - units.abandoned,
                handler_panics: lazy_counts.handler_panics,
                wait_time: counts.wait_time,
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
