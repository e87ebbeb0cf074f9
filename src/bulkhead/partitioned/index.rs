//! `Index`: finds the entry of a key by the key's hash.
//!
//! It owns the indices of the entries, not the entries or their keys.
//!
//! A full hash table moves all of its elements to a larger one before it accepts another. In a shard with fifty
//! thousand keys that takes milliseconds, during which none of the keys is accessible. Here the larger table is
//! created beside the full one, and every insertion moves a few elements. Until the former table is empty,
//! lookups search both. A small table is left to grow by itself.

use std::mem;

use hashbrown::HashTable;

/// How many entries an insertion visits, to move those that are still in the former table.
const STEP: u32 = 16;

/// Tables with fewer buckets grow by themselves.
const LARGE: usize = 128;

#[derive(Debug)]
pub(super) struct Index {
    table: HashTable<u32>,
    former: HashTable<u32>,
    /// No index below this is in the former table.
    moved: u32,
}

/// Memory for a larger table, or memory that a former table no longer needs. Allocated and freed outside the
/// lock that protects the index.
pub(super) struct TableMemory(HashTable<u32>);

impl TableMemory {
    pub(super) fn new(entries: usize) -> Self {
        Self(HashTable::with_capacity(entries))
    }
}

impl Index {
    pub(super) const fn new() -> Self {
        Self { table: HashTable::new(), former: HashTable::new(), moved: 0 }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len() + self.former.len()
    }

    /// Returns the entry with this hash for which `is_match` returns `true`.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_match: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = spread(hash);
        let found = self.table.find(hash, |&at| is_match(at));
        found.or_else(|| self.former.find(hash, |&at| is_match(at))).copied()
    }

    /// Returns the capacity of the table that the next insertion needs, if it needs a new one. All indices,
    /// taken or vacant, are below `end`.
    pub(super) fn wanted_memory(&self, end: u32) -> Option<usize> {
        let (len, is_large) = (self.table.len(), self.table.num_buckets() >= LARGE);
        let is_full = len == self.table.capacity() && self.former.is_empty();
        // Double the capacity, or more if that does not last until all entries have been visited.
        (is_full && is_large).then(|| len + len.max((end / STEP) as usize + 1))
    }

    /// Inserts an entry that is not in the index. `memory` has the capacity that
    /// [`wanted_memory`](Self::wanted_memory) returned. All indices are below `end`, and `hash_of` returns the
    /// hash of a taken one. Returns memory that is no longer needed.
    pub(super) fn insert(
        &mut self,
        hash: u32,
        at: u32,
        memory: Option<TableMemory>,
        end: u32,
        hash_of: impl Fn(u32) -> Option<u32>,
    ) -> TableMemory {
        let spare = match memory {
            Some(TableMemory(table)) => {
                debug_assert!(self.former.is_empty(), "the former table would be lost");
                self.moved = 0;
                mem::replace(&mut self.former, mem::replace(&mut self.table, table))
            }
            None if self.former.is_empty() => mem::take(&mut self.former),
            None => HashTable::new(),
        };
        let hash_at = |at: &u32| spread(hash_of(*at).expect("an entry in the index exists"));
        if !self.former.is_empty() {
            for at in self.moved..end.min(self.moved + STEP) {
                let Some(hash) = hash_of(at).map(spread) else { continue };
                if let Ok(found) = self.former.find_entry(hash, |&other| other == at) {
                    found.remove();
                    self.table.insert_unique(hash, at, hash_at);
                }
            }
            self.moved += STEP;
        }
        self.table.insert_unique(spread(hash), at, hash_at);
        TableMemory(spare)
    }

    /// Removes an entry that is in the index.
    pub(super) fn remove(&mut self, hash: u32, at: u32) {
        let hash = spread(hash);
        for table in [&mut self.table, &mut self.former] {
            if let Ok(found) = table.find_entry(hash, |&other| other == at) {
                found.remove();
                return;
            }
        }
    }

    #[cfg(all(test, bulklink_loom))]
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.table.iter().chain(self.former.iter()).copied()
    }
}

/// Spreads a hash over all bits that the table uses. Multiplicative hashing: Knuth, The Art of Computer
/// Programming, volume 3, section 6.4, with 2^64 divided by the golden ratio.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// An index, and the hashes of its entries.
    struct Indexed {
        index: Index,
        hashes: Vec<Option<u32>>,
        vacant: Vec<u32>,
        /// The most entries that one insertion into a large table visited.
        max_visited: usize,
    }

    impl Indexed {
        fn new() -> Self {
            Self { index: Index::new(), hashes: Vec::new(), vacant: Vec::new(), max_visited: 0 }
        }

        fn insert(&mut self, hash: u32) -> u32 {
            let at = self.vacant.pop().unwrap_or(self.hashes.len() as u32);
            let is_large = self.index.table.num_buckets() >= LARGE;
            let memory = self.index.wanted_memory(self.hashes.len() as u32).map(TableMemory::new);
            if at as usize == self.hashes.len() {
                self.hashes.push(None);
            }
            self.hashes[at as usize] = Some(hash);
            let visited = Cell::new(0);
            let hash_of = |at: u32| {
                visited.set(visited.get() + 1);
                self.hashes[at as usize]
            };
            drop(self.index.insert(hash, at, memory, self.hashes.len() as u32, hash_of));
            if is_large {
                self.max_visited = self.max_visited.max(visited.get());
            }
            at
        }

        fn remove(&mut self, at: u32) {
            let hash = self.hashes[at as usize].take();
            self.index.remove(hash.expect("a taken entry"), at);
            self.vacant.push(at);
        }

        fn assert_holds_all(&self) {
            let taken = self.hashes.iter().filter(|hash| hash.is_some()).count();
            assert_eq!(self.index.len(), taken);
            for (at, hash) in self.hashes.iter().enumerate() {
                let Some(hash) = hash else { continue };
                assert_eq!(self.index.find(*hash, |other| other == at as u32), Some(at as u32));
            }
        }
    }

    #[test]
    fn an_insertion_visits_a_few_entries_however_many_there_are() {
        let mut indexed = Indexed::new();
        for hash in 0..100_000 {
            indexed.insert(hash / 3);
            if hash % 9_973 == 0 {
                indexed.assert_holds_all();
            }
        }
        indexed.assert_holds_all();
        assert_eq!(indexed.max_visited, STEP as usize);
        assert_eq!(indexed.index.former.allocation_size(), 0, "not freed");
    }

    /// Replaces entries at random, one at a time.
    fn churn(indexed: &mut Indexed, entries: &mut [u32], times: u32) {
        let mut random = 0x9E37_79B9_u32;
        for _ in 0..times {
            // Marsaglia's xorshift32.
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let chosen = random as usize % entries.len();
            indexed.remove(entries[chosen]);
            entries[chosen] = indexed.insert(random);
        }
    }

    #[test]
    fn an_insertion_visits_a_few_entries_if_as_many_are_removed_as_inserted() {
        let mut indexed = Indexed::new();
        let mut entries: Vec<u32> = (0..5_000).map(|hash| indexed.insert(hash)).collect();
        churn(&mut indexed, &mut entries, 100_000);
        indexed.assert_holds_all();
        assert_eq!((indexed.hashes.len(), indexed.max_visited), (5_000, STEP as usize));
        assert!(indexed.index.table.capacity() < 4 * 5_000, "{}", indexed.index.table.capacity());
    }

    #[test]
    fn an_insertion_visits_a_few_entries_if_few_of_many_are_left() {
        let mut indexed = Indexed::new();
        // With the same hash for all, a removed entry leaves a bucket that still counts as full.
        let entries: Vec<u32> = (0..3_584).map(|_| indexed.insert(7)).collect();
        let (others, few) = entries.split_at(3_564);
        others.iter().for_each(|&at| indexed.remove(at));
        for hash in 0..3_000 {
            indexed.insert(hash);
        }
        indexed.assert_holds_all();
        assert_eq!((indexed.hashes.len(), indexed.max_visited), (3_584, STEP as usize));
        few.iter().for_each(|&at| indexed.remove(at));
        indexed.assert_holds_all();
    }

    #[test]
    fn a_former_table_that_has_become_empty_is_freed_by_the_next_insertion() {
        let mut indexed = Indexed::new();
        let entries: Vec<u32> = (0..113).map(|hash| indexed.insert(hash)).collect();
        assert!(!indexed.index.former.is_empty(), "128 buckets hold 112 entries");
        entries.iter().for_each(|&at| indexed.remove(at));
        indexed.insert(0);
        assert_eq!(indexed.index.former.allocation_size(), 0);
        indexed.assert_holds_all();
    }
}
