//! `Index`: finds the entry of a key by the key's hash.
//!
//! It owns the indices of the entries, not the entries or their keys.
//!
//! A full hash table moves all of its elements to a larger one before it accepts another. In a shard with fifty
//! thousand keys that takes milliseconds, during which none of the keys is accessible. Here the larger table is
//! created beside the full one, and every insertion and removal moves a few elements. Until the former table is
//! empty, lookups search both. A table that has become far too large is replaced by a smaller one in the same way.
//! A small table is left to grow by itself.

use std::mem;

use hashbrown::HashTable;

/// How many entries an insertion or a removal visits, to move those that are still in the former table.
const STEP: u32 = 16;

/// Tables with fewer buckets grow by themselves, and do not shrink.
const LARGE: usize = 128;

/// A larger table is replaced by a smaller one if it has this many buckets for each entry.
const SPARSE: usize = 16;

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

    /// Returns the capacity of the table that the next insertion needs, if it needs a new one.
    pub(super) fn wanted_memory(&self) -> Option<usize> {
        let (len, is_large) = (self.table.len(), self.table.num_buckets() >= LARGE);
        let is_full = len == self.table.capacity() && self.former.is_empty();
        // Lasts until all entries have been visited.
        (is_full && is_large).then(|| 2 * len)
    }

    /// Inserts an entry that is not in the index. `memory` has the capacity that
    /// [`wanted_memory`](Self::wanted_memory) returned. All entries are below `end`, and `hash_of` returns the hash of
    /// each. Returns memory that is no longer needed.
    pub(super) fn insert(
        &mut self,
        hash: u32,
        at: u32,
        memory: Option<TableMemory>,
        end: u32,
        hash_of: impl Fn(u32) -> u32,
    ) -> TableMemory {
        let spare = match memory {
            Some(memory) => self.replace_table(memory),
            None => self.unused(),
        };
        self.move_some(end, &hash_of);
        self.table.insert_unique(spread(hash), at, |&at| spread(hash_of(at)));
        spare
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

    /// Gives an entry a lower index, that of an entry which is in the index no more.
    pub(super) fn move_entry(
        &mut self,
        hash: u32,
        from: u32,
        to: u32,
        hash_of: impl Fn(u32) -> u32,
    ) {
        let spread_hash = spread(hash);
        if let Some(found) = self.table.find_mut(spread_hash, |&other| other == from) {
            *found = to;
        } else if let Ok(found) = self.former.find_entry(spread_hash, |&other| other == from) {
            // Indices as low may have been visited.
            found.remove();
            self.table.insert_unique(spread_hash, to, |&at| spread(hash_of(at)));
        }
    }

    /// Gives memory back, a step at a time, after an entry was removed. Arguments as those of [`insert`](Self::insert).
    pub(super) fn shrink(&mut self, end: u32, hash_of: impl Fn(u32) -> u32) -> TableMemory {
        let (len, buckets) = (self.table.len(), self.table.num_buckets());
        let spare = if self.former.is_empty() && buckets > LARGE && buckets / SPARSE > len {
            self.replace_table(TableMemory::new(2 * len + 1))
        } else {
            self.unused()
        };
        self.move_some(end, hash_of);
        spare
    }

    /// Puts an empty table in place of the one that entries are inserted into.
    fn replace_table(&mut self, TableMemory(table): TableMemory) -> TableMemory {
        debug_assert!(self.former.is_empty(), "the former table would be lost");
        self.moved = 0;
        TableMemory(mem::replace(&mut self.former, mem::replace(&mut self.table, table)))
    }

    /// Returns the former table, if it is empty.
    fn unused(&mut self) -> TableMemory {
        let is_empty = self.former.is_empty();
        TableMemory(if is_empty { mem::take(&mut self.former) } else { HashTable::new() })
    }

    /// Moves a few entries from the former table.
    fn move_some(&mut self, end: u32, hash_of: impl Fn(u32) -> u32) {
        if self.former.is_empty() {
            return;
        }
        for at in self.moved..end.min(self.moved + STEP) {
            let hash = spread(hash_of(at));
            if let Ok(found) = self.former.find_entry(hash, |&other| other == at) {
                found.remove();
                self.table.insert_unique(hash, at, |&at| spread(hash_of(at)));
            }
        }
        self.moved += STEP;
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
        hashes: Vec<u32>,
        /// The most entries that one insertion into a large table, or one removal, visited.
        max_visited: usize,
    }

    impl Indexed {
        fn new() -> Self {
            Self { index: Index::new(), hashes: Vec::new(), max_visited: 0 }
        }

        fn insert(&mut self, hash: u32) {
            let is_large = self.index.table.num_buckets() >= LARGE;
            let memory = self.index.wanted_memory().map(TableMemory::new);
            let at = self.hashes.len() as u32;
            self.hashes.push(hash);
            let visited = Cell::new(0);
            let hash_of = |at: u32| {
                visited.set(visited.get() + 1);
                self.hashes[at as usize]
            };
            drop(self.index.insert(hash, at, memory, at + 1, hash_of));
            if is_large {
                self.max_visited = self.max_visited.max(visited.get());
            }
        }

        /// Removes an entry. The last one takes its index.
        fn remove(&mut self, at: u32) {
            self.index.remove(self.hashes.swap_remove(at as usize), at);
            let end = self.hashes.len() as u32;
            let visited = Cell::new(0);
            let hash_of = |at: u32| {
                visited.set(visited.get() + 1);
                self.hashes[at as usize]
            };
            if at < end {
                self.index.move_entry(self.hashes[at as usize], end, at, hash_of);
            }
            drop(self.index.shrink(end, hash_of));
            self.max_visited = self.max_visited.max(visited.get());
        }

        fn assert_holds_all(&self) {
            assert_eq!(self.index.len(), self.hashes.len());
            for (at, hash) in (0..).zip(&self.hashes) {
                assert_eq!(self.index.find(*hash, |other| other == at), Some(at));
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
    fn churn(indexed: &mut Indexed, times: u32) {
        let mut random = 0x9E37_79B9_u32;
        for _ in 0..times {
            // Marsaglia's xorshift32.
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            indexed.remove(random % indexed.hashes.len() as u32);
            indexed.insert(random);
        }
    }

    #[test]
    fn an_insertion_visits_a_few_entries_if_as_many_are_removed_as_inserted() {
        let mut indexed = Indexed::new();
        (0..5_000).for_each(|hash| indexed.insert(hash));
        churn(&mut indexed, 100_000);
        indexed.assert_holds_all();
        assert_eq!((indexed.hashes.len(), indexed.max_visited), (5_000, STEP as usize));
        assert!(indexed.index.table.capacity() < 4 * 5_000, "{}", indexed.index.table.capacity());
    }

    #[test]
    fn an_insertion_visits_a_few_entries_if_few_of_many_are_left() {
        let mut indexed = Indexed::new();
        // With the same hash for all, a removed entry leaves a bucket that still counts as full.
        (0..3_584).for_each(|_| indexed.insert(7));
        for left in (20..3_584).rev() {
            indexed.remove(left / 2);
        }
        for hash in 0..3_000 {
            indexed.insert(hash);
        }
        indexed.assert_holds_all();
        assert_eq!((indexed.hashes.len(), indexed.max_visited), (3_020, STEP as usize));
        (0..20).for_each(|_| indexed.remove(0));
        indexed.assert_holds_all();
    }

    #[test]
    fn a_table_shrinks_with_its_entries_a_few_at_a_time() {
        for from_front in [false, true] {
            let mut indexed = Indexed::new();
            (0..50_000).for_each(|hash| indexed.insert(hash / 2));
            for left in (100..50_000).rev() {
                indexed.remove(if from_front { 0 } else { left });
                if left % 4_999 == 0 {
                    indexed.assert_holds_all();
                    indexed.insert(left);
                    indexed.remove(left);
                }
            }
            indexed.assert_holds_all();
            assert_eq!(indexed.max_visited, STEP as usize);
            let memory =
                indexed.index.table.allocation_size() + indexed.index.former.allocation_size();
            assert!(memory < 20_000, "{memory} bytes for 100 entries");
        }
    }

    #[test]
    fn a_former_table_that_has_become_empty_is_freed_by_the_next_insertion() {
        let mut indexed = Indexed::new();
        (0..113).for_each(|hash| indexed.insert(hash));
        assert!(!indexed.index.former.is_empty(), "128 buckets hold 112 entries");
        (0..7).for_each(|hash| indexed.insert(hash));
        assert_eq!(indexed.index.former.allocation_size(), 0);
        indexed.assert_holds_all();
    }
}
