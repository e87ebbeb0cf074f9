//! The gate's side of its line's alarm: changes under the lock, and arming without it.
//!
//! It owns the locking around [`AlarmState`]. It does not own the decisions, which [`AlarmState`] makes.

use std::time::Duration;

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
    /// Decides who enforces the bulkhead's own limit for a waiter of this runtime. Leaves the alarm in
    /// `to_arm` if it must be armed. An alarm serves waiters of one limit: after a change, it is replaced once it has fired.
    pub(super) fn assign_enforcer(
        &mut self,
        ticket: Ticket,
        runtime: Id,
        limit: Duration,
        to_arm: &mut Option<ToArm>,
    ) -> LimitEnforcer {
        if self.state.is_compact {
            // With very many gates, an alarm for each would cost more than timers for the few waiters.
            return LimitEnforcer::Waiter;
        }
        let LazyState { line, alarm, .. } = self.lazy();
        match alarm {
            Some(alarm) if alarm.runtime == runtime && alarm.limit == limit => {
                alarm.serve(line, ticket, to_arm)
            }
            Some(AlarmState { is_armed: true, .. }) => LimitEnforcer::Waiter,
            _ => LimitEnforcer::NewAlarm,
        }
    }

    /// Returns who enforces the limit of a waiter that is polled in this runtime. An alarm of another runtime
    /// may no longer be driven, so the waiter takes over its own limit.
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

    /// Handles the firing of the alarm: wakes the waiters whose limit has passed. Returns the alarm if it
    /// must be armed for the next.
    fn alarm_fired(&mut self) -> Option<ToArm> {
        let now = self.now();
        let LazyState { line, alarm, .. } = &mut **self.state.lazy.as_mut()?;
        let to_arm = alarm.as_mut()?.fire(line, now, |waker| self.effects.wake(waker));
        // An alarm that serves nobody would keep its runtime's resources for as long as the gate lives.
        if let Some(idle) = alarm.take_if(|alarm| !alarm.is_armed) {
            self.effects.free_alarm(idle);
        }
        to_arm
    }

    /// Puts an alarm back after an attempt to arm it. Returns it if it must be armed again.
    fn put_back(&mut self, alarm: Box<Alarm>, arming: Arming) -> Option<ToArm> {
        let state = self.lazy().alarm.as_mut();
        let state = state.expect("the state of an alarm outlives its arming");
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
    /// Takes over an alarm for the limits of this waiter and later ones, unless an alarm is armed already.
    /// Returns who enforces the limit of this waiter.
    pub(crate) fn adopt(&self, ticket: Ticket, alarm: Box<Alarm>) -> LimitEnforcer {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if section.outcome_of(ticket).is_some() {
            // It has been woken, and learns its outcome when it is polled.
            return LimitEnforcer::Alarm;
        }
        let (runtime, limit, mut to_arm) = (alarm.runtime, alarm.limit, None);
        let state = &mut section.lazy().alarm;
        let unused = match state {
            Some(state) if state.is_armed => Some(alarm.into()),
            _ => state.replace(alarm.into()),
        };
        let enforcer = section.assign_enforcer(ticket, runtime, limit, &mut to_arm);
        drop(section);
        drop(unused);
        self.arm_alarm(to_arm, &mut effects);
        effects.carry_out();
        enforcer
    }

    /// Handles the firing of the alarm. Called by its waker.
    pub(crate) fn fire_alarm(&self) {
        let mut effects = Effects::default();
        let next = Section::enter(self, &mut effects).alarm_fired();
        self.arm_alarm(next, &mut effects);
        effects.carry_out();
    }

    /// Arms an alarm that was taken out to be armed, again and again for as long as that is needed.
    #[cold]
    pub(super) fn arm_alarm(&self, mut to_arm: Option<ToArm>, effects: &mut Effects) {
        while let Some((mut alarm, at)) = to_arm.take() {
            let arming = alarm.arm(at);
            let mut section = Section::enter(self, effects);
            let discarded = if let Arming::RuntimeGone = arming {
                section.discard_alarm();
                Some(alarm)
            } else {
                to_arm = section.put_back(alarm, arming);
                None
            };
            drop(section);
            drop(discarded);
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
        rejection::cache::RejectionCache,
    };

    /// Joins the line of a full gate, in this runtime.
    fn join(gate: &Gate, waker: &Waker) -> (Ticket, LimitEnforcer) {
        let when_full = WhenFull::Join(Some(waker.clone()), current_runtime());
        match gate.arrive(Arrival { cost: 1, expired: None, when_full }, None) {
            ArrivalOutcome::Queued { ticket, enforcer, .. } => (ticket, enforcer),
            other => panic!("a full gate with a waiting room returned {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_fires_while_it_is_being_armed_takes_effect_when_it_is_put_back() {
        let limit = Duration::from_millis(10);
        let rejections = RejectionCache::new("payments".into(), 7, false);
        let gate = Gate::new(1, 2, GateKind::Plain, Some(rejections)).with_wait_limit(Some(limit));
        gate.arrive(Arrival { cost: 1, expired: None, when_full: WhenFull::Reject }, None);
        let mut waiter =
            task::spawn(std::future::poll_fn(|cx| std::task::Poll::Ready(join(&gate, cx.waker()))));
        let std::task::Poll::Ready((ticket, LimitEnforcer::NewAlarm)) = waiter.poll() else {
            panic!("the first waiter creates the alarm");
        };

        // Adopted, and taken out to be armed.
        let mut effects = Effects::default();
        let mut section = Section::enter(&gate, &mut effects);
        let alarm = Alarm::new(limit, Waker::noop().clone());
        let (runtime, mut to_arm) = (alarm.runtime, None);
        section.lazy().alarm = Some(alarm.into());
        let enforcer = section.assign_enforcer(ticket, runtime, limit, &mut to_arm);
        assert_eq!(enforcer, LimitEnforcer::Alarm);
        drop(section);
        let (alarm, at) = to_arm.expect("it was not armed");
        assert_eq!(at, Instant::now() + limit);

        tokio::time::advance(limit).await;
        gate.fire_alarm();
        assert!(!waiter.is_woken(), "the caller that arms the alarm does the rest");
        let mut section = Section::enter(&gate, &mut effects);
        assert!(
            section.put_back(alarm, Arming::Armed).is_none(),
            "no waiter is left to arm it for"
        );
        drop(section);
        effects.carry_out();
        assert!(waiter.is_woken());

        // It serves nobody any more, and is gone.
        let (_, enforcer) = join(&gate, Waker::noop());
        assert_eq!(enforcer, LimitEnforcer::NewAlarm);
    }
}
