//! Observation of bulkheads: statuses, intervals, events, reports and advice.
//!
//! It owns these values and the pure rules over them. It reads the engine's snapshots and changes
//! nothing.

pub(crate) mod advice;
pub(crate) mod event;
pub(crate) mod interval;
pub(crate) mod partitions;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod status;
mod totals;
