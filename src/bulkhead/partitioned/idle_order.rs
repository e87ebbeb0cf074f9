//! `IdleOrder`: the order in which the idle entries of a shard became idle, and the pin counts of the others.
//!
//! It owns two numbers for each entry, identified by its index. They are stored apart from the entries: the
//! neighbours of an idle entry may have been used at any time, and an array this dense stays in the processor's
//! cache.
//!
//! Invariants:
//!
//! 1. An entry is either pinned, at least once, or in the idle order.
//! 2. Following `next` from `head` visits `len` entries and ends at `tail`, and `prev` mirrors `next`.
//! 3. Of two entries in the idle order, the one nearer to the head was added earlier.

use crate::core::chunks::Chunks;

/// Links in a chunk: one page of memory.
const CHUNK: usize = 512;

/// In place of the index of a neighbour: there is none.
const NONE: u32 = u32::MAX;

/// In place of `prev`: the entry is pinned and not in the idle order, and `next` is its pin count.
const PINNED: u32 = u32::MAX - 1;

#[derive(Debug)]
pub(super) struct IdleOrder {
    links: Chunks<OrderLink, CHUNK>,
    head: u32,
    tail: u32,
    len: u32,
}

/// The neighbours of an idle entry, or the pin count of a pinned one. It has no separate tag, because there are
/// very many links.
#[derive(Clone, Copy, Debug)]
struct OrderLink {
    prev: u32,
    /// The pin count, if `prev` is `PINNED`.
    next: u32,
}

impl OrderLink {
    const ONE_PIN: Self = Self { prev: PINNED, next: 1 };
}

impl IdleOrder {
    pub(super) const fn new() -> Self {
        Self { links: Chunks::new(), head: NONE, tail: NONE, len: 0 }
    }

    /// Returns how many entries are idle.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Returns the entry that has been idle longest.
    #[inline]
    pub(super) fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    #[inline]
    pub(super) fn is_pinned(&self, at: u32) -> bool {
        self.links[at].prev == PINNED
    }

    /// Adds an entry that is pinned once, at the next index.
    pub(super) fn push(&mut self) {
        self.links.push(OrderLink::ONE_PIN);
    }

    /// Moves an entry to the index of one that has been removed.
    pub(super) fn move_entry(&mut self, from: u32, to: u32) {
        let link = self.links[from];
        self.links[to] = link;
        if link.prev == PINNED {
            return;
        }
        match link.prev {
            NONE => self.head = to,
            prev => self.links[prev].next = to,
        }
        match link.next {
            NONE => self.tail = to,
            next => self.links[next].prev = to,
        }
    }

    /// Removes the last index, whose entry has been removed or moved.
    pub(super) fn pop(&mut self) {
        self.links.pop();
    }

    /// Pins an entry. The first pin removes it from the idle order.
    #[inline]
    pub(super) fn pin(&mut self, at: u32) {
        if self.is_pinned(at) {
            self.links[at].next += 1;
        } else {
            self.remove(at);
            self.links[at] = OrderLink::ONE_PIN;
        }
    }

    /// Releases a pin. Returns whether it was the last, in which case the entry is appended to the idle order.
    #[inline]
    pub(super) fn unpin(&mut self, at: u32) -> bool {
        let link = &mut self.links[at];
        debug_assert!(link.prev == PINNED && link.next > 0, "a pin is released once");
        if link.next > 1 {
            link.next -= 1;
            return false;
        }
        *link = OrderLink { prev: self.tail, next: NONE };
        match self.tail {
            NONE => self.head = at,
            tail => self.links[tail].next = at,
        }
        self.tail = at;
        self.len += 1;
        true
    }

    /// Removes an entry from the idle order, from any position.
    #[inline(always)]
    pub(super) fn remove(&mut self, at: u32) {
        let OrderLink { prev, next } = self.links[at];
        debug_assert!(prev != PINNED, "a pinned entry is not in the idle order");
        match prev {
            NONE => self.head = next,
            _ => self.links[prev].next = next,
        }
        match next {
            NONE => self.tail = prev,
            _ => self.links[next].prev = prev,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
impl IdleOrder {
    /// Returns the entries from head to tail, and verifies the second invariant.
    pub(super) fn verified(&self) -> Vec<u32> {
        let mut visited = Vec::new();
        let (mut at, mut before) = (self.head, NONE);
        while at != NONE {
            let OrderLink { prev, next } = self.links[at];
            assert_eq!(prev, before);
            visited.push(at);
            (before, at) = (at, next);
        }
        assert_eq!((before, visited.len()), (self.tail, self.len as usize));
        visited
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_unpin_appends_an_entry_and_the_first_pin_removes_it_from_anywhere() {
        let mut order = IdleOrder::new();
        (0..1_000).for_each(|_| order.push());
        assert!(order.head().is_none() && order.is_pinned(999));
        (0..1_000).for_each(|at| assert!(order.unpin(at)));
        assert_eq!(order.verified(), (0..1_000).collect::<Vec<_>>());
        (4..1_000).for_each(|at| order.pin(at));
        order.pin(4);
        assert!(!order.unpin(4) && order.is_pinned(4));
        assert!(order.unpin(4));
        for (pinned, left) in [(2, vec![0, 1, 3, 4]), (0, vec![1, 3, 4]), (4, vec![1, 3])] {
            order.pin(pinned);
            assert_eq!(order.verified(), left);
        }
        assert!(order.unpin(2));
        assert_eq!(order.verified(), [1, 3, 2]);
        assert_eq!((order.head(), order.len()), (Some(1), 3));
    }

    #[test]
    fn an_entry_that_moves_keeps_its_place_or_its_pins() {
        let mut order = IdleOrder::new();
        (0..6).for_each(|_| order.push());
        [5, 3, 1, 4].iter().for_each(|&at| assert!(order.unpin(at)));
        for (removed, last, left) in [(1, 5, vec![1, 3, 4]), (3, 4, vec![1, 3])] {
            order.remove(removed);
            order.move_entry(last, removed);
            order.pop();
            assert_eq!(order.verified(), left);
        }
        order.pin(2);
        order.remove(1);
        order.move_entry(3, 1);
        order.pop();
        assert_eq!((order.verified(), order.head()), (vec![1], Some(1)));
        order.remove(1);
        order.move_entry(2, 1);
        order.pop();
        assert!(order.verified().is_empty() && order.is_pinned(1));
        assert!(!order.unpin(1) && order.unpin(1));
        assert_eq!(order.verified(), [1]);
    }
}
