//! Models of the engine: small programs of a few threads, run in every order of their steps, up to a
//! bound of preemptions, and with every value that a load may see.
//!
//! The models of one promise each stand in files by subject. `programs` makes programs at random and
//! holds what they return against `reference`, which does one thing after another. `.ci/loom` runs
//! them all.
//!
//! A model never blocks on anything but the engine's lock and the wakers it hands out, so a wake-up
//! that is lost shows as a deadlock.

mod alarm;
mod closing;
mod entering;
mod history;
mod observing;
mod program_thread;
mod programs;
mod reference;
mod resizing;
mod waiting;
mod weighted;

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::{
    core::{
        gate::{
            Gate, GateKind,
            arrival::{Arrival, ArrivalOutcome, WaiterState, WhenFull},
            effects::{Change, EventKind, EventSink, SharedSink},
            snapshot::Snapshot,
            word::Word,
        },
        limits::Expiry,
        line::Ticket,
        operation::{
            arrive::admit_now,
            handle::{GateHandle, IntoOwnedHandle, WaitPolicy},
            permit::Permit,
            wait::Wait,
        },
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    sync::{
        Arc, Mutex as GateMutex, Ordering,
        models::{
            Builder, Condvar, Datum, Flag, JoinHandle, Ledger, Mutex, Number, ThreadId, thread,
        },
    },
};

/// Runs `model` in every order with at most `preemptions` switches away from a thread that could have
/// gone on, and says how many orders that were.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let schedules = explore_some(preemptions, None, model);
    let test = std::thread::current();
    println!("{}: {schedules} schedules", test.name().unwrap_or("model"));
}

/// The same, with an end to it: at most about `most` orders.
fn explore_some(
    preemptions: usize,
    most: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) -> usize {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = builder.max_branches.max(1_000);
    if let Some(most) = most {
        // The bound is looked at once in so many orders.
        builder.checkpoint_interval = most;
        builder.max_permutations = Some(most);
    }
    let schedules = Arc::new(Number::new(0));
    let counted = schedules.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    schedules.load(Ordering::Relaxed)
}

/// A gate with several holders.
#[derive(Clone, Debug)]
struct Shared(Arc<Gate>);

impl GateHandle for Shared {
    fn gate(&self) -> &Gate {
        &self.0
    }

    fn rejections(&self) -> Option<&GateMutex<RejectionCache>> {
        None
    }

    fn wait_limit(&self) -> Option<Duration> {
        None
    }

    fn alarm_waker(&self) -> Waker {
        Waker::noop().clone()
    }
}

impl IntoOwnedHandle for Shared {
    type Owned = Self;

    fn into_owned(self) -> Self {
        self
    }
}

impl std::ops::Deref for Shared {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

type Admission = Result<Permit<Shared>, RejectionReason>;

impl Shared {
    fn new(capacity: u32, room: u32, kind: GateKind) -> Self {
        let rejections = RejectionCache::new("model".into(), false);
        Self(Arc::new(Gate::new(capacity, room, kind, Some(rejections))))
    }

    fn plain(capacity: u32, room: u32) -> Self {
        Self::new(capacity, room, GateKind::Plain)
    }

    fn weighted(capacity: u32, room: u32) -> Self {
        Self::new(capacity, room, GateKind::Weighted)
    }

    /// A gate that has admitted and released this many operations of one unit in its time, one after
    /// another.
    fn aged(capacity: u32, room: u32, kind: GateKind, admissions: u32) -> Self {
        let gate = Self::new(capacity, room, kind);
        if let Some(others) = admissions.checked_sub(1) {
            // The first sets the peak, which takes the lock.
            drop(gate.now(1));
            let word = Word::from_bits(gate.word.load(Ordering::Relaxed)).counting(others);
            gate.word.store(word.bits(), Ordering::Relaxed);
        }
        gate
    }

    /// Admits work that starts at once, or rejects it.
    fn now(&self, cost: usize) -> Admission {
        admit_now(self.clone(), cost, WaitPolicy::NoWait).map(Permit::start).map_err(reason)
    }

    fn wait(&self, cost: usize) -> Wait<Shared> {
        Wait::new(self.clone(), cost, WaitPolicy::UpToLimit)
    }

    /// Waits on this thread for as long as it takes; the work starts at once.
    fn enter(&self, cost: usize) -> Admission {
        block_on(self.wait(cost)).map(Permit::start).map_err(reason)
    }

    fn arrive(&self, arrival: Arrival) -> ArrivalOutcome {
        self.0.arrive(arrival, None)
    }

    fn expire(&self, ticket: Ticket, expiry: Expiry) -> Result<(), RejectionReason> {
        self.0.expire(ticket, expiry, None).map_err(reason)
    }

    /// Takes a place in the line of a gate that is full.
    fn join(&self, cost: usize, waker: &Waker) -> Ticket {
        let when_full = WhenFull::Join(Some(waker.clone()), None);
        match self.arrive(Arrival { cost, expired: None, when_full }) {
            ArrivalOutcome::Queued { ticket, .. } => ticket,
            other => panic!("a full gate with room made of an arrival: {other:?}"),
        }
    }

    /// What has become of a place, or `None` while it waits.
    fn find(&self, ticket: Ticket, waker: &Waker) -> Option<Result<(), RejectionReason>> {
        match self.look(ticket, waker, None) {
            WaiterState::Settled(outcome) => Some(outcome.map_err(reason)),
            WaiterState::Waiting(_) => None,
        }
    }

    /// The invariants of [`core`](crate::core) that a holder of the lock can see, whatever runs beside
    /// it: of one reading of the word while it is fast, of the word itself while it is slow.
    fn assert_settled(&self) {
        let state = self.state.lock();
        let word = Word::from_bits(self.word.load(Ordering::Acquire));
        let peak = state.counts.peak_used;
        let used = state.ceiling - word.units();
        let most = state.capacity.min(peak).saturating_sub(used);
        assert_eq!(word.units(), most, "all but a new peak may be admitted");
        if let Some(units) = state.units() {
            let in_flight = units.ceiling - word.operations();
            assert_eq!(word.operations(), units.peak_in_flight - in_flight);
        } else {
            assert_eq!(word.operations(), word.units());
        }
        let lazy = state.lazy.as_ref();
        let waiting = lazy.map_or(0, |lazy| lazy.line.len());
        if let Some(head) = lazy.and_then(|lazy| lazy.line.head_cost()) {
            let free = state.capacity.saturating_sub(used);
            assert!(head > free, "the head of the line fits: {head} of {free}");
        }
        let sink = lazy.is_some_and(|lazy| lazy.sink.is_some());
        let slow = waiting > 0 || state.is_closed || used > state.capacity;
        assert_eq!(word.is_slow(), slow || sink, "slow exactly where it must be");
        assert!(!word.is_slow() || word.admissions() == 0, "nothing is counted in a slow word");
        assert!(!state.is_closed || waiting == 0, "nobody waits at a closed gate");
        assert!(used <= peak, "{used} units used, above the peak");
    }

    /// A snapshot whose identities hold.
    fn look_around(&self) -> Snapshot {
        let seen = self.snapshot();
        assert_identities(&seen);
        seen
    }
}

fn reason(rejection: Rejection) -> RejectionReason {
    *rejection.reason()
}

/// What holds in every snapshot.
fn assert_identities(seen: &Snapshot) {
    let totals = &seen.totals;
    assert_eq!(totals.admitted, u64::from(seen.in_flight) + totals.finished + totals.abandoned);
    assert_eq!(
        totals.admitted_units,
        u64::from(seen.used) + totals.finished_units + totals.abandoned_units
    );
    assert_eq!(
        totals.queued,
        u64::from(seen.waiting)
            + totals.admitted_from_queue
            + totals.expired
            + totals.cancelled
            + totals.closed_while_waiting
    );
    assert!(totals.finished <= totals.admitted, "a count fell below zero");
    assert!(totals.finished_units <= totals.admitted_units, "a count fell below zero");
    assert!(totals.admitted_from_queue <= totals.admitted);
    assert!(seen.peaks.used >= seen.used as usize);
    assert!(seen.peaks.in_flight >= seen.in_flight as usize);
    assert!(seen.peaks.waiting >= seen.waiting as usize);
    assert!(seen.peaks.waiting_units as u64 >= seen.waiting_units);
    assert!(seen.waiting == 0 || !seen.is_closed);
}

/// Starts a thread of a model with its own hold on the gate.
fn beside<T: 'static>(gate: &Shared, run: impl FnOnce(&Shared) -> T + 'static) -> JoinHandle<T> {
    let gate = gate.clone();
    thread::spawn(move || run(&gate))
}

fn ended<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a thread of a model that panics ends the model")
}

/// Wakes a thread that blocks.
struct AlarmWaker {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Wake for AlarmWaker {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().expect("not poisoned") = true;
        self.rings.notify_one();
    }
}

/// Polls until it is ready, and only when it has been woken.
fn block_on<F: Future>(future: F) -> F::Output {
    let alarm_waker = Arc::new(AlarmWaker { rung: Mutex::new(false), rings: Condvar::new() });
    let waker = Waker::from(alarm_waker.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut rung = alarm_waker.rung.lock().expect("not poisoned");
        while !*rung {
            rung = alarm_waker.rings.wait(rung).expect("not poisoned");
        }
        *rung = false;
    }
}

/// Remembers that it was woken, for models that look only once all is over.
#[derive(Default)]
struct Mark(Flag);

impl Mark {
    fn new() -> (Arc<Self>, Waker) {
        let mark = Arc::new(Self::default());
        (mark.clone(), mark.into())
    }

    fn was_woken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Mark {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.swap(true, Ordering::Relaxed), "a waker is woken once");
    }
}

/// Writes down what it is told, and by which thread.
#[derive(Debug, Default)]
struct Recorder(Ledger<Vec<(ThreadId, Change)>>);

impl EventSink for Recorder {
    fn post(self: Arc<Self>, changes: Vec<Change>) {
        let teller = thread::current().id();
        let mut told = self.0.lock().expect("not poisoned");
        told.extend(changes.into_iter().map(|change| (teller, change)));
    }

    /// Handlers have models of their own: here all is told as it is posted.
    fn deliver(&self) {}
}

impl Recorder {
    /// What was told, in the order of the sequence, after making sure that each thread told in that
    /// order too.
    fn changes(&self) -> Vec<Change> {
        let told = self.0.lock().expect("not poisoned");
        for (at, (teller, change)) in told.iter().enumerate() {
            let earlier = told[..at].iter().rev().find(|(other, _)| other == teller);
            assert!(earlier.is_none_or(|(_, other)| other.sequence < change.sequence));
        }
        let mut changes: Vec<_> = told.iter().map(|(_, change)| change.clone()).collect();
        changes.sort_by_key(|change| change.sequence);
        changes
    }
}
