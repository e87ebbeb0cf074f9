//! Weighted bulkheads: the waiting line with costs, what is counted in operations and in units, and resizing.
//! Random sequences compare them with the admission table and with plain bulkheads.

mod admission_model;
mod builder;
mod cost_accounting;
mod fifo;
mod parity_with_plain;
mod resize;
