//! Where the partition of a key is: places by hash.
//!
//! A hash table that is full moves all it holds to a larger one before it takes more. In a shard with fifty
//! thousand keys that takes milliseconds, and nobody gets at any of them meanwhile. So the larger table is
//! made beside the full one, and every insertion moves a few places: until none is left in the former
//! table, both are looked at. A small table is left to grow by itself.

use std::mem;

use hashbrown::HashTable;

/// Places that an insertion looks at, to move those that are still in the former table.
const STEP: u32 = 16;

/// A table with fewer buckets grows by itself.
const LARGE: usize = 128;

#[derive(Debug)]
pub(super) struct Index {
    table: HashTable<u32>,
    former: HashTable<u32>,
    /// None of the places below is in the former table.
    moved: u32,
}

/// Memory for the places of a larger table, or that a former one no longer needs. Made and dropped without the
/// lock that the index is under.
pub(super) struct TableMemory(HashTable<u32>);

impl TableMemory {
    pub(super) fn new(places: usize) -> Self {
        Self(HashTable::with_capacity(places))
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

    /// The place with this hash that is the one.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let hash = spread(hash);
        let found = self.table.find(hash, |&at| is_it(at));
        found.or_else(|| self.former.find(hash, |&at| is_it(at))).copied()
    }

    /// For how many places the next insertion needs room, if it does. There are `end` places, in use or not.
    pub(super) fn wanted_memory(&self, end: u32) -> Option<usize> {
        let (len, is_large) = (self.table.len(), self.table.num_buckets() >= LARGE);
        let is_full = len == self.table.capacity() && self.former.is_empty();
        // For as many more, or for what comes until all places have been looked at.
        (is_full && is_large).then(|| len + len.max((end / STEP) as usize + 1))
    }

    /// Inserts a place that is not there, with the room that this needs. Of the `end` places `hash_of` tells
    /// those in use. Returns room that is no longer needed.
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
        let hash_at = |at: &u32| spread(hash_of(*at).expect("a place in the index is in use"));
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

    /// Takes out a place that is there.
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

/// The bits of a hash over all that the table looks at. Multiplicative hashing: Knuth, The Art of
/// Computer Programming, volume 3, section 6.4, with 2^64 divided by the golden ratio.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// An index, and the hashes of its places.
    struct Indexed {
        index: Index,
        hashes: Vec<Option<u32>>,
        vacant: Vec<u32>,
        /// The most places that one insertion into a large table looked at.
        most: usize,
    }

    impl Indexed {
        fn new() -> Self {
            Self { index: Index::new(), hashes: Vec::new(), vacant: Vec::new(), most: 0 }
        }

        fn insert(&mut self, hash: u32) -> u32 {
            let at = self.vacant.pop().unwrap_or(self.hashes.len() as u32);
            let is_large = self.index.table.num_buckets() >= LARGE;
            let memory = self.index.wanted_memory(self.hashes.len() as u32).map(TableMemory::new);
            if at as usize == self.hashes.len() {
                self.hashes.push(None);
            }
            self.hashes[at as usize] = Some(hash);
            let looks = Cell::new(0);
            let hash_of = |at: u32| {
                looks.set(looks.get() + 1);
                self.hashes[at as usize]
            };
            drop(self.index.insert(hash, at, memory, self.hashes.len() as u32, hash_of));
            if is_large {
                self.most = self.most.max(looks.get());
            }
            at
        }

        fn remove(&mut self, at: u32) {
            let hash = self.hashes[at as usize].take();
            self.index.remove(hash.expect("a place in use"), at);
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
    fn an_insertion_moves_a_few_however_many_there_are() {
        let mut indexed = Indexed::new();
        for hash in 0..100_000 {
            indexed.insert(hash / 3);
            if hash % 9_973 == 0 {
                indexed.assert_holds_all();
            }
        }
        indexed.assert_holds_all();
        assert_eq!(indexed.most, STEP as usize);
        assert_eq!(indexed.index.former.allocation_size(), 0, "given up");
    }

    /// Replaces some at random, one at a time.
    fn churn(indexed: &mut Indexed, places: &mut [u32], times: u32) {
        let mut random = 0x9E37_79B9_u32;
        for _ in 0..times {
            // Marsaglia's xorshift32.
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let chosen = random as usize % places.len();
            indexed.remove(places[chosen]);
            places[chosen] = indexed.insert(random);
        }
    }

    #[test]
    fn so_it_does_where_as_many_go_as_come() {
        let mut indexed = Indexed::new();
        let mut places: Vec<u32> = (0..5_000).map(|hash| indexed.insert(hash)).collect();
        churn(&mut indexed, &mut places, 100_000);
        indexed.assert_holds_all();
        assert_eq!((indexed.hashes.len(), indexed.most), (5_000, STEP as usize));
        assert!(indexed.index.table.capacity() < 4 * 5_000, "{}", indexed.index.table.capacity());
    }

    #[test]
    fn and_where_few_are_left_of_many() {
        let mut indexed = Indexed::new();
        // With one hash for all, whoever goes leaves a bucket that still counts as full.
        let places: Vec<u32> = (0..3_584).map(|_| indexed.insert(7)).collect();
        let (others, few) = places.split_at(3_564);
        others.iter().for_each(|&at| indexed.remove(at));
        for hash in 0..3_000 {
            indexed.insert(hash);
        }
        indexed.assert_holds_all();
        assert_eq!((indexed.hashes.len(), indexed.most), (3_584, STEP as usize));
        few.iter().for_each(|&at| indexed.remove(at));
        indexed.assert_holds_all();
    }

    #[test]
    fn a_former_table_that_loses_its_last_place_is_given_up_with_the_next_insertion() {
        let mut indexed = Indexed::new();
        let places: Vec<u32> = (0..113).map(|hash| indexed.insert(hash)).collect();
        assert!(!indexed.index.former.is_empty(), "112 places are what 128 buckets hold");
        places.iter().for_each(|&at| indexed.remove(at));
        indexed.insert(0);
        assert_eq!(indexed.index.former.allocation_size(), 0);
        indexed.assert_holds_all();
    }
}
