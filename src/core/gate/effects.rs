//! What is left to do once the lock is released: wake tasks, tell handlers, free memory.
//!
//! A locked section never runs code of others. It collects wakers and changes here, and whoever
//! called the gate carries them out after unlocking.

use std::{
    task::Waker,
    time::{Duration, SystemTime},
};

use crate::{
    core::{arena::Spare, gate::state::LazyState, line::Node},
    sync::{Arc, did_panic},
};

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
pub(crate) trait EventSink: Send + Sync + std::fmt::Debug {
    /// Takes `changes`, which are in causal order, to be told before any that this thread causes
    /// later.
    fn post(self: Arc<Self>, changes: Vec<Change>);

    /// Tells what this thread has posted and not told yet.
    fn deliver(&self);
}

/// A shared audience.
pub(crate) type SharedSink = Arc<dyn EventSink>;

/// The remainder of a locked section. Small, because every section makes one and most leave nothing.
#[derive(Debug, Default)]
#[must_use = "tasks wait to be woken and handlers to be told"]
pub(crate) struct Effects {
    first: Option<Waker>,
    /// Dropped without being woken.
    retired: Option<Waker>,
    more: Option<Box<MoreEffects>>,
    /// Freed last, by being dropped.
    pub(in crate::core) spare_lazy: Option<Box<LazyState>>,
}

/// What few sections leave to do.
#[derive(Debug, Default)]
struct MoreEffects {
    woken: Vec<Waker>,
    retired: Vec<Waker>,
    news: Option<(SharedSink, Vec<Change>)>,
    _spare_line: Option<Spare<Node>>,
}

impl Effects {
    #[inline]
    pub(in crate::core) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.more().woken.push(waker),
        }
    }

    /// A waker that nobody needs any more.
    #[inline]
    pub(in crate::core) fn retire(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.retired {
            None => self.retired = Some(waker),
            Some(_) => self.more().retired.push(waker),
        }
    }

    /// Memory that a line no longer needs.
    pub(in crate::core) fn free(&mut self, spare: Spare<Node>) {
        self.more()._spare_line = Some(spare);
    }

    pub(in crate::core) fn tell(&mut self, sink: &SharedSink, change: Change) {
        match &mut self.more().news {
            Some((_, changes)) => changes.push(change),
            news => *news = Some((sink.clone(), vec![change])),
        }
    }

    /// Wakes and tells. A waker that panics does not keep the others from being woken.
    #[inline]
    pub(crate) fn carry_out(self) {
        match self {
            Self { first: None, retired: None, more: None, spare_lazy: None } => {}
            Self { first: Some(waker), retired: None, more: None, spare_lazy: None } => wake(waker),
            some => some.carry_out_some(),
        }
    }

    #[cold]
    fn carry_out_some(self) {
        let Self { first, retired, more, spare_lazy: _spare_rare } = self;
        match more {
            Some(more) => more.carry_out(first, retired),
            None => {
                first.into_iter().for_each(wake);
                retired.into_iter().for_each(retire);
            }
        }
    }

    #[cold]
    fn more(&mut self) -> &mut MoreEffects {
        self.more.get_or_insert_default()
    }
}

impl MoreEffects {
    #[cold]
    fn carry_out(self, first: Option<Waker>, retired: Option<Waker>) {
        let Self { woken, retired: also_retired, news, _spare_line } = self;
        // Posted before anybody is woken, because a waker may run its task on the spot, and what that
        // causes comes later. Delivered after, because a handler may take its time.
        let sink = news.map(|(sink, changes)| {
            sink.clone().post(changes);
            sink
        });
        first.into_iter().chain(woken).for_each(wake);
        retired.into_iter().chain(also_retired).for_each(retire);
        if let Some(sink) = sink {
            sink.deliver();
            // The last to hold an audience drops its handlers, which are code of others.
            did_panic(|| drop(sink));
        }
    }
}

/// Passing a panic on would abort the process where this runs in a drop, and hide the waiters behind
/// this one.
fn wake(waker: Waker) {
    did_panic(|| waker.wake());
}

fn retire(waker: Waker) {
    did_panic(|| drop(waker));
}
