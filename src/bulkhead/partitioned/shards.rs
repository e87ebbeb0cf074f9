//! All shards of a shelf: where a key belongs, and which partition has been idle longest of all.
//!
//! It owns the order between shards, and knows no limit of how many partitions there may be. Whoever
//! removes the oldest holds the shelf's creation lock, so that no two do at once.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    parent::{PartitionLink, PinCounter},
    shard::{Entry, Idle, NEVER, Shard, ShardState},
};
use crate::sync::{AtomicU64, Ordering};

/// The most shards there are.
const MAX_SHARDS: usize = 64;

pub(super) struct Shards<K> {
    all: Box<[Shard<K>]>,
    /// For how long a partition is kept idle, in nanoseconds, and since when they are counted. `None`
    /// is forever, and takes no look at the clock.
    timeout: Option<(u64, Instant)>,
    stamps: Stamps,
}

/// Numbers that order idle partitions by when they became so, across all shards. The clock does not: it
/// gives one reading twice where it is coarse, or stands still.
///
/// The one thing that all threads write, so it is apart from what they read.
#[repr(align(128))]
struct Stamps(AtomicU64);

impl Stamps {
    #[inline]
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl<K> Shards<K> {
    /// Enough shards for this machine, if not for more partitions than there may be.
    pub(super) fn new(max_partitions: usize, idle_timeout: Duration) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = max_partitions.next_power_of_two();
        let shards = (cores * 8).next_power_of_two().min(MAX_SHARDS).min(most);
        let all = (0..shards).map(|_| Shard::new()).collect();
        let timeout = u64::try_from(idle_timeout.as_nanos()).ok();
        let timeout = timeout.map(|timeout| (timeout, Instant::now()));
        Self { all, timeout, stamps: Stamps(AtomicU64::new(0)) }
    }

    /// The shard of the keys with this hash.
    #[inline]
    pub(super) fn of(&self, hash: u32) -> &Shard<K> {
        &self.all[hash as usize & (self.all.len() - 1)]
    }

    pub(super) fn all(&self) -> &[Shard<K>] {
        &self.all
    }

    /// Removes the partition that has been idle longest, if any is idle.
    pub(super) fn remove_oldest(&self) -> Option<Entry<K>> {
        loop {
            let (stamp, shard) = self.oldest();
            if stamp != NEVER {
                if let Some(entry) = shard.remove_oldest(stamp, NEVER) {
                    return Some(entry);
                }
                continue;
            }
            // None was idle where this looked, when it looked there. To say so of all, none may be idle
            // at one instant.
            let frozen: Vec<_> = self.all.iter().map(Shard::freeze).collect();
            if !frozen.iter().any(|shard| shard.has_idle()) {
                return None;
            }
        }
    }

    /// Removes the partition that has been idle longest, if that is for the idle timeout at least.
    pub(super) fn remove_overdue(&self) -> Option<Entry<K>> {
        let (timeout, epoch) = self.timeout?;
        let until = nanoseconds(epoch.elapsed()).checked_sub(timeout)?;
        let (stamp, shard) = self.oldest();
        if stamp == NEVER { None } else { shard.remove_oldest(stamp, until) }
    }

    /// Takes everything out of all shards, to be dropped by the caller.
    pub(super) fn take_all(&self) -> Vec<ShardState<K>> {
        self.all.iter().map(Shard::take).collect()
    }

    /// The shard whose oldest idle partition is the oldest of all, and its stamp.
    ///
    /// Of two looks that agree, the second saw every shard after that stamp was given, and whatever
    /// becomes idle after a look has a later stamp. So nothing older is idle.
    fn oldest(&self) -> (u64, &Shard<K>) {
        let look = || {
            let stamps = self.all.iter().map(Shard::oldest).enumerate();
            stamps.min_by_key(|&(_, stamp)| stamp).expect("a shelf has a shard")
        };
        let mut seen = look();
        loop {
            let again = look();
            if again == seen {
                return (seen.1, &self.all[seen.0]);
            }
            seen = again;
        }
    }
}

impl<K: Send + Sync> PinCounter for Shards<K> {
    #[inline]
    fn unpin(&self, link: &PartitionLink) {
        let now = || Idle {
            since: self.timeout.map_or(0, |(_, epoch)| nanoseconds(epoch.elapsed())),
            stamp: self.stamps.next(),
        };
        self.of(link.hash).unpin(link, now);
    }
}

/// They fit for five centuries.
#[inline]
fn nanoseconds(time: Duration) -> u64 {
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}
