//! The alarm of a line: one timer for the limits of all its waiters.
//!
//! It is armed for the first limit that passes. When it fires, the waiters whose limits have passed are taken out of the line and
//! woken, and it is armed for the first of the others. A hand-over does not touch it. Where all waiters have the same limit it
//! fires once per limit under load.
//!
//! It owns the timer and the alarm waker, which the timer wakes. It does not own the waiters (see `line`),
//! nor the decision when it is armed (see `alarm_state`).
//!
//! A timer is driven by the runtime it was created in. It fires on the thread that drives the runtime, and does not depend on
//! any task being polled. But that runtime may be stuck or end, so waiters that are polled in another one have timers of their
//! own, which wake the same waker.

use std::task::Waker;

use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use crate::core::limits::timer::Timer;

/// A timer, and the waker that it wakes.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// The runtime that drives the timer.
    pub(in crate::core) runtime: Id,
    pub(in crate::core) timer: Timer,
    pub(in crate::core) waker: Waker,
}

/// The outcome of arming an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Arming {
    /// It will fire.
    Armed,
    /// The time has passed already.
    AlreadyDue,
    /// It will never fire again: its runtime is gone.
    RuntimeGone,
}

impl Alarm {
    /// Creates an alarm that is not armed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub(in crate::core) fn new(waker: Waker) -> Box<Self> {
        Box::new(Self { runtime: Handle::current().id(), timer: Timer::new(), waker })
    }

    /// Arms the alarm for `at`. It may fire at once, even on this thread and before this returns, so no lock
    /// may be held.
    pub(in crate::core) fn arm(&mut self, at: Instant) -> Arming {
        self.timer.arm(at, &self.waker)
    }
}
