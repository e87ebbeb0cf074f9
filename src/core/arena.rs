//! Storage with stable indices, for waiting lines and partition maps.
//!
//! It owns the entries and the list of vacant ones, in safe code. It does not own any order between entries.
//! Storage grows in chunks of a fixed size: growing moves at most one chunk, so a million entries grow as
//! smoothly as ten. Every operation is O(1).

use std::{
    mem,
    ops::{Index, IndexMut},
};

/// In place of the index of a vacant entry: there is none.
const NONE: u32 = u32::MAX;

/// A vector stored in chunks of `CHUNK` elements.
#[derive(Debug)]
pub(crate) struct Chunks<T, const CHUNK: usize> {
    first: Vec<T>,
    more: Vec<Vec<T>>,
}

/// Unused chunks, freed on drop.
#[derive(Debug)]
pub(crate) struct Spare<T>(#[expect(dead_code, reason = "held for its drop")] Vec<Vec<T>>);

impl<T, const CHUNK: usize> Chunks<T, CHUNK> {
    pub(crate) const fn new() -> Self {
        Self { first: Vec::new(), more: Vec::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        let last = self.more.last().unwrap_or(&self.first);
        (self.more.len() * CHUNK + last.len()) as u32
    }

    /// Appends an element. Reserves space for a quarter of the current length, up to the end of a chunk:
    /// little is unused while there are few elements, and with many nothing is ever moved.
    pub(crate) fn push(&mut self, value: T) {
        let room = (self.len() as usize / 4).max(4);
        if self.more.last().unwrap_or(&self.first).len() == CHUNK {
            if self.more.len() == self.more.capacity() {
                self.more.reserve_exact(self.more.len() / 4 + 1);
            }
            self.more.push(Vec::new());
        }
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        if last.len() == last.capacity() {
            last.reserve_exact(room.min(CHUNK - last.len()));
        }
        last.push(value);
    }

    /// Takes out all chunks but the first and clears that one. Does nothing if there is only the first.
    pub(crate) fn trim(&mut self) -> Option<Spare<T>> {
        if self.more.is_empty() {
            return None;
        }
        self.first.clear();
        Some(Spare(mem::take(&mut self.more)))
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        match (at as usize).checked_sub(CHUNK) {
            None => self.first.get(at as usize),
            Some(at) => self.more.get(at / CHUNK)?.get(at % CHUNK),
        }
    }
}

impl<T, const CHUNK: usize> Index<u32> for Chunks<T, CHUNK> {
    type Output = T;

    #[inline]
    fn index(&self, at: u32) -> &T {
        match (at as usize).checked_sub(CHUNK) {
            None => &self.first[at as usize],
            Some(at) => &self.more[at / CHUNK][at % CHUNK],
        }
    }
}

impl<T, const CHUNK: usize> IndexMut<u32> for Chunks<T, CHUNK> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        match (at as usize).checked_sub(CHUNK) {
            None => &mut self.first[at as usize],
            Some(at) => &mut self.more[at / CHUNK][at % CHUNK],
        }
    }
}

/// Entries of `T` that can be removed, stored in chunks of `CHUNK`.
#[derive(Debug)]
pub(crate) struct Arena<T, const CHUNK: usize> {
    entries: Chunks<ArenaEntry<T>, CHUNK>,
    /// The first vacant entry, from which the others are linked.
    vacant: u32,
}

#[derive(Debug)]
enum ArenaEntry<T> {
    Taken(T),
    Vacant { next: u32 },
}

impl<T, const CHUNK: usize> Arena<T, CHUNK> {
    pub(crate) const fn new() -> Self {
        Self { entries: Chunks::new(), vacant: NONE }
    }

    /// One more than the highest index ever taken.
    pub(crate) fn end(&self) -> u32 {
        self.entries.len()
    }

    /// Inserts the value that `make` returns for its index. Returns the index.
    #[inline]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(u32) -> T) -> u32 {
        let at = if self.vacant != NONE { self.vacant } else { self.end() };
        let taken = ArenaEntry::Taken(make(at));
        if at == self.vacant {
            let entry = &mut self.entries[at];
            if let ArenaEntry::Vacant { next } = *entry {
                self.vacant = next;
            }
            *entry = taken;
        } else {
            self.entries.push(taken);
        }
        at
    }

    /// Removes the value of a taken entry.
    ///
    /// # Panics
    ///
    /// If the entry is vacant.
    #[inline]
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let vacant = ArenaEntry::Vacant { next: self.vacant };
        match mem::replace(&mut self.entries[at], vacant) {
            ArenaEntry::Taken(value) => {
                self.vacant = at;
                value
            }
            ArenaEntry::Vacant { .. } => unreachable!("entry {at} was removed before"),
        }
    }

    /// Removes the value of an entry, if it is taken.
    pub(crate) fn take(&mut self, at: u32) -> Option<T> {
        self.find(at)?;
        Some(self.remove(at))
    }

    /// Returns the value at this index, if the entry is taken.
    #[inline]
    pub(crate) fn find(&self, at: u32) -> Option<&T> {
        match self.entries.get(at)? {
            ArenaEntry::Taken(value) => Some(value),
            ArenaEntry::Vacant { .. } => None,
        }
    }

    /// Returns the value of a taken entry.
    ///
    /// # Panics
    ///
    /// If the entry is vacant.
    #[inline]
    pub(crate) fn at(&self, at: u32) -> &T {
        self.find(at).expect("the entry is taken")
    }

    /// Returns the value of a taken entry, mutably.
    ///
    /// # Panics
    ///
    /// If the entry is vacant.
    #[inline]
    pub(crate) fn at_mut(&mut self, at: u32) -> &mut T {
        match &mut self.entries[at] {
            ArenaEntry::Taken(value) => value,
            ArenaEntry::Vacant { .. } => unreachable!("entry {at} is vacant"),
        }
    }
}
