//! When the waits of a line end, if their limits pass first.
//!
//! It owns the order of the ends. Waiters with the same limit join in the order of their ends, and are kept in a list: adding
//! and removing one is O(1). One whose end lies before that of an earlier waiter is kept in a heap: adding is O(log n), and
//! removing leaves an entry behind, which is dropped when it is found, or once there are more such entries than others.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    mem,
    ops::{Index, IndexMut},
};

use crate::core::{
    clock::Nanos,
    line::list::{Linked, Links, List},
};

/// When a wait ends, and which limit ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: Nanos,
    pub(crate) by_deadline: bool,
}

impl End {
    /// No limit ends it.
    pub(crate) const NONE: Self = Self { at: Nanos::NEVER, by_deadline: false };
}

/// Where the end of a waiter is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nowhere,
    InOrder,
    InHeap,
}

/// A place that has an end.
pub(super) trait HasEnd: Linked<ByEnd> {
    fn end(&self) -> Nanos;

    fn number(&self) -> u64;

    fn kept(&self) -> Kept;
}

/// The lane of the waiters in the list.
#[derive(Debug)]
pub(super) enum ByEnd {}

type Entry = Reverse<(Nanos, u64, u32)>;

#[derive(Debug)]
pub(super) struct Ends {
    /// No end is earlier. The earliest may be later, because a waiter that leaves does not change it.
    not_before: Nanos,
    in_order: List<ByEnd>,
    /// How many entries of the heap are of waiters in the line.
    in_heap: u32,
    heap: BinaryHeap<Entry>,
}

/// Stale entries that are not worth a look.
const FEW: usize = 64;

impl Ends {
    pub(super) const fn new() -> Self {
        let (not_before, in_order) = (Nanos::NEVER, List::new());
        Self { not_before, in_order, in_heap: 0, heap: BinaryHeap::new() }
    }

    /// Returns a time that no end lies before.
    #[inline]
    pub(super) fn not_before(&self) -> Nanos {
        self.not_before
    }

    /// Adds the waiter at this place. Returns where its end is kept, and its links.
    #[inline]
    pub(super) fn add<T: HasEnd>(
        &mut self,
        nodes: &mut impl IndexMut<u32, Output = T>,
        at: u32,
        number: u64,
        end: Nanos,
    ) -> (Kept, Links) {
        self.not_before = self.not_before.min(end);
        if self.in_order.tail().is_none_or(|last| nodes[last].end() <= end) {
            return (Kept::InOrder, self.in_order.append(nodes, at));
        }
        self.push(nodes, Reverse((end, number, at)));
        (Kept::InHeap, Links::NONE)
    }

    /// Removes a waiter whose end is kept like this and which has these links.
    #[inline]
    pub(super) fn remove<T: HasEnd>(
        &mut self,
        nodes: &mut impl IndexMut<u32, Output = T>,
        kept: Kept,
        links: Links,
    ) {
        match kept {
            Kept::Nowhere => {}
            Kept::InOrder => self.in_order.close_gap(nodes, links),
            Kept::InHeap => self.in_heap -= 1,
        }
    }

    /// Returns the earliest end and the place of its waiter: of several, the one that joined first.
    pub(super) fn first<T: HasEnd>(
        &mut self,
        nodes: &impl Index<u32, Output = T>,
    ) -> Option<(Nanos, u32)> {
        while let Some(Reverse(entry)) = self.heap.peek() {
            if self.in_heap > 0 && is_current(nodes, entry) {
                break;
            }
            self.heap.pop();
        }
        let of_list = self.in_order.head().map(|at| (nodes[at].end(), nodes[at].number(), at));
        let of_heap = self.heap.peek().map(|&Reverse(entry)| entry);
        let first = [of_list, of_heap].into_iter().flatten().min();
        self.not_before = first.map_or(Nanos::NEVER, |(end, ..)| end);
        first.map(|(end, _, at)| (end, at))
    }

    /// Forgets the entries that are left over in an empty line. Takes out the memory of a burst.
    pub(super) fn trim(&mut self) -> Option<SpareEnds> {
        self.not_before = Nanos::NEVER;
        if self.heap.capacity() > 16 * FEW {
            return Some(SpareEnds { _heap: mem::take(&mut self.heap) });
        }
        self.heap.clear();
        None
    }

    #[cfg(all(test, not(bulklink_loom)))]
    pub(super) fn entries(&self) -> usize {
        self.heap.len()
    }

    #[cold]
    fn push<T: HasEnd>(&mut self, nodes: &mut impl IndexMut<u32, Output = T>, entry: Entry) {
        if self.heap.len() > 2 * self.in_heap as usize + FEW {
            self.heap.retain(|Reverse(entry)| is_current(nodes, entry));
        }
        self.in_heap += 1;
        self.heap.push(entry);
    }
}

/// Whether an entry of the heap is of a waiter that is still in the line.
fn is_current<T: HasEnd>(
    nodes: &impl Index<u32, Output = T>,
    &(_, number, at): &(Nanos, u64, u32),
) -> bool {
    nodes[at].number() == number && nodes[at].kept() == Kept::InHeap
}

/// The unused memory of a line's ends, freed on drop.
#[derive(Debug)]
pub(super) struct SpareEnds {
    _heap: BinaryHeap<Entry>,
}
