//! A shard: some of the partitions, found by key, and the order in which the idle ones became so.
//!
//! It owns its entries, its table and its idle list under one small lock, held for constant-time
//! bookkeeping only. It creates and evicts nothing by itself: the shelf does.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. The table holds exactly the places of the entries.
//! 2. The idle list holds exactly the entries that nobody has pinned, by rising stamps.
//! 3. `oldest` is the stamp at the head of that list.
//! 4. Totals of a removed entry are in `past`, at the block of its place: so the sum over a block and
//!    its `past` never loses or counts anything twice.

use hashbrown::HashTable;

use crate::{
    bulkhead::compartment::{Compartment, Tenant},
    core::{
        arena::{Arena, Linked, Links, List},
        tally::Totals,
    },
    sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering},
};

/// Entries in a chunk of storage, and in a block that is summed up under one lock.
pub(super) const BLOCK: usize = 64;

/// The stamp of no entry.
pub(super) const NEVER: u64 = u64::MAX;

pub(super) struct Shard<K> {
    /// The stamp of the entry that has been idle longest, or `NEVER`. Written under the lock.
    oldest: AtomicU64,
    books: Mutex<Books<K>>,
}

struct Books<K> {
    table: HashTable<u32>,
    entries: Arena<Entry<K>, BLOCK>,
    idle: List,
    past: Vec<Totals>,
}

/// One partition and its key.
pub(super) struct Entry<K> {
    key: K,
    compartment: Arc<Compartment>,
    links: Links,
    /// While idle: when it became so, as a number that orders all idle entries of all shards.
    stamp: u64,
    /// While idle: when it became so, in nanoseconds since the shelf was made.
    since: u64,
}

impl<K> Linked for Entry<K> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// What a block of entries holds at one instant.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) totals: Totals,
    pub(super) active: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
}

impl<K> Shard<K> {
    pub(super) fn new() -> Self {
        let books = Books {
            table: HashTable::new(),
            entries: Arena::new(),
            idle: List::new(),
            past: Vec::new(),
        };
        Self { oldest: AtomicU64::new(NEVER), books: Mutex::new(books) }
    }

    /// The stamp of the entry that has been idle longest. A hint: it may be pinned by now.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Acquire)
    }

    /// Inserts a partition that is pinned once, made by `make` for its place.
    pub(super) fn insert(
        &self,
        hash: u32,
        key: K,
        make: impl FnOnce(u32) -> Arc<Compartment>,
    ) -> Tenant {
        let mut books = self.books.lock();
        let Books { table, entries, past, .. } = &mut *books;
        let mut made = None;
        let at = entries.insert_with(|at| {
            let compartment = made.insert(make(at)).clone();
            Entry { key, compartment, links: Links::NONE, stamp: NEVER, since: 0 }
        });
        table.insert_unique(spread(hash), at, |&at| spread(hash_of(entries.at(at))));
        if past.len() <= at as usize / BLOCK {
            past.push(Totals::default());
        }
        Tenant::of_pinned(made.expect("the entry was made"))
    }

    /// A partition became idle, unless somebody has pinned it again.
    pub(super) fn unpin(&self, at: u32, stamp: impl FnOnce() -> u64, now: u64) {
        let mut books = self.books.lock();
        let Books { entries, idle, .. } = &mut *books;
        let entry = entries.at_mut(at);
        if pins(entry).fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        entry.stamp = stamp();
        entry.since = now;
        idle.push(entries, at);
        self.mark_oldest(&books);
    }

    /// Removes the entry that has been idle longest, if it still is the one with this stamp and is
    /// idle since `until` at the latest.
    pub(super) fn remove_oldest(&self, stamp: u64, until: u64) -> Option<Entry<K>> {
        let mut books = self.books.lock();
        let at = books.idle.head()?;
        let entry = books.entries.at(at);
        if entry.stamp != stamp || entry.since > until {
            return None;
        }
        Some(self.remove(&mut books, at))
    }

    /// Sums up a block, or says with `None` that it lies past the last one.
    pub(super) fn sum(&self, block: usize) -> Option<Sum> {
        let books = self.books.lock();
        let mut sum = Sum { totals: *books.past.get(block)?, ..Sum::default() };
        for at in block * BLOCK..(block + 1) * BLOCK {
            let Some(entry) = books.entries.find(at as u32) else { continue };
            let snapshot = entry.compartment.snapshot();
            sum.totals = sum.totals.plus(&snapshot.totals);
            sum.active += usize::from(pins(entry).load(Ordering::Relaxed) > 0);
            sum.in_flight += snapshot.in_flight as usize;
            sum.waiting += snapshot.waiting as usize;
        }
        Some(sum)
    }

    /// The partitions of a block, or `None` past the last one.
    pub(super) fn block(&self, block: usize) -> Option<Vec<Arc<Compartment>>> {
        let books = self.books.lock();
        books.past.get(block)?;
        let places = block * BLOCK..(block + 1) * BLOCK;
        let entries = places.filter_map(|at| books.entries.find(at as u32));
        Some(entries.map(|entry| entry.compartment.clone()).collect())
    }

    /// Locks this shard against every pin and unpin.
    pub(super) fn freeze(&self) -> Frozen<'_, K> {
        Frozen { books: self.books.lock() }
    }

    fn remove(&self, books: &mut Books<K>, at: u32) -> Entry<K> {
        let Books { table, entries, idle, past } = books;
        idle.unlink(entries, at);
        let hash = spread(hash_of(entries.at(at)));
        if let Ok(found) = table.find_entry(hash, |&other| other == at) {
            found.remove();
        }
        let entry = entries.remove(at);
        let past = &mut past[at as usize / BLOCK];
        *past = past.plus(&entry.compartment.snapshot().totals);
        self.mark_oldest(books);
        entry
    }

    fn mark_oldest(&self, books: &Books<K>) {
        let oldest = books.idle.head().map_or(NEVER, |at| books.entries.at(at).stamp);
        self.oldest.store(oldest, Ordering::Release);
    }
}

impl<K: Eq> Shard<K> {
    /// Pins the partition of this key, if there is one.
    pub(super) fn pin(&self, hash: u32, key: &K) -> Option<Tenant> {
        let mut books = self.books.lock();
        let at = books.find(hash, key)?;
        let Books { entries, idle, .. } = &mut *books;
        let entry = entries.at(at);
        let compartment = entry.compartment.clone();
        if pins(entry).fetch_add(1, Ordering::Relaxed) == 0 {
            idle.unlink(entries, at);
            self.mark_oldest(&books);
        }
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
        if pins(books.entries.at(at)).load(Ordering::Relaxed) > 0 {
            return None;
        }
        Some(self.remove(&mut books, at))
    }
}

impl<K: Eq> Books<K> {
    fn find(&self, hash: u32, key: &K) -> Option<u32> {
        self.table.find(spread(hash), |&at| self.entries.at(at).key == *key).copied()
    }
}

/// A shard of which nothing changes for as long as this lives.
pub(super) struct Frozen<'a, K> {
    books: MutexGuard<'a, Books<K>>,
}

impl<K> Frozen<'_, K> {
    pub(super) fn has_idle(&self) -> bool {
        self.books.idle.len() > 0
    }
}

fn pins<K>(entry: &Entry<K>) -> &crate::sync::AtomicU32 {
    &entry.compartment.part().expect("a shelf holds partitions").pins
}

fn hash_of<K>(entry: &Entry<K>) -> u32 {
    entry.compartment.part().expect("a shelf holds partitions").hash
}

/// The bits of a hash over all that the table looks at. Multiplicative hashing: Knuth, The Art of
/// Computer Programming, volume 3, section 6.4, with 2^64 divided by the golden ratio.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
