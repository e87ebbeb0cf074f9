//! Limits of a partition: the same for every key, or what the user says for each.

use std::fmt;

use crate::{
    core::{MAX_UNITS, rejection::reason::RejectionReason},
    sync::did_panic,
};

/// What one key may have: the answer of `limits_for`.
///
/// # Examples
///
/// ```
/// use bulklink::PartitionLimits;
///
/// let gold = PartitionLimits::new(20).waiting_room(100);
/// assert_ne!(gold, PartitionLimits::new(20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PartitionLimits {
    parallelism: usize,
    waiting_room: usize,
}

impl PartitionLimits {
    /// So many operations may run at once, and none may wait.
    pub const fn new(parallelism: usize) -> Self {
        Self { parallelism, waiting_room: 0 }
    }

    /// So many operations may wait.
    pub const fn waiting_room(mut self, operations: usize) -> Self {
        self.waiting_room = operations;
        self
    }
}

/// Limits that were checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) parallelism: u32,
    pub(crate) waiting_room: u32,
}

impl TryFrom<PartitionLimits> for Limits {
    type Error = RejectionReason;

    fn try_from(limits: PartitionLimits) -> Result<Self, RejectionReason> {
        let check = |setting, least, value| match u32::try_from(value) {
            Ok(value) if (least..=MAX_UNITS).contains(&value) => Ok(value),
            _ => Err(RejectionReason::InvalidLimits { setting, value }),
        };
        Ok(Self {
            parallelism: check("parallelism", 1, limits.parallelism)?,
            waiting_room: check("waiting_room", 0, limits.waiting_room)?,
        })
    }
}

/// Where the limits of a new partition come from.
pub(super) struct LimitsSource<K> {
    pub(super) default: Limits,
    pub(super) chosen: Option<Choose<K>>,
}

/// The user's choice of limits for a key.
pub(super) type Choose<K> = Box<dyn Fn(&K) -> PartitionLimits + Send + Sync>;

impl<K> LimitsSource<K> {
    /// The limits of `key`. Code of the user's: runs under no lock, and its panic is a rejection.
    pub(super) fn limits(&self, key: &K) -> Result<Limits, RejectionReason> {
        match &self.chosen {
            None => Ok(self.default),
            Some(choose) => {
                let mut chosen = None;
                did_panic(|| chosen = Some(choose(key)));
                chosen.ok_or(RejectionReason::LimitsPanicked)?.try_into()
            }
        }
    }
}

impl<K> fmt::Debug for LimitsSource<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitsSource")
            .field("default", &self.default)
            .field("chosen", &self.chosen.is_some())
            .finish()
    }
}
