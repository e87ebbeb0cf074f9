//! The admission engine: a bounded number of units, a bounded line for them, and nothing else.
//!
//! It knows no tower and no http, and labels only to write them on rejections. Code of others (wakers,
//! handlers) is never run, cloned or dropped while its lock is held.
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
//! The word (what may still be admitted, what was, SLOW) is changed by a compare-exchange without the lock
//! while SLOW is clear, and only under the lock while SLOW is set. Setting SLOW under the lock therefore
//! freezes the word. Everything else is changed under the lock, and only after freezing the word where
//! the fast path could notice.
//!
//! The word is lent what may be admitted without anybody else having to know: no more units and
//! operations than were ever in use at once, so that a new peak is set under the lock. Since that is all
//! that a fast admission depends on, a word means the same whenever it comes back.
//!
//! # Invariants
//!
//! Whenever the lock is free:
//!
//! 1. `used = ceiling - units of the word`, and in a weighted gate the same holds of operations.
//! 2. `ceiling <= peak used`; and `ceiling <= capacity`, unless a shrink has left more in use.
//! 3. If anybody waits, the cost at the head is more than `capacity - used`.
//! 4. SLOW is set exactly if anybody waits, the gate is closed, more is in use than the capacity, or
//!    somebody is subscribed. Nothing is counted in a slow word.
//! 5. Everybody with a number below `called` is out of the line, and everybody in it has a higher one.
//! 6. A closed gate has nobody waiting, and once nothing is in flight it is drained, for good.
//!
//! # Who keeps the limits
//!
//! A waiter with a limit has a timer of its own, or the alarm of the line keeps the limit: see `watch`.
//! Whenever the alarm keeps anybody's limit it is set for the first of them or earlier, or somebody is
//! about to set it. Of two who join at once the later may have read the clock earlier; it is woken that much
//! late, and never later than its limit after it joined.
//!
//! # Linearizability
//!
//! A fast admission or release happens at its compare-exchange. A locked section that changes
//! something happens where it stores the word; one that only looks or refuses, where it read the
//! word, since nothing but the word can change beside it. So one reading of the word under the lock
//! makes every field of a snapshot belong to the same instant. A waiter that finds its number called does
//! not take the lock: it was admitted by the section that called it, and whatever it does next that
//! others could notice goes through the lock, and so comes after that section.

pub(crate) mod arena;
pub(crate) mod gate;
pub(crate) mod limits;
mod line;
#[cfg(all(test, bulklink_loom))]
mod models;
pub(crate) mod operation;
pub(crate) mod rejection;

pub(crate) use gate::word::MAX_UNITS;
