//! Who enforces the limits of waits.

pub(super) mod alarm;
pub(super) mod alarm_state;
#[cfg_attr(all(test, bulklink_loom), path = "../models/timer.rs")]
pub(super) mod timer;
