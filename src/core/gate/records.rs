//! What the partitions of one bulkhead share instead of each having its own.
//!
//! It owns the cache of rejections and the times. Standalone gates have both in their state.

use crate::{
    core::{gate::times::Times, rejection::cache::RejectionCache},
    sync::Mutex,
};

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
