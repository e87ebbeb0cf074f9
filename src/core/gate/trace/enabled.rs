//! The seam with feature `tracing`: events and spans of target `bulklink`.
//!
//! | level | what |
//! |---|---|
//! | warn | operations have been waiting for a second without a break |
//! | info | that is over; paused, resumed, draining, closed, drained, resized or reconfigured |
//! | debug | each rejection; a span for each wait |
//!
//! A subscriber is foreign code. It is called under no lock.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{Span, debug, field, info, warn};

use crate::{
    core::{
        gate::{
            effects::{Change, EventKind},
            reconfiguring::GateSettings,
        },
        rejection::Rejection,
    },
    sync::{Arc, did_panic},
};

/// Pressure is told once it has lasted for this long.
const LASTING: Duration = Duration::from_secs(1);

/// The least time between two periods of pressure that are told.
const SPACING: Duration = Duration::from_secs(10);

/// Something to tell once the lock is released.
#[derive(Debug)]
pub(crate) struct Notice {
    label: Arc<str>,
    what: What,
}

#[derive(Debug)]
enum What {
    UnderPressure {
        since: Duration,
        used: u32,
        capacity: u32,
        waiting: u32,
        left_out: u64,
    },
    Relieved {
        after: Duration,
    },
    Paused {
        waiting: u32,
    },
    Resumed {
        waiting: u32,
    },
    Draining {
        waiting: u32,
    },
    Closed {
        in_flight: u32,
        rejected: u32,
    },
    /// A bulkhead with partitions.
    Partitions(EventKind),
    Drained,
    Reconfigured {
        from: GateSettings,
        to: GateSettings,
    },
}

impl Notice {
    /// Returns what to tell of a change, if it is one that is told.
    pub(crate) fn of_change(label: &Arc<str>, change: &Change) -> Option<Self> {
        let what = match change.kind {
            EventKind::Paused => What::Paused { waiting: change.waiting },
            EventKind::Resumed => What::Resumed { waiting: change.waiting },
            EventKind::Draining => What::Draining { waiting: change.waiting },
            EventKind::Closed => {
                What::Closed { in_flight: change.in_flight, rejected: change.affected_waiters }
            }
            EventKind::Drained => What::Drained,
            EventKind::Resized | EventKind::Reconfigured => {
                What::Reconfigured { from: change.previous?, to: change.settings }
            }
            _ => return None,
        };
        Some(Self { label: label.clone(), what })
    }

    /// Returns what to tell of a change of all partitions of a bulkhead.
    pub(crate) fn of_partitions(label: &Arc<str>, kind: EventKind) -> Option<Self> {
        Some(Self { label: label.clone(), what: What::Partitions(kind) })
    }

    /// Tells the subscriber, whose panic concerns nobody else.
    #[cold]
    pub(crate) fn tell_caught(self) {
        did_panic(|| self.tell());
    }

    fn tell(self) {
        let bulkhead = &*self.label;
        match self.what {
            What::UnderPressure { since, used, capacity, waiting, left_out } => {
                warn!(
                    target: "bulklink",
                    bulkhead, used, capacity, waiting,
                    since_ms = milliseconds(since),
                    left_out,
                    "bulkhead under pressure: operations have been waiting for {since:.1?}",
                );
            }
            What::Relieved { after } => info!(
                target: "bulklink",
                bulkhead,
                after_ms = milliseconds(after),
                "bulkhead relieved: no operation waits any more, after {after:.1?}",
            ),
            What::Paused { waiting } => info!(
                target: "bulklink",
                bulkhead, waiting,
                "bulkhead paused: {waiting} operations wait until it is resumed",
            ),
            What::Resumed { waiting } => info!(
                target: "bulklink",
                bulkhead, waiting,
                "bulkhead resumed with {waiting} operations waiting",
            ),
            What::Draining { waiting } => info!(
                target: "bulklink",
                bulkhead, waiting,
                "bulkhead draining: closed to newcomers, {waiting} waiting operations will be served",
            ),
            What::Partitions(kind) => info!(
                target: "bulklink",
                bulkhead,
                "bulkhead {} with all of its partitions", kind.name(),
            ),
            What::Closed { in_flight, rejected } => info!(
                target: "bulklink",
                bulkhead, in_flight, rejected,
                "bulkhead closed: {in_flight} operations run on, {rejected} waiters rejected",
            ),
            What::Drained => {
                info!(target: "bulklink", bulkhead, "bulkhead drained: its last operation has ended");
            }
            What::Reconfigured { from, to } => info!(
                target: "bulklink",
                bulkhead,
                capacity = to.capacity,
                waiting_room = to.room,
                "bulkhead reconfigured: capacity {} to {}, waiting room {} to {}, wait limit {:?} to {:?}",
                from.capacity, to.capacity, from.room, to.room, from.wait_limit, to.wait_limit,
            ),
        }
    }
}

/// Whether changes of this kind are told. Asked under the lock, so it does not ask the subscriber.
#[inline]
pub(crate) const fn tells(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Paused
            | EventKind::Resumed
            | EventKind::Draining
            | EventKind::Closed
            | EventKind::Drained
            | EventKind::Resized
            | EventKind::Reconfigured
    )
}

/// Tells of a rejection, and returns it.
#[inline]
pub(crate) fn rejected(rejection: Rejection) -> Rejection {
    debug!(
        target: "bulklink",
        bulkhead = rejection.label(),
        reason = rejection.reason().name(),
        "{rejection}",
    );
    rejection
}

/// Which periods of pressure of a bulkhead are told: those that last, and not too many.
#[derive(Debug, Default)]
pub(crate) struct PressureLog {
    /// Whether the current period was told.
    is_told: bool,
    /// When a period was told last.
    told_at: Option<Instant>,
    /// Periods that lasted and have ended without being told, since then.
    left_out: u64,
}

impl PressureLog {
    /// Whether the current period is not told yet.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.is_told
    }

    /// Returns what to tell of a period that began at `since` and goes on, with the units in use, the capacity and the
    /// operations that wait. A period that comes too soon after the last one that was told is told later, if it still lasts.
    #[inline]
    pub(crate) fn lasting(
        &mut self,
        label: &Arc<str>,
        since: Instant,
        now: Instant,
        [used, capacity, waiting]: [u32; 3],
    ) -> Option<Notice> {
        let lasted = now.saturating_duration_since(since);
        let is_too_soon =
            self.told_at.is_some_and(|at| now.saturating_duration_since(at) < SPACING);
        if self.is_told || lasted < LASTING || is_too_soon {
            return None;
        }
        (self.is_told, self.told_at) = (true, Some(now));
        let left_out = std::mem::take(&mut self.left_out);
        let what = What::UnderPressure { since: lasted, used, capacity, waiting, left_out };
        Some(Notice { label: label.clone(), what })
    }

    /// Returns what to tell of the end of a period that lasted this long.
    #[inline]
    pub(crate) fn ended(&mut self, label: &Arc<str>, after: Duration) -> Option<Notice> {
        if std::mem::take(&mut self.is_told) {
            return Some(Notice { label: label.clone(), what: What::Relieved { after } });
        }
        self.left_out += u64::from(after >= LASTING);
        None
    }
}

/// Whether pressure is told.
pub(crate) const TELLS_PRESSURE: bool = true;

/// A span for as long as an operation waits.
#[derive(Debug)]
pub(crate) struct WaitSpan(Span);

impl WaitSpan {
    #[inline]
    pub(crate) fn none() -> Self {
        Self(Span::none())
    }

    #[inline]
    pub(crate) fn new(bulkhead: &str, cost: u32) -> Self {
        let result = field::Empty;
        Self(tracing::debug_span!(target: "bulklink", "bulkhead_wait", bulkhead, cost, result))
    }

    /// Records how the wait has ended. Without it, the operation has left.
    #[inline]
    pub(crate) fn end(&mut self, outcome: Result<(), &Rejection>) {
        let result = match outcome {
            Ok(()) => "admitted",
            Err(rejection) => rejection.reason().name(),
        };
        self.0.record("result", result);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
