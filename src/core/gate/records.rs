//! The cache of rejections, the times and the wait limit of a bulkhead: a gate's own, or shared by the partitions of one bulkhead.

use crate::{
    core::{
        gate::{
            effects::EventKind,
            sampling::HandOverStamps,
            shared_pool::SharedPool,
            times::Times,
            trace::{Notice, PressureLog},
        },
        limits::wait_limit::WaitLimit,
        rejection::cache::RejectionCache,
    },
    sync::{Arc, AtomicU64, Mutex, Ordering},
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
/// The locks of the cache and the times are taken under a gate's lock, and no other lock under them.
#[derive(Debug)]
pub(crate) struct SharedRecords {
    pub(crate) rejections: Mutex<RejectionCache>,
    pub(crate) times: Mutex<Times>,
    pub(crate) wait_limit: WaitLimit,
    pub(crate) undrained: Undrained,
    /// The capacity that the partitions share, if they do. Its lock comes before that of a gate.
    pub(crate) pool: Option<Box<SharedPool>>,
}

impl SharedRecords {
    pub(crate) fn new(
        rejections: RejectionCache,
        wait_limit: WaitLimit,
        pool: Option<Box<SharedPool>>,
    ) -> Self {
        let (rejections, times) = (Mutex::new(rejections), Mutex::new(Times::default()));
        let undrained = Undrained(AtomicU64::new(0));
        Self { rejections, times, wait_limit, undrained, pool }
    }

    /// Counts a line that has become empty, or a call that has drained all partitions. Returns what to tell if it was the
    /// last.
    pub(crate) fn drained_one(&self) -> Option<Notice> {
        let is_last = self.undrained.remove();
        is_last.then(|| Notice::of_partitions(self.rejections.lock().label(), EventKind::Closed))?
    }
}

/// What keeps a bulkhead with partitions from being closed while it drains: lines that are not empty, and calls that have not
/// reached all partitions yet.
#[derive(Debug)]
pub(crate) struct Undrained(AtomicU64);

impl Undrained {
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Adds one unless there is none: a bulkhead that is closed stays so. Returns whether it did.
    pub(crate) fn add_to_some(&self) -> bool {
        let mut count = self.0.load(Ordering::Acquire);
        while count > 0 {
            let (acq_rel, acquire) = (Ordering::AcqRel, Ordering::Acquire);
            match self.0.compare_exchange_weak(count, count + 1, acq_rel, acquire) {
                Ok(_) => return true,
                Err(current) => count = current,
            }
        }
        false
    }

    /// Returns whether it was the last.
    fn remove(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
