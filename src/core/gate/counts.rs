//! The counters of the engine: the public `Totals` and `Peaks`, and the compact form in which a gate stores
//! them.
//!
//! It owns the counters and the identities between them. Rates, averages and intervals are derived in
//! `observe`.

use std::time::Duration;

/// Counters since a bulkhead was created. They only rise and are never reset.
///
/// In every snapshot `admitted = in_flight + finished + abandoned`, and the same holds in units with `used`
/// instead of `in_flight`. Also `queued = waiting + admitted_from_queue + expired + cancelled +
/// closed_while_waiting`.
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
    /// Operations that joined the waiting line.
    pub queued: u64,
    /// Units of the operations that joined the waiting line.
    pub queued_units: u64,
    /// Operations rejected because they could neither be admitted at once nor wait.
    pub saturated: u64,
    /// Waiters rejected because their wait limit or deadline passed.
    pub expired: u64,
    /// Operations rejected because their wait limit or deadline had passed before they arrived.
    pub expired_before_queue: u64,
    /// Waiters dropped before they were admitted.
    pub cancelled: u64,
    /// Operations rejected because they arrived after `close`.
    pub closed_before_queue: u64,
    /// Waiters rejected by `close`.
    pub closed_while_waiting: u64,
    /// Operations rejected because of a cost of 0 or above the capacity.
    pub oversized: u64,
    /// Requests that bypassed the bulkhead. No other counter includes them.
    pub bypassed: u64,
    /// Operations that ran and ended.
    pub finished: u64,
    /// Units of the operations that ran and ended.
    pub finished_units: u64,
    /// Panics of event handlers. All of them were caught.
    pub handler_panics: u64,
    /// Total time that admitted operations spent in the waiting line.
    pub wait_time: Duration,
}

/// Combines two totals counter by counter.
macro_rules! each_total {
    ($one:expr, $other:expr, $op:expr, $op_time:expr; $($counter:ident)*) => {
        Totals {
            $($counter: $op($one.$counter, $other.$counter),)*
            wait_time: $op_time($one.wait_time, $other.wait_time),
        }
    };
    ($one:expr, $other:expr, $op:expr, $op_time:expr) => {
        each_total! { $one, $other, $op, $op_time;
            admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned
            abandoned_units queued queued_units saturated expired expired_before_queue cancelled
            closed_before_queue closed_while_waiting oversized bypassed finished finished_units
            handler_panics
        }
    };
}

impl Totals {
    /// Returns the sum of these totals and those of other operations.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        each_total!(self, other, u64::wrapping_add, Duration::saturating_add)
    }

    /// Returns the difference between these totals and earlier ones of the same counters.
    pub(crate) fn minus(&self, earlier: &Self) -> Self {
        each_total!(self, earlier, u64::wrapping_sub, Duration::saturating_sub)
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
    pub(in crate::core) wait_time: Duration,
    pub(in crate::core) longest_wait_nanos: u64,
    pub(in crate::core) abandoned: u64,
    pub(in crate::core) saturated: u64,
    pub(in crate::core) expired: u64,
    pub(in crate::core) expired_before_queue: u64,
    pub(in crate::core) cancelled: u64,
}

impl Counts {
    #[inline]
    pub(in crate::core) fn count_wait(&mut self, waited: Duration) {
        self.wait_time = self.wait_time.saturating_add(waited);
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.longest_wait_nanos = self.longest_wait_nanos.max(nanos);
    }
}

/// Counters that only a weighted gate stores. In a plain gate each of them equals its count in operations.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::core) struct UnitCounts {
    pub(in crate::core) admitted: u64,
    pub(in crate::core) admitted_from_queue: u64,
    pub(in crate::core) abandoned: u64,
    pub(in crate::core) queued: u64,
    /// The sum of the operations in flight and the operations that the word may still admit.
    pub(in crate::core) ceiling: u32,
    pub(in crate::core) peak_in_flight: u32,
    pub(in crate::core) peak_waiting: u64,
}

/// Counters that stay zero in most gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct LazyCounts {
    pub(in crate::core) closed_before_queue: u64,
    pub(in crate::core) closed_while_waiting: u64,
    pub(in crate::core) oversized: u64,
    pub(in crate::core) bypassed: u64,
    pub(in crate::core) handler_panics: u64,
}
