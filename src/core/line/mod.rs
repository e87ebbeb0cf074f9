//! The waiting line: a strict FIFO queue of operations with costs.
//!
//! It owns the order of the waiters, and the places of those that are overdue: their limits have passed and they do not know
//! yet. It takes no lock, reads no clock, calls no waker and does not decide on admission. The gate does all that, and moves
//! wakers out of its lock before it wakes or drops them.
//!
//! Invariants, verified after every step in the tests:
//!
//! 1. `waiting` holds the waiters in the order of their arrival, which is the order of their numbers.
//! 2. `units` is the sum of their costs.
//! 3. `ends` knows the waiters that have an end, and no others.
//! 4. `overdue` counts the nodes of waiters that were taken out and have not been collected. They have no waker.
//! 5. All other nodes are vacant, and linked by `next` from `vacant`. They have no waker and no end, and their number is
//!    [`NO_NUMBER`].

pub(crate) mod ends;
mod list;
mod node;

use std::{iter::successors, task::Waker};

use crate::core::{
    chunks::{Chunks, Spare},
    clock::Nanos,
    line::{
        ends::{End, Ends, Kept, SpareEnds},
        list::{List, NONE},
        node::{NO_NUMBER, Node},
    },
};

pub(crate) use node::Overdue;

/// Nodes in a chunk: 64 KiB of them.
const CHUNK: usize = 1024;

/// Nodes of a line that is kept to be used again.
const SMALL: u32 = 8;

/// Identifies a waiter. As in a ticket lock, a waiter is admitted when its number is called. Its index is
/// valid until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Rises with each waiter that joins, so it orders waiters by arrival.
    pub(crate) number: u64,
    /// The cost in the upper half, the index of the node in the lower. Packed, because a ticket of two words
    /// is passed in registers, and one of three in memory.
    packed: u64,
}

impl Ticket {
    #[inline]
    fn new(number: u64, cost: u32, at: u32) -> Self {
        Self { number, packed: (u64::from(cost) << 32) | u64::from(at) }
    }

    #[inline]
    pub(crate) fn cost(self) -> u32 {
        (self.packed >> 32) as u32
    }

    #[inline]
    fn at(self) -> u32 {
        self.packed as u32
    }
}

/// A waiter: the units it needs, since when it has waited, when its limits pass, and its waker.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) cost: u32,
    pub(crate) since: Nanos,
    pub(crate) end: End,
    pub(crate) waker: Option<Waker>,
}

/// The waiting line. For the order of the fields see `GateState`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Line {
    waiting: List,
    /// The first vacant node.
    vacant: u32,
    /// A copy, because every section reads it. 0 if the line is empty.
    head_cost: u32,
    /// How many were taken out because their limits have passed, and do not know yet.
    overdue: u32,
    units: u64,
    next: u64,
    ends: Ends,
    nodes: Chunks<Node, CHUNK>,
}

/// The unused memory of a line, freed on drop.
#[derive(Debug)]
pub(crate) struct SpareLine {
    _nodes: Option<Spare<Node>>,
    _ends: Option<SpareEnds>,
}

impl Line {
    /// Creates an empty line whose first waiter will have this number.
    pub(crate) fn new(next: u64) -> Self {
        let (nodes, waiting, ends) = (Chunks::new(), List::new(), Ends::new());
        Self { nodes, vacant: NONE, waiting, ends, overdue: 0, units: 0, head_cost: 0, next }
    }

    /// Returns the number of waiters.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.waiting.len()
    }

    /// Whether there are neither waiters nor any that are overdue and do not know yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.len() == 0 && self.overdue == 0
    }

    /// Whether there are waiters that were taken out and do not know yet.
    #[inline]
    pub(crate) fn has_overdue(&self) -> bool {
        self.overdue > 0
    }

    /// Makes an unused line one whose first waiter will have this number.
    pub(crate) fn restart(&mut self, next: u64) {
        debug_assert!(self.is_unused(), "the line is in use");
        self.next = next;
    }

    /// Whether it has memory for a few waiters at most.
    pub(crate) fn is_small(&self) -> bool {
        self.nodes.len() <= SMALL
    }

    /// Returns the sum of the waiters' costs.
    pub(crate) fn units(&self) -> u64 {
        self.units
    }

    /// Returns the cost of the waiter at the head.
    #[inline]
    pub(crate) fn head_cost(&self) -> Option<u32> {
        (self.waiting.len() > 0).then_some(self.head_cost)
    }

    /// Returns the largest cost in the line. Visits every waiter.
    pub(crate) fn largest_cost(&self) -> Option<u32> {
        let nodes = successors(self.waiting.head(), |&at| self.nodes[at].links.next());
        nodes.map(|at| self.nodes[at].cost).max()
    }

    /// Adds a waiter at the tail.
    // Inlined into its caller: see `Gate::arrive`.
    #[inline(always)]
    pub(crate) fn join(&mut self, waiter: Waiter) -> Ticket {
        let (number, Waiter { cost, since, end, waker }) = (self.next, waiter);
        self.next += 1;
        self.units += u64::from(cost);
        if self.waiting.len() == 0 {
            self.head_cost = cost;
        }
        if self.vacant == NONE {
            self.add_node();
        }
        let at = self.vacant;
        let links = self.waiting.append(&mut self.nodes, at);
        let node = &mut self.nodes[at];
        self.vacant = node.links.next;
        // Field by field: a node that is built and then moved is read back before its stores have reached the
        // cache.
        node.number = number;
        node.since = since;
        node.end = end.at;
        node.waker = waker;
        node.cost = cost;
        node.links = links;
        if end.at != Nanos::NEVER {
            node.by_deadline = end.by_deadline;
            self.add_end(at, number, end.at);
        }
        Ticket::new(number, cost, at)
    }

    fn add_end(&mut self, at: u32, number: u64, end: Nanos) {
        let (kept, by_end) = self.ends.add(&mut self.nodes, at, number, end);
        let node = &mut self.nodes[at];
        (node.kept, node.by_end) = (kept, by_end);
    }

    /// Removes the waiter at the head. Returns it with its number.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<(u64, Waiter)> {
        let at = self.waiting.head()?;
        let removed = self.take_out(at);
        self.vacate(at);
        Some(removed)
    }

    /// Removes a waiter from anywhere in the line.
    ///
    /// # Panics
    ///
    /// If the waiter is not in the line. Nothing has changed then.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Waiter {
        assert!(self.is_waiting(ticket), "a waiter that leaves is in the line");
        let (_, waiter) = self.take_out(ticket.at());
        self.vacate(ticket.at());
        waiter
    }

    /// Whether this waiter is in the line.
    #[inline]
    pub(crate) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.node_of(ticket).is_some_and(|node| !node.is_overdue)
    }

    /// Returns when the limits of a waiter pass; `NEVER` if it has none or is not in the line.
    pub(crate) fn end_of(&self, ticket: Ticket) -> Nanos {
        self.node_of(ticket).map_or(Nanos::NEVER, |node| node.end)
    }

    /// Whether this waiter's waker wakes the same task as `waker`.
    pub(crate) fn wakes(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.nodes[ticket.at()].waker.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Sets the waker of this waiter. Returns the previous one.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.nodes[ticket.at()].waker.replace(waker)
    }

    /// Takes out the wakers of all waiters that have a limit. Visits every waiter.
    pub(crate) fn take_wakers_of_limited(&mut self, mut take: impl FnMut(Option<Waker>)) {
        let mut next = self.waiting.head();
        while let Some(at) = next {
            let node = &mut self.nodes[at];
            if node.kept != Kept::Nowhere {
                take(node.waker.take());
            }
            next = node.links.next();
        }
    }

    /// Returns a time before which no limit passes. The first that passes may do so later.
    #[inline]
    pub(crate) fn no_end_before(&self) -> Nanos {
        self.ends.not_before()
    }

    /// Returns when the first of the limits passes.
    pub(crate) fn first_end(&mut self) -> Option<Nanos> {
        self.ends.first(&self.nodes).map(|(end, _)| end)
    }

    /// Takes out the waiter whose limit has passed first by now. It keeps its place until it is collected.
    pub(crate) fn take_overdue(&mut self, now: Nanos) -> Option<(Waiter, Overdue)> {
        let (end, at) = self.ends.first(&self.nodes)?;
        if end > now {
            return None;
        }
        let (_, waiter) = self.take_out(at);
        self.overdue += 1;
        let node = &mut self.nodes[at];
        node.is_overdue = true;
        (node.since, node.end) = (node.since.seen_from(now), node.end.seen_from(now));
        Some((waiter, node.overdue()))
    }

    /// Passes the limit of a waiter now.
    #[cfg(all(test, bulklink_loom))]
    pub(in crate::core) fn pass_limit(&mut self, ticket: Ticket, by_deadline: bool) {
        if !self.is_waiting(ticket) {
            return;
        }
        let node = &mut self.nodes[ticket.at()];
        let (kept, by_end) = (node.kept, node.by_end);
        (node.kept, node.end, node.by_deadline) = (Kept::Nowhere, node.since, by_deadline);
        let since = node.since;
        self.ends.remove(&mut self.nodes, kept, by_end);
        self.add_end(ticket.at(), ticket.number, since);
    }

    /// Tells a waiter that it was taken out, if it was. Its place is vacant then.
    pub(crate) fn collect_overdue(&mut self, ticket: Ticket) -> Option<Overdue> {
        let node = self.node_of(ticket).filter(|node| node.is_overdue)?;
        let overdue = node.overdue();
        self.overdue -= 1;
        self.nodes[ticket.at()].is_overdue = false;
        self.vacate(ticket.at());
        Some(overdue)
    }

    /// Takes out the memory left over from a burst, if the line is not in use.
    pub(crate) fn trim(&mut self) -> Option<SpareLine> {
        if !self.is_unused() {
            return None;
        }
        let (nodes, ends) = (self.nodes.trim(), self.ends.trim());
        if nodes.is_some() {
            self.vacant = NONE;
        }
        (nodes.is_some() || ends.is_some()).then_some(SpareLine { _nodes: nodes, _ends: ends })
    }

    /// Adds a vacant node.
    #[cold]
    fn add_node(&mut self) {
        let at = self.nodes.len();
        self.nodes.push(Node::VACANT);
        self.vacant = at;
    }

    #[inline]
    fn node_of(&self, ticket: Ticket) -> Option<&Node> {
        self.nodes.get(ticket.at()).filter(|node| node.number == ticket.number)
    }

    /// Takes a waiter out of the order and of the ends. Its place is not vacant yet.
    #[inline]
    fn take_out(&mut self, at: u32) -> (u64, Waiter) {
        let node = &mut self.nodes[at];
        let Node { number, since, end, cost, links, by_end, by_deadline, kept, .. } = *node;
        let waker = node.waker.take();
        if kept != Kept::Nowhere {
            node.kept = Kept::Nowhere;
            self.ends.remove(&mut self.nodes, kept, by_end);
        }
        self.waiting.close_gap(&mut self.nodes, links);
        self.units -= u64::from(cost);
        self.head_cost = self.waiting.head().map_or(0, |head| self.nodes[head].cost);
        (number, Waiter { cost, since, end: End { at: end, by_deadline }, waker })
    }

    #[inline]
    fn vacate(&mut self, at: u32) {
        let node = &mut self.nodes[at];
        node.number = NO_NUMBER;
        node.links.next = self.vacant;
        self.vacant = at;
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::{collections::VecDeque, time::Duration};

    use proptest::prelude::*;

    use super::*;

    fn waiter(cost: u32, end: Option<u64>) -> Waiter {
        let end = end.map_or(Nanos::NEVER, |end| Nanos::ZERO.plus(Duration::from_nanos(end)));
        let (end, waker) = (End { at: end, by_deadline: false }, Some(Waker::noop().clone()));
        Waiter { cost, since: Nanos::ZERO, end, waker }
    }

    proptest! {
        /// Joining, advancing, leaving from anywhere and the passing of limits keep the order of arrival and every invariant.
        #[test]
        fn the_line_is_fifo_and_a_waiter_may_leave_from_anywhere(
            steps in proptest::collection::vec(
                (0u8..7, any::<prop::sample::Index>(), 1u32..9, proptest::option::of(0u64..500)),
                1..400,
            )
        ) {
            let mut line = Line::new(7);
            let mut model: VecDeque<(Ticket, Option<u64>)> = VecDeque::new();
            let mut overdue: VecDeque<(Ticket, Option<u64>, u64)> = VecDeque::new();
            let mut now = 0;
            for (step, index, cost, time) in steps {
                match step {
                    0..=2 => {
                        // Rising with time, unless it is below.
                        let end = time.map(|time| if cost % 3 == 0 { now + time } else { now + 200 });
                        let ticket = line.join(waiter(cost, end));
                        prop_assert!(model.iter().all(|(earlier, _)| earlier.number < ticket.number));
                        model.push_back((ticket, end));
                    }
                    3 => {
                        let head = model.pop_front();
                        prop_assert_eq!(line.head_cost(), head.map(|(ticket, _)| ticket.cost()));
                        let called = line.advance().map(|(number, waiter)| (number, waiter.cost));
                        prop_assert_eq!(called, head.map(|(ticket, _)| (ticket.number, ticket.cost())));
                    }
                    4 if !model.is_empty() => {
                        let (ticket, _) = model.remove(index.index(model.len())).unwrap();
                        prop_assert_eq!(line.leave(ticket).cost, ticket.cost());
                    }
                    5 => {
                        now += time.unwrap_or(0) / 4;
                        let at = Nanos::ZERO.plus(Duration::from_nanos(now));
                        let mut due: Vec<_> =
                            model.iter().filter(|(_, end)| end.is_some_and(|end| end <= now)).copied().collect();
                        due.sort_by_key(|&(ticket, end)| (end, ticket.number));
                        for (ticket, end) in due {
                            prop_assert!(line.no_end_before() <= at);
                            let (waiter, passed) = line.take_overdue(at).unwrap();
                            let limit = Duration::from_nanos(end.unwrap());
                            prop_assert_eq!((waiter.cost, passed.limit), (ticket.cost(), limit));
                            prop_assert_eq!(passed.waited, Duration::from_nanos(now));
                            model.retain(|(other, _)| *other != ticket);
                            overdue.push_back((ticket, end, now));
                        }
                        prop_assert!(line.take_overdue(at).is_none());
                    }
                    6 if !overdue.is_empty() => {
                        let (ticket, end, taken) = overdue.remove(index.index(overdue.len())).unwrap();
                        let collected = line.collect_overdue(ticket).unwrap();
                        prop_assert_eq!(collected.limit, Duration::from_nanos(end.unwrap()));
                        prop_assert_eq!(collected.waited, Duration::from_nanos(taken));
                        prop_assert!(line.collect_overdue(ticket).is_none());
                    }
                    _ => {}
                }
                let order: Vec<u32> = model.iter().map(|(ticket, _)| ticket.at()).collect();
                prop_assert_eq!(line.waiting.verified(&mut line.nodes), order);
                prop_assert!(model.iter().all(|(ticket, _)| line.is_waiting(*ticket)));
                prop_assert!(overdue.iter().all(|(ticket, ..)| !line.is_waiting(*ticket)));
                prop_assert_eq!(line.overdue as usize, overdue.len());
                let first = model.iter().filter_map(|(_, end)| *end).min();
                let first = first.map(|end| Nanos::ZERO.plus(Duration::from_nanos(end)));
                prop_assert!(first.is_none_or(|first| line.no_end_before() <= first));
                if cost % 2 == 0 {
                    prop_assert_eq!(line.first_end(), first);
                }
                prop_assert_eq!(line.units, model.iter().map(|(ticket, _)| u64::from(ticket.cost())).sum::<u64>());
                let first = Some(line.vacant).filter(|&at| at != NONE);
                let vacant: Vec<u32> = successors(first, |&at| line.nodes[at].links.next()).collect();
                prop_assert_eq!(line.nodes.len() as usize, model.len() + overdue.len() + vacant.len());
                prop_assert!(vacant.iter().all(|&at| line.nodes[at].waker.is_none()));
                prop_assert!(vacant.iter().all(|&at| line.nodes[at].number == NO_NUMBER));
                prop_assert!(vacant.iter().all(|&at| line.nodes[at].kept == Kept::Nowhere));
                prop_assert!(vacant.iter().all(|&at| !line.nodes[at].is_overdue));
                prop_assert_eq!(line.largest_cost(), model.iter().map(|(ticket, _)| ticket.cost()).max());
            }
        }
    }

    #[test]
    fn a_long_line_gives_its_memory_back_once_it_is_empty() {
        let mut line = Line::new(0);
        // Every end lies before that of the waiter in front.
        let end = |number: u32| Some(u64::from(100_000 - number));
        let join = |number| line.join(waiter(1, end(number)));
        let tickets: Vec<_> = (0..3 * CHUNK as u32).map(join).collect();
        assert_eq!(line.nodes.len() as usize, 3 * CHUNK);
        assert!(line.trim().is_none(), "there are waiters");
        line.advance().unwrap();
        for &ticket in &tickets[1..tickets.len() - 1] {
            line.leave(ticket);
        }
        let last = *tickets.last().unwrap();
        assert!(line.take_overdue(Nanos::NEVER).is_some());
        assert!(line.trim().is_none(), "one does not know yet that it was taken out");
        assert!(line.collect_overdue(last).is_some());
        assert!(line.trim().is_some());
        assert_eq!((line.nodes.len(), line.len()), (0, 0));
        let ticket = line.join(waiter(2, None));
        assert_eq!((ticket.number, line.len()), (3 * CHUNK as u64, 1));
    }

    #[test]
    fn the_ends_of_waiters_that_left_do_not_pile_up() {
        let mut line = Line::new(0);
        line.join(waiter(1, Some(1_000_000)));
        for number in 0..100_000 {
            let ticket = line.join(waiter(1, Some(999_999 - number)));
            line.leave(ticket);
        }
        assert!(line.ends.entries() < 200, "{}", line.ends.entries());
    }
}
