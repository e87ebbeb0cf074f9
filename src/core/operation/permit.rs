//! `Permit`: the guard of admitted units.
//!
//! It owns the units and returns them exactly once. It is generic over how it keeps the gate alive: a
//! reference if the operation runs in place, a counted handle if it may outlive its caller.

use crate::core::{MAX_UNITS, operation::handle::GateHandle};

/// Units in use. Dropping it returns them.
#[derive(Debug)]
pub(crate) struct Permit<H: GateHandle> {
    handle: H,
    tagged_cost: TaggedCost,
}

/// A cost, with a flag in its top bit, which no cost uses: whether the work has started. Packed, because a
/// permit of two words is passed in registers, and one of three in memory.
#[derive(Clone, Copy, Debug)]
struct TaggedCost(u32);

impl TaggedCost {
    const STARTED: u32 = MAX_UNITS + 1;

    #[inline]
    fn cost(self) -> u32 {
        self.0 & MAX_UNITS
    }

    #[inline]
    fn has_started(self) -> bool {
        self.0 & Self::STARTED != 0
    }
}

impl<H: GateHandle> Permit<H> {
    /// Creates the permit for units that the gate has just admitted.
    #[inline]
    pub(in crate::core) fn new(handle: H, cost: u32) -> Self {
        Self { handle, tagged_cost: TaggedCost(cost) }
    }

    /// Marks the work as started: when the units are returned, they count as released, not as abandoned.
    #[inline]
    pub(crate) fn start(mut self) -> Self {
        self.tagged_cost.0 |= TaggedCost::STARTED;
        self
    }

    pub(crate) fn handle(&self) -> &H {
        &self.handle
    }

    pub(crate) fn cost(&self) -> u32 {
        self.tagged_cost.cost()
    }
}

impl<H: GateHandle> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.tagged_cost.has_started() {
            self.handle.gate().release(self.tagged_cost.cost());
        } else {
            self.handle.gate().abandon(self.tagged_cost.cost());
        }
    }
}
