//! The effects of a locked section, carried out after unlocking: wake tasks, deliver events, free memory.
//!
//! It owns the collected wakers, changes and memory, and the order in which they are dealt with. A locked
//! section never runs user code: it collects here, and the method that took the lock carries the effects out
//! after unlocking. It does not own the subscribers, which are behind [`EventSink`].

use std::{
    task::Waker,
    time::{Duration, SystemTime},
};

use crate::{
    core::{
        gate::{
            lifecycle::{MilestoneLines, Phase},
            reconfiguring::GateSettings,
            standing::StandingLine,
            state::LazyState,
            trace::Notice,
            waking::wake,
        },
        limits::alarm_state::AlarmState,
        line::SpareLine,
    },
    sync::{Arc, did_panic},
};

/// What happened to a bulkhead or to one of its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// An operation was admitted, at once or after waiting.
    Admitted,
    /// An operation joined the waiting line.
    Queued,
    /// An operation was rejected because it could neither be admitted at once nor wait.
    Saturated,
    /// An operation's wait limit or deadline passed, while it waited or before it arrived.
    Expired,
    /// A waiter was dropped before it was admitted.
    Cancelled,
    /// An admitted operation returned its units without having started.
    Abandoned,
    /// An operation ended and returned its units.
    Released,
    /// The capacity was changed by `resize`.
    Resized,
    /// Settings were changed by `reconfigure`.
    Reconfigured,
    /// The bulkhead was paused.
    Paused,
    /// The bulkhead was resumed.
    Resumed,
    /// The bulkhead began to drain, which also ends a pause: newcomers are rejected, and those in line are served. It is
    /// closed once nobody waits.
    Draining,
    /// The bulkhead was closed, or has served its line since it began to drain.
    Closed,
    /// An operation was rejected because the bulkhead is closed or draining.
    ClosedRejection,
    /// An operation was rejected because the bulkhead is paused.
    PausedRejection,
    /// The bulkhead is closed and its last operation has ended.
    Drained,
}

impl EventKind {
    /// Returns the name of the kind, as metrics and logs use it. It is stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Queued => "queued",
            Self::Saturated => "saturated",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
            Self::Released => "released",
            Self::Resized => "resized",
            Self::Reconfigured => "reconfigured",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::ClosedRejection => "closed_rejection",
            Self::PausedRejection => "paused_rejection",
            Self::Drained => "drained",
        }
    }
}

/// A change of a gate, with the state right after it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) kind: EventKind,
    pub(crate) sequence: u64,
    pub(crate) occurred_at: SystemTime,
    pub(crate) settings: GateSettings,
    pub(crate) used: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    pub(crate) phase: Phase,
    pub(crate) cost: Option<u32>,
    pub(crate) from_queue: bool,
    pub(crate) waited: Option<Duration>,
    pub(crate) affected_waiters: u32,
    /// The settings before the change, if it is one of settings.
    pub(crate) previous: Option<GateSettings>,
}

/// Receives the changes of a gate: all handlers that are subscribed at one instant.
pub(crate) trait EventSink: Send + Sync + std::fmt::Debug {
    /// Enqueues `changes`, which are in causal order, for delivery before any that this thread causes later.
    fn post(self: Arc<Self>, changes: Vec<Change>);

    /// Delivers what this thread has posted and not delivered yet.
    fn deliver(&self);
}

/// A shared [`EventSink`].
pub(crate) type SharedSink = Arc<dyn EventSink>;

/// What a locked section leaves to do. Small, because every section creates one and most leave nothing.
#[derive(Debug, Default)]
#[must_use = "wakers must be woken and events delivered"]
pub(crate) struct Effects {
    /// The first waker to wake.
    first: Option<Waker>,
    /// A waker to drop without waking it.
    retired: Option<Waker>,
    more: Option<Box<MoreEffects>>,
    /// Dropped last.
    pub(in crate::core) spare_lazy: Option<Box<LazyState>>,
}

/// What only few sections leave to do.
#[derive(Debug, Default)]
struct MoreEffects {
    woken: Vec<Waker>,
    retired: Vec<Waker>,
    events: Option<(SharedSink, Vec<Change>)>,
    notices: Vec<Notice>,
    _spare_line: Option<SpareLine>,
    _spare_milestones: Option<Box<MilestoneLines>>,
    _spare_standing: Option<Box<StandingLine>>,
    _spare_alarm: Option<AlarmState>,
}

impl Effects {
    /// After unlocking, wakes this waker.
    #[inline]
    pub(in crate::core) fn wake(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.more().woken.push(waker),
        }
    }

    /// After unlocking, drops a waker that is no longer needed: its drop runs user code.
    #[inline]
    pub(in crate::core) fn retire(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.retired {
            None => self.retired = Some(waker),
            Some(_) => self.more().retired.push(waker),
        }
    }

    /// After unlocking, frees memory that a line no longer needs.
    pub(in crate::core) fn free(&mut self, spare: SpareLine) {
        self.more()._spare_line = Some(spare);
    }

    /// After unlocking, frees lines that nobody waits in.
    pub(in crate::core) fn free_milestones(&mut self, unused: Box<MilestoneLines>) {
        self.more()._spare_milestones = Some(unused);
    }

    /// After unlocking, frees the list of those who stood in front of the gate.
    pub(in crate::core) fn free_standing(&mut self, unused: Option<Box<StandingLine>>) {
        if unused.is_some() {
            self.more()._spare_standing = unused;
        }
    }

    /// After unlocking, drops an alarm, which tells its runtime.
    pub(in crate::core) fn free_alarm(&mut self, idle: AlarmState) {
        self.more()._spare_alarm = Some(idle);
    }

    /// After unlocking, sends this change to `sink`.
    pub(in crate::core) fn notify(&mut self, sink: &SharedSink, change: Change) {
        match &mut self.more().events {
            Some((_, changes)) => changes.push(change),
            events => *events = Some((sink.clone(), vec![change])),
        }
    }

    /// After unlocking, tells this.
    pub(in crate::core) fn tell(&mut self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            self.more().notices.push(notice);
        }
    }

    /// Carries out the effects. A waker that panics does not keep the others from being woken.
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
        let Self { first, retired, more, spare_lazy: _spare_lazy } = self;
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
        let Self {
            woken,
            retired: also_retired,
            events,
            notices,
            _spare_line,
            _spare_milestones,
            _spare_standing,
            _spare_alarm,
        } = self;
        // Posted before any waker is woken, because a waker may run its task on the spot, and the changes
        // that causes come later. Delivered after waking, because a handler may be slow.
        let sink = events.map(|(sink, changes)| {
            sink.clone().post(changes);
            sink
        });
        first.into_iter().chain(woken).for_each(wake);
        retired.into_iter().chain(also_retired).for_each(retire);
        for notice in notices {
            notice.tell_caught();
        }
        if let Some(sink) = sink {
            sink.deliver();
            // The last reference to a sink drops its handlers, which runs user code.
            did_panic(|| drop(sink));
        }
    }
}

/// Drops a waker and catches its panic.
fn retire(waker: Waker) {
    did_panic(|| drop(waker));
}
