//! Admission control for tower.
#![forbid(unsafe_code)]

mod bulkhead;
mod core;
mod observe;
mod sync;

pub use crate::core::{
    reason::RejectionReason,
    tally::{Peaks, Totals},
};
pub use bulkhead::{
    builder::BulkheadBuilder,
    deadline::Deadline,
    error::{ConfigError, Rejection, ResizeError},
    execute::{Execute, Guarded},
    plain::Bulkhead,
    slot::{Admission, Slot},
};
pub use observe::{
    interval::{BulkheadInterval, IntervalError},
    status::BulkheadStatus,
};
