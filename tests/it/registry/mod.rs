//! The registry: registration under a label, the layers it hands out, and shutdown.

mod layers;
mod registration;
mod shutdown;
