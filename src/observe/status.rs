//! `BulkheadStatus`: a snapshot of a bulkhead, and values derived from it and from its totals.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    core::gate::{
        counts::{Peaks, Totals},
        histogram::Histogram,
        snapshot::Snapshot,
        times::{HoldTimes, TimesSnapshot},
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
///
/// Two statuses are equal if the bulkhead was in the same state: `sequence`, `taken_at` and `age` are not compared.
#[derive(Clone, Debug)]
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
    /// Whether the bulkhead is paused: no operation is admitted until it is resumed.
    pub is_paused: bool,
    /// Whether the bulkhead is draining: newcomers are rejected, and it is closed once nobody waits.
    pub is_draining: bool,
    /// Whether the bulkhead is closed.
    pub is_closed: bool,
    /// Counters since the bulkhead was created.
    pub totals: Totals,
    /// Highest values since the bulkhead was created.
    pub peaks: Peaks,
    /// When the status was taken, by tokio's clock.
    pub taken_at: Instant,
    /// How long the bulkhead existed then. In the status of a single partition, in whole seconds.
    pub age: Duration,
    /// When the current period of pressure began; `None` if no operation is waiting, or the bulkhead is paused.
    pub under_pressure_since: Option<Instant>,
    /// How long the operations waited that were admitted from the waiting line. Its count is
    /// [`Totals::admitted_from_queue`]. Empty in the status of a single partition: see [`PartitionedStatus`].
    ///
    /// [`PartitionedStatus`]: crate::PartitionedStatus
    pub waits: Histogram,
    /// How long the operations waited that were cancelled: after this time they gave up. Its count is
    /// [`Totals::cancelled`]. Empty in the status of a single partition.
    pub patience: Histogram,
    /// How long operations held their slots. Empty in the status of a single partition.
    pub holds: HoldTimes,
}

impl PartialEq for BulkheadStatus {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            label,
            instance,
            sequence: _,
            capacity,
            used,
            in_flight,
            waiting,
            waiting_units,
            waiting_room,
            wait_limit,
            is_paused,
            is_draining,
            is_closed,
            totals,
            peaks,
            taken_at: _,
            age: _,
            under_pressure_since,
            waits,
            patience,
            holds,
        } = self;
        *label == other.label
            && *instance == other.instance
            && *capacity == other.capacity
            && *used == other.used
            && *in_flight == other.in_flight
            && *waiting == other.waiting
            && *waiting_units == other.waiting_units
            && *waiting_room == other.waiting_room
            && *wait_limit == other.wait_limit
            && *is_paused == other.is_paused
            && *is_draining == other.is_draining
            && *is_closed == other.is_closed
            && *totals == other.totals
            && *peaks == other.peaks
            && *under_pressure_since == other.under_pressure_since
            && *waits == other.waits
            && *patience == other.patience
            && *holds == other.holds
    }
}

impl BulkheadStatus {
    pub(crate) fn new(
        snapshot: Snapshot,
        times: TimesSnapshot,
        age: Duration,
        label: Arc<str>,
        instance: u64,
        wait_limit: Option<Duration>,
    ) -> Self {
        Self {
            label,
            instance,
            sequence: snapshot.sequence,
            capacity: snapshot.settings.capacity as usize,
            used: snapshot.used as usize,
            in_flight: snapshot.in_flight as usize,
            waiting: snapshot.waiting as usize,
            waiting_units: snapshot.waiting_units as usize,
            waiting_room: snapshot.settings.room as usize,
            wait_limit,
            is_paused: snapshot.phase.is_paused(),
            is_draining: snapshot.phase.is_draining(),
            is_closed: snapshot.phase.is_closed(),
            totals: snapshot.totals,
            peaks: snapshot.peaks,
            taken_at: snapshot.taken_at,
            age,
            under_pressure_since: snapshot.under_pressure_since,
            waits: times.waits,
            patience: times.patience,
            holds: times.holds,
        }
    }

    /// Returns the status of the bulkhead at its creation, when nothing had been counted. Its sizes are those of this status,
    /// because former ones are not stored.
    pub(super) fn at_creation(&self) -> Self {
        Self {
            label: self.label.clone(),
            instance: self.instance,
            sequence: 0,
            capacity: self.capacity,
            used: 0,
            in_flight: 0,
            waiting: 0,
            waiting_units: 0,
            waiting_room: self.waiting_room,
            wait_limit: self.wait_limit,
            is_paused: false,
            is_draining: false,
            is_closed: false,
            totals: Totals::default(),
            peaks: Peaks::default(),
            taken_at: self.taken_at.checked_sub(self.age).unwrap_or(self.taken_at),
            age: Duration::ZERO,
            under_pressure_since: None,
            waits: Histogram::default(),
            patience: Histogram::default(),
            holds: HoldTimes::default(),
        }
    }

    /// Returns how long operations had been waiting by `now`, over all periods of pressure since the bulkhead was created.
    #[must_use]
    pub fn pressure(&self, now: Instant) -> Duration {
        let current = self.under_pressure_since.map(|since| now.saturating_duration_since(since));
        self.totals.pressure_time.saturating_add(current.unwrap_or_default())
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
    /// That is, the bulkhead is neither paused, draining nor closed, no unit is free or another operation waits for one, and the waiting
    /// room is full.
    #[must_use]
    pub fn is_saturated(&self) -> bool {
        self.must_wait() && self.waiting >= self.waiting_room
    }

    /// Returns `true` if an operation of cost 1 that arrived at this instant could not be admitted at once: no unit is
    /// free or another operation waits for one. Always `false` if the bulkhead is paused, draining or closed.
    #[must_use]
    pub fn must_wait(&self) -> bool {
        let is_open = !(self.is_paused || self.is_draining || self.is_closed);
        is_open && (self.free() == 0 || self.waiting > 0)
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
