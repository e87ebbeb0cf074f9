//! An operation's side of the engine.

pub(crate) mod arrive;
pub(crate) mod drain;
pub(crate) mod handle;
pub(crate) mod wait;
