//! What the engine counts: the public `Totals`, `Peaks` and the snapshot they come in, and the
//! compact form in which a gate keeps them.
//!
//! It owns the numbers and the identities between them. What they mean to a reader (rates, averages,
//! differences) is for `observe`.

use std::time::Duration;

/// Counters since a bulkhead was created. They only ever rise and are never reset.
///
/// In every snapshot `admitted = in_flight + finished + abandoned`, the same holds in units with
/// `used`, and `queued = waiting + admitted_from_queue + expired + cancelled + closed_while_waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Operations admitted, at once or after waiting.
    pub admitted: u64,
    /// Units of the operations admitted.
    pub admitted_units: u64,
    /// Operations admitted after waiting.
    pub admitted_from_queue: u64,
    /// Units of the operations admitted after waiting.
    pub admitted_from_queue_units: u64,
    /// Admissions whose work never started: a waiter dropped after its admission, a ready handle
    /// dropped or refused by its request's deadline.
    pub abandoned: u64,
    /// Units of the abandoned admissions.
    pub abandoned_units: u64,
    /// Operations that joined the line.
    pub queued: u64,
    /// Units of the operations that joined the line.
    pub queued_units: u64,
    /// Operations rejected because there was neither a free slot nor a place to wait.
    pub saturated: u64,
    /// Waiters whose wait limit or deadline passed.
    pub expired: u64,
    /// Operations whose wait limit or deadline had passed before they arrived.
    pub expired_before_queue: u64,
    /// Waiters that were dropped before their admission.
    pub cancelled: u64,
    /// Operations that arrived after `close`.
    pub closed_before_queue: u64,
    /// Waiters rejected by `close`.
    pub closed_while_waiting: u64,
    /// Operations with a cost of 0, or above the capacity.
    pub oversized: u64,
    /// Requests let through uncounted by a layer's bypass.
    pub bypassed: u64,
    /// Operations that ran and ended.
    pub finished: u64,
    /// Units of the operations that ran and ended.
    pub finished_units: u64,
    /// Panics of event handlers, each caught.
    pub handler_panics: u64,
    /// Time spent in line by the waiters that were admitted.
    pub wait_time: Duration,
}

/// A function of all counters of two totals.
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
    /// These totals and those of other operations.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        each_total!(self, other, u64::wrapping_add, Duration::saturating_add)
    }

    /// These totals less earlier ones of the same counters.
    pub(crate) fn minus(&self, earlier: &Self) -> Self {
        each_total!(self, earlier, u64::wrapping_sub, Duration::saturating_sub)
    }
}

/// The highest values ever seen by a bulkhead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peaks {
    /// Most units in use at once.
    pub used: usize,
    /// Most operations running at once.
    pub in_flight: usize,
    /// Longest line, in operations.
    pub waiting: usize,
    /// Longest line, in units.
    pub waiting_units: usize,
    /// Longest wait of a waiter that was admitted.
    pub wait: Duration,
}

/// What a gate keeps of its totals: only what cannot be derived, small enough for a gate per key.
/// In this order: see `GateState`.
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

/// What a weighted gate counts besides. In a plain gate each of these equals its count in operations.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::core) struct UnitCounts {
    pub(in crate::core) admitted: u64,
    pub(in crate::core) admitted_from_queue: u64,
    pub(in crate::core) abandoned: u64,
    pub(in crate::core) queued: u64,
    /// Operations in flight and those that the word may admit, together.
    pub(in crate::core) ceiling: u32,
    pub(in crate::core) peak_in_flight: u32,
    pub(in crate::core) peak_waiting: u64,
}

/// What most gates never count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::core) struct LazyCounts {
    pub(in crate::core) closed_before_queue: u64,
    pub(in crate::core) closed_while_waiting: u64,
    pub(in crate::core) oversized: u64,
    pub(in crate::core) bypassed: u64,
    pub(in crate::core) handler_panics: u64,
}
