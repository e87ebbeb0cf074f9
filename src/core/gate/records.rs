//! The cache of rejections and the times of a bulkhead: a gate's own, or shared by the partitions of one bulkhead.

use crate::{
    core::{
        gate::{sampling::HandOverStamps, times::Times},
        rejection::cache::RejectionCache,
    },
    sync::{Arc, Mutex},
};

/// The cache of rejections and the times of a standalone bulkhead, under the lock of its gate.
#[derive(Debug)]
pub(in crate::core) struct OwnRecords {
    pub(in crate::core) rejections: RejectionCache,
    pub(in crate::core) times: Times,
    /// Shared with the handles, which read it without the lock.
    pub(in crate::core) stamps: Arc<HandOverStamps>,
}

/// The cache of rejections and the times of all partitions of one bulkhead.
///
/// Each lock is taken under a gate's lock, and no other lock under it.
#[derive(Debug)]
pub(crate) struct SharedRecords {
    pub(crate) rejections: Mutex<RejectionCache>,
    pub(crate) times: Mutex<Times>,
}

impl SharedRecords {
    pub(crate) fn new(rejections: RejectionCache) -> Self {
        Self { rejections: Mutex::new(rejections), times: Mutex::new(Times::default()) }
    }
}
