//! Who uses the alarm of a line: whose limit it keeps, who sets it, and what its ring does.
//!
//! Whoever finds it not set takes it out under the lock, sets it without and puts it back, because the timer
//! is code of others and may ring on the spot. Meanwhile it counts as set, and if it rings its ring is
//! kept. So one at a time has the duty to set it, and the alarm is set whenever it keeps anybody's limit.

use std::{mem, time::Duration};

use tokio::{runtime::Id, time::Instant};

use crate::core::{
    gate::{Gate, arrival::Keeping, effects::Effects, section::Section, state::Rare},
    limits::alarm::{Alarm, Setting},
    line::{Line, Ticket},
};

/// The alarm of the line, and whether it is set.
#[derive(Debug)]
pub(in crate::core) struct Watch {
    runtime: Id,
    limit: Duration,
    /// Here but for while it is being set.
    alarm: Option<Box<Alarm>>,
    /// Whether it will ring. If not, it keeps nobody's limit.
    pub(in crate::core) is_set: bool,
    has_rung: bool,
}

/// An alarm, and when it is to ring.
pub(in crate::core) type ToSet = (Box<Alarm>, Instant);

impl From<Box<Alarm>> for Watch {
    fn from(alarm: Box<Alarm>) -> Self {
        let Alarm { runtime, limit, .. } = *alarm;
        Self { runtime, limit, alarm: Some(alarm), is_set: false, has_rung: false }
    }
}

impl Watch {
    /// Takes the alarm out, to be set for the first whose limit it keeps.
    fn take_out(&mut self, line: &Line) -> Option<ToSet> {
        // A limit too far away to be an instant is none.
        let at = line.limited_since()?.checked_add(self.limit)?;
        Some((self.alarm.take()?, at))
    }
}

impl Section<'_> {
    /// Has an alarm keep the limit of a waiter of this runtime, if there is one that can. Leaves it in
    /// `to_set` if it is to be set.
    pub(in crate::core) fn keep_limit(
        &mut self,
        ticket: Ticket,
        runtime: Id,
        to_set: &mut Option<ToSet>,
    ) -> Keeping {
        if self.state.is_frugal {
            // Among very many gates an alarm for each would cost more than timers for the few who wait.
            return Keeping::Own;
        }
        let Rare { line, watch, .. } = self.rare();
        match watch {
            Some(watch) if watch.runtime == runtime => {
                if !line.limit(ticket) {
                    return Keeping::Own;
                }
                if !mem::replace(&mut watch.is_set, true) {
                    *to_set = watch.take_out(line);
                }
                Keeping::Alarm
            }
            Some(Watch { is_set: true, .. }) => Keeping::Own,
            _ => Keeping::NewAlarm,
        }
    }

    /// Who keeps the limit of a waiter that is polled in this runtime. An alarm of another one may not be
    /// driven, so the limit is left to the waiter.
    pub(in crate::core) fn keeping(&mut self, ticket: Ticket, runtime: Option<Id>) -> Keeping {
        let Rare { line, watch, .. } = self.rare();
        if !line.is_limited(ticket) {
            return Keeping::Own;
        }
        let driven_here = |watch: &Watch| runtime.is_none_or(|runtime| runtime == watch.runtime);
        if watch.as_ref().is_some_and(driven_here) {
            return Keeping::Alarm;
        }
        line.unlimit(ticket);
        Keeping::Own
    }

    /// The alarm rings: wakes those whose limit has passed. Returns the alarm to be set for the next, if
    /// there is one.
    pub(in crate::core) fn wake_expired(&mut self) -> Option<ToSet> {
        let now = self.now();
        let Rare { line, watch, .. } = &mut **self.state.rare.as_mut()?;
        let watch = watch.as_mut()?;
        if watch.alarm.is_none() {
            watch.has_rung = true;
            return None;
        }
        while let Some(since) = line.limited_since() {
            if since.checked_add(watch.limit).is_none_or(|at| at > now) {
                return watch.take_out(line);
            }
            self.effects.wake(line.unlimit_first());
        }
        watch.is_set = false;
        None
    }

    /// Puts an alarm back that was set, or is to be set for another time because that one is `over`.
    pub(in crate::core) fn put_back(&mut self, alarm: Box<Alarm>, over: bool) -> Option<ToSet> {
        let watch = self.rare().watch.as_mut().expect("an alarm that is out keeps its watch");
        watch.alarm = Some(alarm);
        let has_rung = mem::take(&mut watch.has_rung);
        if over || has_rung { self.wake_expired() } else { None }
    }

    /// Gives up a dead alarm. Those whose limit it kept are woken to keep it themselves.
    pub(in crate::core) fn unwatch(&mut self) {
        let Some(rare) = &mut self.state.rare else { return };
        rare.watch = None;
        while rare.line.limited_since().is_some() {
            self.effects.wake(rare.line.unlimit_first());
        }
    }
}

impl Gate {
    /// Takes over an alarm for the limit of this waiter and of those after it, unless there is one that
    /// is set, which may do as well. Says who keeps the limit.
    pub(crate) fn adopt(&self, ticket: Ticket, alarm: Box<Alarm>) -> Keeping {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if section.called(ticket).is_some() {
            // It was woken, and finds out when it is polled.
            return Keeping::Alarm;
        }
        let (runtime, mut to_set) = (alarm.runtime, None);
        let watch = &mut section.rare().watch;
        let unused = match watch {
            Some(watch) if watch.is_set => Some(alarm.into()),
            _ => watch.replace(alarm.into()),
        };
        let keeping = section.keep_limit(ticket, runtime, &mut to_set);
        drop(section);
        drop(unused);
        self.set_alarm(to_set, &mut effects);
        effects.carry_out();
        keeping
    }

    /// Rings the bell of the alarm.
    pub(crate) fn ring(&self) {
        let mut effects = Effects::default();
        let next = Section::enter(self, &mut effects).wake_expired();
        self.set_alarm(next, &mut effects);
        effects.carry_out();
    }

    /// Sets an alarm that was taken out for it.
    #[cold]
    pub(in crate::core) fn set_alarm(&self, mut to_set: Option<ToSet>, effects: &mut Effects) {
        while let Some((mut alarm, at)) = to_set.take() {
            let setting = alarm.set(at);
            let mut section = Section::enter(self, effects);
            let dead = if let Setting::Dead = setting {
                section.unwatch();
                Some(alarm)
            } else {
                to_set = section.put_back(alarm, setting == Setting::Over);
                None
            };
            drop(section);
            drop(dead);
        }
    }
}

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use std::task::Waker;

    use tokio_test::task;

    use super::*;
    use crate::core::{
        gate::{
            GateKind,
            arrival::{Arrival, Arrived, Patience},
        },
        limits::alarm::current_runtime,
    };

    /// Joins a gate that is full, in this runtime.
    fn join(gate: &Gate, waker: &Waker) -> (Ticket, Keeping) {
        let patience = Patience::Prepared(Some(waker.clone()), current_runtime());
        match gate.arrive(Arrival { cost: 1, expired: None, patience }, None) {
            Arrived::Waits { ticket, keeping, .. } => (ticket, keeping),
            other => panic!("a full gate with room made of an arrival: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_rings_while_it_is_being_set_is_heard_when_it_is_put_back() {
        let gate = Gate::new(1, 2, GateKind::Plain, None);
        gate.arrive(Arrival { cost: 1, expired: None, patience: Patience::None }, None);
        let limit = Duration::from_millis(10);
        let mut waiter =
            task::spawn(std::future::poll_fn(|cx| std::task::Poll::Ready(join(&gate, cx.waker()))));
        let std::task::Poll::Ready((ticket, Keeping::NewAlarm)) = waiter.poll() else {
            panic!("the first of all brings the alarm");
        };

        // Adopted, and taken out to be set.
        let mut effects = Effects::default();
        let mut section = Section::enter(&gate, &mut effects);
        let alarm = Alarm::new(limit, Waker::noop().clone());
        let (runtime, mut to_set) = (alarm.runtime, None);
        section.rare().watch = Some(alarm.into());
        assert_eq!(section.keep_limit(ticket, runtime, &mut to_set), Keeping::Alarm);
        drop(section);
        let (alarm, at) = to_set.expect("it was not set");
        assert_eq!(at, Instant::now() + limit);

        tokio::time::advance(limit).await;
        gate.ring();
        assert!(!waiter.is_woken(), "whoever sets the alarm does the rest");
        let mut section = Section::enter(&gate, &mut effects);
        assert!(section.put_back(alarm, false).is_none(), "nobody is left to set it for");
        drop(section);
        effects.carry_out();
        assert!(waiter.is_woken());

        // The next finds it not set.
        let (_, keeping) = join(&gate, Waker::noop());
        assert_eq!(keeping, Keeping::Alarm);
    }
}
