//! The alarm of the line: no waiter whose limit it enforces is forgotten, whatever happens while the alarm
//! is armed, fires or loses its runtime.

use tokio::runtime::Id;

use super::*;
use crate::core::limits::{
    LimitEnforcer,
    alarm::{Alarm, Arming},
    timer::Timer,
};
use crate::sync::Weak;

/// A limit that has always passed.
const PASSED: Duration = Duration::ZERO;

/// A limit that never passes.
const NEVER: Duration = Duration::from_secs(3_600);

/// Returns the id of a new runtime. An alarm uses nothing else of it.
fn runtime_id() -> Id {
    runtime::Builder::new_current_thread().build().expect("a runtime").handle().id()
}

/// Fires the alarm of a gate, like the alarm waker of a compartment.
struct GateAlarmWaker(Weak<GateOfModel>);

impl Wake for GateAlarmWaker {
    fn wake(self: Arc<Self>) {
        if let Some(gate) = self.0.upgrade() {
            gate.gate.fire_alarm();
        }
    }
}

impl SharedGate {
    /// Arrives in this runtime, subject to the gate's own limit, which is this one.
    fn arrive_in(&self, runtime: Id, limit: Duration, waker: &Waker) -> ArrivalOutcome {
        GateHandle::wait_limit(self).set(Some(limit));
        let when_full = WhenFull::Join(Some(waker.clone()), Some(runtime));
        self.arrive(Arrival { cost: 1, expired: None, when_full })
    }
}

/// A waiter, with the state that its future holds.
struct Waiter {
    ticket: Ticket,
    flag: Arc<WakeFlag>,
    waker: Waker,
    enforcer: LimitEnforcer,
}

impl Waiter {
    /// Joins the line of a gate that is full, and provides an alarm with this timer if one is needed.
    fn join(gate: &SharedGate, runtime: Id, limit: Duration, timer: &Timer) -> Self {
        let (flag, waker) = WakeFlag::new();
        let arrived = gate.arrive_in(runtime, limit, &waker);
        let ArrivalOutcome::Queued { ticket, enforcer, .. } = arrived else {
            panic!("a full gate with room did not queue an arrival: {arrived:?}");
        };
        Self { ticket, flag, waker, enforcer }.provide_alarm(gate, runtime, limit, timer)
    }

    /// Provides an alarm with this timer if one is needed.
    fn provide_alarm(self, gate: &SharedGate, runtime: Id, limit: Duration, timer: &Timer) -> Self {
        if self.enforcer != LimitEnforcer::NewAlarm {
            return self;
        }
        let alarm_waker = Arc::new(GateAlarmWaker(Arc::downgrade(&gate.0))).into();
        let alarm = Alarm { runtime, limit, timer: timer.clone(), waker: alarm_waker };
        Self { enforcer: gate.adopt(self.ticket, Box::new(alarm)), ..self }
    }

    /// Asserts that the waiter was woken or enforced its limit itself from the start, and that it enforces
    /// the limit now.
    fn assert_enforces_its_limit(&self, gate: &SharedGate) {
        assert!(self.flag.was_woken() || self.enforcer == LimitEnforcer::Waiter, "forgotten");
        let found = gate.poll_waiter(self.ticket, Waker::noop());
        assert!(matches!(found, WaiterState::Waiting(LimitEnforcer::Waiter)), "{found:?}");
    }

    /// Polls the waiter. Returns its outcome, or `None` while it waits.
    fn poll_outcome(&self, gate: &SharedGate) -> Option<Result<(), RejectionReason>> {
        gate.poll_outcome(self.ticket, &self.waker)
    }
}

/// Spawns a thread that fires a timer, if it is armed by then. The thread returns whether it was.
fn spawn_fire(timer: &Timer) -> JoinHandle<bool> {
    let timer = timer.clone();
    thread::spawn(move || timer.fire())
}

/// Fires the timers until none is armed.
fn fire_all(timers: &[&Timer]) {
    while timers.iter().any(|timer| timer.fire()) {}
}

/// Two waiters that join concurrently and each provide an alarm are both woken when their limit has
/// passed, even if the alarm fires while it is being armed.
#[test]
fn every_waiter_that_relies_on_an_alarm_is_woken_by_it() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let timers = [Timer::new(), Timer::new()];
        let [own_timer, other_timer] = timers.clone();
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, PASSED, &other_timer));
        let firing = thread::spawn({
            let timers = timers.clone();
            move || timers.map(|timer| timer.fire())
        });
        let own = Waiter::join(&gate, here, PASSED, &own_timer);
        let other = join_thread(other);
        join_thread(firing);
        fire_all(&[&timers[0], &timers[1]]);
        [own, other].iter().for_each(|waiter| waiter.assert_enforces_its_limit(&gate));
        gate.assert_invariants();
    });
}

/// An alarm that fires too early, or for a waiter that has left, is armed for the first remaining waiter.
#[test]
fn an_alarm_that_fires_early_is_armed_again() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let first = Waiter::join(&gate, here, NEVER, &timer);
        assert_eq!(first.enforcer, LimitEnforcer::Alarm);
        let firing = spawn_fire(&timer);
        let leaving = spawn_with(&gate, move |gate| gate.cancel(first.ticket));
        let second = Waiter::join(&gate, here, NEVER, &timer);
        assert!(join_thread(firing), "the timer was not armed");
        join_thread(leaving);
        assert!(!second.flag.was_woken(), "its limit has not passed");
        assert!(
            second.enforcer == LimitEnforcer::Waiter || timer.fire(),
            "nothing enforces its limit"
        );
    });
}

/// When a hand-over races the alarm, the admitted waiter is woken and the alarm still serves the next.
#[test]
fn a_hand_over_that_races_the_alarm_forgets_no_waiter() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let timer = Timer::new();
        let waiters = [(); 2].map(|()| Waiter::join(&gate, here, PASSED, &timer));
        let releasing = thread::spawn(move || drop(held));
        let firing = spawn_fire(&timer);
        join_thread(releasing);
        join_thread(firing);
        fire_all(&[&timer]);
        assert!(waiters[0].flag.was_woken(), "forgotten");
        assert_eq!(waiters[0].poll_outcome(&gate), Some(Ok(())));
        waiters[1].assert_enforces_its_limit(&gate);
    });
}

/// A waiter that is admitted before it provides its alarm provides it in vain, and the next waiter provides
/// its own.
#[test]
fn a_hand_over_before_the_alarm_is_provided_forgets_no_waiter() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let timer = Timer::new();
        let releasing = thread::spawn(move || drop(held));
        let (flag, waker) = WakeFlag::new();
        let first = match gate.arrive_in(here, PASSED, &waker) {
            // Queued, and possibly admitted by now.
            ArrivalOutcome::Queued { ticket, enforcer, .. } => {
                Waiter { ticket, flag, waker, enforcer }.provide_alarm(&gate, here, PASSED, &timer)
            }
            ArrivalOutcome::Admitted => return join_thread(releasing),
            other => panic!("a gate with room rejected an arrival: {other:?}"),
        };
        join_thread(releasing);
        assert_eq!(first.poll_outcome(&gate), Some(Ok(())));
        let second = Waiter::join(&gate, here, PASSED, &timer);
        fire_all(&[&timer]);
        second.assert_enforces_its_limit(&gate);
    });
}

/// A limit that passes before its alarm is armed wakes the waiter.
#[test]
fn an_alarm_armed_after_its_limit_wakes_at_once() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let (late, timer) =
            (Timer::returning(Arming::AlreadyDue), Timer::returning(Arming::AlreadyDue));
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, PASSED, &late));
        let own = Waiter::join(&gate, here, PASSED, &timer);
        let other = join_thread(other);
        [own, other].iter().for_each(|waiter| waiter.assert_enforces_its_limit(&gate));
    });
}

/// If an alarm cannot be armed its waiters enforce their limits themselves, and the next waiter provides
/// another alarm.
#[test]
fn an_alarm_that_cannot_be_armed_is_replaced() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 3);
        let _held = gate.try_enter(1);
        let (dead, alive) = (Timer::returning(Arming::RuntimeGone), Timer::new());
        let (own_timer, other_timer) = (dead.clone(), alive.clone());
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, PASSED, &other_timer));
        let own = Waiter::join(&gate, here, PASSED, &own_timer);
        let other = join_thread(other);
        fire_all(&[&dead, &alive]);
        [own, other].iter().for_each(|waiter| waiter.assert_enforces_its_limit(&gate));
        let last = Waiter::join(&gate, here, PASSED, &alive);
        fire_all(&[&alive]);
        last.assert_enforces_its_limit(&gate);
    });
}

/// When the runtime of an alarm shuts down, the waiters that it served enforce their limits themselves, and
/// so does one that joins at that moment.
#[test]
fn an_alarm_whose_runtime_shuts_down_wakes_its_waiters() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let first = Waiter::join(&gate, here, NEVER, &timer);
        let shutting_down = thread::spawn({
            let timer = timer.clone();
            move || timer.shut_down()
        });
        let second = Waiter::join(&gate, here, NEVER, &timer);
        join_thread(shutting_down);
        [first, second].iter().for_each(|waiter| waiter.assert_enforces_its_limit(&gate));
    });
}

/// A waiter that is polled with a new waker while the alarm fires is woken by the new waker, or learns from
/// the poll that it must enforce its limit itself.
#[test]
fn a_waiter_polled_with_a_new_waker_is_not_forgotten() {
    let here = runtime_id();
    explore(4, move || {
        let gate = SharedGate::plain(1, 1);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let waiter = Waiter::join(&gate, here, PASSED, &timer);
        let firing = spawn_fire(&timer);
        let (flag, waker) = WakeFlag::new();
        let found = gate.poll_waiter(waiter.ticket, &waker);
        join_thread(firing);
        let WaiterState::Waiting(enforcer) = found else {
            panic!("admitted without a release: {found:?}")
        };
        assert!(flag.was_woken() || enforcer == LimitEnforcer::Waiter, "forgotten");
    });
}

/// An alarm never enforces the limit of a waiter in another runtime, since its own runtime may not be
/// driven. Of two waiters in two runtimes, one enforces its own limit and the alarm of the other is armed.
#[test]
fn an_alarm_serves_one_runtime() {
    let (here, elsewhere) = (runtime_id(), runtime_id());
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let (own_timer, other_timer) = (Timer::new(), Timer::new());
        let other = spawn_with(&gate, {
            let other_timer = other_timer.clone();
            move |gate| Waiter::join(gate, elsewhere, PASSED, &other_timer)
        });
        let own = Waiter::join(&gate, here, PASSED, &own_timer);
        let other = join_thread(other);
        let (served, timer) = match (own.enforcer, other.enforcer) {
            (LimitEnforcer::Alarm, LimitEnforcer::Waiter) => (own, own_timer),
            (LimitEnforcer::Waiter, LimitEnforcer::Alarm) => (other, other_timer),
            both => panic!("one alarm must serve one of the two waiters: {both:?}"),
        };
        fire_all(&[&timer]);
        served.assert_enforces_its_limit(&gate);
    });
}

/// When a close races the alarm, every waiter is woken exactly once and rejected.
#[test]
fn a_close_that_races_the_alarm_wakes_every_waiter_once() {
    let here = runtime_id();
    explore(4, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let waiters = [(); 2].map(|()| Waiter::join(&gate, here, PASSED, &timer));
        let closing = spawn_with(&gate, |gate| gate.close());
        let firing = spawn_fire(&timer);
        join_thread(closing);
        join_thread(firing);
        fire_all(&[&timer]);
        for waiter in waiters {
            assert!(waiter.flag.was_woken());
            assert_eq!(waiter.poll_outcome(&gate), Some(Err(RejectionReason::Closed)));
        }
    });
}
