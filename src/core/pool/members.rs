//! The members of a pool: what each holds, waits for and has used.
//!
//! It owns their numbers and their levels. What changes them is up to `rules`.

use super::wheel::{Linked, Links};

/// The largest weight.
pub(crate) const MAX_WEIGHT: u32 = 64;

/// What the members of a pool compete with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// How much seat time a member gets, in proportion to that of others. At least 1 and at most [`MAX_WEIGHT`].
    pub(crate) weight: u32,
    /// Seats that it gets before others do.
    pub(crate) guaranteed: u32,
}

impl Share {
    pub(crate) const EVEN: Self = Self { weight: 1, guaranteed: 0 };
}

/// The members by number.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(super) struct Members {
    pub(super) all: Vec<Member>,
    /// The numbers that are free.
    pub(super) free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Puts the member level with those it met. In ticks.
    pub(super) base: u64,
    /// Its seat time under pressure since, in ticks.
    pub(super) attained: u64,
    /// The pressure in ticks up to which `attained` is counted.
    pub(super) seen: u64,
    /// As `attained`, since it has been a member.
    pub(super) seat_time: u64,
    pub(super) held: u32,
    pub(super) waiting: u32,
    pub(super) parallelism: u32,
    pub(super) share: Share,
    pub(super) is_paused: bool,
    /// Whether newcomers of it are admitted.
    pub(super) is_open: bool,
    /// What the gate has not seen.
    pub(super) admitted: u32,
    pub(super) most: u32,
    pub(super) order: Option<Order>,
    pub(super) links: Links,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Guaranteed = 0,
    Rest = 1,
}

impl Linked for Members {
    #[inline]
    fn links(&mut self, member: u32) -> &mut Links {
        &mut self.all[member as usize].links
    }
}

impl Member {
    pub(super) fn order(&self) -> Option<Order> {
        if self.waiting == 0 || self.held >= self.parallelism || self.is_paused {
            None
        } else if self.held < self.share.guaranteed {
            Some(Order::Guaranteed)
        } else {
            Some(Order::Rest)
        }
    }

    /// Its seat time by weight, level with those it met.
    pub(super) fn settled(&self) -> u64 {
        self.base + self.attained / u64::from(self.share.weight)
    }

    /// Its level, if every seat that it holds is charged with a typical seat time.
    pub(super) fn rank(&self, typical: u64) -> u64 {
        self.settled() + u64::from(self.held) * typical / u64::from(self.share.weight)
    }
}
