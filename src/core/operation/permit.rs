//! `Permit`: the guard of admitted units.
//!
//! It owns the units and returns them exactly once. It is generic over how it keeps the gate alive: a
//! reference if the operation runs in place, a counted handle if it may outlive its caller.

use std::mem;

use crate::core::{
    MAX_UNITS,
    gate::{ending::Abandonment, sampling::Stamp},
    line::Ticket,
    operation::handle::GateHandle,
};

/// Units in use. Dropping it returns them: as completed work if the work has started, as abandoned otherwise.
#[derive(Debug)]
pub(crate) struct Permit<H: GateHandle> {
    handle: H,
    tagged_cost: TaggedCost,
}

/// A cost in the lowest 31 bits, above it a flag that says whether the work has started, and in the upper half the stamp
/// of a timed operation. 0 once the units have been returned, since no cost is 0. Packed, because a permit of two words is
/// passed in registers, and one of three in memory.
#[derive(Clone, Copy, Debug)]
struct TaggedCost(u64);

impl TaggedCost {
    const RETURNED: Self = Self(0);
    const STARTED: u64 = 1 << Self::STARTED_AT;
    const STARTED_AT: u32 = 31;
    const STAMP_AT: u32 = 32;

    #[inline]
    fn new(cost: u32, stamp: Stamp) -> Self {
        Self(u64::from(stamp.bits()) << Self::STAMP_AT | u64::from(cost))
    }

    #[inline]
    fn cost(self) -> u32 {
        self.0 as u32 & MAX_UNITS
    }

    #[inline]
    fn stamp(self) -> Stamp {
        Stamp::from_bits((self.0 >> Self::STAMP_AT) as u32)
    }

    #[inline]
    fn has_started(self) -> bool {
        self.0 & Self::STARTED != 0
    }

    /// Whether the work has started and is not timed: the one case that the drop of a permit is inlined for.
    #[inline(always)]
    fn is_started_untimed(self) -> bool {
        self.0 >> Self::STARTED_AT == 1
    }
}

impl<H: GateHandle> Permit<H> {
    /// Creates the permit for units that the gate has just admitted without a wait. Now and then it is timed.
    #[inline(always)]
    pub(in crate::core) fn new(handle: H, cost: u32) -> Self {
        Self { handle, tagged_cost: TaggedCost::new(cost, Stamp::sampled()) }
    }

    /// Creates the permit for units that were handed over to a waiter. It is timed since then.
    #[inline]
    pub(in crate::core) fn handed_over(handle: H, ticket: Ticket) -> Self {
        let (number, cost) = (ticket.number, ticket.cost());
        let stamp = handle.gate().stamp_of(number, handle.stamps());
        Self { handle, tagged_cost: TaggedCost::new(cost, stamp) }
    }

    /// Marks the work as started: when the units are returned, they count as released, not as abandoned.
    #[inline]
    pub(crate) fn start(mut self) -> Self {
        self.tagged_cost.0 |= TaggedCost::STARTED;
        self
    }

    /// Returns the units of work that has started, and was dropped or has panicked before it had an outcome. If it has
    /// not started it is abandoned.
    #[cold]
    pub(crate) fn cut_short(mut self) {
        if self.tagged_cost.has_started() {
            let tagged = mem::replace(&mut self.tagged_cost, TaggedCost::RETURNED);
            self.handle.gate().cut_short(tagged.cost(), tagged.stamp(), self.handle.shared());
        }
    }

    /// Returns the units of work that has not started, and says why.
    #[cold]
    pub(crate) fn abandon(mut self, abandonment: Abandonment) {
        debug_assert!(!self.tagged_cost.has_started(), "work that has started is not abandoned");
        let tagged = mem::replace(&mut self.tagged_cost, TaggedCost::RETURNED);
        self.handle.gate().abandon(tagged.cost(), abandonment, self.handle.shared());
    }

    pub(crate) fn handle(&self) -> &H {
        &self.handle
    }

    pub(crate) fn cost(&self) -> u32 {
        self.tagged_cost.cost()
    }

    /// Every drop but that of untimed work that has started.
    #[cold]
    #[inline(never)]
    fn drop_slow(&mut self) {
        let (tagged, gate) = (self.tagged_cost, self.handle.gate());
        if tagged.has_started() {
            gate.release_timed(tagged.cost(), tagged.stamp(), self.handle.shared());
        } else if tagged.0 != TaggedCost::RETURNED.0 {
            gate.abandon(tagged.cost(), Abandonment::default(), self.handle.shared());
        }
    }
}

impl<H: GateHandle> Drop for Permit<H> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.tagged_cost.is_started_untimed() {
            self.handle.gate().release(self.tagged_cost.cost(), || self.handle.shared());
        } else {
            self.drop_slow();
        }
    }
}
