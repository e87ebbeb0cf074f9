//! The gate's side of its line's alarm: what happens to it under the lock, and arming it without.
//!
//! It owns the locking around [`AlarmState`], which decides.

use tokio::runtime::Id;

use crate::core::{
    gate::{Gate, effects::Effects, section::Section, state::LazyState},
    limits::{
        LimitEnforcer,
        alarm::{Alarm, Arming},
        alarm_state::{AlarmState, ToArm},
    },
    line::Ticket,
};

impl Section<'_> {
    /// Decides who enforces the bulkhead's own limit for a waiter of this runtime. Leaves the alarm in `to_arm` if
    /// it must be armed.
    pub(super) fn assign_enforcer(
        &mut self,
        ticket: Ticket,
        runtime: Id,
        to_arm: &mut Option<ToArm>,
    ) -> LimitEnforcer {
        if self.state.is_compact {
            // With very many gates, an alarm for each would cost more than timers for the few waiters.
            return LimitEnforcer::Waiter;
        }
        let LazyState { line, alarm, .. } = self.lazy();
        match alarm {
            Some(alarm) if alarm.runtime == runtime => alarm.serve(line, ticket, to_arm),
            Some(AlarmState { is_armed: true, .. }) => LimitEnforcer::Waiter,
            _ => LimitEnforcer::NewAlarm,
        }
    }

    /// Who enforces the limit of a waiter that is polled in this runtime. An alarm of another runtime may not be
    /// driven, so the waiter takes over its limit.
    pub(super) fn enforcer(&mut self, ticket: Ticket, runtime: Option<Id>) -> LimitEnforcer {
        let LazyState { line, alarm, .. } = self.lazy();
        if !line.is_on_alarm(ticket) {
            return LimitEnforcer::Waiter;
        }
        let driven_here =
            |alarm: &AlarmState| runtime.is_none_or(|runtime| runtime == alarm.runtime);
        if alarm.as_ref().is_some_and(driven_here) {
            return LimitEnforcer::Alarm;
        }
        line.take_off_alarm(ticket);
        LimitEnforcer::Waiter
    }

    /// Wakes the waiters whose limit has passed. Returns the alarm if it must be armed for the next.
    fn alarm_fired(&mut self) -> Option<ToArm> {
        let now = self.now();
        let LazyState { line, alarm, .. } = &mut **self.state.lazy.as_mut()?;
        alarm.as_mut()?.fire(line, now, |waker| self.effects.wake(waker))
    }

    /// Puts an alarm back after an attempt to arm it. Returns it if it must be armed again.
    fn put_back(&mut self, alarm: Box<Alarm>, arming: Arming) -> Option<ToArm> {
        let state = self.lazy().alarm.as_mut();
        let state = state.expect("an alarm that is being armed keeps its state");
        if state.put_back(alarm, arming) { self.alarm_fired() } else { None }
    }

    /// Discards an alarm whose runtime is gone. Wakes the waiters that it served: they enforce their limits
    /// themselves from now on.
    fn discard_alarm(&mut self) {
        let Some(lazy) = &mut self.state.lazy else { return };
        lazy.alarm = None;
        while lazy.line.first_on_alarm_since().is_some() {
            self.effects.wake(lazy.line.take_first_off_alarm());
        }
    }
}

impl Gate {
    /// Takes over an alarm for the limit of this waiter and of those after it, unless there is one that
    /// is set, which may do as well. Says who keeps the limit.
    pub(crate) fn adopt(&self, ticket: Ticket, alarm: Box<Alarm>) -> LimitEnforcer {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if section.called(ticket).is_some() {
            // It was woken, and finds out when it is polled.
            return LimitEnforcer::Alarm;
        }
        let (runtime, mut to_arm) = (alarm.runtime, None);
        let state = &mut section.lazy().alarm;
        let unused = match state {
            Some(state) if state.is_armed => Some(alarm.into()),
            _ => state.replace(alarm.into()),
        };
        let enforcer = section.assign_enforcer(ticket, runtime, &mut to_arm);
        drop(section);
        drop(unused);
        self.arm_alarm(to_arm, &mut effects);
        effects.carry_out();
        enforcer
    }

    /// Rings the bell of the alarm.
    pub(crate) fn fire_alarm(&self) {
        let mut effects = Effects::default();
        let next = Section::enter(self, &mut effects).alarm_fired();
        self.arm_alarm(next, &mut effects);
        effects.carry_out();
    }

    /// Sets an alarm that was taken out for it.
    #[cold]
    pub(super) fn arm_alarm(&self, mut to_arm: Option<ToArm>, effects: &mut Effects) {
        while let Some((mut alarm, at)) = to_arm.take() {
            let arming = alarm.arm(at);
            let mut section = Section::enter(self, effects);
            let dead = if let Arming::RuntimeGone = arming {
                section.discard_alarm();
                Some(alarm)
            } else {
                to_arm = section.put_back(alarm, arming);
                None
            };
            drop(section);
            drop(dead);
        }
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::{task::Waker, time::Duration};

    use tokio::time::Instant;
    use tokio_test::task;

    use super::*;
    use crate::core::{
        gate::{
            GateKind,
            arrival::{Arrival, ArrivalOutcome, WhenFull},
        },
        limits::current_runtime,
    };

    /// Joins a gate that is full, in this runtime.
    fn join(gate: &Gate, waker: &Waker) -> (Ticket, LimitEnforcer) {
        let when_full = WhenFull::Join(Some(waker.clone()), current_runtime());
        match gate.arrive(Arrival { cost: 1, expired: None, when_full }, None) {
            ArrivalOutcome::Queued { ticket, enforcer, .. } => (ticket, enforcer),
            other => panic!("a full gate with room made of an arrival: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_rings_while_it_is_being_set_is_heard_when_it_is_put_back() {
        let gate = Gate::new(1, 2, GateKind::Plain, None);
        gate.arrive(Arrival { cost: 1, expired: None, when_full: WhenFull::Reject }, None);
        let limit = Duration::from_millis(10);
        let mut waiter =
            task::spawn(std::future::poll_fn(|cx| std::task::Poll::Ready(join(&gate, cx.waker()))));
        let std::task::Poll::Ready((ticket, LimitEnforcer::NewAlarm)) = waiter.poll() else {
            panic!("the first of all brings the alarm");
        };

        // Adopted, and taken out to be set.
        let mut effects = Effects::default();
        let mut section = Section::enter(&gate, &mut effects);
        let alarm = Alarm::new(limit, Waker::noop().clone());
        let (runtime, mut to_arm) = (alarm.runtime, None);
        section.lazy().alarm = Some(alarm.into());
        assert_eq!(section.assign_enforcer(ticket, runtime, &mut to_arm), LimitEnforcer::Alarm);
        drop(section);
        let (alarm, at) = to_arm.expect("it was not set");
        assert_eq!(at, Instant::now() + limit);

        tokio::time::advance(limit).await;
        gate.fire_alarm();
        assert!(!waiter.is_woken(), "whoever sets the alarm does the rest");
        let mut section = Section::enter(&gate, &mut effects);
        assert!(section.put_back(alarm, Arming::Armed).is_none(), "nobody is left to set it for");
        drop(section);
        effects.carry_out();
        assert!(waiter.is_woken());

        // The next finds it not set.
        let (_, enforcer) = join(&gate, Waker::noop());
        assert_eq!(enforcer, LimitEnforcer::Alarm);
    }
}
