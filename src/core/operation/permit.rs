//! The permit: admitted units.
//!
//! It owns the guard of the units, generic over how it keeps the gate alive: a reference where an operation runs in
//! place, a counted handle where it may outlive its caller.

use crate::core::{MAX_UNITS, operation::handle::GateHandle};

/// Units in use; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Permit<H: GateHandle> {
    handle: H,
    tagged_cost: TaggedCost,
}

/// A cost, and in its top bit, which no cost has, whether the work has begun. Two fields in one, because
/// a permit of two words travels in registers, and one of three through memory.
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
    /// Units that a gate has just admitted.
    #[inline]
    pub(in crate::core) fn new(handle: H, cost: u32) -> Self {
        Self { handle, tagged_cost: TaggedCost(cost) }
    }

    /// The work begins: from now on the units count as released when they come back, not abandoned.
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
