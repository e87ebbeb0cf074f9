//! What operations cost: allocations and memory, which are counted and so hold on any machine, and the
//! time of an eviction, which is measured only on request.

mod allocations;
mod eviction_time;
mod layer_allocations;
mod partition_memory;
mod waiter_memory;
