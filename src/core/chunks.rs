//! `Chunks`: a vector in chunks, for waiting lines and partition maps.
//!
//! It owns the elements. It does not own any order between them but that of their indices. It grows and shrinks in
//! chunks of a fixed size: that moves at most one chunk, so a million elements come and go as smoothly as ten.

use std::{
    mem,
    ops::{Index, IndexMut},
};

/// A vector stored in chunks of `CHUNK` elements. All but the last are full, and of `more` none is empty.
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

    /// Removes the last element. Gives memory back once a quarter of it is in use.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        let value = last.pop()?;
        halve_if_sparse(last);
        if last.is_empty() {
            self.more.pop();
            halve_if_sparse(&mut self.more);
        }
        Some(value)
    }

    /// Exchanges two elements, of which `one` is the first.
    pub(crate) fn swap(&mut self, one: u32, other: u32) {
        let (one, other) = (one as usize, other as usize);
        let place = |at: usize| (at / CHUNK, at % CHUNK);
        match (one.checked_sub(CHUNK).map(place), other.checked_sub(CHUNK).map(place)) {
            (None, None) => self.first.swap(one, other),
            (None, Some((chunk, at))) => mem::swap(&mut self.first[one], &mut self.more[chunk][at]),
            (Some((first, one)), Some((chunk, at))) if first == chunk => {
                self.more[chunk].swap(one, at);
            }
            (Some((first, one)), Some((chunk, at))) => {
                let (before, after) = self.more.split_at_mut(chunk);
                mem::swap(&mut before[first][one], &mut after[0][at]);
            }
            (Some(_), None) => unreachable!("{one} comes before {other}"),
        }
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

fn halve_if_sparse<T>(vec: &mut Vec<T>) {
    if vec.len() < vec.capacity() / 4 {
        vec.shrink_to(vec.capacity() / 2);
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

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    fn filled(len: u32) -> Chunks<u32, 8> {
        let mut chunks = Chunks::new();
        (0..len).for_each(|value| chunks.push(value));
        chunks
    }

    #[test]
    fn elements_are_exchanged_within_a_chunk_and_across_chunks() {
        for (one, other) in [(0, 7), (0, 8), (3, 39), (9, 10), (9, 30), (8, 39)] {
            let mut chunks = filled(40);
            chunks.swap(one, other);
            assert_eq!((chunks[one], chunks[other]), (other, one));
            let others = (0..40).filter(|at| ![one, other].contains(at));
            assert!(others.clone().all(|at| chunks[at] == at), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_removed_gives_its_memory_back() {
        let mut chunks = filled(10_000);
        for len in (0..10_000).rev() {
            assert_eq!((chunks.pop(), chunks.len()), (Some(len), len));
            let reserved = chunks.more.iter().map(Vec::capacity).sum::<usize>();
            assert!(reserved <= len as usize + 8, "{reserved} reserved for {len}");
            let chunks_reserved = chunks.more.capacity();
            assert!(chunks_reserved <= 4 * chunks.more.len() + 4, "{chunks_reserved} chunks");
            if len % 97 == 0 {
                chunks.push(len);
                assert_eq!((chunks.pop(), chunks.get(len)), (Some(len), None));
            }
        }
        assert!(chunks.pop().is_none() && chunks.first.capacity() < 8);
    }
}
