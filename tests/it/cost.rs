//! What operations cost in memory: counted, so that it holds on any machine.

mod allocations;
mod memory;
