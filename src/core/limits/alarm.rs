//! The alarm of a line: one timer for everybody who waits as long as the gate's own limit allows.
//!
//! Who has the same limit runs out of time in the order of arrival, so a timer for the first of them is
//! enough: when it rings, those whose time is over are woken, and it is set for the first of the others.
//! A hand-over does not touch it, and under load it rings once in a whole limit.
//!
//! It owns the timer and the bell, which is the waker that the timer wakes. It does not own who waits,
//! which is the line's, nor whether it is set, which is decided under the gate's lock: see `watch`.
//!
//! A timer is driven by the runtime it was made in, so an alarm serves only those who wait in that one.
//! It rings on whichever thread drives the runtime and depends on no task being polled.

use std::{task::Waker, time::Duration};

use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use crate::core::limits::timer::Timer;

/// A timer, and the bell it rings.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// Where the timer is driven.
    pub(in crate::core) runtime: Id,
    /// How long those may wait whom it wakes.
    pub(in crate::core) limit: Duration,
    pub(in crate::core) timer: Timer,
    pub(in crate::core) waker: Waker,
}

/// What became of setting an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Arming {
    /// It will ring.
    Armed,
    /// That time is over already.
    AlreadyDue,
    /// It never rings again: its runtime is gone.
    RuntimeGone,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub(in crate::core) fn new(limit: Duration, waker: Waker) -> Box<Self> {
        Box::new(Self { runtime: Handle::current().id(), limit, timer: Timer::new(), waker })
    }

    /// Has it ring at this time. It may ring at once, also on this thread and before this returns, so no
    /// lock may be held.
    pub(in crate::core) fn arm(&mut self, at: Instant) -> Arming {
        self.timer.arm(at, &self.waker)
    }
}
