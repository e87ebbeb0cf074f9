//! Plain bulkheads: admission, the waiting line, wait limits, execution, resizing, closing, and panics in
//! user code.

mod admission;
mod alarm;
mod budget;
mod builder;
mod close;
mod cut_short;
mod dropping;
mod execute;
mod fifo;
mod overdue;
mod panics;
mod resize;
mod retry_hints;
mod shared_slots;
mod wait_limits;
mod wakers;
