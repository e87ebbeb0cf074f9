//! The waiting line: a pure FIFO of operations with costs.
//!
//! It owns the order of the waiters. It takes no lock, reads no clock, calls no waker and decides nothing
//! about who is admitted: the gate does, and carries wakers out of its lock before they are woken or
//! dropped.
//!
//! Invariants, verified after every step in the tests:
//!
//! 1. `waiting` holds who waits, in the order of their arrival, which is that of their numbers.
//! 2. `units` is the sum of their costs.
//! 3. `limited` holds those among them whose limit an alarm keeps, in the same order.
//! 4. All other places are vacant, and linked by `next` from `vacant`. They have no waker, and nobody's number.

mod list;

use std::{iter::successors, mem, task::Waker};

use tokio::time::Instant;

use crate::core::{
    arena::{Chunks, Spare},
    line::list::{Linked, Links, List, NONE},
};

/// Places in a chunk: 64 KiB of them.
const CHUNK: usize = 1024;

/// The number in a vacant place.
const NOBODY: u64 = u64::MAX;

/// A place in the line. Where it is means something for as long as its number has not been called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Rises from each who joins to the next, so it says who came first.
    pub(crate) number: u64,
    /// The cost, and below it where the place is. Two in one, because a ticket of two numbers travels in
    /// registers, and one of three through memory.
    seat: u64,
}

impl Ticket {
    #[inline]
    fn new(number: u64, cost: u32, at: u32) -> Self {
        Self { number, seat: (u64::from(cost) << 32) | u64::from(at) }
    }

    #[inline]
    pub(crate) fn cost(self) -> u32 {
        (self.seat >> 32) as u32
    }

    #[inline]
    fn at(self) -> u32 {
        self.seat as u32
    }
}

/// Who waits: what it needs, since when, and whom to wake.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) cost: u32,
    pub(crate) since: Instant,
    pub(crate) waker: Option<Waker>,
}

/// One cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Place {
    number: u64,
    since: Instant,
    waker: Option<Waker>,
    cost: u32,
    links: Links,
    limited: Links,
    is_limited: bool,
}

impl Linked for Place {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// The lane of those whose limit an alarm keeps.
#[derive(Debug)]
enum Limited {}

impl Linked<Limited> for Place {
    fn links(&mut self) -> &mut Links {
        &mut self.limited
    }
}

/// In this order: see `State`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Line {
    waiting: List,
    /// The first of the vacant places.
    vacant: u32,
    /// Kept here because every section asks for it. 0 if nobody waits.
    head_cost: u32,
    limited: List<Limited>,
    units: u64,
    next: u64,
    places: Chunks<Place, CHUNK>,
}

impl Line {
    /// An empty line in which the first who joins has this number.
    pub(crate) fn new(next: u64) -> Self {
        let (places, waiting, limited) = (Chunks::new(), List::new(), List::new());
        Self { places, vacant: NONE, waiting, limited, units: 0, head_cost: 0, next }
    }

    /// How many wait.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.waiting.len()
    }

    /// What they need together.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// The cost of the waiter at the head.
    #[inline]
    pub(crate) fn head_cost(&self) -> Option<u32> {
        (self.waiting.len() > 0).then_some(self.head_cost)
    }

    /// The largest cost in the line. Looks at everybody in it.
    pub(crate) fn largest_cost(&self) -> Option<u32> {
        let places = successors(self.waiting.head(), |&at| self.places[at].links.next());
        places.map(|at| self.places[at].cost).max()
    }

    /// Joins at the tail.
    // Part of its caller: see `Gate::arrive`.
    #[inline(always)]
    pub(crate) fn join(&mut self, waiter: Waiter) -> Ticket {
        let (number, Waiter { cost, since, waker }) = (self.next, waiter);
        self.next += 1;
        self.units += u64::from(cost);
        if self.waiting.len() == 0 {
            self.head_cost = cost;
        }
        if self.vacant == NONE {
            self.add_place(since);
        }
        let at = self.vacant;
        let links = self.waiting.append(&mut self.places, at);
        let place = &mut self.places[at];
        self.vacant = place.links.next;
        // One by one, because a place that is moved is read before it has reached the cache.
        place.number = number;
        place.since = since;
        place.waker = waker;
        place.cost = cost;
        place.links = links;
        Ticket::new(number, cost, at)
    }

    /// Takes the head out of the line, with its number.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<(u64, Waiter)> {
        let at = self.waiting.head()?;
        Some(self.remove(at))
    }

    /// Takes a waiter out of the line, from wherever it stands.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Waiter {
        let number = self.places[ticket.at()].number;
        assert_eq!(number, ticket.number, "who leaves the line is in it");
        self.remove(ticket.at()).1
    }

    /// Whether this waiter would be woken by an equal of `waker`.
    pub(crate) fn wakes(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.places[ticket.at()].waker.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Has this waiter woken by `waker` from now on. Returns the waker it replaces.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.places[ticket.at()].waker.replace(waker)
    }

    /// Has an alarm keep the limit of this waiter, unless somebody behind it came to that first.
    pub(crate) fn limit(&mut self, ticket: Ticket) -> bool {
        let last = self.limited.tail().map(|at| self.places[at].number);
        let is_last = last.is_none_or(|number| number < ticket.number);
        if is_last {
            let limited = self.limited.append(&mut self.places, ticket.at());
            let place = &mut self.places[ticket.at()];
            (place.limited, place.is_limited) = (limited, true);
        }
        is_last
    }

    /// Whether an alarm keeps the limit of this waiter.
    pub(crate) fn is_limited(&self, ticket: Ticket) -> bool {
        self.places[ticket.at()].is_limited
    }

    /// Leaves the limit of this waiter, which an alarm keeps, to itself.
    pub(crate) fn unlimit(&mut self, ticket: Ticket) {
        let place = &mut self.places[ticket.at()];
        place.is_limited = false;
        let limited = place.limited;
        self.limited.close_gap(&mut self.places, limited);
    }

    /// Since when the first waits whose limit an alarm keeps.
    pub(crate) fn limited_since(&self) -> Option<Instant> {
        self.limited.head().map(|at| self.places[at].since)
    }

    /// Leaves the limit of that one to itself. Its waker leaves with the answer.
    pub(crate) fn unlimit_first(&mut self) -> Option<Waker> {
        let place = &mut self.places[self.limited.head()?];
        place.is_limited = false;
        let (limited, waker) = (place.limited, place.waker.take());
        self.limited.close_gap(&mut self.places, limited);
        waker
    }

    /// Takes out the memory that a burst leaves behind, once nobody waits.
    pub(crate) fn trim(&mut self) -> Option<Spare<Place>> {
        if self.waiting.len() > 0 {
            return None;
        }
        let spare = self.places.trim()?;
        self.vacant = NONE;
        Some(spare)
    }

    /// Makes a place for who joins, where none is vacant.
    #[cold]
    fn add_place(&mut self, since: Instant) {
        let at = self.places.len();
        let (links, limited) = (Links::NONE, Links::NONE);
        let (number, waker, cost, is_limited) = (NOBODY, None, 0, false);
        self.places.push(Place { number, since, waker, cost, links, limited, is_limited });
        self.vacant = at;
    }

    #[inline]
    fn remove(&mut self, at: u32) -> (u64, Waiter) {
        let place = &mut self.places[at];
        let Place { number, since, cost, links, limited, .. } = *place;
        let waker = place.waker.take();
        let is_limited = mem::take(&mut place.is_limited);
        place.number = NOBODY;
        place.links.next = mem::replace(&mut self.vacant, at);
        if is_limited {
            self.limited.close_gap(&mut self.places, limited);
        }
        self.waiting.close_gap(&mut self.places, links);
        self.units -= u64::from(cost);
        self.head_cost = self.waiting.head().map_or(0, |head| self.places[head].cost);
        (number, Waiter { cost, since, waker })
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn waiter(cost: u32) -> Waiter {
        Waiter { cost, since: Instant::now(), waker: Some(Waker::noop().clone()) }
    }

    proptest! {
        /// Joining, advancing and leaving from anywhere keep the order of arrival and every invariant.
        #[test]
        fn the_line_is_a_queue_from_which_anybody_may_leave(
            steps in proptest::collection::vec((0u8..6, any::<prop::sample::Index>(), 1u32..9), 1..300)
        ) {
            let mut line = Line::new(7);
            let mut model: VecDeque<Ticket> = VecDeque::new();
            let mut limited: VecDeque<Ticket> = VecDeque::new();
            for (step, index, cost) in steps {
                match step {
                    0 | 1 => {
                        let ticket = line.join(waiter(cost));
                        prop_assert!(model.iter().all(|earlier| earlier.number < ticket.number));
                        model.push_back(ticket);
                        if cost % 2 == 0 {
                            prop_assert!(line.limit(ticket));
                            limited.push_back(ticket);
                        }
                    }
                    2 => {
                        let head = model.pop_front();
                        prop_assert_eq!(line.head_cost(), head.map(|ticket| ticket.cost()));
                        let called = line.advance().map(|(number, waiter)| (number, waiter.cost));
                        prop_assert_eq!(called, head.map(|ticket| (ticket.number, ticket.cost())));
                    }
                    3 if !model.is_empty() => {
                        let ticket = model.remove(index.index(model.len())).unwrap();
                        prop_assert_eq!(line.leave(ticket).cost, ticket.cost());
                    }
                    4 if cost % 2 == 0 && !limited.is_empty() => {
                        let ticket = limited.remove(index.index(limited.len())).unwrap();
                        line.unlimit(ticket);
                    }
                    4 => {
                        line.unlimit_first();
                        limited.pop_front();
                    }
                    _ => {}
                }
                let order: Vec<u32> = model.iter().map(|ticket| ticket.at()).collect();
                prop_assert_eq!(line.waiting.verified(&mut line.places), order);
                limited.retain(|ticket| model.contains(ticket));
                let order: Vec<u32> = limited.iter().map(|ticket| ticket.at()).collect();
                prop_assert_eq!(line.limited.verified(&mut line.places), order);
                prop_assert!(model.iter().all(|ticket| line.is_limited(*ticket) == limited.contains(ticket)));
                prop_assert_eq!(line.units, model.iter().map(|ticket| u64::from(ticket.cost())).sum::<u64>());
                let first = Some(line.vacant).filter(|&at| at != NONE);
                let vacant: Vec<u32> = successors(first, |&at| line.places[at].links.next()).collect();
                prop_assert_eq!(line.places.len() as usize, model.len() + vacant.len());
                prop_assert!(vacant.iter().all(|&at| !model.iter().any(|ticket| ticket.at() == at)));
                prop_assert!(vacant.iter().all(|&at| line.places[at].waker.is_none()));
                prop_assert!(vacant.iter().all(|&at| line.places[at].number == NOBODY));
                prop_assert!(vacant.iter().all(|&at| !line.places[at].is_limited));
                prop_assert_eq!(line.largest_cost(), model.iter().map(|ticket| ticket.cost()).max());
            }
        }
    }

    #[test]
    fn a_long_line_gives_its_memory_back_once_nobody_waits() {
        let mut line = Line::new(0);
        let tickets: Vec<_> = (0..3 * CHUNK as u32).map(|_| line.join(waiter(1))).collect();
        assert_eq!(line.places.len() as usize, 3 * CHUNK);
        assert!(line.trim().is_none(), "places are held");
        line.advance().unwrap();
        for &ticket in &tickets[1..] {
            line.leave(ticket);
        }
        assert!(line.trim().is_some());
        assert_eq!((line.places.len(), line.len()), (0, 0));
        let ticket = line.join(waiter(2));
        assert_eq!((ticket.number, line.len()), (3 * CHUNK as u64, 1));
    }

    #[test]
    fn a_place_and_its_bookkeeping_stay_small() {
        assert!(size_of::<Place>() <= 64, "{}", size_of::<Place>());
    }
}
