//! The admission engine: a gate with a bounded number of units and a bounded waiting line for them.
//!
//! It owns admission, hand-over, wait limits and counts of one bulkhead, and the record of every change. It
//! does not own configuration, keys, subscribers, tower or HTTP. Labels appear only on rejections.
//!
//! # Modules
//!
//! - `clock`: the time, also in the last moments of a thread.
//! - `rejection`: why an operation was not admitted, and rejections that rarely allocate.
//! - `line`: the waiting line, a FIFO queue with O(1) removal from anywhere. `chunks` is its storage.
//! - `limits`: wait limits and the alarm that enforces them for a whole line.
//! - `pool`: who is next if many gates share a capacity.
//! - `gate`: the state word, the lock, and every change of state.
//! - `operation`: the futures and guards of one operation: arrival, wait, permit, run.
//!
//! Imports go one way: `clock` <- `rejection`, `line`, `pool` <- `limits` <- `gate` <- `operation`.
//!
//! # One operation
//!
//! ```text
//!             +--> rejected (closed, cost, expired, paused, saturated)
//!             |
//!   arrive ---+--> admitted --------------------+--> started --> released
//!             |       ^                         |
//!             |       | hand-over               +--> abandoned
//!             +--> waiting --+--> expired
//!                            +--> cancelled
//!                            +--> closed
//! ```
//!
//! # The life of a gate
//!
//! ```text
//!            pause, resume
//!   paused <---------------> open
//!      |                      |
//!      +------> draining <----+      the line is served, newcomers are rejected
//!                  |                 the line is empty
//!      close ---> closed
//!                  |                 nothing is in flight
//!               drained
//! ```
//!
//! A close is possible from every phase before it. See `gate::lifecycle`.
//!
//! # Who may change what
//!
//! The state word holds the units and operations that may still be admitted, counts of those that were, and
//! the SLOW bit. While SLOW is clear, any thread may change the word with a compare-exchange and without the
//! lock. While SLOW is set, only the lock holder may change it. Setting SLOW under the lock therefore freezes
//! the word. All other state is changed under the lock only, and where the fast path could notice the change,
//! only after the word is frozen.
//!
//! The word is given only what may be admitted without touching any other state: never more units or
//! operations than were in use at once before, so that a new peak is always recorded under the lock. A fast
//! admission depends on nothing but the word, so a word that recurs means the same as before, and ABA is
//! harmless.
//!
//! # The lock
//!
//! - No user code runs under it. No waker is called, cloned or dropped, and no event handler is called or
//!   dropped: a locked section collects them as `Effects`, which are carried out after unlocking.
//! - The only lock taken under it is that of a `RejectionCache`. Sections that go on through the lines of a pool lock one gate
//!   within the other, and hold the lock of the pool meanwhile.
//! - An alarm's timer is armed without it, because arming may wake the alarm's waker at once.
//! - Memory may be allocated under it. The memory of an emptied line is freed after unlocking.
//!
//! # Invariants
//!
//! Whenever the lock is free:
//!
//! 1. `used = ceiling - units of the word`. In a weighted gate the same holds for operations.
//! 2. `ceiling <= peak used`, and `ceiling <= capacity` unless a shrink has left more in use.
//! 3. If there are waiters and the gate is not paused, the cost of the head exceeds `capacity - used`.
//! 4. SLOW is set exactly if there are waiters, the gate is not open, its key is refused, more is in use than the
//!    capacity, events are subscribed to, or somebody stands in front of the gate. A slow word's counts are zero.
//! 5. An operation with a number below `called` has left the line. Every waiter's number is at least
//!    `called`. The top bit of `called` says whether the line knows of waiters that were taken out and do not know yet.
//! 6. A draining gate has waiters; without any it is closed. A closed gate has none. Once nothing is in flight it is
//!    drained, permanently.
//! 7. Nobody stands in front of a gate that is not full.
//! 8. A period of pressure goes on exactly if there are waiters and the gate is not paused.
//!
//! Gates that share a capacity are members of a pool. For them, 3 is: whoever waits and could run waits only while no seat of the
//! pool is free. The word is slow for good and its counts are zero: what it counts elsewhere, the member in the pool counts
//! here, under the lock of the pool, which comes before that of the gate. Strict order is kept within a gate; between gates the
//! pool decides. See `pool::rules` for its invariants and `gate::pooled` for the sections.
//!
//! # Who enforces the limits
//!
//! The line does. It knows when the limit of each waiter passes, and every section that changes or shows the state first takes
//! out the waiters whose limits have passed by then: so none of them is admitted, or counted as waiting. A waiter that was
//! taken out is woken, and is told when it is polled. Until then it keeps its place in the storage of the line.
//!
//! For somebody to come in time there is the alarm of the line: see `limits::alarm_state`. It is armed for the first limit that
//! passes or earlier, or some thread is about to arm it. In a partition, and in a runtime other than that of the alarm, a waiter
//! has a timer of its own, which does the same. If neither fires, because its runtime is stuck or has ended, the next section
//! keeps the limit.
//!
//! # Linearizability
//!
//! A fast admission or release takes effect at its compare-exchange. A locked section that changes state
//! takes effect where it stores the word. One that only reads or rejects takes effect where it read the word,
//! because nothing but the word can change while it holds the lock. So a single read of the word under the
//! lock makes all fields of a snapshot belong to the same instant. A waiter whose number is below `called`
//! does not take the lock while the top bit is clear: it was admitted by the section that raised `called`. Had it been taken out
//! instead, the bit would be set until it knows. Whatever it does next that
//! others could notice goes through the lock, and so comes after that section.

pub(crate) mod chunks;
pub(crate) mod clock;
pub(crate) mod gate;
pub(crate) mod limits;
mod line;
#[cfg(all(test, bulklink_loom))]
mod models;
pub(crate) mod operation;
pub(crate) mod pool;
pub(crate) mod rejection;

pub(crate) use gate::word::MAX_UNITS;
