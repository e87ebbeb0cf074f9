//! The registry: registration under a label, the layers it creates, and shutdown.

mod layers;
mod registration;
mod shutdown;
mod snapshots;
