//! What can be set and read of a pool as a whole.

/// The largest capacity: above it, seat time would overflow in the lifetime of a process.
pub(crate) const MAX_TOTAL: u32 = 1 << 20;

/// How many may be admitted at once, and may wait, in all members together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    pub(crate) capacity: u32,
    pub(crate) room: u32,
}

/// What was admitted and released without the section of a gate, as a word counts it elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unseen {
    /// The seats held now.
    pub(crate) held: u32,
    /// The most seats held at once.
    pub(crate) most: u32,
    /// How many were admitted since the last time.
    pub(crate) admitted: u64,
}

/// The state of the whole at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolState {
    pub(crate) limits: PoolLimits,
    pub(crate) used: u32,
    pub(crate) waiting: u32,
    /// The members in which somebody waits.
    pub(crate) waiting_members: u32,
    /// What all members are guaranteed.
    pub(crate) guaranteed: u64,
    pub(crate) peaks: PoolPeaks,
}

/// The highest values so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PoolPeaks {
    pub(crate) used: u32,
    pub(crate) waiting: u32,
    pub(crate) waiting_members: u32,
}
