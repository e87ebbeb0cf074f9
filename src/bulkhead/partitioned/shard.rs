//! A shard: some of the partitions, found by key, and the order in which the idle ones became so.
//!
//! It owns its entries and their order under one small lock, held for constant-time bookkeeping only. It
//! creates and evicts nothing by itself: the shelf does.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. The index holds exactly the places of the entries.
//! 2. The entries in line are exactly those that nobody has pinned, by rising stamps.
//! 3. `oldest` is the stamp at the head of the line.
//! 4. The totals of a removed entry are in `past`; or in `late`, if a status under way has counted them
//!    already, until that status ends.

use std::{mem, ops::Range};

use super::{
    idle_order::IdleOrder,
    index::{Index, TableMemory},
    parent::PartitionLink,
};
use crate::{
    bulkhead::compartment::{Compartment, OwnedHandle},
    core::{arena::Arena, gate::counts::Totals},
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Entries in a chunk of storage, and in a block that is looked at under one lock.
const BLOCK: usize = 64;

/// The stamp of no entry.
pub(super) const NEVER: u64 = u64::MAX;

/// Shards are apart in memory, by the two lines that processors fetch at once: threads in different
/// shards do not disturb one another.
#[repr(align(128))]
pub(super) struct Shard<K> {
    state: Mutex<ShardState<K>>,
    /// The stamp of the entry that has been idle longest, or `NEVER`. Written under the lock.
    oldest: AtomicU64,
}

pub(super) struct ShardState<K> {
    index: Index,
    entries: Arena<Entry<K>, BLOCK>,
    order: IdleOrder,
    past: Totals,
    late: Totals,
    /// How many entries the status under way has counted: all places below.
    counted: u32,
}

/// One partition and its key.
pub(super) struct Entry<K> {
    key: K,
    compartment: Arc<Compartment>,
    /// While idle: when it became so.
    idle: Idle,
}

/// When an entry became idle.
#[derive(Clone, Copy)]
pub(super) struct Idle {
    /// As a number that orders all idle entries of all shards.
    pub(super) stamp: u64,
    /// In nanoseconds since the shelf was made. 0 where idle entries are kept forever.
    pub(super) since: u64,
}

/// What some entries hold, each at one instant.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) totals: Totals,
    pub(super) active: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
}

impl Sum {
    pub(super) fn add(&mut self, other: &Self) {
        self.totals = self.totals.plus(&other.totals);
        self.active += other.active;
        self.in_flight += other.in_flight;
        self.waiting += other.waiting;
    }
}

impl<K> Shard<K> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(ShardState::new()), oldest: AtomicU64::new(NEVER) }
    }

    /// The stamp of the entry that has been idle longest. A hint: it may be pinned by now.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    /// Inserts a partition that is pinned once, made by `make` for its place. One at a time.
    pub(super) fn insert(
        &self,
        hash: u32,
        key: K,
        make: impl FnOnce(u32) -> Arc<Compartment>,
    ) -> OwnedHandle {
        let wanted = {
            let state = self.state.lock();
            state.index.wanted_memory(state.entries.end())
        };
        let memory = wanted.map(TableMemory::new);
        let mut state = self.state.lock();
        let ShardState { index, entries, order, .. } = &mut *state;
        let mut made = None;
        let at = entries.insert_with(|at| {
            let compartment = made.insert(make(at)).clone();
            Entry { key, compartment, idle: Idle { stamp: NEVER, since: 0 } }
        });
        let hash_of = |at| entries.find(at).map(|entry| link(entry).hash);
        let memory = index.insert(hash, at, memory, entries.end(), hash_of);
        order.insert(at);
        drop(state);
        drop(memory);
        OwnedHandle::from_pinned(made.expect("the entry was made"))
    }

    /// Gives up a pin. With the last one the partition is idle, as of what `now` says.
    #[inline]
    pub(super) fn unpin(&self, link: &PartitionLink, now: impl FnOnce() -> Idle) {
        let mut state = self.state.lock();
        // Once the shelf is gone its shards are empty.
        if state.entries.find(link.at).is_none() {
            return;
        }
        let head = state.order.head();
        if state.order.unpin(link.at) {
            state.entries.at_mut(link.at).idle = now();
            self.mark_oldest(&state, head);
        }
    }

    /// Removes the entry that has been idle longest, if it still is the one with this stamp and is
    /// idle since `until` at the latest.
    pub(super) fn remove_oldest(&self, stamp: u64, until: u64) -> Option<Entry<K>> {
        let mut state = self.state.lock();
        let at = state.order.head()?;
        let Idle { stamp: own, since } = state.entries.at(at).idle;
        if own != stamp || since > until {
            return None;
        }
        Some(self.remove(&mut state, at))
    }

    /// Sums up all entries, past and present, some at a time. Nobody else may do so meanwhile.
    pub(super) fn sum(&self, mut add: impl FnMut(Sum)) {
        loop {
            let mut state = self.state.lock();
            let first = state.counted;
            if first >= state.entries.end() {
                add(state.sum_past());
                return;
            }
            let end = first + BLOCK as u32;
            add(state.sum(first..end));
            state.counted = end;
        }
    }

    /// The partitions of a block, or `None` past the last one.
    pub(super) fn block(&self, block: usize) -> Option<Vec<Arc<Compartment>>> {
        let state = self.state.lock();
        let first = (block * BLOCK) as u32;
        (first < state.entries.end()).then(|| {
            let entries = (first..first + BLOCK as u32).filter_map(|at| state.entries.find(at));
            entries.map(|entry| entry.compartment.clone()).collect()
        })
    }

    /// Locks this shard against every pin and unpin.
    pub(super) fn freeze(&self) -> Frozen<'_, K> {
        Frozen { state: self.state.lock() }
    }

    /// Takes everything out, to be dropped by the caller.
    pub(super) fn take(&self) -> ShardState<K> {
        mem::replace(&mut *self.state.lock(), ShardState::new())
    }

    fn remove(&self, state: &mut ShardState<K>, at: u32) -> Entry<K> {
        let head = state.order.head();
        state.order.remove(at);
        self.mark_oldest(state, head);
        let entry = state.entries.remove(at);
        state.index.remove(link(&entry).hash, at);
        let gone = if at < state.counted { &mut state.late } else { &mut state.past };
        *gone = gone.plus(&entry.compartment.snapshot().totals);
        entry
    }

    /// Shows the stamp at the head, where that is not what it was.
    #[inline]
    fn mark_oldest(&self, state: &ShardState<K>, former: Option<u32>) {
        let head = state.order.head();
        if head != former {
            let oldest = head.map_or(NEVER, |at| state.entries.at(at).idle.stamp);
            self.oldest.store(oldest, Ordering::Release);
        }
    }
}

impl<K: Eq> Shard<K> {
    /// Pins the partition of this key, if there is one.
    #[inline]
    pub(super) fn pin(&self, hash: u32, key: &K) -> Option<OwnedHandle> {
        let mut state = self.state.lock();
        let at = state.find(hash, key)?;
        let compartment = state.entries.at(at).compartment.clone();
        let head = state.order.head();
        state.order.pin(at);
        self.mark_oldest(&state, head);
        Some(OwnedHandle::from_pinned(compartment))
    }

    /// The partition of this key, unpinned: to look at and nothing else.
    pub(super) fn peek(&self, hash: u32, key: &K) -> Option<Arc<Compartment>> {
        let state = self.state.lock();
        let at = state.find(hash, key)?;
        Some(state.entries.at(at).compartment.clone())
    }

    /// Removes the partition of this key, if it is idle.
    pub(super) fn discard(&self, hash: u32, key: &K) -> Option<Entry<K>> {
        let mut state = self.state.lock();
        let at = state.find(hash, key)?;
        (!state.order.is_pinned(at)).then(|| self.remove(&mut state, at))
    }
}

impl<K> ShardState<K> {
    fn new() -> Self {
        Self {
            index: Index::new(),
            entries: Arena::new(),
            order: IdleOrder::new(),
            past: Totals::default(),
            late: Totals::default(),
            counted: 0,
        }
    }

    fn sum(&self, places: Range<u32>) -> Sum {
        let mut sum = Sum::default();
        for at in places {
            let Some(entry) = self.entries.find(at) else { continue };
            let snapshot = entry.compartment.snapshot();
            sum.totals = sum.totals.plus(&snapshot.totals);
            sum.active += usize::from(self.order.is_pinned(at));
            sum.in_flight += snapshot.in_flight as usize;
            sum.waiting += snapshot.waiting as usize;
        }
        sum
    }

    /// The entries that went before the status under way could count them. Ends that status.
    fn sum_past(&mut self) -> Sum {
        let sum = Sum { totals: self.past, ..Sum::default() };
        self.past = self.past.plus(&mem::take(&mut self.late));
        self.counted = 0;
        sum
    }
}

impl<K: Eq> ShardState<K> {
    #[inline]
    fn find(&self, hash: u32, key: &K) -> Option<u32> {
        self.index.find(hash, |at| self.entries.at(at).key == *key)
    }
}

/// A shard of which nothing changes for as long as this lives.
pub(super) struct Frozen<'a, K> {
    state: MutexGuard<'a, ShardState<K>>,
}

impl<K> Frozen<'_, K> {
    pub(super) fn has_idle(&self) -> bool {
        self.state.order.len() > 0
    }
}

#[cfg(all(test, bulklink_loom))]
impl<K> Shard<K> {
    /// The invariants that a holder of the lock can see.
    pub(super) fn assert_settled(&self) {
        let state = self.state.lock();
        let line = state.order.verified();
        let stamps: Vec<_> = line.iter().map(|&at| state.entries.at(at).idle.stamp).collect();
        assert!(stamps.is_sorted_by(|one, next| one < next), "{stamps:?} do not rise");
        assert_eq!(self.oldest(), stamps.first().copied().unwrap_or(NEVER));
        let places = (0..state.entries.end()).filter(|&at| state.entries.find(at).is_some());
        let (pinned, idle): (Vec<_>, Vec<_>) = places.partition(|&at| state.order.is_pinned(at));
        assert_eq!(idle.len(), line.len(), "in line exactly if nobody has pinned it");
        assert_eq!(state.index.len(), pinned.len() + idle.len());
        assert!(state.index.iter().all(|at| state.entries.find(at).is_some()));
    }
}

fn link<K>(entry: &Entry<K>) -> &PartitionLink {
    entry.compartment.link().expect("a shelf holds partitions")
}
