//! The seam for feature `tracing`: what the engine tells, from cold places only.
//!
//! `enabled` tells it to the subscriber of the `tracing` crate. Without the feature it is `disabled`, which is empty: its
//! functions do nothing and its types have no size. Nothing here is called under a lock but the [`PressureLog`], which
//! decides what is told once the lock is released.

#[cfg_attr(feature = "tracing", path = "enabled.rs")]
#[cfg_attr(not(feature = "tracing"), path = "disabled.rs")]
mod implementation;

pub(crate) use implementation::*;
