//! The alarm of the line: nobody whose limit it keeps is forgotten, whatever it is set, rings and dies
//! beside.

use tokio::runtime::{self, Id};

use super::*;
use crate::core::limits::{
    LimitEnforcer,
    alarm::{Alarm, Arming},
    timer::Timer,
};
use crate::sync::Weak;

/// A limit that has passed whenever anybody looks.
const PASSED: Duration = Duration::ZERO;

/// A limit that has never passed.
const FAR: Duration = Duration::from_secs(3_600);

/// The name of a runtime, which is all that an alarm knows of it.
fn a_runtime() -> Id {
    runtime::Builder::new_current_thread().build().expect("a runtime").handle().id()
}

/// Rings a gate, as a compartment's does.
struct GateBell(Weak<Gate>);

impl Wake for GateBell {
    fn wake(self: Arc<Self>) {
        if let Some(gate) = self.0.upgrade() {
            gate.fire_alarm();
        }
    }
}

impl Shared {
    /// Arrives in this runtime, with the gate's own limit.
    fn offer(&self, runtime: Id, waker: &Waker) -> ArrivalOutcome {
        let when_full = WhenFull::Join(Some(waker.clone()), Some(runtime));
        self.arrive(Arrival { cost: 1, expired: None, when_full })
    }
}

/// An operation in line, as its future knows it.
struct Waiter {
    ticket: Ticket,
    mark: Arc<Mark>,
    waker: Waker,
    enforcer: LimitEnforcer,
}

impl Waiter {
    /// Joins the line of a gate that is full, and brings an alarm with this timer if it is to.
    fn joining(gate: &Shared, runtime: Id, limit: Duration, timer: &Timer) -> Self {
        let (mark, waker) = Mark::new();
        let arrived = gate.offer(runtime, &waker);
        let ArrivalOutcome::Queued { ticket, enforcer, .. } = arrived else {
            panic!("a full gate with room made of an arrival: {arrived:?}");
        };
        Self { ticket, mark, waker, enforcer }.bringing(gate, runtime, limit, timer)
    }

    /// Brings an alarm, if it is to.
    fn bringing(self, gate: &Shared, runtime: Id, limit: Duration, timer: &Timer) -> Self {
        if self.enforcer != LimitEnforcer::NewAlarm {
            return self;
        }
        let alarm_waker = Arc::new(GateBell(Arc::downgrade(&gate.0))).into();
        let alarm = Alarm { runtime, limit, timer: timer.clone(), waker: alarm_waker };
        Self { enforcer: gate.adopt(self.ticket, Box::new(alarm)), ..self }
    }

    /// It has been woken, or saw to its limit without that; and does so now.
    fn assert_keeps_its_limit(&self, gate: &Shared) {
        assert!(self.mark.was_woken() || self.enforcer == LimitEnforcer::Waiter, "forgotten");
        let found = gate.look(self.ticket, Waker::noop(), None);
        assert!(matches!(found, WaiterState::Waiting(LimitEnforcer::Waiter)), "{found:?}");
    }

    /// What has become of it, or `None` while it waits.
    fn find(&self, gate: &Shared) -> Option<Result<(), RejectionReason>> {
        gate.find(self.ticket, &self.waker)
    }
}

/// Has a timer go off beside, if it is set by then.
fn ringing(timer: &Timer) -> JoinHandle<bool> {
    let timer = timer.clone();
    thread::spawn(move || timer.go_off())
}

/// Lets time pass until nothing is set any more.
fn ring_out(timers: &[&Timer]) {
    while timers.iter().any(|timer| timer.go_off()) {}
}

/// Two who join at once and bring an alarm each are both woken when their limit has passed, also if it
/// rings while it is being set.
#[test]
fn whoever_relies_on_an_alarm_is_woken_by_it() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let _held = gate.now(1);
        let timers = [Timer::new(), Timer::new()];
        let [own_timer, other_timer] = timers.clone();
        let other = beside(&gate, move |gate| Waiter::joining(gate, here, PASSED, &other_timer));
        let ringing = thread::spawn({
            let timers = timers.clone();
            move || timers.map(|timer| timer.go_off())
        });
        let own = Waiter::joining(&gate, here, PASSED, &own_timer);
        let other = ended(other);
        ended(ringing);
        ring_out(&[&timers[0], &timers[1]]);
        [own, other].iter().for_each(|waiter| waiter.assert_keeps_its_limit(&gate));
        gate.assert_settled();
    });
}

/// A ring that comes too early, or for somebody who has left, sets the alarm for the first of the others.
#[test]
fn an_alarm_that_rings_early_is_set_again() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let _held = gate.now(1);
        let timer = Timer::new();
        let first = Waiter::joining(&gate, here, FAR, &timer);
        assert_eq!(first.enforcer, LimitEnforcer::Alarm);
        let ringing = ringing(&timer);
        let leaving = beside(&gate, move |gate| gate.cancel(first.ticket));
        let second = Waiter::joining(&gate, here, FAR, &timer);
        assert!(ended(ringing), "it was set");
        ended(leaving);
        assert!(!second.mark.was_woken(), "its limit has not passed");
        assert!(
            second.enforcer == LimitEnforcer::Waiter || timer.go_off(),
            "nobody keeps its limit"
        );
    });
}

/// Who is admitted is woken for that, and the alarm passes on to those behind.
#[test]
fn a_hand_over_beside_a_ring_forgets_nobody() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let held = gate.now(1);
        let timer = Timer::new();
        let waiters = [(); 2].map(|()| Waiter::joining(&gate, here, PASSED, &timer));
        let releasing = thread::spawn(move || drop(held));
        let ringing = ringing(&timer);
        ended(releasing);
        ended(ringing);
        ring_out(&[&timer]);
        assert!(waiters[0].mark.was_woken(), "forgotten");
        assert_eq!(waiters[0].find(&gate), Some(Ok(())));
        waiters[1].assert_keeps_its_limit(&gate);
    });
}

/// Who is admitted before it has brought its alarm brings it for nothing, and whoever comes next for
/// itself.
#[test]
fn a_hand_over_beside_a_joining_waiter_forgets_nobody() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let held = gate.now(1);
        let timer = Timer::new();
        let releasing = thread::spawn(move || drop(held));
        let (mark, waker) = Mark::new();
        let first = match gate.offer(here, &waker) {
            // Joined, and perhaps admitted by now.
            ArrivalOutcome::Queued { ticket, enforcer, .. } => {
                Waiter { ticket, mark, waker, enforcer }.bringing(&gate, here, PASSED, &timer)
            }
            ArrivalOutcome::Admitted => return ended(releasing),
            other => panic!("a gate with room made of an arrival: {other:?}"),
        };
        ended(releasing);
        assert_eq!(first.find(&gate), Some(Ok(())));
        let second = Waiter::joining(&gate, here, PASSED, &timer);
        ring_out(&[&timer]);
        second.assert_keeps_its_limit(&gate);
    });
}

/// A limit that passes before the alarm is set wakes whoever has it.
#[test]
fn an_alarm_that_is_late_when_it_is_set_wakes_at_once() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let _held = gate.now(1);
        let (late, timer) = (Timer::of(Arming::AlreadyDue), Timer::of(Arming::AlreadyDue));
        let other = beside(&gate, move |gate| Waiter::joining(gate, here, PASSED, &late));
        let own = Waiter::joining(&gate, here, PASSED, &timer);
        let other = ended(other);
        [own, other].iter().for_each(|waiter| waiter.assert_keeps_its_limit(&gate));
    });
}

/// An alarm that cannot be set leaves the limits to their waiters, and the next brings another one.
#[test]
fn an_alarm_that_was_dead_before_is_replaced() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 3);
        let _held = gate.now(1);
        let (dead, alive) = (Timer::of(Arming::RuntimeGone), Timer::new());
        let (own_timer, other_timer) = (dead.clone(), alive.clone());
        let other = beside(&gate, move |gate| Waiter::joining(gate, here, PASSED, &other_timer));
        let own = Waiter::joining(&gate, here, PASSED, &own_timer);
        let other = ended(other);
        ring_out(&[&dead, &alive]);
        [own, other].iter().for_each(|waiter| waiter.assert_keeps_its_limit(&gate));
        let last = Waiter::joining(&gate, here, PASSED, &alive);
        ring_out(&[&alive]);
        last.assert_keeps_its_limit(&gate);
    });
}

/// An alarm that dies while it keeps limits, whose runtime goes, leaves them to their waiters: to those who
/// were there, and to who joins just then.
#[test]
fn an_alarm_that_dies_wakes_everybody() {
    let here = a_runtime();
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let _held = gate.now(1);
        let timer = Timer::new();
        let first = Waiter::joining(&gate, here, FAR, &timer);
        let dying = thread::spawn({
            let timer = timer.clone();
            move || timer.die()
        });
        let second = Waiter::joining(&gate, here, FAR, &timer);
        ended(dying);
        [first, second].iter().for_each(|waiter| waiter.assert_keeps_its_limit(&gate));
    });
}

/// Who is polled with another waker beside a ring is woken by that one, or told that nobody else keeps its
/// limit.
#[test]
fn a_waiter_with_a_new_waker_is_not_forgotten() {
    let here = a_runtime();
    explore(4, move || {
        let gate = Shared::plain(1, 1);
        let _held = gate.now(1);
        let timer = Timer::new();
        let waiter = Waiter::joining(&gate, here, PASSED, &timer);
        let ringing = ringing(&timer);
        let (mark, waker) = Mark::new();
        let found = gate.look(waiter.ticket, &waker, None);
        ended(ringing);
        let WaiterState::Waiting(enforcer) = found else { panic!("nobody admits it: {found:?}") };
        assert!(mark.was_woken() || enforcer == LimitEnforcer::Waiter, "forgotten");
    });
}

/// A limit is not left to an alarm of another runtime, which nobody may drive: of two who wait in two,
/// one keeps its own, and the alarm of the other is set.
#[test]
fn an_alarm_serves_one_runtime() {
    let (here, elsewhere) = (a_runtime(), a_runtime());
    explore(3, move || {
        let gate = Shared::plain(1, 2);
        let _held = gate.now(1);
        let (near, far) = (Timer::new(), Timer::new());
        let stranger = beside(&gate, {
            let far = far.clone();
            move |gate| Waiter::joining(gate, elsewhere, PASSED, &far)
        });
        let own = Waiter::joining(&gate, here, PASSED, &near);
        let stranger = ended(stranger);
        let (served, timer) = match (own.enforcer, stranger.enforcer) {
            (LimitEnforcer::Alarm, LimitEnforcer::Waiter) => (own, near),
            (LimitEnforcer::Waiter, LimitEnforcer::Alarm) => (stranger, far),
            other => panic!("an alarm for both, or for nobody: {other:?}"),
        };
        ring_out(&[&timer]);
        served.assert_keeps_its_limit(&gate);
    });
}

/// A close wakes everybody once, whether or not the alarm does too.
#[test]
fn a_close_beside_a_ring_wakes_everybody_once() {
    let here = a_runtime();
    explore(4, move || {
        let gate = Shared::plain(1, 2);
        let _held = gate.now(1);
        let timer = Timer::new();
        let waiters = [(); 2].map(|()| Waiter::joining(&gate, here, PASSED, &timer));
        let closing = beside(&gate, |gate| gate.close());
        let ringing = ringing(&timer);
        ended(closing);
        ended(ringing);
        ring_out(&[&timer]);
        for waiter in waiters {
            assert!(waiter.mark.was_woken());
            assert_eq!(waiter.find(&gate), Some(Err(RejectionReason::Closed)));
        }
    });
}
