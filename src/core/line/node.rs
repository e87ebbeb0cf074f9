//! The place of one waiter in the line.

use std::{task::Waker, time::Duration};

use crate::core::{
    clock::Nanos,
    line::{
        ends::{ByEnd, HasEnd, Kept},
        list::{Linked, Links},
    },
};

/// The number in a vacant node.
pub(super) const NO_NUMBER: u64 = u64::MAX;

/// A waiter whose limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) waited: Duration,
    /// How long it was allowed to wait.
    pub(crate) limit: Duration,
    pub(crate) by_deadline: bool,
}

/// The storage of one waiter, or a vacant node. One cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Node {
    pub(super) number: u64,
    pub(super) since: Nanos,
    pub(super) end: Nanos,
    pub(super) waker: Option<Waker>,
    pub(super) links: Links,
    pub(super) by_end: Links,
    pub(super) cost: u32,
    pub(super) by_deadline: bool,
    pub(super) kept: Kept,
    /// Whether it was taken out because its limit had passed. Then its times are seen from that point.
    pub(super) is_overdue: bool,
}

impl Node {
    pub(super) const VACANT: Self = Self {
        number: NO_NUMBER,
        since: Nanos::NEVER,
        end: Nanos::NEVER,
        waker: None,
        links: Links::NONE,
        by_end: Links::NONE,
        cost: 0,
        by_deadline: false,
        kept: Kept::Nowhere,
        is_overdue: false,
    };

    pub(super) fn overdue(&self) -> Overdue {
        Overdue {
            waited: Nanos::ZERO.since(self.since),
            limit: self.end.since(self.since),
            by_deadline: self.by_deadline,
        }
    }
}

impl Linked for Node {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

impl Linked<ByEnd> for Node {
    fn links(&mut self) -> &mut Links {
        &mut self.by_end
    }
}

impl HasEnd for Node {
    fn end(&self) -> Nanos {
        self.end
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn kept(&self) -> Kept {
        self.kept
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_node_fits_into_a_cache_line() {
        assert!(size_of::<Node>() <= 64, "{}", size_of::<Node>());
    }
}
