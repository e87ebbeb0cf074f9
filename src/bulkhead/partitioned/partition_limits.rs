//! The limits of a partition: the same for every key, chosen by the user's function, or set by hand for one key.
//!
//! It owns their validation, which of them goes first, and the call of the user's function.

use crate::{
    core::{MAX_UNITS, rejection::reason::RejectionReason},
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
    is_refused: bool,
}

impl PartitionLimits {
    /// Returns limits with which `parallelism` operations may run at once and none may wait.
    pub const fn new(parallelism: usize) -> Self {
        Self { parallelism, waiting_room: 0, is_refused: false }
    }

    /// Refuses the key: its operations are rejected as [`KeyRefused`](crate::RejectionReason::KeyRefused), and nothing is
    /// retained for it. The waiting room does not matter.
    ///
    /// A key whose partition is in use is refused at once, too. Its running work continues, and those who wait are served.
    pub const fn refused() -> Self {
        Self { parallelism: 1, waiting_room: 0, is_refused: true }
    }

    /// Sets how many operations may wait.
    pub const fn waiting_room(mut self, operations: usize) -> Self {
        self.waiting_room = operations;
        self
    }

    /// Returns the validated limits, or `None` if the key is refused.
    ///
    /// # Errors
    ///
    /// The name of the limit that is not valid, and its value.
    pub(super) fn validated(self) -> Result<Option<Limits>, (&'static str, usize)> {
        let check = |setting, least, value| match u32::try_from(value) {
            Ok(value) if (least..=MAX_UNITS).contains(&value) => Ok(value),
            _ => Err((setting, value)),
        };
        if self.is_refused {
            return Ok(None);
        }
        Ok(Some(Limits {
            parallelism: check("parallelism", 1, self.parallelism)?,
            waiting_room: check("waiting_room", 0, self.waiting_room)?,
        }))
    }
}

/// Limits that have been validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) parallelism: u32,
    pub(crate) waiting_room: u32,
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
            Self::All(limits) => limits.ok_or(RejectionReason::KeyRefused),
            Self::Parallelism(parallelism) => limits.map(|limits| Limits { parallelism, ..limits }),
        }
    }

    /// Returns this override with another parallelism. A key that is refused stays so.
    pub(super) fn with_parallelism(this: Option<Self>, parallelism: u32) -> Self {
        match this {
            None | Some(Self::Parallelism(_)) => Self::Parallelism(parallelism),
            Some(Self::All(limits)) => {
                Self::All(limits.map(|limits| Limits { parallelism, ..limits }))
            }
        }
    }
}

/// The user's function that chooses the limits of a key.
pub(super) type LimitsFn<K> = Box<dyn Fn(&K) -> PartitionLimits + Send + Sync>;

/// Returns the limits that `choose` gives a key. Runs user code, so it is called under no lock; a panic becomes a rejection.
pub(super) fn chosen_limits<K>(choose: &LimitsFn<K>, key: &K) -> Result<Limits, RejectionReason> {
    let mut limits = None;
    did_panic(|| limits = Some(choose(key)));
    let limits = limits.ok_or(RejectionReason::LimitsPanicked)?.validated();
    limits
        .map_err(|(setting, value)| RejectionReason::InvalidLimits { setting, value })?
        .ok_or(RejectionReason::KeyRefused)
}
