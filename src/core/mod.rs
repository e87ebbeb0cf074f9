//! The admission engine: a bounded number of units, a bounded line for them, and nothing else.
//!
//! It knows no tower, no http and no labels. Code of others (wakers, handlers) is never run, cloned
//! or dropped while its lock is held.
//!
//! # One operation
//!
//! ```text
//!             +--> refused (closed, cost, expired, saturated)
//!             |
//!   arrive ---+--> admitted --------------------+--> started --> released
//!             |       ^                         |
//!             |       | hand-over               +--> abandoned
//!             +--> waiting --+--> expired
//!                            +--> cancelled
//!                            +--> closed
//! ```
//!
//! # Who may change what
//!
//! The word (free units, admissions, SLOW) is changed by a compare-exchange without the lock while
//! SLOW is clear, and only under the lock while SLOW is set. Setting SLOW under the lock therefore
//! freezes the word. Everything else is changed under the lock, and only after freezing the word where
//! the fast path could notice.
//!
//! # Invariants
//!
//! Whenever the lock is free:
//!
//! 1. `used = capacity - free + debt`, and `debt > 0` only if `free = 0`.
//! 2. If anybody waits, the cost at the head is more than the free units.
//! 3. SLOW is set exactly if anybody waits, the gate is closed or weighted, a debt is owed or somebody
//!    is subscribed.
//! 4. `floor = capacity - peak used` (or 0), as of the word: so a fast admission sets no new peak.
//! 5. While an old copy of a word may be compared with it, the word does not come back after an
//!    admission or a resize: both raise the admissions field, which is folded only when nearly full.
//! 6. A closed gate has nobody waiting, and once nothing is in flight it is drained, for good.
//!
//! # Linearizability
//!
//! A fast admission or release happens at its compare-exchange. A locked section that changes
//! something happens where it stores the word; one that only looks or refuses, where it read the
//! word, since nothing but the word can change beside it. So one reading of the word under the lock
//! makes every field of a snapshot belong to the same instant.

pub(crate) mod admission;
pub(crate) mod arena;
pub(crate) mod effects;
pub(crate) mod gate;
mod line;
#[cfg(all(test, bulklink_loom))]
mod models;
pub(crate) mod reason;
mod section;
pub(crate) mod tally;
mod word;

pub(crate) use word::MAX_UNITS;
