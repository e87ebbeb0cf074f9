//! Storage with stable places, and lists threaded through it: what lines and shelves are made of.
//!
//! It owns places by number and their links, in safe code. Storage grows in chunks of a fixed size, so
//! that growing moves a chunk at most and a million places grow as smoothly as ten. Everything is O(1).

use std::{
    marker::PhantomData,
    mem,
    ops::{Index, IndexMut},
};

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A vector in chunks of `CHUNK`, found by a number.
#[derive(Debug)]
pub(crate) struct Chunks<T, const CHUNK: usize> {
    first: Vec<T>,
    more: Vec<Vec<T>>,
}

impl<T, const CHUNK: usize> Chunks<T, CHUNK> {
    pub(crate) const fn new() -> Self {
        Self { first: Vec::new(), more: Vec::new() }
    }

    pub(crate) fn len(&self) -> u32 {
        let last = self.more.last().unwrap_or(&self.first);
        (self.more.len() * CHUNK + last.len()) as u32
    }

    /// Appends. Makes room for a quarter of all there is, up to the end of a chunk: so little is left
    /// over while there are few, and once there are many nothing is ever moved.
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

/// Places of `T`, in chunks of `CHUNK`.
#[derive(Debug)]
pub(crate) struct Arena<T, const CHUNK: usize> {
    slots: Chunks<Slot<T>, CHUNK>,
    /// The first of the vacant slots, which are linked.
    vacant: u32,
    len: u32,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(T),
    Vacant { next: u32 },
}

/// Chunks that an arena has no use for, to be freed by dropping them.
#[derive(Debug)]
pub(crate) struct Spare<T>(#[expect(dead_code, reason = "held for its drop")] Vec<Vec<Slot<T>>>);

impl<T, const CHUNK: usize> Arena<T, CHUNK> {
    pub(crate) const fn new() -> Self {
        Self { slots: Chunks::new(), vacant: NONE, len: 0 }
    }

    /// How many places are taken.
    #[cfg(test)]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// One more than the highest place ever taken since the arena was last empty.
    pub(crate) fn end(&self) -> u32 {
        self.slots.len()
    }

    /// Takes a place for `value`.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.insert_with(|_| value)
    }

    /// Takes a place for what `make` makes of its number.
    #[inline]
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(u32) -> T) -> u32 {
        let at = if self.vacant != NONE { self.vacant } else { self.end() };
        let taken = Slot::Taken(make(at));
        self.len += 1;
        if at == self.vacant {
            let slot = &mut self.slots[at];
            if let Slot::Vacant { next } = *slot {
                self.vacant = next;
            }
            *slot = taken;
        } else {
            self.slots.push(taken);
        }
        at
    }

    /// Gives up a place that is taken.
    #[inline]
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let vacant = Slot::Vacant { next: self.vacant };
        match mem::replace(&mut self.slots[at], vacant) {
            Slot::Taken(value) => {
                self.vacant = at;
                self.len -= 1;
                value
            }
            Slot::Vacant { .. } => unreachable!("place {at} is given up once"),
        }
    }

    /// What is at this place, if it is taken.
    #[inline]
    pub(crate) fn find(&self, at: u32) -> Option<&T> {
        match self.slots.get(at)? {
            Slot::Taken(value) => Some(value),
            Slot::Vacant { .. } => None,
        }
    }

    /// What is at a place that is taken.
    #[inline]
    pub(crate) fn at(&self, at: u32) -> &T {
        self.find(at).expect("a place is used while it is taken")
    }

    /// What is at a place that is taken.
    #[inline]
    pub(crate) fn at_mut(&mut self, at: u32) -> &mut T {
        match &mut self.slots[at] {
            Slot::Taken(value) => value,
            Slot::Vacant { .. } => unreachable!("place {at} is used while it is taken"),
        }
    }

    /// Takes out all chunks but the first, once no place is taken.
    pub(crate) fn trim(&mut self) -> Option<Spare<T>> {
        if self.len > 0 || self.slots.more.is_empty() {
            return None;
        }
        self.vacant = NONE;
        self.slots.first.clear();
        Some(Spare(mem::take(&mut self.slots.more)))
    }
}

/// The neighbours of a place in a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    pub(crate) const NONE: Self = Self { prev: NONE, next: NONE };
}

/// Something that can be in one list of a lane at a time.
pub(crate) trait Linked<Lane = ()> {
    fn links(&mut self) -> &mut Links;
}

/// A doubly linked list through the places of an arena.
///
/// Invariant: following `next` from `head` visits `len` places and ends at `tail`, and `prev` mirrors
/// `next`.
#[derive(Debug)]
pub(crate) struct List<Lane = ()> {
    head: u32,
    tail: u32,
    len: u32,
    lane: PhantomData<Lane>,
}

impl<Lane> List<Lane> {
    pub(crate) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0, lane: PhantomData }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    pub(crate) fn tail(&self) -> Option<u32> {
        (self.tail != NONE).then_some(self.tail)
    }

    /// Appends a place that is in no list.
    pub(crate) fn push<T: Linked<Lane>, const CHUNK: usize>(
        &mut self,
        arena: &mut Arena<T, CHUNK>,
        at: u32,
    ) {
        *arena.at_mut(at).links() = Links { prev: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = at,
            tail => arena.at_mut(tail).links().next = at,
        }
        self.tail = at;
        self.len += 1;
    }

    /// Takes a place out of this list, from wherever it stands.
    pub(crate) fn unlink<T: Linked<Lane>, const CHUNK: usize>(
        &mut self,
        arena: &mut Arena<T, CHUNK>,
        at: u32,
    ) {
        let links = mem::replace(arena.at_mut(at).links(), Links::NONE);
        self.close_gap(arena, links);
    }

    /// Appends what `make` makes of its links, in a place of its own.
    #[inline]
    pub(crate) fn insert<T: Linked<Lane>, const CHUNK: usize>(
        &mut self,
        arena: &mut Arena<T, CHUNK>,
        make: impl FnOnce(Links) -> T,
    ) -> u32 {
        let at = arena.insert(make(Links { prev: self.tail, next: NONE }));
        match self.tail {
            NONE => self.head = at,
            tail => arena.at_mut(tail).links().next = at,
        }
        self.tail = at;
        self.len += 1;
        at
    }

    /// Takes a place out of this list, and what is in it out of the arena.
    #[inline]
    pub(crate) fn remove<T: Linked<Lane>, const CHUNK: usize>(
        &mut self,
        arena: &mut Arena<T, CHUNK>,
        at: u32,
    ) -> T {
        let mut removed = arena.remove(at);
        self.close_gap(arena, *removed.links());
        removed
    }

    #[inline]
    fn close_gap<T: Linked<Lane>, const CHUNK: usize>(
        &mut self,
        arena: &mut Arena<T, CHUNK>,
        Links { prev, next }: Links,
    ) {
        match prev {
            NONE => self.head = next,
            _ => arena.at_mut(prev).links().next = next,
        }
        match next {
            NONE => self.tail = prev,
            _ => arena.at_mut(next).links().prev = prev,
        }
        self.len -= 1;
    }
}

#[cfg(all(test, not(bulklink_loom)))]
impl<Lane> List<Lane> {
    /// The places from head to tail, with the invariant verified on the way.
    pub(crate) fn verified<T: Linked<Lane>, const CHUNK: usize>(
        &self,
        arena: &mut Arena<T, CHUNK>,
    ) -> Vec<u32> {
        let mut seen = Vec::new();
        let (mut at, mut before) = (self.head, NONE);
        while at != NONE {
            let Links { prev, next } = *arena.at_mut(at).links();
            assert_eq!(prev, before);
            seen.push(at);
            (before, at) = (at, next);
        }
        assert_eq!((before, seen.len()), (self.tail, self.len as usize));
        seen
    }
}
