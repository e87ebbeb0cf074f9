//! The waiting line: a pure FIFO of operations with costs.
//!
//! It owns the order of the waiters and what has become of each. It takes no lock, reads no clock,
//! calls no waker and decides nothing about who is admitted: the gate does, and carries wakers out of
//! its lock before they are woken or dropped.
//!
//! Invariants, verified after every step in the tests:
//!
//! 1. The places in the list are exactly those that are `Waiting`, in the order of their arrival.
//! 2. `units` is the sum of their costs.
//! 3. A place that was called (`Admitted`, `Closed`) stays taken until its holder vacates it.

use std::task::Waker;

use tokio::time::Instant;

use super::arena::{Arena, Linked, Links, List, Spare};

/// Places in a chunk: 48 KiB of them.
const CHUNK: usize = 1024;

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
}

/// Who waits: what it needs, since when, and whom to wake.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) cost: u32,
    pub(crate) since: Instant,
    pub(crate) waker: Option<Waker>,
}

#[derive(Debug)]
pub(crate) struct Place {
    waiter: Waiter,
    links: Links,
    stage: Stage,
}

impl Linked for Place {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

#[derive(Debug)]
pub(crate) struct Line {
    places: Arena<Place, CHUNK>,
    waiting: List,
    units: u64,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { places: Arena::new(), waiting: List::new(), units: 0 }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> u32 {
        self.waiting.len()
    }

    /// What they need together.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// Whether nobody holds a place, waiting or called.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.places.len() == 0
    }

    /// The cost of the waiter at the head.
    pub(crate) fn head_cost(&self) -> Option<u32> {
        self.waiting.head().map(|at| self.places.at(at).waiter.cost)
    }

    /// The largest cost in the line. Looks at every place.
    pub(crate) fn largest_cost(&self) -> Option<u32> {
        (0..self.places.end())
            .filter_map(|at| self.places.find(at))
            .filter(|place| place.stage == Stage::Waiting)
            .map(|place| place.waiter.cost)
            .max()
    }

    /// Joins at the tail.
    pub(crate) fn join(&mut self, waiter: Waiter) -> Ticket {
        self.units += u64::from(waiter.cost);
        let place = Place { waiter, links: Links::NONE, stage: Stage::Waiting };
        let at = self.places.insert(place);
        self.waiting.push(&mut self.places, at);
        Ticket(at)
    }

    /// Takes the head out of the line. Its holder finds `stage` in its place; the waiter's waker
    /// leaves with the answer.
    pub(crate) fn advance(&mut self, stage: Stage) -> Option<Waiter> {
        let at = self.waiting.head()?;
        self.waiting.unlink(&mut self.places, at);
        let place = self.places.at_mut(at);
        place.stage = stage;
        let Waiter { cost, since, ref mut waker } = place.waiter;
        self.units -= u64::from(cost);
        Some(Waiter { cost, since, waker: waker.take() })
    }

    /// What has become of this place.
    pub(crate) fn stage(&self, ticket: Ticket) -> Stage {
        self.places.at(ticket.0).stage
    }

    /// Whether the waiter at this place would be woken by an equal of `waker`.
    pub(crate) fn wakes(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.places.at(ticket.0).waiter.waker.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Has this place wake `waker` from now on. Returns the waker it replaces.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.places.at_mut(ticket.0).waiter.waker.replace(waker)
    }

    /// Gives up a place, from wherever it stands, and says what had become of it.
    pub(crate) fn vacate(&mut self, ticket: Ticket) -> (Stage, Waiter) {
        if self.stage(ticket) == Stage::Waiting {
            self.waiting.unlink(&mut self.places, ticket.0);
            self.units -= u64::from(self.places.at(ticket.0).waiter.cost);
        }
        let Place { waiter, stage, .. } = self.places.remove(ticket.0);
        (stage, waiter)
    }

    /// Takes out the memory that a burst leaves behind, once nobody holds a place.
    pub(crate) fn trim(&mut self) -> Option<Spare<Place>> {
        self.places.trim()
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
                prop_assert_eq!(line.waiting.verified(&mut line.places), order);
                prop_assert_eq!(line.units, model.iter().map(|&(_, cost)| u64::from(cost)).sum::<u64>());
                prop_assert_eq!(line.places.len() as usize, model.len() + called.len());
                prop_assert_eq!(line.largest_cost(), model.iter().map(|&(_, cost)| cost).max());
            }
        }
    }

    #[test]
    fn a_long_line_gives_its_memory_back_once_nobody_holds_a_place() {
        let mut line = Line::new();
        let tickets: Vec<_> = (0..3 * CHUNK as u32).map(|_| line.join(waiter(1))).collect();
        assert_eq!(line.places.end() as usize, 3 * CHUNK);
        assert!(line.trim().is_none(), "places are held");
        line.advance(Stage::Admitted).unwrap();
        for ticket in tickets {
            line.vacate(ticket);
        }
        assert!(line.trim().is_some());
        assert_eq!((line.places.end(), line.is_abandoned()), (0, true));
        let ticket = line.join(waiter(2));
        assert_eq!((line.stage(ticket), line.len()), (Stage::Waiting, 1));
    }

    #[test]
    fn a_place_and_its_bookkeeping_stay_small() {
        assert!(size_of::<Place>() <= 64, "{}", size_of::<Place>());
    }
}
