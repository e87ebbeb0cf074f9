//! The alarm of the line: no waiter whose limit it enforces is forgotten, whatever happens while the alarm
//! is armed, fires or loses its runtime.

use tokio::runtime::Id;

use super::*;
use crate::core::limits::{
    LimitEnforcer,
    alarm::{Alarm, Arming},
    current_runtime,
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
            gate.gate.fire_alarm(gate.records.as_deref());
        }
    }
}

impl SharedGate {
    /// Arrives in this runtime, subject to the gate's own limit, which is this one.
    fn arrive_in(&self, runtime: Id, limit: Duration, waker: &Waker) -> ArrivalOutcome {
        GateHandle::wait_limit(self).set(Some(limit));
        self.arrive(Self::arrival(1, WhenFull::Join(Some(waker.clone()), Some(runtime))))
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
        GateHandle::wait_limit(gate).set(Some(limit));
        Self::join_with(gate, runtime, &WaitPolicy::UpToLimit, timer)
    }

    /// The same, with a limit of its own.
    fn join_within(gate: &SharedGate, runtime: Id, limit: Duration, timer: &Timer) -> Self {
        Self::join_with(gate, runtime, &WaitPolicy::Within(limit), timer)
    }

    fn join_with(gate: &SharedGate, runtime: Id, policy: &WaitPolicy, timer: &Timer) -> Self {
        let (flag, waker) = WakeFlag::new();
        let when_full = WhenFull::Join(Some(waker.clone()), Some(runtime));
        let arrived = gate.arrive(Arrival { policy, ..SharedGate::arrival(1, when_full) });
        let ArrivalOutcome::Queued { ticket, enforcer, .. } = arrived else {
            panic!("a full gate with room did not queue an arrival: {arrived:?}");
        };
        Self { ticket, flag, waker, enforcer }.provide_alarm(gate, runtime, timer)
    }

    /// Provides an alarm with this timer if one is needed.
    fn provide_alarm(self, gate: &SharedGate, runtime: Id, timer: &Timer) -> Self {
        if self.enforcer != LimitEnforcer::NewAlarm {
            return self;
        }
        let waker = Arc::new(GateAlarmWaker(Arc::downgrade(&gate.0))).into();
        let alarm = Alarm { runtime, timer: timer.clone(), waker };
        Self { enforcer: gate.adopt(self.ticket, Box::new(alarm)), ..self }
    }

    /// Asserts that the waiter was taken out because its limit has passed, and was woken.
    fn assert_expired(&self, gate: &SharedGate) {
        assert!(self.flag.was_woken(), "forgotten");
        assert!(self.poll_outcome(gate).is_some_and(|outcome| outcome.is_err_and(is_wait_limit)));
    }

    /// Asserts that one of these timers is armed for the waiter, or that it was woken to see to its limit itself.
    fn assert_watched(&self, gate: &SharedGate, timers: &[&Timer]) {
        // Who was woken already may not be woken again, as far as its flag is concerned.
        let waker = if self.flag.was_woken() { Waker::noop() } else { &self.waker };
        let found = gate.poll_waiter(self.ticket, waker);
        match found {
            WaiterState::Waiting(LimitEnforcer::Line) => {
                assert!(timers.iter().any(|timer| timer.is_armed()), "forgotten");
            }
            WaiterState::Waiting(_) => {
                let saw_to_it = matches!(self.enforcer, LimitEnforcer::Waiter(_));
                assert!(self.flag.was_woken() || saw_to_it, "forgotten");
            }
            WaiterState::Settled(outcome) => panic!("{outcome:?}"),
        }
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

/// Two waiters that join concurrently and each provide an alarm are both taken out when their limit has
/// passed, even if the alarm fires while it is being armed.
#[test]
fn every_waiter_that_relies_on_an_alarm_is_taken_out_by_it() {
    PausedClock::explore(3, move |clock| {
        let here = current_runtime().expect("the clock belongs to one");
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let timers = [Timer::new(), Timer::new()];
        let [own_timer, other_timer] = timers.clone();
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, SECOND, &other_timer));
        let firing = thread::spawn({
            let timers = timers.clone();
            move || timers.map(|timer| timer.fire())
        });
        let own = Waiter::join(&gate, here, SECOND, &own_timer);
        let other = join_thread(other);
        join_thread(firing);
        [&own, &other]
            .iter()
            .for_each(|waiter| waiter.assert_watched(&gate, &[&timers[0], &timers[1]]));
        clock.advance(SECOND);
        fire_all(&[&timers[0], &timers[1]]);
        [own, other].iter().for_each(|waiter| waiter.assert_expired(&gate));
        gate.assert_invariants();
    });
}

/// The same with limits that have passed before the alarm is provided.
#[test]
fn whoever_touches_the_gate_takes_out_waiters_whose_limit_has_passed() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let held = gate.try_enter(1);
        let timers = [Timer::new(), Timer::new()];
        let [own_timer, other_timer] = timers.clone();
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, PASSED, &other_timer));
        let own = Waiter::join(&gate, here, PASSED, &own_timer);
        let other = join_thread(other);
        fire_all(&[&timers[0], &timers[1]]);
        drop(held);
        [own, other].iter().for_each(|waiter| waiter.assert_expired(&gate));
        assert_eq!(gate.checked_snapshot().used, 0);
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
        let firing = spawn_fire(&timer);
        let leaving = spawn_with(&gate, move |gate| gate.cancel(first.ticket));
        let second = Waiter::join(&gate, here, NEVER, &timer);
        assert!(join_thread(firing), "the timer was not armed");
        join_thread(leaving);
        assert!(!second.flag.was_woken(), "its limit has not passed");
        second.assert_watched(&gate, &[&timer]);
    });
}

/// Of two waiters that join concurrently, the alarm is armed for the one whose limit passes first, whoever arms it.
#[test]
fn an_alarm_is_armed_for_the_earliest_end() {
    PausedClock::explore(3, move |clock| {
        let here = current_runtime().expect("the clock belongs to one");
        let gate = SharedGate::plain(1, 3);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let _first = Waiter::join(&gate, here, 9 * SECOND, &timer);
        let join = |limit: Duration, timer: Timer| {
            move |gate: &SharedGate| Waiter::join_within(gate, here, limit, &timer)
        };
        let other = spawn_with(&gate, join(3 * SECOND, timer.clone()));
        let own = join(5 * SECOND, timer.clone())(&gate);
        let other = join_thread(other);
        assert_eq!(timer.armed_for(), Some(Instant::now() + 3 * SECOND));
        clock.advance(3 * SECOND);
        assert!(timer.fire());
        other.assert_expired(&gate);
        assert_eq!(timer.armed_for(), Some(Instant::now() + 2 * SECOND));
        own.assert_watched(&gate, &[&timer]);
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
        let waiters = [(); 2].map(|()| Waiter::join(&gate, here, NEVER, &timer));
        let releasing = thread::spawn(move || drop(held));
        let firing = spawn_fire(&timer);
        join_thread(releasing);
        join_thread(firing);
        assert!(waiters[0].flag.was_woken(), "forgotten");
        assert_eq!(waiters[0].poll_outcome(&gate), Some(Ok(())));
        waiters[1].assert_watched(&gate, &[&timer]);
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
        let first = match gate.arrive_in(here, NEVER, &waker) {
            // Queued, and possibly admitted by now.
            ArrivalOutcome::Queued { ticket, enforcer, .. } => {
                Waiter { ticket, flag, waker, enforcer }.provide_alarm(&gate, here, &timer)
            }
            ArrivalOutcome::Admitted => return join_thread(releasing),
            other => panic!("a gate with room rejected an arrival: {other:?}"),
        };
        join_thread(releasing);
        assert_eq!(first.poll_outcome(&gate), Some(Ok(())));
        Waiter::join(&gate, here, NEVER, &timer).assert_watched(&gate, &[&timer]);
    });
}

/// A limit that passes before its alarm is armed takes the waiter out.
#[test]
fn an_alarm_armed_after_its_limit_takes_out_at_once() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let (late, timer) =
            (Timer::returning(Arming::AlreadyDue), Timer::returning(Arming::AlreadyDue));
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, PASSED, &late));
        let own = Waiter::join(&gate, here, PASSED, &timer);
        let other = join_thread(other);
        [own, other].iter().for_each(|waiter| waiter.assert_expired(&gate));
    });
}

/// If an alarm cannot be armed its waiters are woken to see to their limits, and the next waiter provides another alarm.
#[test]
fn an_alarm_that_cannot_be_armed_is_replaced() {
    let here = runtime_id();
    explore(3, move || {
        let gate = SharedGate::plain(1, 3);
        let _held = gate.try_enter(1);
        let (dead, alive) = (Timer::returning(Arming::RuntimeGone), Timer::new());
        let (own_timer, other_timer) = (dead.clone(), alive.clone());
        let other = spawn_with(&gate, move |gate| Waiter::join(gate, here, NEVER, &other_timer));
        let own = Waiter::join(&gate, here, NEVER, &own_timer);
        let other = join_thread(other);
        [own, other].iter().for_each(|waiter| waiter.assert_watched(&gate, &[&alive]));
        Waiter::join(&gate, here, NEVER, &alive).assert_watched(&gate, &[&alive]);
    });
}

/// When the runtime of an alarm shuts down, the waiters that it served are woken to see to their limits, and so is one that joins
/// at that moment.
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
        [first, second].iter().for_each(|waiter| waiter.assert_watched(&gate, &[]));
    });
}

/// A waiter that is polled with a new waker while its limit passes is woken by the new waker, or learns of it from the poll.
#[test]
fn a_waiter_polled_with_a_new_waker_is_not_forgotten() {
    PausedClock::explore(4, move |clock| {
        let here = current_runtime().expect("the clock belongs to one");
        let gate = SharedGate::plain(1, 1);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let waiter = Waiter::join(&gate, here, SECOND, &timer);
        let passing =
            spawn_with(&gate, move |gate| gate.pass_limit(waiter.ticket, Expiry::WaitLimit));
        let (flag, waker) = WakeFlag::new();
        let found = gate.poll_waiter(waiter.ticket, &waker);
        join_thread(passing);
        let is_settled = matches!(found, WaiterState::Settled(Err(_)));
        assert!(is_settled || flag.was_woken(), "forgotten: {found:?}");
        clock.advance(SECOND);
    });
}

/// An alarm is not relied upon by a waiter in another runtime, since its own runtime may not be
/// driven. Of two waiters in two runtimes, one sees to its own limit and the alarm of the other is armed.
#[test]
fn an_alarm_serves_one_runtime() {
    let (here, elsewhere) = (runtime_id(), runtime_id());
    explore(3, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let (own_timer, other_timer) = (Timer::new(), Timer::new());
        let other = spawn_with(&gate, {
            let other_timer = other_timer.clone();
            move |gate| Waiter::join(gate, elsewhere, NEVER, &other_timer)
        });
        let own = Waiter::join(&gate, here, NEVER, &own_timer);
        let other = join_thread(other);
        let timer = match (own.enforcer, other.enforcer) {
            (LimitEnforcer::Line, LimitEnforcer::Waiter(_)) => own_timer,
            (LimitEnforcer::Waiter(_), LimitEnforcer::Line) => other_timer,
            both => panic!("one alarm must serve one of the two waiters: {both:?}"),
        };
        assert!(timer.is_armed());
    });
}

/// When a close races the alarm and a limit that passes, every waiter is woken, and has one outcome.
#[test]
fn a_close_that_races_the_alarm_wakes_every_waiter_once() {
    let here = runtime_id();
    explore(4, move || {
        let gate = SharedGate::plain(1, 2);
        let _held = gate.try_enter(1);
        let timer = Timer::new();
        let waiters = [(); 2].map(|()| Waiter::join(&gate, here, NEVER, &timer));
        let closing = spawn_with(&gate, |gate| gate.close());
        let second = waiters[1].ticket;
        let passing = spawn_with(&gate, move |gate| gate.pass_limit(second, Expiry::WaitLimit));
        timer.fire();
        join_thread(closing);
        join_thread(passing);
        assert!(waiters.iter().all(|waiter| waiter.flag.was_woken()));
        assert_eq!(waiters[0].poll_outcome(&gate), Some(Err(RejectionReason::Closed)));
        let expired = gate.checked_snapshot().totals.expired;
        let outcome = waiters[1].poll_outcome(&gate);
        match expired {
            0 => assert_eq!(outcome, Some(Err(RejectionReason::Closed))),
            _ => assert!(outcome.is_some_and(|outcome| outcome.is_err_and(is_wait_limit))),
        }
    });
}
