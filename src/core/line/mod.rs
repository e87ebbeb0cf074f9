//! The waiting line: a strict FIFO queue of operations with costs.
//!
//! It owns the order of the waiters. It takes no lock, reads no clock, calls no waker and does not decide on
//! admission. The gate does all that, and moves wakers out of its lock before it wakes or drops them.
//!
//! Invariants, verified after every step in the tests:
//!
//! 1. `waiting` holds the waiters in the order of their arrival, which is the order of their numbers.
//! 2. `units` is the sum of their costs.
//! 3. `on_alarm` holds the waiters whose limit an alarm enforces, in the same order.
//! 4. All other nodes are vacant, and linked by `next` from `vacant`. They have no waker, are on no alarm,
//!    and their number is [`NO_NUMBER`].

mod list;

use std::{iter::successors, mem, task::Waker};

use tokio::time::Instant;

use crate::core::{
    arena::{Chunks, Spare},
    line::list::{Linked, Links, List, NONE},
};

/// Nodes in a chunk: 64 KiB of them.
const CHUNK: usize = 1024;

/// The number in a vacant node.
const NO_NUMBER: u64 = u64::MAX;

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

/// A waiter: the units it needs, since when it has waited, and its waker.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) cost: u32,
    pub(crate) since: Instant,
    pub(crate) waker: Option<Waker>,
}

/// The storage of one waiter, or a vacant node. One cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Node {
    number: u64,
    since: Instant,
    waker: Option<Waker>,
    cost: u32,
    links: Links,
    on_alarm: Links,
    is_on_alarm: bool,
}

impl Linked for Node {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

/// The lane of the waiters whose limit an alarm enforces.
#[derive(Debug)]
enum OnAlarm {}

impl Linked<OnAlarm> for Node {
    fn links(&mut self) -> &mut Links {
        &mut self.on_alarm
    }
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
    on_alarm: List<OnAlarm>,
    units: u64,
    next: u64,
    nodes: Chunks<Node, CHUNK>,
}

impl Line {
    /// Creates an empty line whose first waiter will have this number.
    pub(crate) fn new(next: u64) -> Self {
        let (nodes, waiting, on_alarm) = (Chunks::new(), List::new(), List::new());
        Self { nodes, vacant: NONE, waiting, on_alarm, units: 0, head_cost: 0, next }
    }

    /// Returns the number of waiters.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.waiting.len()
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
        let (number, Waiter { cost, since, waker }) = (self.next, waiter);
        self.next += 1;
        self.units += u64::from(cost);
        if self.waiting.len() == 0 {
            self.head_cost = cost;
        }
        if self.vacant == NONE {
            self.add_node(since);
        }
        let at = self.vacant;
        let links = self.waiting.append(&mut self.nodes, at);
        let node = &mut self.nodes[at];
        self.vacant = node.links.next;
        // Field by field: a node that is built and then moved is read back before its stores have reached the
        // cache.
        node.number = number;
        node.since = since;
        node.waker = waker;
        node.cost = cost;
        node.links = links;
        Ticket::new(number, cost, at)
    }

    /// Removes the waiter at the head. Returns it with its number.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<(u64, Waiter)> {
        let at = self.waiting.head()?;
        Some(self.remove(at))
    }

    /// Removes a waiter from anywhere in the line.
    ///
    /// # Panics
    ///
    /// If the waiter is not in the line. Nothing has changed then.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Waiter {
        let number = self.nodes[ticket.at()].number;
        assert_eq!(number, ticket.number, "a waiter that leaves is in the line");
        self.remove(ticket.at()).1
    }

    /// Whether this waiter's waker wakes the same task as `waker`.
    pub(crate) fn wakes(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.nodes[ticket.at()].waker.as_ref().is_some_and(|own| own.will_wake(waker))
    }

    /// Sets the waker of this waiter. Returns the previous one.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.nodes[ticket.at()].waker.replace(waker)
    }

    /// Leaves the limit of this waiter to the alarm. Returns `false`, and does nothing, if a later waiter is
    /// on the alarm already.
    pub(crate) fn put_on_alarm(&mut self, ticket: Ticket) -> bool {
        let last = self.on_alarm.tail().map(|at| self.nodes[at].number);
        let is_last = last.is_none_or(|number| number < ticket.number);
        if is_last {
            let on_alarm = self.on_alarm.append(&mut self.nodes, ticket.at());
            let node = &mut self.nodes[ticket.at()];
            (node.on_alarm, node.is_on_alarm) = (on_alarm, true);
        }
        is_last
    }

    /// Whether the alarm enforces the limit of this waiter.
    pub(crate) fn is_on_alarm(&self, ticket: Ticket) -> bool {
        self.nodes[ticket.at()].is_on_alarm
    }

    /// Takes this waiter off the alarm: it enforces its limit itself from now on.
    pub(crate) fn take_off_alarm(&mut self, ticket: Ticket) {
        let node = &mut self.nodes[ticket.at()];
        node.is_on_alarm = false;
        let on_alarm = node.on_alarm;
        self.on_alarm.close_gap(&mut self.nodes, on_alarm);
    }

    /// Returns since when the first waiter on the alarm has waited.
    pub(crate) fn first_on_alarm_since(&self) -> Option<Instant> {
        self.on_alarm.head().map(|at| self.nodes[at].since)
    }

    /// Takes the first waiter off the alarm. Takes out and returns its waker.
    pub(crate) fn take_first_off_alarm(&mut self) -> Option<Waker> {
        let node = &mut self.nodes[self.on_alarm.head()?];
        node.is_on_alarm = false;
        let (on_alarm, waker) = (node.on_alarm, node.waker.take());
        self.on_alarm.close_gap(&mut self.nodes, on_alarm);
        waker
    }

    /// Takes out the memory left over from a burst, if the line is empty.
    pub(crate) fn trim(&mut self) -> Option<Spare<Node>> {
        if self.waiting.len() > 0 {
            return None;
        }
        let spare = self.nodes.trim()?;
        self.vacant = NONE;
        Some(spare)
    }

    /// Adds a vacant node.
    #[cold]
    fn add_node(&mut self, since: Instant) {
        let at = self.nodes.len();
        let (links, on_alarm) = (Links::NONE, Links::NONE);
        let (number, waker, cost, is_on_alarm) = (NO_NUMBER, None, 0, false);
        self.nodes.push(Node { number, since, waker, cost, links, on_alarm, is_on_alarm });
        self.vacant = at;
    }

    #[inline]
    fn remove(&mut self, at: u32) -> (u64, Waiter) {
        let node = &mut self.nodes[at];
        let Node { number, since, cost, links, on_alarm, .. } = *node;
        let waker = node.waker.take();
        let is_on_alarm = mem::take(&mut node.is_on_alarm);
        node.number = NO_NUMBER;
        node.links.next = mem::replace(&mut self.vacant, at);
        if is_on_alarm {
            self.on_alarm.close_gap(&mut self.nodes, on_alarm);
        }
        self.waiting.close_gap(&mut self.nodes, links);
        self.units -= u64::from(cost);
        self.head_cost = self.waiting.head().map_or(0, |head| self.nodes[head].cost);
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
        fn the_line_is_fifo_and_a_waiter_may_leave_from_anywhere(
            steps in proptest::collection::vec((0u8..6, any::<prop::sample::Index>(), 1u32..9), 1..300)
        ) {
            let mut line = Line::new(7);
            let mut model: VecDeque<Ticket> = VecDeque::new();
            let mut on_alarm: VecDeque<Ticket> = VecDeque::new();
            for (step, index, cost) in steps {
                match step {
                    0 | 1 => {
                        let ticket = line.join(waiter(cost));
                        prop_assert!(model.iter().all(|earlier| earlier.number < ticket.number));
                        model.push_back(ticket);
                        if cost % 2 == 0 {
                            prop_assert!(line.put_on_alarm(ticket));
                            on_alarm.push_back(ticket);
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
                    4 if cost % 2 == 0 && !on_alarm.is_empty() => {
                        let ticket = on_alarm.remove(index.index(on_alarm.len())).unwrap();
                        line.take_off_alarm(ticket);
                    }
                    4 => {
                        line.take_first_off_alarm();
                        on_alarm.pop_front();
                    }
                    _ => {}
                }
                let order: Vec<u32> = model.iter().map(|ticket| ticket.at()).collect();
                prop_assert_eq!(line.waiting.verified(&mut line.nodes), order);
                on_alarm.retain(|ticket| model.contains(ticket));
                let order: Vec<u32> = on_alarm.iter().map(|ticket| ticket.at()).collect();
                prop_assert_eq!(line.on_alarm.verified(&mut line.nodes), order);
                prop_assert!(model.iter().all(|ticket| line.is_on_alarm(*ticket) == on_alarm.contains(ticket)));
                prop_assert_eq!(line.units, model.iter().map(|ticket| u64::from(ticket.cost())).sum::<u64>());
                let first = Some(line.vacant).filter(|&at| at != NONE);
                let vacant: Vec<u32> = successors(first, |&at| line.nodes[at].links.next()).collect();
                prop_assert_eq!(line.nodes.len() as usize, model.len() + vacant.len());
                prop_assert!(vacant.iter().all(|&at| !model.iter().any(|ticket| ticket.at() == at)));
                prop_assert!(vacant.iter().all(|&at| line.nodes[at].waker.is_none()));
                prop_assert!(vacant.iter().all(|&at| line.nodes[at].number == NO_NUMBER));
                prop_assert!(vacant.iter().all(|&at| !line.nodes[at].is_on_alarm));
                prop_assert_eq!(line.largest_cost(), model.iter().map(|ticket| ticket.cost()).max());
            }
        }
    }

    #[test]
    fn a_long_line_gives_its_memory_back_once_it_is_empty() {
        let mut line = Line::new(0);
        let tickets: Vec<_> = (0..3 * CHUNK as u32).map(|_| line.join(waiter(1))).collect();
        assert_eq!(line.nodes.len() as usize, 3 * CHUNK);
        assert!(line.trim().is_none(), "there are waiters");
        line.advance().unwrap();
        for &ticket in &tickets[1..] {
            line.leave(ticket);
        }
        assert!(line.trim().is_some());
        assert_eq!((line.nodes.len(), line.len()), (0, 0));
        let ticket = line.join(waiter(2));
        assert_eq!((ticket.number, line.len()), (3 * CHUNK as u64, 1));
    }

    #[test]
    fn a_node_fits_into_a_cache_line() {
        assert!(size_of::<Node>() <= 64, "{}", size_of::<Node>());
    }
}
