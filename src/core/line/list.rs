//! Intrusive doubly linked lists, threaded through nodes that are stored elsewhere.
//!
//! It owns the links, the two ends and the length. It does not own the nodes. Every operation is O(1).

use std::{marker::PhantomData, ops::IndexMut};

/// In place of the index of a neighbour: there is none.
pub(in crate::core) const NONE: u32 = u32::MAX;

/// The neighbours of a node in a list.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Links {
    prev: u32,
    pub(in crate::core) next: u32,
}

impl Links {
    pub(in crate::core) const NONE: Self = Self { prev: NONE, next: NONE };

    /// Returns the index of the node after this one.
    pub(in crate::core) fn next(self) -> Option<u32> {
        (self.next != NONE).then_some(self.next)
    }
}

/// A node that can be in one list of each lane at a time. The lane is a marker type that tells the lists of
/// one node apart.
pub(in crate::core) trait Linked<Lane = ()> {
    fn links(&mut self) -> &mut Links;
}

/// A doubly linked list of nodes.
///
/// Invariant: following `next` from `head` visits `len` nodes and ends at `tail`, and `prev` mirrors `next`.
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

    /// Appends a node that is in no list of this lane. Returns its links, which the caller stores in it.
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

    /// Unlinks a node that has these links, wherever it is in the list.
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
    /// Returns the indices from head to tail, and verifies the invariant on the way.
    pub(in crate::core) fn verified<T: Linked<Lane>>(
        &self,
        nodes: &mut impl IndexMut<u32, Output = T>,
    ) -> Vec<u32> {
        let mut visited = Vec::new();
        let (mut at, mut before) = (self.head, NONE);
        while at != NONE {
            let Links { prev, next } = *nodes[at].links();
            assert_eq!(prev, before);
            visited.push(at);
            (before, at) = (at, next);
        }
        assert_eq!((before, visited.len()), (self.tail, self.len as usize));
        visited
    }
}
