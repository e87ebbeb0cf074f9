//! tower integration: layers, their services and their response futures.
//!
//! This module owns the four decisions a layer makes. Each is a type parameter of
//! [`AdmissionLayer`](layer::AdmissionLayer), its service and its response future:
//!
//! - `admit`: what a request is admitted to (a slot, units or a partition), with or without reading it;
//! - `wait_mode`: where a request waits (in `poll_ready` or in the response future);
//! - `reject`: how a rejection is answered (with an HTTP response, a closure's response or an error);
//! - `hold`: how long the slot is held (until the response is ready or until its body ends).
//!
//! It does not own the rules of admission, which are in `core`.

pub(crate) mod admit;
mod answer_options;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod future;
pub(crate) mod hold;
pub(crate) mod layer;
pub(crate) mod own_body;
pub(crate) mod registry_layers;
pub(crate) mod reject;
pub(crate) mod request_keys;
mod reservation;
mod sealed;
pub(crate) mod service;
pub(crate) mod shared;
pub(crate) mod wait_mode;
mod waiting_options;
