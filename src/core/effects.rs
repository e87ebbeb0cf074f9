//! What is left to do once the lock is released: wake tasks, tell handlers, free memory.
//!
//! A locked section never runs code of others. It collects wakers and changes here, and whoever
//! called the gate carries them out after unlocking.

use std::{
    task::Waker,
    time::{Duration, SystemTime},
};

use super::{arena::Spare, line::Place, section::Rare};
use crate::sync::{Arc, panics};

/// What happened to a bulkhead or to one of its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// An operation was admitted, at once or from the line.
    Admitted,
    /// An operation joined the line.
    Queued,
    /// An operation was rejected: no free slot and no place to wait.
    Saturated,
    /// A wait limit or deadline passed, in the line or before it.
    Expired,
    /// A waiter was dropped before its admission.
    Cancelled,
    /// An admitted operation gave its units back without having started.
    Abandoned,
    /// An operation ended and gave its units back.
    Released,
    /// The capacity was changed.
    Resized,
    /// The bulkhead was closed.
    Closed,
    /// An operation was rejected because the bulkhead is closed.
    ClosedRejection,
    /// The bulkhead is closed and its last operation has ended.
    Drained,
}

/// One change of a gate, with the state it left behind.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) kind: EventKind,
    pub(crate) sequence: u64,
    pub(crate) occurred_at: SystemTime,
    pub(crate) capacity: u32,
    pub(crate) used: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    pub(crate) is_closed: bool,
    pub(crate) cost: Option<u32>,
    pub(crate) from_queue: bool,
    pub(crate) waited: Option<Duration>,
    pub(crate) affected_waiters: u32,
    pub(crate) previous_capacity: Option<u32>,
}

/// Who is told of changes, as a gate holds it: everybody subscribed at one instant.
pub(crate) trait Audience: Send + Sync + std::fmt::Debug {
    /// Takes `changes`, which are in causal order, to be told before any that this thread causes
    /// later.
    fn post(self: Arc<Self>, changes: Vec<Change>);

    /// Tells what this thread has posted and not told yet.
    fn deliver(&self);
}

/// A shared audience.
pub(crate) type SharedAudience = Arc<dyn Audience>;

/// The remainder of a locked section.
#[derive(Debug, Default)]
#[must_use = "tasks wait to be woken and handlers to be told"]
pub(crate) struct Effects {
    first: Option<Waker>,
    rest: Vec<Waker>,
    /// Dropped without being woken.
    retired: Option<Waker>,
    news: Option<(SharedAudience, Vec<Change>)>,
    /// Freed last, by being dropped.
    pub(super) spare_line: Option<Spare<Place>>,
    pub(super) spare_rare: Option<Box<Rare>>,
}

impl Effects {
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.rest.push(waker),
        }
    }

    /// A waker that nobody needs any more.
    pub(super) fn retire(&mut self, waker: Option<Waker>) {
        debug_assert!(self.retired.is_none(), "a section retires one waker");
        self.retired = waker;
    }

    pub(super) fn tell(&mut self, audience: &SharedAudience, change: Change) {
        match &mut self.news {
            Some((_, changes)) => changes.push(change),
            None => self.news = Some((audience.clone(), vec![change])),
        }
    }

    /// Wakes and tells. A waker that panics does not keep the others from being woken.
    pub(crate) fn carry_out(self) {
        let Self { first, rest, retired, news, spare_line: _spare_line, spare_rare: _spare_rare } =
            self;
        // Posted before anybody is woken, because a waker may run its task on the spot, and what that
        // causes comes later. Delivered after, because a handler may take its time.
        let audience = news.map(|(audience, changes)| {
            audience.clone().post(changes);
            audience
        });
        for waker in first.into_iter().chain(rest) {
            // Passing a panic on would abort the process where this runs in a drop, and hide the
            // waiters behind this one.
            panics(|| waker.wake());
        }
        if let Some(waker) = retired {
            panics(|| drop(waker));
        }
        if let Some(audience) = audience {
            audience.deliver();
        }
    }
}
