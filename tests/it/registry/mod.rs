//! The registry: registration under a label, the layers it hands out, and shutdown.

mod registration;
mod shutdown;
