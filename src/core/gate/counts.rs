//! The counters of the engine: the public `Totals` and `Peaks`, and the compact form in which a gate stores
//! them.
//!
//! It owns the counters and the identities between them. Rates, averages and intervals are derived in
//! `observe`.

use std::time::Duration;

/// Counters since a bulkhead was created. They only rise and are never reset.
///
/// Every outcome is counted once. In every snapshot:
///
/// - `admitted = in_flight + finished + abandoned`, and the same in units with `used` instead of `in_flight`;
/// - `queued = waiting + admitted_from_queue + expired + cancelled + closed_while_waiting`;
/// - [`arrived()`](Self::arrived)` = admitted + `[`rejected()`](Self::rejected)` + cancelled + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Operations admitted, at once or after waiting.
    pub admitted: u64,
    /// Units of these operations.
    pub admitted_units: u64,
    /// Operations admitted from the waiting line.
    pub admitted_from_queue: u64,
    /// Units of the operations that were admitted after waiting.
    pub admitted_from_queue_units: u64,
    /// Admitted operations that never started: a waiter was dropped after its admission, or a service that
    /// was ready was dropped or was called with a request whose deadline had passed.
    pub abandoned: u64,
    /// Units of the operations that never started.
    pub abandoned_units: u64,
    /// Of [`abandoned`](Self::abandoned): the service was ready, but the deadline of the request that it was called with
    /// had passed.
    pub abandoned_by_deadline: u64,
    /// Operations that joined the waiting line.
    pub queued: u64,
    /// Units of the operations that joined the waiting line.
    pub queued_units: u64,
    /// Operations rejected because they could neither be admitted at once nor wait.
    pub saturated: u64,
    /// The same, because of the capacity or the room that all keys of a partitioned bulkhead share.
    pub total_saturated: u64,
    /// Waiters rejected because their wait limit or deadline passed.
    pub expired: u64,
    /// Of [`expired`](Self::expired): their deadline passed first.
    pub expired_by_deadline: u64,
    /// Operations rejected because their wait limit or deadline had passed before they arrived.
    pub expired_before_queue: u64,
    /// Of [`expired_before_queue`](Self::expired_before_queue): their deadline had passed.
    pub expired_before_queue_by_deadline: u64,
    /// Waiters dropped before they were admitted.
    pub cancelled: u64,
    /// Operations rejected because they arrived after `close` or `drain`.
    pub closed_before_queue: u64,
    /// Waiters rejected by `close`.
    pub closed_while_waiting: u64,
    /// Operations rejected because the bulkhead was paused, and they could not wait or the waiting room was full.
    pub paused: u64,
    /// Operations rejected because their cost exceeds the capacity.
    pub oversized: u64,
    /// Operations rejected because their cost is 0.
    pub invalid_cost: u64,
    /// Operations rejected because their key needed a partition and all partitions were in use.
    pub partition_limited: u64,
    /// Operations rejected because `limits_for` panicked or returned invalid limits for their key.
    pub invalid_limits: u64,
    /// Operations rejected because their key is refused.
    pub key_refused: u64,
    /// Requests rejected because they had no key.
    pub missing_key: u64,
    /// Requests that bypassed the bulkhead. No other counter includes them.
    pub bypassed: u64,
    /// Requests that a layer let pass because they were within a slot of the same bulkhead already. No other counter includes
    /// them.
    pub nested: u64,
    /// Operations that ran and ended.
    pub finished: u64,
    /// Units of the operations that ran and ended.
    pub finished_units: u64,
    /// Of [`finished`](Self::finished): operations whose future was dropped or panicked before it had an output or a
    /// response. An error of the inner service is a response. A [`Slot`](crate::Slot) that is dropped counts as completed.
    pub cut_short: u64,
    /// Units of the operations that were cut short.
    pub cut_short_units: u64,
    /// Response bodies that held a slot and were dropped before their end, except after the whole content length was
    /// delivered and for HEAD requests. A stream without an end always ends like this.
    pub bodies_ended_early: u64,
    /// Panics of event handlers. All of them were caught.
    pub handler_panics: u64,
    /// Total time that admitted operations spent in the waiting line.
    pub wait_time: Duration,
    /// Total time that cancelled operations spent in the waiting line. Zero in the status of a single partition: it is kept
    /// for all partitions of a bulkhead together.
    pub cancelled_wait_time: Duration,
    /// Total time that expired operations spent in the waiting line. Zero in the status of a single partition.
    pub expired_wait_time: Duration,
    /// Total time under pressure, that is with operations waiting while the bulkhead is not paused, of the periods that have
    /// ended. In a partitioned
    /// bulkhead, the sum over its partitions.
    pub pressure_time: Duration,
}

/// Combines two totals counter by counter.
macro_rules! each_total {
    ($one:expr, $other:expr, $op:expr, $op_time:expr; $($counter:ident)*; $($time:ident)*) => {
        Totals {
            $($counter: $op($one.$counter, $other.$counter),)*
            $($time: $op_time($one.$time, $other.$time),)*
        }
    };
    ($one:expr, $other:expr, $op:expr, $op_time:expr) => {
        each_total! { $one, $other, $op, $op_time;
            admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned
            abandoned_units abandoned_by_deadline queued queued_units saturated total_saturated expired
            expired_by_deadline expired_before_queue expired_before_queue_by_deadline cancelled
            closed_before_queue closed_while_waiting paused oversized invalid_cost partition_limited
            invalid_limits key_refused missing_key bypassed nested finished finished_units cut_short cut_short_units
            bodies_ended_early handler_panics;
            wait_time cancelled_wait_time expired_wait_time pressure_time
        }
    };
}

impl Totals {
    /// Returns the sum of these totals and those of other operations.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        each_total!(self, other, u64::wrapping_add, Duration::saturating_add)
    }

    /// Returns the difference between these totals and earlier ones of the same counters, or `None` if a counter of the
    /// earlier ones is higher.
    pub(crate) fn since(&self, earlier: &Self) -> Option<Self> {
        let mut rises = true;
        let counter = |later: u64, earlier| later.checked_sub(earlier);
        let time = |later: Duration, earlier| later.checked_sub(earlier);
        let totals = each_total!(
            self,
            earlier,
            |later, earlier| counter(later, earlier).unwrap_or_else(|| {
                rises = false;
                0
            }),
            |later, earlier| time(later, earlier).unwrap_or_else(|| {
                rises = false;
                Duration::ZERO
            })
        );
        rises.then_some(totals)
    }
}

/// The highest values that a bulkhead has reached since it was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peaks {
    /// Most units in use at once.
    pub used: usize,
    /// Most operations in flight at once.
    pub in_flight: usize,
    /// Longest waiting line, in operations.
    pub waiting: usize,
    /// Longest waiting line, in units.
    pub waiting_units: usize,
    /// Longest wait of an admitted operation.
    pub wait: Duration,
}

/// The counters that a gate stores: only those that cannot be derived, small enough for a gate per key. For
/// the order of the fields see `GateState`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(in crate::core) struct Counts {
    pub(in crate::core) peak_used: u32,
    pub(in crate::core) peak_waiting: u32,
    pub(in crate::core) admitted_from_queue: u64,
    pub(in crate::core) wait_nanos: u64,
    pub(in crate::core) longest_wait_nanos: u64,
    pub(in crate::core) pressure_nanos: u64,
    pub(in crate::core) abandoned: u64,
    pub(in crate::core) cut_short: u64,
    pub(in crate::core) saturated: u64,
    pub(in crate::core) expired: u64,
    pub(in crate::core) cancelled: u64,
}

impl Counts {
    #[inline]
    pub(in crate::core) fn count_wait(&mut self, nanos: u64) {
        self.admitted_from_queue += 1;
        self.wait_nanos = self.wait_nanos.saturating_add(nanos);
        self.longest_wait_nanos = self.longest_wait_nanos.max(nanos);
    }
}

/// Counters that only a weighted gate stores. In a plain gate each of them equals its count in operations.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::core) struct UnitCounts {
    pub(in crate::core) admitted: u64,
    pub(in crate::core) admitted_from_queue: u64,
    pub(in crate::core) abandoned: u64,
    pub(in crate::core) cut_short: u64,
    pub(in crate::core) queued: u64,
    /// The sum of the operations in flight and the operations that the word may still admit.
    pub(in crate::core) ceiling: u32,
    pub(in crate::core) peak_in_flight: u32,
    pub(in crate::core) peak_waiting: u64,
}

/// Counters that stay zero in most partitions, which allocate them on first use.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::core) struct ColdCounts {
    pub(in crate::core) closed_before_queue: u64,
    pub(in crate::core) closed_while_waiting: u64,
    pub(in crate::core) paused: u64,
    pub(in crate::core) total_saturated: u64,
    pub(in crate::core) oversized: u64,
    pub(in crate::core) invalid_cost: u64,
    pub(in crate::core) expired_by_deadline: u64,
    pub(in crate::core) expired_before_queue: u64,
    pub(in crate::core) expired_before_queue_by_deadline: u64,
    pub(in crate::core) abandoned_by_deadline: u64,
    pub(in crate::core) bodies_ended_early: u64,
    pub(in crate::core) bypassed: u64,
    pub(in crate::core) nested: u64,
    pub(in crate::core) handler_panics: u64,
    /// These are counted by the root gate of a partitioned bulkhead.
    pub(in crate::core) partition_limited: u64,
    pub(in crate::core) invalid_limits: u64,
    /// This one also by partitions.
    pub(in crate::core) key_refused: u64,
    pub(in crate::core) missing_key: u64,
}

/// Returns a duration in nanoseconds. They fit for five centuries.
#[inline]
pub(in crate::core) fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}
