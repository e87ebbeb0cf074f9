//! The gate's side of its line's alarm: changes under the lock, and arming without it.
//!
//! It owns the locking around [`AlarmState`]. It does not own the decisions, which [`AlarmState`] makes.

use tokio::runtime::Id;

use crate::core::{
    gate::{Gate, effects::Effects, records::SharedRecords, section::Section, state::LazyState},
    limits::{
        LimitEnforcer,
        alarm::{Alarm, Arming},
        alarm_state::ToArm,
    },
    line::Ticket,
};

impl Section<'_> {
    /// Returns who enforces the limit of a waiter that is polled in this runtime. Leaves the alarm in `to_arm` if it must be
    /// armed. An alarm of another runtime may no longer be driven.
    pub(super) fn enforcer(
        &mut self,
        ticket: Ticket,
        runtime: Option<Id>,
        to_arm: &mut Option<ToArm>,
    ) -> LimitEnforcer {
        // With very many gates, an alarm for each would cost more than timers for the few waiters.
        let is_compact = self.state.is_compact;
        let LazyState { line, alarm, .. } = self.lazy();
        // A limit too far in the future to be an `Instant` never passes.
        let Some(at) = line.end_of(ticket).instant() else { return LimitEnforcer::Line };
        match alarm {
            Some(alarm) if runtime.is_none_or(|runtime| runtime == alarm.runtime) => {
                if let Some(uncovered) = alarm.cover(line) {
                    *to_arm = Some(uncovered);
                }
                LimitEnforcer::Line
            }
            None if !is_compact => LimitEnforcer::NewAlarm,
            _ => LimitEnforcer::Waiter(at),
        }
    }

    /// Handles the firing of the alarm: takes out the waiters whose limits have passed. Returns the alarm if it must be armed
    /// for others.
    fn alarm_fired(&mut self) -> Option<ToArm> {
        self.look_for_overdue();
        let LazyState { line, alarm, .. } = &mut **self.state.lazy.as_mut()?;
        let to_arm = alarm.as_mut()?.fire(line);
        // An alarm that serves nobody would keep its runtime's resources for as long as the gate lives.
        if let Some(idle) = alarm.take_if(|alarm| alarm.is_idle()) {
            self.effects.free_alarm(idle);
        }
        to_arm
    }

    /// Puts an alarm back after an attempt to arm it. Returns it if it must be armed again.
    fn put_back(&mut self, alarm: Box<Alarm>, arming: Arming) -> Option<ToArm> {
        let LazyState { line, alarm: state, .. } = self.lazy();
        let state = state.as_mut().expect("the state of an alarm outlives its arming");
        if state.put_back(alarm, arming) { self.alarm_fired() } else { state.cover(line) }
    }

    /// Discards an alarm whose runtime is gone. Wakes the waiters that it served: they enforce their limits
    /// themselves from now on.
    fn discard_alarm(&mut self) {
        let Some(lazy) = &mut self.state.lazy else { return };
        lazy.alarm = None;
        lazy.line.take_wakers_of_limited(|waker| self.effects.wake(waker));
    }
}

impl Gate {
    /// Takes over an alarm for the limits of this waiter and later ones, unless an alarm is armed already.
    /// Returns who enforces the limit of this waiter.
    pub(crate) fn adopt(&self, ticket: Ticket, alarm: Box<Alarm>) -> LimitEnforcer {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if !section.is_waiting(ticket) {
            // It has been woken, and learns its outcome when it is polled.
            return LimitEnforcer::Line;
        }
        let (runtime, mut to_arm) = (alarm.runtime, None);
        let own = &mut section.lazy().alarm;
        let unused = match own {
            Some(_) => Some(alarm),
            None => {
                *own = Some(alarm.into());
                None
            }
        };
        let enforcer = section.enforcer(ticket, Some(runtime), &mut to_arm);
        drop(section);
        drop(unused);
        self.arm_alarm(to_arm, &mut effects);
        effects.carry_out();
        enforcer
    }

    /// Takes out the waiters whose limits have passed. Called by the alarm and by the timers of waiters.
    pub(crate) fn fire_alarm(&self, shared: Option<&SharedRecords>) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        let next = section.alarm_fired();
        section.settle();
        drop(section);
        self.arm_alarm(next, &mut effects);
        effects.carry_out();
    }

    /// Arms an alarm that was taken out to be armed, again and again for as long as that is needed.
    #[inline]
    pub(super) fn arm_alarm(&self, to_arm: Option<ToArm>, effects: &mut Effects) {
        if to_arm.is_some() {
            self.arm_taken_out(to_arm, effects);
        }
    }

    #[cold]
    fn arm_taken_out(&self, mut to_arm: Option<ToArm>, effects: &mut Effects) {
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
            section.settle();
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
        limits::{current_runtime, wait_policy::WaitPolicy},
        rejection::cache::RejectionCache,
    };

    fn arrival(when_full: WhenFull) -> Arrival<'static> {
        Arrival { cost: 1, policy: &WaitPolicy::UpToLimit, expired: None, when_full, stands: false }
    }

    /// Joins the line of a full gate, in this runtime.
    fn join(gate: &Gate, waker: &Waker) -> (Ticket, LimitEnforcer) {
        match gate.arrive(arrival(WhenFull::Join(Some(waker.clone()), current_runtime())), None) {
            ArrivalOutcome::Queued { ticket, enforcer, .. } => (ticket, enforcer),
            other => panic!("a full gate with a waiting room returned {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_fires_while_it_is_being_armed_takes_effect_when_it_is_put_back() {
        let limit = Duration::from_millis(10);
        let rejections = RejectionCache::new("payments".into(), 7, false);
        let gate = Gate::new(1, 2, GateKind::Plain, Some(rejections)).with_wait_limit(Some(limit));
        gate.arrive(arrival(WhenFull::Reject), None);
        let mut waiter =
            task::spawn(std::future::poll_fn(|cx| std::task::Poll::Ready(join(&gate, cx.waker()))));
        let std::task::Poll::Ready((ticket, LimitEnforcer::NewAlarm)) = waiter.poll() else {
            panic!("the first waiter creates the alarm");
        };

        // Adopted, and taken out to be armed.
        let mut effects = Effects::default();
        let mut section = Section::enter(&gate, &mut effects);
        let alarm = Alarm::new(Waker::noop().clone());
        let (runtime, mut to_arm) = (Some(alarm.runtime), None);
        section.lazy().alarm = Some(alarm.into());
        let enforcer = section.enforcer(ticket, runtime, &mut to_arm);
        assert_eq!(enforcer, LimitEnforcer::Line);
        drop(section);
        let (alarm, at) = to_arm.expect("it was not armed");
        assert_eq!(at, Instant::now() + limit);

        tokio::time::advance(limit).await;
        gate.fire_alarm(None);
        assert!(waiter.is_woken(), "it is taken out at once");
        let mut section = Section::enter(&gate, &mut effects);
        assert!(
            section.put_back(alarm, Arming::Armed).is_none(),
            "no waiter is left to arm it for"
        );
        drop(section);
        effects.carry_out();

        // It serves nobody any more, and is gone.
        let (_, enforcer) = join(&gate, Waker::noop());
        assert_eq!(enforcer, LimitEnforcer::NewAlarm);
    }
}
