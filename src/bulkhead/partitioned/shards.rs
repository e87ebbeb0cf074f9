//! `Shards`: all shards of a map, to which of them a key belongs, and which partition has been idle longest.
//!
//! It owns the order between shards. It does not know how many partitions may be retained. The caller holds the
//! map's creation lock while it removes partitions, so that removals do not run concurrently.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    parent::{PartitionLink, PinCounter},
    shard::{Idle, NEVER, Removed, Shard, ShardState},
};
use crate::{
    core::clock,
    sync::{AtomicU64, Ordering, UnexploredU64, did_panic},
};

/// In place of an idle timeout: partitions are retained indefinitely.
const FOREVER: u64 = u64::MAX;

/// The maximum number of shards.
const MAX_SHARDS: usize = 64;

pub(super) struct Shards<K> {
    all: Box<[Shard<K>]>,
    /// How long an idle partition is retained, in nanoseconds. [`FOREVER`] if indefinitely, in which case the clock is not
    /// read. Written under the creation lock.
    timeout: UnexploredU64,
    /// The instant from which `Idle::since` counts.
    epoch: Instant,
    /// The time since the epoch at which the clock began to be read: what has been idle for longer is taken to be idle since
    /// then. Written and read under the creation lock.
    clock_since: UnexploredU64,
    stamps: Stamps,
}

/// Numbers that order idle partitions by when they became idle, across all shards. The clock cannot: a coarse
/// or paused clock returns the same reading more than once.
///
/// The only field that all threads write, so it is kept on cache lines apart from those they read.
#[repr(align(128))]
struct Stamps(AtomicU64);

impl Stamps {
    #[inline]
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl<K> Shards<K> {
    /// Creates shards according to the parallelism of the machine, but not more than partitions may need.
    pub(super) fn new(max_partitions: usize, idle_timeout: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = max_partitions.next_power_of_two();
        let shards = (cores * 8).next_power_of_two().min(MAX_SHARDS).min(most);
        let all = (0..shards).map(|_| Shard::new()).collect();
        Self {
            all,
            timeout: UnexploredU64::new(encoded(idle_timeout)),
            epoch: clock::now(),
            clock_since: UnexploredU64::new(0),
            stamps: Stamps(AtomicU64::new(0)),
        }
    }

    /// Sets how long an idle partition is retained.
    pub(super) fn set_timeout(&self, idle_timeout: Duration) {
        if self.timeout.load(Ordering::Relaxed) == FOREVER {
            self.clock_since.store(nanoseconds(clock::elapsed(self.epoch)), Ordering::Relaxed);
        }
        self.timeout.store(encoded(idle_timeout), Ordering::Relaxed);
    }

    /// Returns the shard of the keys with this hash.
    #[inline]
    pub(super) fn of(&self, hash: u32) -> &Shard<K> {
        &self.all[hash as usize & (self.all.len() - 1)]
    }

    pub(super) fn all(&self) -> &[Shard<K>] {
        &self.all
    }

    /// Removes the partition that has been idle longest, if any is idle.
    pub(super) fn remove_oldest(&self) -> Option<Removed<K>> {
        loop {
            let (stamp, shard) = self.oldest();
            if stamp != NEVER {
                if let Some(entry) = shard.remove_oldest(stamp, NEVER) {
                    return Some(entry);
                }
                continue;
            }
            // No shard had an idle partition when it was read, but the shards were read at different times.
            // Lock them all to find out whether none is idle at one instant.
            let frozen: Vec<_> = self.all.iter().map(Shard::freeze).collect();
            if !frozen.iter().any(|shard| shard.has_idle()) {
                return None;
            }
        }
    }

    /// Removes the partition that has been idle longest, if it has been idle for at least the idle timeout.
    pub(super) fn remove_overdue(&self) -> Option<Removed<K>> {
        let timeout = self.timeout.load(Ordering::Relaxed);
        if timeout == FOREVER {
            return None;
        }
        let until = nanoseconds(clock::elapsed(self.epoch)).checked_sub(timeout)?;
        if until < self.clock_since.load(Ordering::Relaxed) {
            return None;
        }
        loop {
            let (stamp, shard) = self.oldest();
            if stamp == NEVER {
                return None;
            }
            let removed = shard.remove_oldest(stamp, until);
            // It was used meanwhile: another one is the oldest now.
            if removed.is_none() && shard.oldest() != stamp {
                continue;
            }
            return removed;
        }
    }

    /// Takes the state out of all shards, to be dropped by the caller.
    pub(super) fn take_all(&self) -> Vec<ShardState<K>> {
        self.all.iter().map(Shard::take).collect()
    }

    /// Returns the lowest stamp of an idle partition, and the shard that holds it.
    ///
    /// Scans until two scans agree. The second then read every shard after that stamp was issued, and a
    /// partition that becomes idle after its shard was read gets a higher stamp. So no partition has been idle
    /// for longer.
    fn oldest(&self) -> (u64, &Shard<K>) {
        let scan = || {
            let stamps = self.all.iter().map(Shard::oldest).enumerate();
            stamps.min_by_key(|&(_, stamp)| stamp).expect("there is at least one shard")
        };
        let mut previous = scan();
        loop {
            let current = scan();
            if current == previous {
                return (previous.1, &self.all[previous.0]);
            }
            previous = current;
        }
    }
}

impl<K: Send + Sync> PinCounter for Shards<K> {
    #[inline]
    fn unpin(&self, link: &PartitionLink) {
        let now = || Idle {
            since: match self.timeout.load(Ordering::Relaxed) {
                FOREVER => 0,
                _ => nanoseconds(clock::elapsed(self.epoch)),
            },
            stamp: self.stamps.next(),
        };
        let removed = self.of(link.hash).unpin(link, now);
        if removed.is_some() {
            // Dropping a key is user code.
            did_panic(|| drop(removed));
        }
    }
}

/// Returns a timeout as it is stored. One of more than five centuries is indefinite.
fn encoded(idle_timeout: Duration) -> u64 {
    u64::try_from(idle_timeout.as_nanos()).unwrap_or(FOREVER)
}

/// Returns `time` in nanoseconds. A `u64` holds those of five centuries.
#[inline]
fn nanoseconds(time: Duration) -> u64 {
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}
