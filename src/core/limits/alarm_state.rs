//! The state of a line's alarm: which waiters it serves, and whether it is armed.
//!
//! It owns the decisions, as a state machine over the line. It takes no lock and wakes no waiter: the gate
//! calls it under its lock, and wakes after unlocking.
//!
//! From the engine's point of view, arming a timer runs user code: it may fire on the spot. So a caller that
//! finds the alarm unarmed takes it out under the lock, arms it without the lock and puts it back. Meanwhile
//! it counts as armed, and if it fires, the firing is remembered. So only one caller at a time has to arm it,
//! and whenever the alarm serves a waiter it is armed or being armed.

use std::{mem, task::Waker, time::Duration};

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    limits::{
        LimitEnforcer,
        alarm::{Alarm, Arming},
    },
    line::{Line, Ticket},
};

/// The alarm of a line, and whether it is armed.
#[derive(Debug)]
pub(in crate::core) struct AlarmState {
    pub(in crate::core) runtime: Id,
    pub(in crate::core) limit: Duration,
    /// `None` while it is being armed.
    alarm: Option<Box<Alarm>>,
    /// Whether it will fire. If not, it serves no waiter.
    pub(in crate::core) is_armed: bool,
    has_fired: bool,
}

/// An alarm that was taken out to be armed, and when it is to fire.
pub(in crate::core) type ToArm = (Box<Alarm>, Instant);

impl From<Box<Alarm>> for AlarmState {
    fn from(alarm: Box<Alarm>) -> Self {
        let Alarm { runtime, limit, .. } = *alarm;
        Self { runtime, limit, alarm: Some(alarm), is_armed: false, has_fired: false }
    }
}

impl AlarmState {
    /// Adds a waiter of the alarm's own runtime. Leaves the alarm in `to_arm` if it must be armed.
    pub(in crate::core) fn serve(
        &mut self,
        line: &mut Line,
        ticket: Ticket,
        to_arm: &mut Option<ToArm>,
    ) -> LimitEnforcer {
        if !line.put_on_alarm(ticket) {
            return LimitEnforcer::Waiter;
        }
        if !mem::replace(&mut self.is_armed, true) {
            *to_arm = self.take_to_arm(line);
        }
        LimitEnforcer::Alarm
    }

    /// Handles the firing of the alarm: passes the wakers of the waiters whose limit has passed to `wake`.
    /// Returns the alarm if it must be armed for the next waiter.
    pub(in crate::core) fn fire(
        &mut self,
        line: &mut Line,
        now: Instant,
        mut wake: impl FnMut(Option<Waker>),
    ) -> Option<ToArm> {
        if self.alarm.is_none() {
            self.has_fired = true;
            return None;
        }
        while let Some(since) = line.first_on_alarm_since() {
            if since.checked_add(self.limit).is_none_or(|at| at > now) {
                return self.take_to_arm(line);
            }
            wake(line.take_first_off_alarm());
        }
        self.is_armed = false;
        None
    }

    /// Puts back the alarm after an attempt to arm it. Returns whether it has fired in the meantime, or was
    /// due already.
    pub(in crate::core) fn put_back(&mut self, alarm: Box<Alarm>, arming: Arming) -> bool {
        self.alarm = Some(alarm);
        mem::take(&mut self.has_fired) || arming == Arming::AlreadyDue
    }

    /// Takes out the alarm, to be armed for the first waiter that it serves.
    fn take_to_arm(&mut self, line: &Line) -> Option<ToArm> {
        // A limit too far in the future to be an `Instant` never passes.
        let at = line.first_on_alarm_since()?.checked_add(self.limit)?;
        Some((self.alarm.take()?, at))
    }
}
