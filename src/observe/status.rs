//! `BulkheadStatus`: a snapshot of a bulkhead, and values derived from it and from its totals.

use std::time::Duration;

use crate::{
    core::gate::{
        counts::{Peaks, Totals},
        snapshot::Snapshot,
    },
    sync::Arc,
};

/// A snapshot of a bulkhead, in which every field belongs to the same instant.
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
    /// The label of the bulkhead.
    pub label: Arc<str>,
    /// A number that is unique to this bulkhead within the process.
    pub instance: u64,
    /// A number that rises strictly with every status and event of this bulkhead, in causal order.
    pub sequence: u64,
    /// Units that may be in use at once. In a plain bulkhead this is the parallelism.
    pub capacity: usize,
    /// Units in use. Exceeds `capacity` only after a shrink.
    pub used: usize,
    /// Operations running.
    pub in_flight: usize,
    /// Operations waiting.
    pub waiting: usize,
    /// Units that the waiting operations need.
    pub waiting_units: usize,
    /// Operations that may wait.
    pub waiting_room: usize,
    /// The longest time an operation may wait, or `None` if there is no limit.
    pub wait_limit: Option<Duration>,
    /// Whether the bulkhead is closed.
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

    /// Returns `true` if the bulkhead is closed and its last operation has ended.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_closed && self.in_flight == 0
    }

    /// Returns the number of free units.
    #[must_use]
    pub fn free(&self) -> usize {
        self.capacity.saturating_sub(self.used)
    }

    /// Returns the number of units in use above the capacity, after a shrink.
    #[must_use]
    pub fn excess(&self) -> usize {
        self.used.saturating_sub(self.capacity)
    }

    /// Returns `true` if more units are in use than the capacity, after a shrink.
    #[must_use]
    pub fn is_over_capacity(&self) -> bool {
        self.excess() > 0
    }

    /// Returns `true` if an operation of cost 1 that arrived at this instant would be rejected as saturated.
    ///
    /// That is, the bulkhead is open, no unit is free or another operation waits for one, and the waiting
    /// room is full.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        let must_wait = self.free() == 0 || self.waiting > 0;
        !self.is_closed && must_wait && self.waiting >= self.waiting_room
    }

    /// Returns the units in use as a fraction of the capacity, which is above 1 only after a shrink.
    #[must_use]
    pub fn utilization(&self) -> f64 {
        self.used as f64 / self.capacity as f64
    }

    /// Returns the waiting operations as a fraction of the waiting room, or 0 if there is no waiting room.
    #[must_use]
    pub fn queue_utilization(&self) -> f64 {
        match self.waiting_room {
            0 => 0.0,
            room => self.waiting as f64 / room as f64,
        }
    }
}

impl Totals {
    /// Returns the number of operations rejected: saturated, expired, closed and oversized.
    ///
    /// Cancelled waiters are not counted, because their callers gave up.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.saturated + self.expired + self.expired_before_queue + self.closed() + self.oversized
    }

    /// Returns the number of operations rejected because the bulkhead was closed, on arrival or while
    /// waiting.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.closed_before_queue + self.closed_while_waiting
    }

    /// Returns the number of operations admitted without waiting.
    #[must_use]
    pub fn direct_admitted(&self) -> u64 {
        self.admitted - self.admitted_from_queue
    }

    /// Returns the units of the operations admitted without waiting.
    #[must_use]
    pub fn direct_admitted_units(&self) -> u64 {
        self.admitted_units - self.admitted_from_queue_units
    }

    /// Returns the number of waiters that have left the waiting line for any reason.
    #[must_use]
    pub fn settled_waiting(&self) -> u64 {
        self.admitted_from_queue + self.expired + self.cancelled + self.closed_while_waiting
    }

    /// Returns the average time that admitted waiters waited, or `None` if there were none.
    #[must_use]
    pub fn average_wait(&self) -> Option<Duration> {
        let nanos = self.wait_time.as_nanos().checked_div(u128::from(self.admitted_from_queue))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Returns the average cost of the admitted operations in units, or `None` if there were none.
    #[must_use]
    pub fn average_cost(&self) -> Option<f64> {
        (self.admitted > 0).then(|| self.admitted_units as f64 / self.admitted as f64)
    }

    /// Returns `true` if any counter is not zero.
    #[must_use]
    pub fn has_activity(&self) -> bool {
        *self != Self::default()
    }
}
