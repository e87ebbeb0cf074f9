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
    idle_order::Order,
    index::{Index, Room},
    parent::Part,
};
use crate::{
    bulkhead::compartment::{Compartment, Tenant},
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
    books: Mutex<Books<K>>,
    /// The stamp of the entry that has been idle longest, or `NEVER`. Written under the lock.
    oldest: AtomicU64,
}

pub(super) struct Books<K> {
    index: Index,
    entries: Arena<Entry<K>, BLOCK>,
    order: Order,
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
        Self { books: Mutex::new(Books::new()), oldest: AtomicU64::new(NEVER) }
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
    ) -> Tenant {
        let wanted = {
            let books = self.books.lock();
            books.index.wanted_room(books.entries.end())
        };
        let room = wanted.map(Room::new);
        let mut books = self.books.lock();
        let Books { index, entries, order, .. } = &mut *books;
        let mut made = None;
        let at = entries.insert_with(|at| {
            let compartment = made.insert(make(at)).clone();
            Entry { key, compartment, idle: Idle { stamp: NEVER, since: 0 } }
        });
        let hash_of = |at| entries.find(at).map(|entry| part(entry).hash);
        let room = index.insert(hash, at, room, entries.end(), hash_of);
        order.insert(at);
        drop(books);
        drop(room);
        Tenant::of_pinned(made.expect("the entry was made"))
    }

    /// Gives up a pin. With the last one the partition is idle, as of what `now` says.
    #[inline]
    pub(super) fn unpin(&self, part: &Part, now: impl FnOnce() -> Idle) {
        let mut books = self.books.lock();
        // Once the shelf is gone its shards are empty.
        if books.entries.find(part.at).is_none() {
            return;
        }
        let head = books.order.head();
        if books.order.unpin(part.at) {
            books.entries.at_mut(part.at).idle = now();
            self.mark_oldest(&books, head);
        }
    }

    /// Removes the entry that has been idle longest, if it still is the one with this stamp and is
    /// idle since `until` at the latest.
    pub(super) fn remove_oldest(&self, stamp: u64, until: u64) -> Option<Entry<K>> {
        let mut books = self.books.lock();
        let at = books.order.head()?;
        let Idle { stamp: own, since } = books.entries.at(at).idle;
        if own != stamp || since > until {
            return None;
        }
        Some(self.remove(&mut books, at))
    }

    /// Sums up all entries, past and present, some at a time. Nobody else may do so meanwhile.
    pub(super) fn sum(&self, mut add: impl FnMut(Sum)) {
        loop {
            let mut books = self.books.lock();
            let first = books.counted;
            if first >= books.entries.end() {
                add(books.sum_past());
                return;
            }
            let end = first + BLOCK as u32;
            add(books.sum(first..end));
            books.counted = end;
        }
    }

    /// The partitions of a block, or `None` past the last one.
    pub(super) fn block(&self, block: usize) -> Option<Vec<Arc<Compartment>>> {
        let books = self.books.lock();
        let first = (block * BLOCK) as u32;
        (first < books.entries.end()).then(|| {
            let entries = (first..first + BLOCK as u32).filter_map(|at| books.entries.find(at));
            entries.map(|entry| entry.compartment.clone()).collect()
        })
    }

    /// Locks this shard against every pin and unpin.
    pub(super) fn freeze(&self) -> Frozen<'_, K> {
        Frozen { books: self.books.lock() }
    }

    /// Takes everything out, to be dropped by the caller.
    pub(super) fn take(&self) -> Books<K> {
        mem::replace(&mut *self.books.lock(), Books::new())
    }

    fn remove(&self, books: &mut Books<K>, at: u32) -> Entry<K> {
        let head = books.order.head();
        books.order.remove(at);
        self.mark_oldest(books, head);
        let entry = books.entries.remove(at);
        books.index.remove(part(&entry).hash, at);
        let gone = if at < books.counted { &mut books.late } else { &mut books.past };
        *gone = gone.plus(&entry.compartment.snapshot().totals);
        entry
    }

    /// Shows the stamp at the head, where that is not what it was.
    #[inline]
    fn mark_oldest(&self, books: &Books<K>, former: Option<u32>) {
        let head = books.order.head();
        if head != former {
            let oldest = head.map_or(NEVER, |at| books.entries.at(at).idle.stamp);
            self.oldest.store(oldest, Ordering::Release);
        }
    }
}

impl<K: Eq> Shard<K> {
    /// Pins the partition of this key, if there is one.
    #[inline]
    pub(super) fn pin(&self, hash: u32, key: &K) -> Option<Tenant> {
        let mut books = self.books.lock();
        let at = books.find(hash, key)?;
        let compartment = books.entries.at(at).compartment.clone();
        let head = books.order.head();
        books.order.pin(at);
        self.mark_oldest(&books, head);
        Some(Tenant::of_pinned(compartment))
    }

    /// The partition of this key, unpinned: to look at and nothing else.
    pub(super) fn peek(&self, hash: u32, key: &K) -> Option<Arc<Compartment>> {
        let books = self.books.lock();
        let at = books.find(hash, key)?;
        Some(books.entries.at(at).compartment.clone())
    }

    /// Removes the partition of this key, if it is idle.
    pub(super) fn discard(&self, hash: u32, key: &K) -> Option<Entry<K>> {
        let mut books = self.books.lock();
        let at = books.find(hash, key)?;
        (!books.order.is_pinned(at)).then(|| self.remove(&mut books, at))
    }
}

impl<K> Books<K> {
    fn new() -> Self {
        Self {
            index: Index::new(),
            entries: Arena::new(),
            order: Order::new(),
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

impl<K: Eq> Books<K> {
    #[inline]
    fn find(&self, hash: u32, key: &K) -> Option<u32> {
        self.index.find(hash, |at| self.entries.at(at).key == *key)
    }
}

/// A shard of which nothing changes for as long as this lives.
pub(super) struct Frozen<'a, K> {
    books: MutexGuard<'a, Books<K>>,
}

impl<K> Frozen<'_, K> {
    pub(super) fn has_idle(&self) -> bool {
        self.books.order.len() > 0
    }
}

#[cfg(all(test, bulklink_loom))]
impl<K> Shard<K> {
    /// The invariants that a holder of the lock can see.
    pub(super) fn assert_settled(&self) {
        let books = self.books.lock();
        let line = books.order.verified();
        let stamps: Vec<_> = line.iter().map(|&at| books.entries.at(at).idle.stamp).collect();
        assert!(stamps.is_sorted_by(|one, next| one < next), "{stamps:?} do not rise");
        assert_eq!(self.oldest(), stamps.first().copied().unwrap_or(NEVER));
        let places = (0..books.entries.end()).filter(|&at| books.entries.find(at).is_some());
        let (pinned, idle): (Vec<_>, Vec<_>) = places.partition(|&at| books.order.is_pinned(at));
        assert_eq!(idle.len(), line.len(), "in line exactly if nobody has pinned it");
        assert_eq!(books.index.len(), pinned.len() + idle.len());
        assert!(books.index.iter().all(|at| books.entries.find(at).is_some()));
    }
}

fn part<K>(entry: &Entry<K>) -> &Part {
    entry.compartment.part().expect("a shelf holds partitions")
}
