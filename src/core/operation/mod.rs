//! One operation, from its arrival at the gate to the release of its units.
//!
//! It owns the futures and guards that callers hold. It does not own any state of a gate: the gate decides,
//! and dropping any of them gives back exactly what it held.

pub(crate) mod arrive;
pub(crate) mod budget;
pub(crate) mod handle;
pub(crate) mod milestone;
pub(crate) mod permit;
pub(crate) mod queued;
pub(crate) mod run;
pub(crate) mod wait;
