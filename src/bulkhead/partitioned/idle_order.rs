//! The order in which the idle entries of a shard became so, and the pins of all the others.
//!
//! It owns two numbers for each place, apart from the entries: the neighbours of an idle place were used
//! at any time, and what is as dense as this is found in the processor's cache.
//!
//! Invariants:
//!
//! 1. A place that holds an entry is either pinned, at least once, or in line.
//! 2. Following `next` from `head` visits `len` places and ends at `tail`, and `prev` mirrors `next`.
//! 3. Of two places in line, the one nearer to the head joined it earlier.

use crate::core::arena::Chunks;

/// Seats in a chunk: a page of memory.
const CHUNK: usize = 512;

/// In the place of a neighbour: there is none.
const NONE: u32 = u32::MAX;

/// In the place of the neighbour before: the seat is not in line, and counts pins.
const PINNED: u32 = u32::MAX - 1;

#[derive(Debug)]
pub(super) struct IdleOrder {
    links: Chunks<OrderLink, CHUNK>,
    head: u32,
    tail: u32,
    len: u32,
}

/// The neighbours of a place in line, or how often it is pinned. One of two without a tag, because
/// there are very many.
#[derive(Clone, Copy, Debug)]
struct OrderLink {
    prev: u32,
    /// The pins, where `prev` is `PINNED`.
    next: u32,
}

impl OrderLink {
    const ONE_PIN: Self = Self { prev: PINNED, next: 1 };
}

impl IdleOrder {
    pub(super) const fn new() -> Self {
        Self { links: Chunks::new(), head: NONE, tail: NONE, len: 0 }
    }

    /// How many places are in line.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The place that has been in line longest.
    #[inline]
    pub(super) fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    #[inline]
    pub(super) fn is_pinned(&self, at: u32) -> bool {
        self.links[at].prev == PINNED
    }

    /// Pins a place that held nothing, for the first time.
    pub(super) fn insert(&mut self, at: u32) {
        if at == self.links.len() {
            self.links.push(OrderLink::ONE_PIN);
        } else {
            self.links[at] = OrderLink::ONE_PIN;
        }
    }

    /// Pins a place; the first pin takes it out of the line.
    #[inline]
    pub(super) fn pin(&mut self, at: u32) {
        if self.is_pinned(at) {
            self.links[at].next += 1;
        } else {
            self.remove(at);
            self.links[at] = OrderLink::ONE_PIN;
        }
    }

    /// Gives up a pin, and says whether it was the last, with which the place joins the line.
    #[inline]
    pub(super) fn unpin(&mut self, at: u32) -> bool {
        let link = &mut self.links[at];
        debug_assert!(link.prev == PINNED && link.next > 0, "a pin is given up once");
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

    /// Takes a place out of the line, from wherever it stands.
    #[inline]
    pub(super) fn remove(&mut self, at: u32) {
        let OrderLink { prev, next } = self.links[at];
        debug_assert!(prev != PINNED, "a pinned place is not in line");
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
    /// The places from head to tail, with the second invariant verified on the way.
    pub(super) fn verified(&self) -> Vec<u32> {
        let mut seen = Vec::new();
        let (mut at, mut before) = (self.head, NONE);
        while at != NONE {
            let OrderLink { prev, next } = self.links[at];
            assert_eq!(prev, before);
            seen.push(at);
            (before, at) = (at, next);
        }
        assert_eq!((before, seen.len()), (self.tail, self.len as usize));
        seen
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_pin_joins_the_line_and_the_first_leaves_it_from_anywhere() {
        let mut order = IdleOrder::new();
        (0..1_000).for_each(|at| order.insert(at));
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
        order.remove(1);
        order.insert(1);
        assert!(order.unpin(2) && order.unpin(1));
        assert_eq!(order.verified(), [3, 2, 1]);
        assert_eq!((order.head(), order.len()), (Some(3), 3));
    }
}
