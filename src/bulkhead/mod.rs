//! What people hold: bulkheads, their builders, slots, futures and errors.
//!
//! It owns the faces of the engine and nothing of its rules. Plain and weighted bulkheads are two
//! thin faces of one compartment.

pub(crate) mod builder;
mod common;
pub(crate) mod compartment;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod execute;
pub(crate) mod partitioned;
pub(crate) mod plain;
pub(crate) mod slot;
pub(crate) mod weighted;
