//! The waiting line: a pure FIFO of operations with costs.
//!
//! It owns the places and their order. It takes no lock, reads no clock, calls no waker and decides
//! nothing about who is admitted: the gate does, and carries wakers out of its lock before they are
//! woken or dropped.
//!
//! Places are threaded through chunks of a fixed size, so that joining, leaving from anywhere and
//! advancing the head are O(1), and growing never moves a place: a line of a million grows as
//! smoothly as one of ten. The chunks of a burst are given back once nobody holds a place.
//!
//! Invariants, verified after every step in the tests:
//!
//! 1. Following `next` from `head` visits exactly `len` places, all `Waiting`, and ends at `tail`;
//!    `prev` mirrors `next`.
//! 2. `units` is the sum of their costs.
//! 3. A place is in the line, or out of it and still held (`Admitted`, `Closed`), or vacant and in the
//!    free list; `held` counts those that are not vacant.

use std::{mem, task::Waker};

use tokio::time::Instant;

/// Places in a chunk. The first chunk starts small and doubles up to this.
const CHUNK: usize = 1024;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A place in the line, valid from `join` until `vacate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

/// What has become of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Waiting,
    /// Out of the line with its units taken; its holder has not seen it yet.
    Admitted,
    /// Out of the line because the gate closed.
    Closed,
    Vacant,
}

/// Who waits: what it needs, since when, and whom to wake.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) cost: u32,
    pub(crate) since: Instant,
    pub(crate) waker: Option<Waker>,
}

#[derive(Debug)]
struct Place {
    waiter: Waiter,
    prev: u32,
    /// The place behind this one; in a vacant place, the next vacant one.
    next: u32,
    stage: Stage,
}

/// Memory that a burst leaves behind, to be freed outside the lock.
#[derive(Debug, Default)]
pub(crate) struct Spare(#[expect(dead_code, reason = "held for its drop")] Vec<Vec<Place>>);

#[derive(Debug)]
pub(crate) struct Line {
    chunks: Vec<Vec<Place>>,
    head: u32,
    tail: u32,
    vacant: u32,
    len: u32,
    held: u32,
    units: u64,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), head: NONE, tail: NONE, vacant: NONE, len: 0, held: 0, units: 0 }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// What they need together.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// The cost of the waiter at the head.
    pub(crate) fn head_cost(&self) -> Option<u32> {
        (self.head != NONE).then(|| self.place(self.head).waiter.cost)
    }

    /// The largest cost in the line. Looks at every waiter.
    pub(crate) fn largest_cost(&self) -> Option<u32> {
        let next = |&at: &u32| Some(self.place(at).next).filter(|&at| at != NONE);
        std::iter::successors(Some(self.head).filter(|&at| at != NONE), next)
            .map(|at| self.place(at).waiter.cost)
            .max()
    }

    /// Joins at the tail.
    pub(crate) fn join(&mut self, waiter: Waiter) -> Ticket {
        self.units += u64::from(waiter.cost);
        self.len += 1;
        self.held += 1;
        let behind = self.tail;
        let at = self.occupy(Place { waiter, prev: behind, next: NONE, stage: Stage::Waiting });
        match behind {
            NONE => self.head = at,
            _ => self.place_mut(behind).next = at,
        }
        self.tail = at;
        Ticket(at)
    }

    /// Takes the head out of the line. Its holder finds `stage` in its place; the waiter's waker
    /// leaves with the answer.
    pub(crate) fn advance(&mut self, stage: Stage) -> Option<Waiter> {
        debug_assert!(matches!(stage, Stage::Admitted | Stage::Closed));
        let at = self.head;
        if at == NONE {
            return None;
        }
        self.unlink(at);
        let place = self.place_mut(at);
        place.stage = stage;
        let Waiter { cost, since, ref mut waker } = place.waiter;
        Some(Waiter { cost, since, waker: waker.take() })
    }

    /// What has become of this place.
    pub(crate) fn stage(&self, ticket: Ticket) -> Stage {
        self.place(ticket.0).stage
    }

    /// Whether the waiter at this place would be woken by an equal of `waker`.
    pub(crate) fn wakes(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.place(ticket.0).waiter.waker.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Has this place wake `waker` from now on. Returns the waker it replaces.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.place_mut(ticket.0).waiter.waker.replace(waker)
    }

    /// Gives up a place, from wherever it stands, and says what had become of it.
    pub(crate) fn vacate(&mut self, ticket: Ticket) -> (Stage, Waiter) {
        let Ticket(at) = ticket;
        let stage = self.place(at).stage;
        debug_assert_ne!(stage, Stage::Vacant, "a ticket is given up once");
        if stage == Stage::Waiting {
            self.unlink(at);
        }
        self.held -= 1;
        let vacant = mem::replace(&mut self.vacant, at);
        let place = self.place_mut(at);
        place.stage = Stage::Vacant;
        place.next = vacant;
        let Waiter { cost, since, ref mut waker } = place.waiter;
        (stage, Waiter { cost, since, waker: waker.take() })
    }

    /// Takes out the memory that is no longer needed, once nobody holds a place of a long line.
    pub(crate) fn trim(&mut self) -> Option<Spare> {
        if self.held > 0 || self.chunks.len() < 2 {
            return None;
        }
        self.vacant = NONE;
        self.chunks[0].clear();
        Some(Spare(self.chunks.split_off(1)))
    }

    /// Puts a place into a vacant slot of a chunk.
    fn occupy(&mut self, place: Place) -> u32 {
        if self.vacant != NONE {
            let at = self.vacant;
            self.vacant = mem::replace(self.place_mut(at), place).next;
            return at;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            let capacity = if self.chunks.is_empty() { 4 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let last = self.chunks.len() - 1;
        self.chunks[last].push(place);
        (last * CHUNK + self.chunks[last].len() - 1) as u32
    }

    fn unlink(&mut self, at: u32) {
        let Place { prev, next, ref waiter, .. } = *self.place(at);
        self.units -= u64::from(waiter.cost);
        self.len -= 1;
        match prev {
            NONE => self.head = next,
            _ => self.place_mut(prev).next = next,
        }
        match next {
            NONE => self.tail = prev,
            _ => self.place_mut(next).prev = prev,
        }
    }

    fn place(&self, at: u32) -> &Place {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    fn place_mut(&mut self, at: u32) -> &mut Place {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn waiter(cost: u32) -> Waiter {
        Waiter { cost, since: Instant::now(), waker: None }
    }

    impl Line {
        /// The line from head to tail, with every invariant of the module verified on the way.
        fn verified(&self) -> Vec<u32> {
            let mut seen = Vec::new();
            let (mut at, mut prev) = (self.head, NONE);
            while at != NONE {
                let place = self.place(at);
                assert_eq!((place.prev, place.stage), (prev, Stage::Waiting));
                seen.push(at);
                (prev, at) = (at, place.next);
            }
            assert_eq!((prev, seen.len()), (self.tail, self.len as usize));
            let costs = seen.iter().map(|&at| u64::from(self.place(at).waiter.cost));
            assert_eq!(costs.sum::<u64>(), self.units);
            let places = self.chunks.iter().flatten();
            assert_eq!(places.filter(|p| p.stage != Stage::Vacant).count(), self.held as usize);
            seen
        }
    }

    proptest! {
        /// Joining, advancing and leaving from anywhere keep the order of arrival and every invariant.
        #[test]
        fn the_line_is_a_queue_from_which_anybody_may_leave(
            steps in proptest::collection::vec((0u8..5, any::<prop::sample::Index>(), 1u32..9), 1..300)
        ) {
            let mut line = Line::new();
            let mut model: VecDeque<(Ticket, u32)> = VecDeque::new();
            let mut called: Vec<(Ticket, Stage)> = Vec::new();
            for (step, index, cost) in steps {
                match step {
                    0 | 1 => model.push_back((line.join(waiter(cost)), cost)),
                    2 => {
                        let stage = if cost % 2 == 0 { Stage::Admitted } else { Stage::Closed };
                        let head = model.pop_front();
                        prop_assert_eq!(line.head_cost(), head.map(|(_, cost)| cost));
                        prop_assert_eq!(line.advance(stage).map(|w| w.cost), head.map(|(_, cost)| cost));
                        called.extend(head.map(|(ticket, _)| (ticket, stage)));
                    }
                    3 if !model.is_empty() => {
                        let (ticket, cost) = model.remove(index.index(model.len())).unwrap();
                        let (stage, waiter) = line.vacate(ticket);
                        prop_assert_eq!((stage, waiter.cost), (Stage::Waiting, cost));
                    }
                    4 if !called.is_empty() => {
                        let (ticket, stage) = called.swap_remove(index.index(called.len()));
                        prop_assert_eq!(line.stage(ticket), stage);
                        prop_assert_eq!(line.vacate(ticket).0, stage);
                    }
                    _ => {}
                }
                let order: Vec<u32> = model.iter().map(|(ticket, _)| ticket.0).collect();
                prop_assert_eq!(line.verified(), order);
                prop_assert_eq!(line.largest_cost(), model.iter().map(|&(_, cost)| cost).max());
            }
        }
    }

    #[test]
    fn a_long_line_gives_its_memory_back_once_nobody_holds_a_place() {
        let mut line = Line::new();
        let tickets: Vec<_> = (0..3 * CHUNK as u32).map(|_| line.join(waiter(1))).collect();
        assert_eq!(line.chunks.len(), 3);
        assert!(line.trim().is_none(), "places are held");
        line.advance(Stage::Admitted).unwrap();
        for ticket in tickets {
            line.vacate(ticket);
        }
        assert!(line.trim().is_some());
        assert_eq!((line.chunks.len(), line.verified().len()), (1, 0));
        let ticket = line.join(waiter(2));
        assert_eq!((line.stage(ticket), line.verified().len()), (Stage::Waiting, 1));
    }

    #[test]
    fn a_place_and_its_bookkeeping_stay_small() {
        assert!(mem::size_of::<Place>() <= 64, "{}", mem::size_of::<Place>());
    }
}
