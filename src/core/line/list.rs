//! Lists threaded through places that something else stores.
//!
//! It owns who is whose neighbour, and who is at the ends. Every step is O(1).

use std::{marker::PhantomData, ops::IndexMut};

/// In the place of a neighbour: there is none.
pub(in crate::core) const NONE: u32 = u32::MAX;

/// The neighbours of a place in a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Links {
    prev: u32,
    pub(in crate::core) next: u32,
}

impl Links {
    pub(in crate::core) const NONE: Self = Self { prev: NONE, next: NONE };

    /// The place after this one.
    pub(in crate::core) fn next(self) -> Option<u32> {
        (self.next != NONE).then_some(self.next)
    }
}

/// Something that can be in one list of a lane at a time.
pub(in crate::core) trait Linked<Lane = ()> {
    fn links(&mut self) -> &mut Links;
}

/// A doubly linked list of places.
///
/// Invariant: following `next` from `head` visits `len` places and ends at `tail`, and `prev` mirrors
/// `next`.
#[derive(Debug)]
pub(in crate::core) struct List<Lane = ()> {
    head: u32,
    tail: u32,
    len: u32,
    lane: PhantomData<Lane>,
}

impl<Lane> List<Lane> {
    pub(in crate::core) const fn new() -> Self {
        Self { head: NONE, tail: NONE, len: 0, lane: PhantomData }
    }

    #[inline]
    pub(in crate::core) fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(in crate::core) fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    pub(in crate::core) fn tail(&self) -> Option<u32> {
        (self.tail != NONE).then_some(self.tail)
    }

    /// Appends a place that is in no list of this lane, and returns the links that it is to have.
    #[inline]
    pub(in crate::core) fn append<T: Linked<Lane>>(
        &mut self,
        nodes: &mut impl IndexMut<u32, Output = T>,
        at: u32,
    ) -> Links {
        let links = Links { prev: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = at,
            tail => nodes[tail].links().next = at,
        }
        self.tail = at;
        self.len += 1;
        links
    }

    /// Takes a place out of this list, from wherever it stands, that had these links.
    #[inline]
    pub(in crate::core) fn close_gap<T: Linked<Lane>>(
        &mut self,
        nodes: &mut impl IndexMut<u32, Output = T>,
        Links { prev, next }: Links,
    ) {
        match prev {
            NONE => self.head = next,
            _ => nodes[prev].links().next = next,
        }
        match next {
            NONE => self.tail = prev,
            _ => nodes[next].links().prev = prev,
        }
        self.len -= 1;
    }
}

#[cfg(all(test, not(bulklink_loom)))]
impl<Lane> List<Lane> {
    /// The places from head to tail, with the invariant verified on the way.
    pub(in crate::core) fn verified<T: Linked<Lane>>(
        &self,
        nodes: &mut impl IndexMut<u32, Output = T>,
    ) -> Vec<u32> {
        let mut seen = Vec::new();
        let (mut at, mut before) = (self.head, NONE);
        while at != NONE {
            let Links { prev, next } = *nodes[at].links();
            assert_eq!(prev, before);
            seen.push(at);
            (before, at) = (at, next);
        }
        assert_eq!((before, seen.len()), (self.tail, self.len as usize));
        seen
    }
}
