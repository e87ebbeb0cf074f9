//! The registry: registration under a label, the layers it creates, and shutdown.

mod layers;
mod registration;
mod removal;
mod shutdown;
mod snapshots;
