//! The types users hold: bulkheads, their builders, slots, futures and errors.
//!
//! It owns the public API around the engine and none of its rules. Plain and weighted bulkheads are two
//! thin wrappers around one compartment.

pub(crate) mod builder;
pub(crate) mod change;
mod common_methods;
pub(crate) mod compartment;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod execute;
pub(crate) mod handle;
pub(crate) mod partitioned;
pub(crate) mod plain;
pub(crate) mod slot;
pub(crate) mod weighted;
