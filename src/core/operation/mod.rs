//! An operation's side of the engine.

pub(crate) mod arrive;
pub(crate) mod drain;
pub(crate) mod handle;
pub(crate) mod permit;
pub(crate) mod queued;
pub(crate) mod run;
pub(crate) mod wait;
