//! tower: layers, their services and response futures, and what a rejection becomes there.
//!
//! It owns where an operation waits, how a request becomes an admission, what answers a rejection
//! and how long a slot is held. These are four small choices, each one type parameter of one
//! [`AdmissionLayer`](layer::AdmissionLayer), one service and one response future:
//!
//! - `admit`: what is asked for (a slot, units, a partition), with the request or without it;
//! - `wait_mode`: where the wait happens (in `poll_ready`, or in the response future);
//! - `reject`: what a rejection becomes (an HTTP response, a closure's answer, an error);
//! - `hold`: how long the slot is held (until the response, or until its body ends).

pub(crate) mod admit;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod extract;
pub(crate) mod future;
pub(crate) mod hold;
pub(crate) mod layer;
pub(crate) mod registry;
pub(crate) mod reject;
mod reservation;
pub(crate) mod service;
pub(crate) mod shared;
pub(crate) mod wait_mode;
