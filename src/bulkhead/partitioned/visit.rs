//! `Visit`: goes through all entries of a shard, a block at a time, while others come and go.
//!
//! It owns how far each visit has come. It goes down from the last entry, because new ones are appended. An entry that
//! is there all along is visited exactly once; one that comes meanwhile is not visited.

use std::ops::Range;

use super::shard::{BLOCK, Shard, ShardState};
use crate::{
    bulkhead::compartment::Compartment,
    sync::{Arc, unique_number},
};

/// How far a visit has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) visitor: Visitor,
    /// The entries below this are still to be visited.
    pub(super) end: u32,
}

/// Who visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// The status in progress. There is one at a time.
    Status,
    Numbered(u64),
}

impl Visitor {
    pub(super) fn new() -> Self {
        Self::Numbered(unique_number())
    }
}

impl Progress {
    /// Whether this is a status that has counted the entry at this index.
    pub(super) fn has_counted(&self, at: u32) -> bool {
        self.visitor == Visitor::Status && at >= self.end
    }
}

/// A visit in progress. Ends when it is dropped.
pub(super) struct Visit<'a, K> {
    shard: &'a Shard<K>,
    visitor: Visitor,
}

impl<K> Shard<K> {
    pub(super) fn begin(&self, visitor: Visitor) -> Visit<'_, K> {
        let mut state = self.lock();
        let end = state.entries.len();
        state.visits.push(Progress { visitor, end });
        Visit { shard: self, visitor }
    }
}

impl<K> Visit<'_, K> {
    /// Returns what `read` makes of the next block, or `None` past the last one. `read` runs under the lock.
    pub(super) fn next<T>(
        &mut self,
        read: impl FnOnce(&ShardState<K>, Range<u32>) -> T,
    ) -> Option<T> {
        let mut state = self.shard.lock();
        let of_this = |progress: &Progress| progress.visitor == self.visitor;
        let at = state.visits.iter().position(of_this).expect("the visit has begun");
        let end = state.visits[at].end;
        if end == 0 {
            return None;
        }
        let first = end.saturating_sub(BLOCK as u32);
        let value = read(&state, first..end);
        state.visits[at].end = first;
        Some(value)
    }

    /// Returns the partitions in the next block.
    pub(super) fn partitions(&mut self) -> Option<Vec<Arc<Compartment>>> {
        self.next(|state, block| block.map(|at| state.entries[at].compartment.clone()).collect())
    }

    /// Returns the keys and partitions in the next block. Keys are cloned under the lock.
    pub(super) fn keys_and_partitions(&mut self) -> Option<Vec<(K, Arc<Compartment>)>>
    where
        K: Clone,
    {
        // Outside the lock: if a clone panics, those before it are dropped after the lock is released.
        let mut found = Vec::with_capacity(BLOCK);
        self.next(|state, block| {
            let entries = block.map(|at| &state.entries[at]);
            found.extend(entries.map(|entry| (entry.key.clone(), entry.compartment.clone())));
        })?;
        Some(found)
    }
}

impl<K> Drop for Visit<'_, K> {
    fn drop(&mut self) {
        self.shard.lock().visits.retain(|visit| visit.visitor != self.visitor);
    }
}
