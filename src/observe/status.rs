//! `BulkheadStatus`: one instant of a bulkhead, and what can be read off it.

use std::time::Duration;

use crate::{
    core::gate::{
        counts::{Peaks, Totals},
        snapshot::Snapshot,
    },
    sync::Arc,
};

/// One instant of a bulkhead: every field belongs to the same moment.
///
/// # Examples
///
/// ```
/// use bulklink::Bulkhead;
///
/// let payments = Bulkhead::builder("payments").parallelism(2).build()?;
/// let slot = payments.slot_now()?;
/// let status = payments.status();
/// assert_eq!((status.used, status.free()), (1, 1));
/// assert_eq!(status.totals.admitted, 1);
/// # drop(slot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BulkheadStatus {
    /// The bulkhead's name.
    pub label: Arc<str>,
    /// A number that no other bulkhead of this process has.
    pub instance: u64,
    /// Rises strictly with every status and event of this bulkhead, in causal order.
    pub sequence: u64,
    /// Units that may be in use at once. In a plain bulkhead, its parallelism.
    pub capacity: usize,
    /// Units in use. More than `capacity` only after a shrink.
    pub used: usize,
    /// Operations running.
    pub in_flight: usize,
    /// Operations in line.
    pub waiting: usize,
    /// Units that the operations in line need.
    pub waiting_units: usize,
    /// Operations that may be in line.
    pub waiting_room: usize,
    /// Longest time an operation may be in line.
    pub wait_limit: Option<Duration>,
    /// Whether the bulkhead was closed.
    pub is_closed: bool,
    /// Counters since the bulkhead was created.
    pub totals: Totals,
    /// Highest values since the bulkhead was created.
    pub peaks: Peaks,
}

impl BulkheadStatus {
    pub(crate) fn new(
        snapshot: Snapshot,
        label: Arc<str>,
        instance: u64,
        waiting_room: usize,
        wait_limit: Option<Duration>,
    ) -> Self {
        Self {
            label,
            instance,
            sequence: snapshot.sequence,
            capacity: snapshot.capacity as usize,
            used: snapshot.used as usize,
            in_flight: snapshot.in_flight as usize,
            waiting: snapshot.waiting as usize,
            waiting_units: snapshot.waiting_units as usize,
            waiting_room,
            wait_limit,
            is_closed: snapshot.is_closed,
            totals: snapshot.totals,
            peaks: snapshot.peaks,
        }
    }

    /// Whether the bulkhead is closed and its last operation has ended.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_closed && self.in_flight == 0
    }

    /// Units that are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.capacity.saturating_sub(self.used)
    }

    /// Units in use above the capacity, after a shrink.
    #[must_use]
    pub fn excess(&self) -> usize {
        self.used.saturating_sub(self.capacity)
    }

    /// Whether more units are in use than the capacity, after a shrink.
    #[must_use]
    pub fn is_over_capacity(&self) -> bool {
        self.excess() > 0
    }

    /// Whether an operation of cost 1 that arrived at this instant would be rejected as saturated:
    /// the bulkhead is open, there is no free unit or somebody waits for one, and the waiting room is
    /// full.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        let must_wait = self.free() == 0 || self.waiting > 0;
        !self.is_closed && must_wait && self.waiting >= self.waiting_room
    }

    /// Units in use as a share of the capacity. Above 1 only after a shrink.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        self.used as f64 / self.capacity as f64
    }

    /// Operations in line as a share of the waiting room; 0 if there is no waiting room.
    #[must_use]
    pub fn queue_utilization(&self) -> f64 {
        match self.waiting_room {
            0 => 0.0,
            room => self.waiting as f64 / room as f64,
        }
    }
}

impl Totals {
    /// Operations that were not admitted: saturated, expired, closed and oversized. Cancelled waiters
    /// left of their own accord and are not among them.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.saturated + self.expired + self.expired_before_queue + self.closed() + self.oversized
    }

    /// Operations rejected because the bulkhead was closed, on arrival or in line.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.closed_before_queue + self.closed_while_waiting
    }

    /// Operations admitted without waiting.
    #[must_use]
    pub fn direct_admitted(&self) -> u64 {
        self.admitted - self.admitted_from_queue
    }

    /// Units of the operations admitted without waiting.
    #[must_use]
    pub fn direct_admitted_units(&self) -> u64 {
        self.admitted_units - self.admitted_from_queue_units
    }

    /// Waiters that have left the line, in whatever way.
    #[must_use]
    pub fn settled_waiting(&self) -> u64 {
        self.admitted_from_queue + self.expired + self.cancelled + self.closed_while_waiting
    }

    /// Average time in line of the waiters that were admitted; `None` if there were none.
    #[must_use]
    pub fn average_wait(&self) -> Option<Duration> {
        let nanos = self.wait_time.as_nanos().checked_div(u128::from(self.admitted_from_queue))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Average cost of the operations admitted; `None` if there were none.
    #[must_use]
    pub fn average_cost(&self) -> Option<f64> {
        (self.admitted > 0).then(|| self.admitted_units as f64 / self.admitted as f64)
    }

    /// Whether anything was counted at all.
    #[must_use]
    pub fn has_activity(&self) -> bool {
        *self != Self::default()
    }
}
