//! What one can see of a bulkhead: values, and pure rules over them.
//!
//! It owns statuses, intervals, events and reports. It reads the engine's snapshots and changes
//! nothing.

pub(crate) mod event;
pub(crate) mod interval;
pub(crate) mod partitions;
pub(crate) mod report;
pub(crate) mod status;
