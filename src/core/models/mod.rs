//! Loom models of the engine: small programs of a few threads, run under every schedule up to a bound
//! of preemptions, and with every value that a load may return.
//!
//! A model of a single promise is in the file of its subject. `programs` generates random programs and
//! compares their results with `reference`, a sequential implementation. `.ci/loom` runs all models.
//!
//! A model blocks only on the engine's lock and on the wakers that it passes in, so a lost wake-up shows
//! as a deadlock.

mod alarm;
mod closing;
mod draining;
mod ending;
mod entering;
mod history;
mod observing;
mod overdue;
mod partition;
mod paused_clock;
mod pausing;
mod pooled;
mod pressure;
mod program_thread;
mod programs;
mod reference;
mod resizing;
mod standing;
mod waiting;
mod weighted;
mod witnesses;

use std::{
    collections::BTreeMap,
    future::Future,
    task::{Context, Wake, Waker},
    time::Duration,
};

use tokio::{runtime, time::Instant};

use crate::{
    core::{
        clock::Nanos,
        gate::{
            Gate, GateKind, SOME_OVERDUE,
            arrival::{Arrival, ArrivalOutcome, WaiterState, WhenFull},
            counts::Totals,
            effects::{Change, Effects, EventKind, SharedSink},
            ending::Abandonment,
            lifecycle::{Milestone, Phase},
            reconfiguring::{ChangeRefusal, GateChange},
            records::SharedRecords,
            sampling::{HandOverStamps, Stamp},
            section::Section,
            snapshot::Snapshot,
            times::TimesSnapshot,
            word::Word,
        },
        limits::{Expiry, wait_limit::WaitLimit, wait_policy::WaitPolicy},
        line::Ticket,
        operation::{
            arrive::admit_now,
            handle::{GateHandle, IntoOwnedHandle},
            permit::Permit,
            wait::Wait,
        },
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    sync::{
        Arc, Ordering,
        models::{Builder, JoinHandle, LoomUsize, StdMutex, StdUsize, thread},
    },
};

use self::{
    paused_clock::PausedClock,
    witnesses::{Recorder, WakeFlag, block_on},
};

/// Runs `model` under every schedule with at most `preemptions` switches away from a thread that could
/// have continued. Prints the number of schedules.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let schedules = explore_some(preemptions, None, model);
    let test = std::thread::current();
    println!("{}: {schedules} schedules", test.name().unwrap_or("model"));
}

/// Does the same, but stops after about `max_schedules`. Returns the number of schedules.
fn explore_some(
    preemptions: usize,
    max_schedules: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) -> usize {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = builder.max_branches.max(1_000);
    if let Some(max_schedules) = max_schedules {
        // Loom compares the count with its maximum once per checkpoint interval.
        builder.checkpoint_interval = max_schedules;
        builder.max_permutations = Some(max_schedules);
    }
    let schedules = Arc::new(StdUsize::new(0));
    let counter = schedules.clone();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    schedules.load(Ordering::Relaxed)
}

const SECOND: Duration = Duration::from_secs(1);

/// A gate with several owners.
///
/// Its methods are those of the gate, with the records that a partition shares and the current time filled in.
#[derive(Clone, Debug)]
struct SharedGate(Arc<GateOfModel>);

#[derive(Debug)]
struct GateOfModel {
    gate: Gate,
    /// What the gate shares with others, if it is a partition.
    records: Option<Arc<SharedRecords>>,
    /// What the gate has on its own, if it is none.
    stamps: Option<Arc<HandOverStamps>>,
    wait_limit: Option<Arc<WaitLimit>>,
    /// The totals of the checked snapshots, by their sequence numbers.
    checked: StdMutex<BTreeMap<u64, Totals>>,
}

impl GateHandle for SharedGate {
    fn gate(&self) -> &Gate {
        &self.0.gate
    }

    fn label(&self) -> &str {
        ""
    }

    fn shared(&self) -> Option<&SharedRecords> {
        self.0.records.as_deref()
    }

    fn stamps(&self) -> Option<&HandOverStamps> {
        self.0.stamps.as_deref()
    }

    fn wait_limit(&self) -> &WaitLimit {
        match (&self.0.wait_limit, &self.0.records) {
            (Some(own), _) => own,
            (None, Some(records)) => &records.wait_limit,
            (None, None) => unreachable!("a gate of a model has either"),
        }
    }

    fn alarm_waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

impl IntoOwnedHandle for SharedGate {
    type Owned = Self;

    fn into_owned(self) -> Self {
        self
    }
}

impl std::ops::Deref for SharedGate {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0.gate
    }
}

/// Returns whether a reason is the wait limit. Models do not control the clock, so any `waited` under
/// 60 s will do.
fn is_wait_limit(reason: RejectionReason) -> bool {
    matches!(reason, RejectionReason::WaitLimit { waited, .. } if waited < Duration::from_secs(60))
}

type Admission = Result<Permit<SharedGate>, RejectionReason>;

impl SharedGate {
    fn new(capacity: u32, room: u32, kind: GateKind) -> Self {
        let rejections = RejectionCache::new("model".into(), 1, kind == GateKind::Partition);
        if kind == GateKind::Partition {
            let records = SharedRecords::new(rejections, WaitLimit::new(None), None);
            return Self::partition(capacity, room, Arc::new(records));
        }
        Self::from_gate(Gate::new(capacity, room, kind, Some(rejections)), None)
    }

    /// Creates a partition that shares these records with others.
    fn partition(capacity: u32, room: u32, records: Arc<SharedRecords>) -> Self {
        Self::from_gate(Gate::new(capacity, room, GateKind::Partition, None), Some(records))
    }

    fn from_gate(gate: Gate, records: Option<Arc<SharedRecords>>) -> Self {
        let (stamps, wait_limit, checked) = (gate.stamps(), gate.wait_limit(), StdMutex::default());
        Self(Arc::new(GateOfModel { gate, records, stamps, wait_limit, checked }))
    }

    fn plain(capacity: u32, room: u32) -> Self {
        Self::new(capacity, room, GateKind::Plain)
    }

    fn weighted(capacity: u32, room: u32) -> Self {
        Self::new(capacity, room, GateKind::Weighted)
    }

    /// Creates a gate that has admitted and released this many operations of one unit, one after
    /// another.
    fn with_past_admissions(capacity: u32, room: u32, kind: GateKind, admissions: u32) -> Self {
        let gate = Self::new(capacity, room, kind);
        if let Some(others) = admissions.checked_sub(1) {
            // The first admission sets the peak, under the lock.
            drop(gate.try_enter(1));
            let word = Word::from_bits(gate.word.load(Ordering::Relaxed)).counting(others);
            gate.word.store(word.bits(), Ordering::Relaxed);
        }
        gate
    }

    /// Admits an operation that starts at once, or rejects it.
    fn try_enter(&self, cost: usize) -> Admission {
        admit_now(self.clone(), cost, WaitPolicy::NoWait).map(Permit::start).map_err(reason)
    }

    fn wait(&self, cost: usize) -> Wait<SharedGate> {
        Wait::new(self.clone(), cost, WaitPolicy::UpToLimit)
    }

    /// Blocks this thread until an operation is admitted and has started, or is rejected.
    fn enter(&self, cost: usize) -> Admission {
        block_on(self.wait(cost)).map(Permit::start).map_err(reason)
    }

    fn arrive(&self, arrival: Arrival<'_>) -> ArrivalOutcome {
        self.gate().arrive(arrival, self.shared())
    }

    fn poll_waiter(
        &self,
        ticket: Ticket,
        waker: &Waker,
    ) -> WaiterState<Result<(), RejectionReason>> {
        match self.gate().poll_waiter(ticket, waker, self.shared()) {
            WaiterState::Settled(outcome) => WaiterState::Settled(outcome.map_err(reason)),
            WaiterState::Waiting(enforcer) => WaiterState::Waiting(enforcer),
        }
    }

    /// What arrives, subject to the gate's own limit.
    fn arrival(cost: usize, when_full: WhenFull) -> Arrival<'static> {
        Arrival { cost, policy: &WaitPolicy::UpToLimit, expired: None, when_full, stands: false }
    }

    fn cancel(&self, ticket: Ticket) {
        self.gate().cancel(ticket, Instant::now(), self.shared());
    }

    /// Releases the units of an operation that is not timed.
    fn release(&self, cost: u32) {
        self.gate().release(cost, || self.shared());
    }

    /// Releases the units of an operation that was timed from now on.
    fn release_timed(&self, cost: u32) {
        self.gate().release_timed(cost, Stamp::timed(Nanos::at(Instant::now())), self.shared());
    }

    /// Ends an operation that was timed from now on as cut short.
    fn cut_short(&self, cost: u32) {
        self.gate().cut_short(cost, Stamp::timed(Nanos::at(Instant::now())), self.shared());
    }

    fn abandon(&self, cost: u32, by_deadline: bool) {
        let abandonment = Abandonment { waited: None, by_deadline };
        self.gate().abandon(cost, abandonment, self.shared());
    }

    fn pause(&self) {
        self.set_paused(true);
    }

    fn resume(&self) {
        self.set_paused(false);
    }

    fn set_paused(&self, paused: bool) {
        let mut effects = Effects::default();
        self.gate().set_paused(paused, self.shared(), &mut effects);
        effects.carry_out();
    }

    fn drain(&self) {
        self.gate().drain(self.shared());
    }

    fn close(&self) {
        self.gate().close(self.shared());
    }

    fn is_drained(&self) -> bool {
        self.phase() == Phase::Drained
    }

    fn resize(&self, capacity: u32) -> Result<(), ChangeRefusal> {
        self.gate().resize(capacity, self.shared())
    }

    fn reconfigure(&self, change: &GateChange) -> Result<(), ChangeRefusal> {
        self.gate().reconfigure(change, self.shared())
    }

    /// Admits an operation whose units the model returns itself.
    fn admit(&self, cost: usize) {
        let arrived = self.arrive(Self::arrival(cost, WhenFull::Reject));
        assert!(matches!(arrived, ArrivalOutcome::Admitted), "{arrived:?}");
    }

    /// Joins the line of a gate that is full.
    fn join(&self, cost: usize, waker: &Waker) -> Ticket {
        let when_full = WhenFull::Join(Some(waker.clone()), None);
        match self.arrive(Self::arrival(cost, when_full)) {
            ArrivalOutcome::Queued { ticket, .. } => ticket,
            other => panic!("a full gate with room did not queue an arrival: {other:?}"),
        }
    }

    /// Polls a waiter. Returns its outcome, or `None` while it waits.
    fn poll_outcome(&self, ticket: Ticket, waker: &Waker) -> Option<Result<(), RejectionReason>> {
        match self.poll_waiter(ticket, waker) {
            WaiterState::Settled(outcome) => Some(outcome),
            WaiterState::Waiting(_) => None,
        }
    }

    /// Asserts the invariants of [`core`](crate::core) that hold under the lock, whatever other threads
    /// do: of a single load of the word while it is fast, of the word itself while it is slow.
    fn assert_invariants(&self) {
        let state = self.state.lock();
        let word = Word::from_bits(self.word.load(Ordering::Acquire));
        let peak = state.counts.peak_used;
        let used = state.ceiling - word.units();
        let admissible = state.capacity.min(peak).saturating_sub(used);
        // Whoever shares a capacity may wait for a seat of all.
        let is_pooled = self.member().is_some();
        assert_eq!(
            word.units(),
            if is_pooled { 0 } else { admissible },
            "the word may admit everything but a new peak"
        );
        if let Some(units) = state.units() {
            let in_flight = units.ceiling - word.operations();
            assert_eq!(word.operations(), units.peak_in_flight - in_flight);
        } else {
            assert_eq!(word.operations(), word.units());
        }
        let lazy = state.lazy.as_ref();
        let waiting = lazy.map_or(0, |lazy| lazy.line.len());
        let is_paused = state.phase.is_paused();
        let head = lazy.and_then(|lazy| lazy.line.head_cost());
        if let Some(head) = head.filter(|_| !is_paused && !is_pooled) {
            let free = state.capacity.saturating_sub(used);
            assert!(head > free, "the head of the line fits: cost {head}, {free} free");
        }
        let sink = lazy.is_some_and(|lazy| lazy.sink.is_some());
        let turns_away = state.phase != Phase::Open || state.is_refused;
        let slow = waiting > 0 || turns_away || used > state.capacity || state.has_standing();
        if let Some(standing) = lazy.and_then(|lazy| lazy.standing.as_ref()) {
            let (free, room) = (state.capacity.saturating_sub(used), self.room());
            let is_full = waiting > 0 || free < standing.smallest || is_paused;
            assert!(is_pooled || (waiting >= room && is_full), "it is not full");
            assert!(standing.largest <= state.capacity, "too large, and not told so");
        }
        assert_eq!(
            word.is_slow(),
            slow || sink || is_pooled,
            "the word is slow exactly when it must be"
        );
        assert!(!word.is_slow() || word.admissions() == 0, "a slow word counts admissions");
        assert!(!state.phase.is_closed() || waiting == 0, "a closed gate has waiters");
        assert!(!state.phase.is_draining() || waiting > 0, "a gate that has drained is open");
        assert!(used <= peak, "{used} units are in use, above the peak of {peak}");
        let is_pressed = lazy.is_some_and(|lazy| lazy.pressed_since.is_some());
        assert_eq!(
            is_pressed,
            waiting > 0 && !is_paused,
            "the pressure does not begin and end with the line"
        );
        if state.is_compact {
            assert!(lazy.is_none_or(|lazy| !lazy.is_droppable()), "unused state is not freed");
        }
        // Other partitions may record there too.
        if let Some(records) = self.0.records.as_ref().filter(|own| Arc::strong_count(own) == 1) {
            let times = records.times.lock().snapshot();
            assert_eq!(times.waits.count(), state.counts.admitted_from_queue);
            assert_eq!(times.patience.count(), state.counts.cancelled);
        }
    }

    /// Takes a snapshot and asserts its identities, and that no counter has decreased since an earlier one.
    fn checked_snapshot(&self) -> Snapshot {
        let (snapshot, times) = self.snapshot_with_times(self.shared());
        assert_identities(&snapshot);
        let Snapshot { sequence, ref totals, .. } = snapshot;
        if self.0.records.is_none() {
            assert_eq!(times.waits.count(), totals.admitted_from_queue);
            assert_eq!(times.patience.count(), totals.cancelled);
            assert!(times.holds.timed() <= totals.completed(), "a hold precedes its release");
        } else {
            assert!(times.waits.is_empty(), "a partition has times of its own");
        }
        let mut checked = self.0.checked.lock().expect("not poisoned");
        let rises = |earlier: &Totals, later: &Totals| {
            later.since(earlier).is_some() && later.completed() >= earlier.completed()
        };
        let earlier = checked.range(..sequence).next_back();
        assert!(earlier.is_none_or(|(_, earlier)| rises(earlier, totals)), "a counter decreases");
        let later = checked.range(sequence..).next();
        assert!(later.is_none_or(|(_, later)| rises(totals, later)), "a counter decreases");
        checked.insert(sequence, *totals);
        snapshot
    }

    /// Returns the times of the gate, or those that it shares.
    fn times(&self) -> TimesSnapshot {
        match self.shared() {
            Some(records) => records.times.lock().snapshot(),
            None => self.snapshot_with_times(None).1,
        }
    }
}

fn reason(rejection: Rejection) -> RejectionReason {
    *rejection.reason()
}

/// Asserts what holds in every snapshot.
fn assert_identities(snapshot: &Snapshot) {
    let totals = &snapshot.totals;
    assert_eq!(totals.admitted, u64::from(snapshot.in_flight) + totals.finished + totals.abandoned);
    assert_eq!(
        totals.admitted_units,
        u64::from(snapshot.used) + totals.finished_units + totals.abandoned_units
    );
    assert_eq!(
        totals.queued,
        u64::from(snapshot.waiting)
            + totals.admitted_from_queue
            + totals.expired
            + totals.cancelled
            + totals.closed_while_waiting
    );
    assert_eq!(
        totals.arrived(),
        totals.admitted + totals.rejected() + totals.cancelled + u64::from(snapshot.waiting)
    );
    assert_eq!(totals.completed(), totals.finished - totals.cut_short);
    assert!(totals.cut_short <= totals.finished, "a count fell below zero");
    assert!(totals.cut_short_units <= totals.finished_units, "a count fell below zero");
    assert!(totals.expired_by_deadline <= totals.expired);
    assert!(totals.expired_before_queue_by_deadline <= totals.expired_before_queue);
    assert!(totals.abandoned_by_deadline <= totals.abandoned);
    let is_pressed = snapshot.waiting > 0 && !snapshot.phase.is_paused();
    assert_eq!(snapshot.under_pressure_since.is_some(), is_pressed);
    assert!(totals.finished <= totals.admitted, "a count fell below zero");
    assert!(totals.finished_units <= totals.admitted_units, "a count fell below zero");
    assert!(totals.admitted_from_queue <= totals.admitted);
    assert!(snapshot.peaks.used >= snapshot.used as usize);
    assert!(snapshot.peaks.in_flight >= snapshot.in_flight as usize);
    assert!(snapshot.peaks.waiting >= snapshot.waiting as usize);
    assert!(snapshot.peaks.waiting_units as u64 >= snapshot.waiting_units);
    assert!(snapshot.waiting == 0 || !snapshot.phase.is_closed());
}

/// Spawns a thread that owns a handle to the gate.
fn spawn_with<T: 'static>(
    gate: &SharedGate,
    run: impl FnOnce(&SharedGate) -> T + 'static,
) -> JoinHandle<T> {
    let gate = gate.clone();
    thread::spawn(move || run(&gate))
}

fn join_thread<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a panic has already failed the model")
}
