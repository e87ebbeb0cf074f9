//! The state of a line's alarm: whether it is armed, and for when.
//!
//! It owns the decisions, as a state machine over the line. It takes no lock and wakes no waiter: the gate
//! calls it under its lock, and wakes after unlocking.
//!
//! From the engine's point of view, arming a timer runs user code: it may fire on the spot. So a caller that
//! finds that the alarm must be armed takes it out under the lock, arms it without the lock and puts it back. What happens
//! meanwhile is remembered: that it fires, or that it must be armed for an earlier time. So only one caller at a time has to
//! arm it, and whenever a waiter has a limit the alarm is armed for that time or earlier, or being armed.

use std::mem;

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    clock::Nanos,
    limits::alarm::{Alarm, Arming},
    line::Line,
};

/// The alarm of a line, and when it fires.
#[derive(Debug)]
pub(in crate::core) struct AlarmState {
    pub(in crate::core) runtime: Id,
    /// `None` while it is being armed.
    alarm: Option<Box<Alarm>>,
    /// When it fires; `NEVER` if it is not armed.
    fires_at: Nanos,
    has_fired: bool,
}

/// An alarm that was taken out to be armed, and when it is to fire.
pub(in crate::core) type ToArm = (Box<Alarm>, Instant);

impl From<Box<Alarm>> for AlarmState {
    fn from(alarm: Box<Alarm>) -> Self {
        Self {
            runtime: alarm.runtime,
            alarm: Some(alarm),
            fires_at: Nanos::NEVER,
            has_fired: false,
        }
    }
}

impl AlarmState {
    /// Whether it need not be kept: nothing is left for it to do.
    pub(in crate::core) fn is_idle(&self) -> bool {
        self.alarm.is_some() && self.fires_at == Nanos::NEVER
    }

    /// Sees to it that the alarm fires when the first of the limits passes, or earlier. Returns it if it must be armed.
    pub(in crate::core) fn cover(&mut self, line: &mut Line) -> Option<ToArm> {
        let first = line.no_end_before();
        if self.fires_at <= first || self.alarm.is_none() {
            return None;
        }
        self.take_to_arm(line)
    }

    /// Handles the firing of the alarm, after the waiters whose limits have passed were taken out. Returns the alarm if it
    /// must be armed for others.
    pub(in crate::core) fn fire(&mut self, line: &mut Line) -> Option<ToArm> {
        if self.alarm.is_none() {
            self.has_fired = true;
            return None;
        }
        self.take_to_arm(line)
    }

    /// Puts back the alarm after an attempt to arm it. Returns whether it has fired in the meantime, or was
    /// due already.
    pub(in crate::core) fn put_back(&mut self, alarm: Box<Alarm>, arming: Arming) -> bool {
        self.alarm = Some(alarm);
        mem::take(&mut self.has_fired) || arming == Arming::AlreadyDue
    }

    /// Takes out the alarm, to be armed for when the first of the limits passes.
    fn take_to_arm(&mut self, line: &mut Line) -> Option<ToArm> {
        self.fires_at = Nanos::NEVER;
        let first = line.first_end()?;
        // A limit too far in the future to be an `Instant` never passes.
        let at = first.instant()?;
        self.fires_at = first;
        Some((self.alarm.take()?, at))
    }
}
