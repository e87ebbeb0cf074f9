//! The limits of a partition: the same for every key, or chosen by the user for each key.
//!
//! It owns their validation and the call of the user's function.

use std::fmt;

use crate::{
    core::{MAX_UNITS, rejection::reason::RejectionReason},
    sync::did_panic,
};

/// The limits of one key, as returned by `limits_for`.
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
    /// Returns limits with which `parallelism` operations may run at once and none may wait.
    pub const fn new(parallelism: usize) -> Self {
        Self { parallelism, waiting_room: 0 }
    }

    /// Sets how many operations may wait.
    pub const fn waiting_room(mut self, operations: usize) -> Self {
        self.waiting_room = operations;
        self
    }
}

/// Limits that have been validated.
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
    /// Chooses the limits of a key, in place of `default`.
    pub(super) chosen: Option<LimitsFn<K>>,
}

/// The user's function that chooses the limits of a key.
pub(super) type LimitsFn<K> = Box<dyn Fn(&K) -> PartitionLimits + Send + Sync>;

impl<K> LimitsSource<K> {
    /// Returns the limits of `key`. Runs user code, so it is called under no lock; a panic becomes a rejection.
    pub(super) fn limits(&self, key: &K) -> Result<Limits, RejectionReason> {
        match &self.chosen {
            None => Ok(self.default),
            Some(choose) => {
                let mut limits = None;
                did_panic(|| limits = Some(choose(key)));
                limits.ok_or(RejectionReason::LimitsPanicked)?.try_into()
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
