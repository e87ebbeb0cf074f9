//! The registry: registration under a label, configuration, the layers it creates, and shutdown.

mod configuration;
mod layers;
mod registration;
mod removal;
mod shutdown;
mod snapshots;
