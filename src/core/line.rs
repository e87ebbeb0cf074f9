//! The waiting line: a pure FIFO of operations with costs.
//!
//! It owns the order of the waiters. It takes no lock, reads no clock, calls no waker and decides nothing
//! about who is admitted: the gate does, and carries wakers out of its lock before they are woken or
//! dropped.
//!
//! Invariants, verified after every step in the tests:
//!
//! 1. The line holds all places, in the order of their arrival, which is that of their numbers.
//! 2. `units` is the sum of their costs.
//! 3. `limited` holds those among them whose limit an alarm keeps, in the same order.

use std::task::Waker;

use tokio::time::Instant;

use super::arena::{Arena, Linked, Links, List, Spare};

/// Places in a chunk: 64 KiB of them.
const CHUNK: usize = 1024;

/// A place in the line. Where it is means something for as long as its number has not been called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Rises from each who joins to the next, so it says who came first.
    pub(crate) number: u64,
    pub(crate) cost: u32,
    at: u32,
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

#[derive(Debug)]
pub(crate) struct Line {
    places: Arena<Place, CHUNK>,
    waiting: List,
    limited: List<Limited>,
    units: u64,
    /// Kept here because every section asks for it. 0 if nobody waits.
    head_cost: u32,
    next: u64,
}

impl Line {
    /// An empty line in which the first who joins has this number.
    pub(crate) fn new(next: u64) -> Self {
        let (places, waiting, limited) = (Arena::new(), List::new(), List::new());
        Self { places, waiting, limited, units: 0, head_cost: 0, next }
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

    /// The largest cost in the line. Looks at every place.
    pub(crate) fn largest_cost(&self) -> Option<u32> {
        (0..self.places.end()).filter_map(|at| self.places.find(at)).map(|place| place.cost).max()
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
        let (limited, is_limited) = (Links::NONE, false);
        let place = |links| Place { number, since, waker, cost, links, limited, is_limited };
        let at = self.waiting.insert(&mut self.places, place);
        Ticket { number, cost, at }
    }

    /// Takes the head out of the line, with its number.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<(u64, Waiter)> {
        let at = self.waiting.head()?;
        Some(self.remove(at))
    }

    /// Takes a waiter out of the line, from wherever it stands.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Waiter {
        debug_assert_eq!(self.places.at(ticket.at).number, ticket.number);
        self.remove(ticket.at).1
    }

    /// Whether this waiter would be woken by an equal of `waker`.
    pub(crate) fn wakes(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.places.at(ticket.at).waker.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Has this waiter woken by `waker` from now on. Returns the waker it replaces.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.places.at_mut(ticket.at).waker.replace(waker)
    }

    /// Has an alarm keep the limit of this waiter, unless somebody behind it came to that first.
    pub(crate) fn limit(&mut self, ticket: Ticket) -> bool {
        let last = self.limited.tail().map(|at| self.places.at(at).number);
        let is_last = last.is_none_or(|number| number < ticket.number);
        if is_last {
            self.places.at_mut(ticket.at).is_limited = true;
            self.limited.push(&mut self.places, ticket.at);
        }
        is_last
    }

    /// Whether an alarm keeps the limit of this waiter.
    pub(crate) fn is_limited(&self, ticket: Ticket) -> bool {
        self.places.at(ticket.at).is_limited
    }

    /// Leaves the limit of this waiter, which an alarm keeps, to itself.
    pub(crate) fn unlimit(&mut self, ticket: Ticket) {
        self.places.at_mut(ticket.at).is_limited = false;
        self.limited.unlink(&mut self.places, ticket.at);
    }

    /// Since when the first waits whose limit an alarm keeps.
    pub(crate) fn limited_since(&self) -> Option<Instant> {
        self.limited.head().map(|at| self.places.at(at).since)
    }

    /// Leaves the limit of that one to itself. Its waker leaves with the answer.
    pub(crate) fn unlimit_first(&mut self) -> Option<Waker> {
        let at = self.limited.head()?;
        self.limited.unlink(&mut self.places, at);
        let place = self.places.at_mut(at);
        place.is_limited = false;
        place.waker.take()
    }

    /// Takes out the memory that a burst leaves behind, once nobody waits.
    pub(crate) fn trim(&mut self) -> Option<Spare<Place>> {
        self.places.trim()
    }

    #[inline]
    fn remove(&mut self, at: u32) -> (u64, Waiter) {
        if self.places.at(at).is_limited {
            self.limited.unlink(&mut self.places, at);
        }
        let place = self.waiting.remove(&mut self.places, at);
        let Place { number, since, waker, cost, .. } = place;
        self.units -= u64::from(cost);
        self.head_cost = self.waiting.head().map_or(0, |head| self.places.at(head).cost);
        (number, Waiter { cost, since, waker })
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
                        prop_assert_eq!(line.head_cost(), head.map(|ticket| ticket.cost));
                        let called = line.advance().map(|(number, waiter)| (number, waiter.cost));
                        prop_assert_eq!(called, head.map(|ticket| (ticket.number, ticket.cost)));
                    }
                    3 if !model.is_empty() => {
                        let ticket = model.remove(index.index(model.len())).unwrap();
                        prop_assert_eq!(line.leave(ticket).cost, ticket.cost);
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
                let order: Vec<u32> = model.iter().map(|ticket| ticket.at).collect();
                prop_assert_eq!(line.waiting.verified(&mut line.places), order);
                limited.retain(|ticket| model.contains(ticket));
                let order: Vec<u32> = limited.iter().map(|ticket| ticket.at).collect();
                prop_assert_eq!(line.limited.verified(&mut line.places), order);
                prop_assert!(model.iter().all(|ticket| line.is_limited(*ticket) == limited.contains(ticket)));
                prop_assert_eq!(line.units, model.iter().map(|ticket| u64::from(ticket.cost)).sum::<u64>());
                prop_assert_eq!(line.places.len() as usize, model.len());
                prop_assert_eq!(line.largest_cost(), model.iter().map(|ticket| ticket.cost).max());
            }
        }
    }

    #[test]
    fn a_long_line_gives_its_memory_back_once_nobody_waits() {
        let mut line = Line::new(0);
        let tickets: Vec<_> = (0..3 * CHUNK as u32).map(|_| line.join(waiter(1))).collect();
        assert_eq!(line.places.end() as usize, 3 * CHUNK);
        assert!(line.trim().is_none(), "places are held");
        line.advance().unwrap();
        for &ticket in &tickets[1..] {
            line.leave(ticket);
        }
        assert!(line.trim().is_some());
        assert_eq!((line.places.end(), line.len()), (0, 0));
        let ticket = line.join(waiter(2));
        assert_eq!((ticket.number, line.len()), (3 * CHUNK as u64, 1));
    }

    #[test]
    fn a_place_and_its_bookkeeping_stay_small() {
        assert!(size_of::<Place>() <= 64, "{}", size_of::<Place>());
    }
}
