//! `Shard`: some of the partitions, found by key, and the order in which the idle ones became idle.
//!
//! It owns its entries and their order under one lock, held for constant-time bookkeeping only. It does not
//! decide which partitions are created or evicted: the map does.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. The index holds exactly the indices of the entries.
//! 2. The entries in the idle order are exactly those without a pin, by ascending stamps.
//! 3. `oldest` is the stamp at the head of the idle order.
//! 4. The totals of a removed entry are in `removed_totals`. If a status in progress has already counted the
//!    entry, they are in `removed_after_counting` until that status ends.
//! 5. The entries are dense, so that memory and visits cost what is retained. The last one fills the gap of one that
//!    is removed, without ever passing the end of a visit in progress: see `take_out`.

use std::{iter, mem, ops::Range, time::Duration};

use tokio::time::Instant;

use super::{
    idle_order::IdleOrder,
    index::{Index, TableMemory},
    parent::PartitionLink,
    visit::{Progress, Visit, Visitor},
};
use crate::{
    bulkhead::{compartment::Compartment, handle::OwnedHandle},
    core::{
        chunks::Chunks,
        gate::{counts::Totals, effects::Effects, trace},
        limits::Expiry,
        rejection::Rejection,
    },
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Entries in a chunk of storage, and in a block that is read under one lock.
pub(super) const BLOCK: usize = 64;

/// A stamp that no entry has.
pub(super) const NEVER: u64 = u64::MAX;

/// Some of the partitions. Shards are aligned to the two cache lines that processors fetch together, so that
/// threads in different shards do not contend for a line.
#[repr(align(128))]
pub(super) struct Shard<K> {
    state: Mutex<ShardState<K>>,
    /// The stamp of the entry that has been idle longest, or `NEVER`. Written under the lock.
    oldest: AtomicU64,
}

pub(super) struct ShardState<K> {
    index: Index,
    pub(super) entries: Chunks<Entry<K>, BLOCK>,
    order: IdleOrder,
    /// The visits in progress.
    pub(super) visits: Vec<Progress>,
    removed_totals: Totals,
    removed_after_counting: Totals,
    removed_by_close: u64,
    /// Whether the bulkhead is closed and its idle partitions are removed.
    is_closed: bool,
}

/// One partition and its key.
pub(super) struct Entry<K> {
    pub(super) key: K,
    pub(super) compartment: Arc<Compartment>,
    /// When it became idle. Valid only while it is idle.
    idle: Idle,
}

/// What was removed, and memory that is not needed any more: dropped under no lock.
pub(super) struct Removed<K> {
    _entry: Entry<K>,
    _memory: TableMemory,
}

/// When an entry became idle.
#[derive(Clone, Copy)]
pub(super) struct Idle {
    /// A number that orders the idle entries of all shards.
    pub(super) stamp: u64,
    /// In nanoseconds since the map was created. 0 if idle entries are retained indefinitely.
    pub(super) since: u64,
}

/// A sum over some entries, each read at one instant.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) totals: Totals,
    pub(super) active: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
    /// Partitions that were removed because the bulkhead is closed.
    pub(super) removed_by_close: u64,
    /// Partitions in which operations are waiting.
    pub(super) under_pressure: usize,
    /// For how long they have been, together.
    pub(super) current_pressure: Duration,
}

impl Sum {
    pub(super) fn add(&mut self, other: &Self) {
        self.totals = self.totals.plus(&other.totals);
        self.active += other.active;
        self.in_flight += other.in_flight;
        self.waiting += other.waiting;
        self.removed_by_close += other.removed_by_close;
        self.under_pressure += other.under_pressure;
        self.current_pressure = self.current_pressure.saturating_add(other.current_pressure);
    }
}

impl<K> Shard<K> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(ShardState::new()), oldest: AtomicU64::new(NEVER) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ShardState<K>> {
        self.state.lock()
    }

    /// Returns the stamp of the entry that has been idle longest. A hint only: the entry may be pinned by now.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    /// Inserts a partition that is pinned once, created by `make` for the index of its entry. Insertions must
    /// not run concurrently.
    pub(super) fn insert(
        &self,
        hash: u32,
        key: K,
        make: impl FnOnce(u32) -> Arc<Compartment>,
    ) -> OwnedHandle {
        let wanted = self.lock().index.wanted_memory();
        let memory = wanted.map(TableMemory::new);
        let mut state = self.lock();
        let ShardState { index, entries, order, .. } = &mut *state;
        let at = entries.len();
        let made = make(at);
        let compartment = made.clone();
        entries.push(Entry { key, compartment, idle: Idle { stamp: NEVER, since: 0 } });
        let memory = index.insert(hash, at, memory, at + 1, |at| link(&entries[at]).hash);
        order.push();
        drop(state);
        drop(memory);
        OwnedHandle::from_pinned(made)
    }

    /// Releases a pin. After the last one the partition is idle, as of the time that `now` returns; if the bulkhead is
    /// closed it is removed and returned.
    #[inline]
    pub(super) fn unpin(
        &self,
        link: &PartitionLink,
        now: impl FnOnce() -> Idle,
    ) -> Option<Removed<K>> {
        let mut state = self.lock();
        let at = link.index();
        // The shards are empty once the map has been dropped.
        state.entries.get(at)?;
        let head = state.order.head();
        if state.order.unpin(at) {
            state.entries[at].idle = now();
            self.mark_oldest(&state, head);
            if state.is_closed {
                return Some(self.remove_closed(&mut state, at));
            }
        }
        None
    }

    /// Removes idle partitions of a bulkhead that has been closed, up to a block of them. Partitions in use are removed
    /// once they become idle.
    pub(super) fn remove_idle_of_closed(&self) -> Vec<Removed<K>> {
        let mut state = self.lock();
        state.is_closed = true;
        let mut removed = Vec::new();
        while let (Some(at), true) = (state.order.head(), removed.len() < BLOCK) {
            removed.push(self.remove_closed(&mut state, at));
        }
        removed
    }

    /// Removes the entry that has been idle longest, if it is still the one with this stamp and has been idle
    /// since `until` or earlier.
    pub(super) fn remove_oldest(&self, stamp: u64, until: u64) -> Option<Removed<K>> {
        let mut state = self.lock();
        let at = state.order.head()?;
        let Idle { stamp: own, since } = state.entries[at].idle;
        if own != stamp || since > until {
            return None;
        }
        Some(self.remove(&mut state, at, true))
    }

    /// Passes sums over all entries, present and removed, to `add`, a block at a time. Sums must not run
    /// concurrently.
    pub(super) fn sum(&self, now: Instant, effects: &mut Effects, mut add: impl FnMut(Sum)) {
        let mut visit = self.begin(Visitor::Status);
        while let Some(sum) = visit.next(|state, at| state.sum(now, at, effects)) {
            add(sum);
        }
        add(self.lock().finish_sum());
    }

    /// Begins a visit of all partitions.
    pub(super) fn visit(&self) -> Visit<'_, K> {
        self.begin(Visitor::new())
    }

    /// Locks this shard, which blocks every pin and unpin.
    pub(super) fn freeze(&self) -> Frozen<'_, K> {
        Frozen { state: self.lock() }
    }

    /// Takes all state out, to be dropped by the caller.
    pub(super) fn take(&self) -> ShardState<K> {
        mem::replace(&mut *self.lock(), ShardState::new())
    }

    #[cold]
    fn remove_closed(&self, state: &mut ShardState<K>, at: u32) -> Removed<K> {
        state.removed_by_close += 1;
        self.remove(state, at, true)
    }

    /// Removes an idle entry. Without `keeps_debt`, its key begins anew when it comes back.
    fn remove(&self, state: &mut ShardState<K>, at: u32, keeps_debt: bool) -> Removed<K> {
        let head = state.order.head();
        state.order.remove(at);
        self.mark_oldest(state, head);
        let is_counted = state.visits.iter().any(|visit| visit.has_counted(at));
        let (entry, memory) = state.take_out(at);
        let totals =
            if is_counted { &mut state.removed_after_counting } else { &mut state.removed_totals };
        // Nobody waits in an idle entry, so there are none.
        let mut effects = Effects::default();
        *totals = totals.plus(&entry.compartment.snapshot_leaving(&mut effects).totals);
        entry.compartment.leave_pool(keeps_debt);
        Removed { _entry: entry, _memory: memory }
    }

    /// Publishes the stamp at the head of the idle order, unless the head is still `former`.
    #[inline]
    fn mark_oldest(&self, state: &ShardState<K>, former: Option<u32>) {
        let head = state.order.head();
        if head != former {
            let oldest = head.map_or(NEVER, |at| state.entries[at].idle.stamp);
            self.oldest.store(oldest, Ordering::Release);
        }
    }
}

impl<K: Eq> Shard<K> {
    /// Pins the partition of this key, if there is one. If it is idle and `expired` returns a limit that has passed already,
    /// rejects the operation instead: it does not use the partition, so it does not renew its idle time.
    #[inline]
    pub(super) fn pin(
        &self,
        hash: u32,
        key: &K,
        expired: impl FnOnce() -> Option<Expiry>,
    ) -> Option<Result<OwnedHandle, Rejection>> {
        let mut state = self.lock();
        let at = state.find(hash, key)?;
        if !state.order.is_pinned(at) {
            if let Some(expiry) = expired() {
                let rejection = state.entries[at].compartment.reject_late(expiry);
                drop(state);
                return Some(Err(trace::rejected(rejection)));
            }
        }
        let compartment = state.entries[at].compartment.clone();
        let head = state.order.head();
        state.order.pin(at);
        self.mark_oldest(&state, head);
        Some(Ok(OwnedHandle::from_pinned(compartment)))
    }

    /// Returns the partition of this key unpinned, for reading only.
    pub(super) fn peek(&self, hash: u32, key: &K) -> Option<Arc<Compartment>> {
        let state = self.lock();
        let at = state.find(hash, key)?;
        Some(state.entries[at].compartment.clone())
    }

    /// Removes the partition of this key, if it is idle.
    pub(super) fn discard(&self, hash: u32, key: &K) -> Option<Removed<K>> {
        let mut state = self.lock();
        let at = state.find(hash, key)?;
        (!state.order.is_pinned(at)).then(|| self.remove(&mut state, at, false))
    }
}

impl<K> ShardState<K> {
    fn new() -> Self {
        Self {
            index: Index::new(),
            entries: Chunks::new(),
            order: IdleOrder::new(),
            visits: Vec::new(),
            removed_totals: Totals::default(),
            removed_after_counting: Totals::default(),
            removed_by_close: 0,
            is_closed: false,
        }
    }

    /// Returns how many entries there are, and how many of them are pinned.
    pub(super) fn counts(&self) -> (usize, usize) {
        let all = self.entries.len();
        (all as usize, (all - self.order.len()) as usize)
    }

    /// Returns the entries.
    pub(super) fn into_entries(mut self) -> impl Iterator<Item = Entry<K>> {
        iter::from_fn(move || self.entries.pop())
    }

    fn sum(&self, now: Instant, indices: Range<u32>, effects: &mut Effects) -> Sum {
        let mut sum = Sum::default();
        for at in indices {
            let snapshot = self.entries[at].compartment.snapshot_leaving(effects);
            sum.totals = sum.totals.plus(&snapshot.totals);
            sum.active += usize::from(self.order.is_pinned(at));
            sum.in_flight += snapshot.in_flight as usize;
            sum.waiting += snapshot.waiting as usize;
            if let Some(since) = snapshot.under_pressure_since {
                sum.under_pressure += 1;
                let current = now.saturating_duration_since(since);
                sum.current_pressure = sum.current_pressure.saturating_add(current);
            }
        }
        sum
    }

    /// Returns the sum over the entries that were removed before the status in progress counted them. Ends that
    /// status.
    fn finish_sum(&mut self) -> Sum {
        let sum = Sum {
            totals: self.removed_totals,
            removed_by_close: self.removed_by_close,
            ..Sum::default()
        };
        self.removed_totals =
            self.removed_totals.plus(&mem::take(&mut self.removed_after_counting));
        self.visits.retain(|visit| visit.visitor != Visitor::Status);
        sum
    }

    /// Takes out an entry that is in no order, and fills the gap.
    ///
    /// The last entry cannot always fill it: where it has been visited and the gap has not, it would be visited again. So
    /// the gap moves up from one visit's end to the next, as the entry before each end fills it, and then that end is
    /// one lower. No entry is missed, and none is visited twice.
    fn take_out(&mut self, at: u32) -> (Entry<K>, TableMemory) {
        let Self { index, entries, order, visits, .. } = self;
        index.remove(link(&entries[at]).hash, at);
        let mut gap = at;
        while gap + 1 < entries.len() {
            let ends = visits.iter().map(|visit| visit.end).filter(|&end| end > gap + 1);
            let from = ends.min().unwrap_or(entries.len()) - 1;
            entries.swap(gap, from);
            link(&entries[gap]).set_index(gap);
            let hash_of = |at| link(&entries[at]).hash;
            index.move_entry(hash_of(gap), from, gap, hash_of);
            order.move_entry(from, gap);
            gap = from;
        }
        visits.iter_mut().filter(|visit| visit.end > at).for_each(|visit| visit.end -= 1);
        order.pop();
        let entry = entries.pop().expect("there is an entry");
        let memory = index.shrink(entries.len(), |at| link(&entries[at]).hash);
        (entry, memory)
    }
}

impl<K: Eq> ShardState<K> {
    #[inline]
    fn find(&self, hash: u32, key: &K) -> Option<u32> {
        self.index.find(hash, |at| self.entries[at].key == *key)
    }
}

/// A locked shard: nothing in it changes while this guard lives.
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
    /// Verifies the invariants that can be checked under the lock.
    pub(super) fn assert_settled(&self) {
        let state = self.lock();
        let order = state.order.verified();
        let stamps: Vec<_> = order.iter().map(|&at| state.entries[at].idle.stamp).collect();
        assert!(stamps.is_sorted_by(|one, next| one < next), "{stamps:?} do not ascend");
        assert_eq!(self.oldest(), stamps.first().copied().unwrap_or(NEVER));
        let all = 0..state.entries.len();
        let (pinned, idle): (Vec<_>, Vec<_>) = all.partition(|&at| state.order.is_pinned(at));
        assert!((0..state.entries.len()).all(|at| link(&state.entries[at]).index() == at));
        assert!(state.visits.is_empty(), "a visit was not ended");
        assert_eq!(idle.len(), order.len(), "in the idle order exactly if not pinned");
        assert_eq!(state.index.len(), pinned.len() + idle.len());
        assert!(state.index.iter().all(|at| state.entries.get(at).is_some()));
    }
}

fn link<K>(entry: &Entry<K>) -> &PartitionLink {
    entry.compartment.link().expect("entries are partitions")
}
