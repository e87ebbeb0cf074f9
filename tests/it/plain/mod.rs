//! Plain bulkheads: admission, the waiting line, wait limits, execution, resizing, closing, and panics in
//! user code.

mod admission;
mod builder;
mod close;
mod dropping;
mod execute;
mod expiry_timer;
mod fifo;
mod panics;
mod resize;
mod wait_limits;
mod wakers;
