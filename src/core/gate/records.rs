//! The cache of rejections, the times and the wait limit of a bulkhead: a gate's own, or shared by the partitions of one bulkhead.

use crate::{
    core::{
        gate::{sampling::HandOverStamps, times::Times, trace::PressureLog},
        limits::wait_limit::WaitLimit,
        rejection::cache::RejectionCache,
    },
    sync::{Arc, Mutex},
};

/// The cache of rejections, the times and the wait limit of a standalone bulkhead, under the lock of its gate.
#[derive(Debug)]
pub(in crate::core) struct OwnRecords {
    pub(in crate::core) rejections: RejectionCache,
    pub(in crate::core) times: Times,
    /// Shared with the handles, which read it without the lock.
    pub(in crate::core) stamps: Arc<HandOverStamps>,
    /// Also shared with the handles.
    pub(in crate::core) wait_limit: Arc<WaitLimit>,
    pub(in crate::core) pressure: PressureLog,
}

/// The cache of rejections, the times and the wait limit of all partitions of one bulkhead.
///
/// Each lock is taken under a gate's lock, and no other lock under it.
#[derive(Debug)]
pub(crate) struct SharedRecords {
    pub(crate) rejections: Mutex<RejectionCache>,
    pub(crate) times: Mutex<Times>,
    pub(crate) wait_limit: WaitLimit,
}

impl SharedRecords {
    pub(crate) fn new(rejections: RejectionCache, wait_limit: WaitLimit) -> Self {
        Self { rejections: Mutex::new(rejections), times: Mutex::new(Times::default()), wait_limit }
    }
}
