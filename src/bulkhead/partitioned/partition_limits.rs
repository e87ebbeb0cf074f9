//! The limits of a partition: the same for every key, chosen by the user's function, or set by hand for one key.
//!
//! It owns their validation, which of them goes first, and the call of the user's function.

use std::ops::RangeInclusive;

use crate::{
    core::{
        MAX_UNITS,
        pool::rules::{MAX_WEIGHT, Share},
        rejection::reason::RejectionReason,
    },
    sync::did_panic,
};

/// The limits of one key, as returned by `limits_for` or passed to
/// [`set_limits`](crate::PartitionedBulkhead::set_limits).
///
/// # Examples
///
/// ```
/// use bulklink::PartitionLimits;
///
/// let gold = PartitionLimits::new(20).waiting_room(100);
/// assert_ne!(gold, PartitionLimits::new(20));
/// assert_ne!(PartitionLimits::refused(), PartitionLimits::new(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct PartitionLimits {
    parallelism: usize,
    waiting_room: usize,
    weight: usize,
    guaranteed: usize,
    is_refused: bool,
}

impl PartitionLimits {
    /// Returns limits with which `parallelism` operations may run at once and none may wait.
    pub const fn new(parallelism: usize) -> Self {
        Self { parallelism, waiting_room: 0, weight: 1, guaranteed: 0, is_refused: false }
    }

    /// Refuses the key: its operations are rejected as [`KeyRefused`](crate::RejectionReason::KeyRefused), and nothing is
    /// retained for it. The waiting room does not matter.
    ///
    /// A key whose partition is in use is refused at once, too. Its running work continues, and those who wait are served.
    pub const fn refused() -> Self {
        Self { is_refused: true, ..Self::new(1) }
    }

    /// Sets how many operations may wait.
    pub const fn waiting_room(mut self, operations: usize) -> Self {
        self.waiting_room = operations;
        self
    }

    /// Sets the weight of the key: how much of the shared capacity it gets while keys compete for it, in proportion to the
    /// weights of the others. At least 1, which is the default, and at most 64.
    ///
    /// Only with [`total_parallelism`](crate::PartitionedBulkheadBuilder::total_parallelism).
    pub const fn weight(mut self, weight: usize) -> Self {
        self.weight = weight;
        self
    }

    /// Sets how many operations of the key run before those of keys without a guarantee, or beyond it: at most its
    /// parallelism. Defaults to 0.
    ///
    /// What the key does not use of it, others may. The guarantees of all keys that compete should not exceed the shared
    /// capacity. Only with [`total_parallelism`](crate::PartitionedBulkheadBuilder::total_parallelism).
    pub const fn guaranteed(mut self, operations: usize) -> Self {
        self.guaranteed = operations;
        self
    }

    /// Returns the validated limits, or `None` if the key is refused. `shares` says whether the keys share a capacity.
    ///
    /// # Errors
    ///
    /// The limit that is not valid.
    pub(super) fn validated(self, shares: bool) -> Result<Option<Limits>, InvalidLimit> {
        let check = |setting, range: RangeInclusive<u32>, value| match u32::try_from(value) {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(InvalidLimit { setting, value, maximum: *range.end() as usize }),
        };
        if self.is_refused {
            return Ok(None);
        }
        let parallelism = check("parallelism", 1..=MAX_UNITS, self.parallelism)?;
        let waiting_room = check("waiting_room", 0..=MAX_UNITS, self.waiting_room)?;
        // Without a shared capacity, only the defaults mean something.
        let (weights, guarantees) =
            if shares { (1..=MAX_WEIGHT, 0..=parallelism) } else { (1..=1, 0..=0) };
        let share = Share {
            weight: check("weight", weights, self.weight)?,
            guaranteed: check("guaranteed", guarantees, self.guaranteed)?,
        };
        Ok(Some(Limits { parallelism, waiting_room, share }))
    }
}

/// A limit that is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidLimit {
    pub(super) setting: &'static str,
    pub(super) value: usize,
    pub(super) maximum: usize,
}

/// Limits that have been validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) parallelism: u32,
    pub(crate) waiting_room: u32,
    /// What the key competes with for a shared capacity, if there is one.
    pub(crate) share: Share,
}

impl Limits {
    /// A smaller parallelism lowers the guarantee to it.
    fn with_parallelism(self, parallelism: u32) -> Self {
        let guaranteed = self.share.guaranteed.min(parallelism);
        Self { parallelism, share: Share { guaranteed, ..self.share }, ..self }
    }
}

/// The limits of one key that were set by hand. They go before those that its partition would have otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitsOverride {
    Parallelism(u32),
    /// `None` if the key is refused.
    All(Option<Limits>),
}

impl LimitsOverride {
    /// Returns the limits of a key that would have `limits` otherwise.
    pub(super) fn over(
        self,
        limits: Result<Limits, RejectionReason>,
    ) -> Result<Limits, RejectionReason> {
        match self {
            Self::All(limits) => {
                let limits = limits.ok_or(RejectionReason::KeyRefused);
                limits.map(|limits| limits.with_parallelism(limits.parallelism))
            }
            Self::Parallelism(parallelism) => {
                limits.map(|limits| limits.with_parallelism(parallelism))
            }
        }
    }

    /// Returns this override with another parallelism. A key that is refused stays so.
    pub(super) fn with_parallelism(this: Option<Self>, parallelism: u32) -> Self {
        match this {
            None | Some(Self::Parallelism(_)) => Self::Parallelism(parallelism),
            Some(Self::All(limits)) => {
                // The guarantee is lowered where it is applied, so that a larger parallelism brings it back.
                Self::All(limits.map(|limits| Limits { parallelism, ..limits }))
            }
        }
    }
}

/// The user's function that chooses the limits of a key.
pub(super) type LimitsFn<K> = Box<dyn Fn(&K) -> PartitionLimits + Send + Sync>;

/// Returns the limits that `choose` gives a key. Runs user code, so it is called under no lock; a panic becomes a rejection.
pub(super) fn chosen_limits<K>(
    choose: &LimitsFn<K>,
    key: &K,
    shares: bool,
) -> Result<Limits, RejectionReason> {
    let mut limits = None;
    did_panic(|| limits = Some(choose(key)));
    let limits = limits.ok_or(RejectionReason::LimitsPanicked)?.validated(shares);
    limits
        .map_err(|InvalidLimit { setting, value, .. }| RejectionReason::InvalidLimits {
            setting,
            value,
        })?
        .ok_or(RejectionReason::KeyRefused)
}
