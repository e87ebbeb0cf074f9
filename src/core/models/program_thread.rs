//! One thread of a random program: what it holds, and how its steps are carried out.

use std::collections::{BTreeSet, VecDeque};

use super::{
    history::{Act, Event, Outcome, Record, Refusal},
    *,
};
use crate::core::limits::Expiry;

/// What a thread is told to do. A step for which it holds nothing is left out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Arrives, and does not wait.
    Now(usize),
    /// Arrives, and waits if it must.
    Wait(usize),
    /// Arrives after its limit.
    Late(usize),
    /// These four act on the place or the units held longest.
    Look,
    Expire,
    Release,
    Abandon,
    /// Leaves the place taken last.
    Cancel,
    Resize(usize),
    Close,
    Snapshot,
    Subscribe(bool),
    AwaitDrain,
    /// Verifies the invariants under the lock; no operation of its own.
    Inspect,
}

/// The gate of a program and what its threads share besides.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) gate: Shared,
    pub(super) recorder: Arc<Recorder>,
    /// Where the program is to notice what ended before what began. It also orders memory, so only
    /// some programs have it.
    pub(super) clock: Option<Arc<Datum>>,
}

/// A thread, with what it holds and has done.
#[derive(Default)]
pub(super) struct Hand {
    name: usize,
    count: usize,
    permits: VecDeque<usize>,
    places: VecDeque<(usize, usize, Ticket)>,
    drain_waiters: Vec<Ticket>,
    wakers: Vec<(usize, Arc<Mark>)>,
    pub(super) records: Vec<Record>,
}

impl Hand {
    pub(super) fn new(name: usize) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn perform(&mut self, site: &Site, step: Step) {
        if let Step::Inspect = step {
            return site.gate.assert_settled();
        }
        // Acquire: what ended before this began is what this thread can know of.
        let began = site.clock.as_ref().map_or(0, |clock| clock.load(Ordering::Acquire));
        let Some((act, outcome)) = self.carry_out(site, step) else { return };
        let tick = |clock: &Arc<Datum>| clock.fetch_add(1, Ordering::AcqRel);
        let ended = site.clock.as_ref().map_or(usize::MAX, tick);
        let events = self.told(&site.recorder);
        self.records.push(Record { act, outcome, events, began, ended });
    }

    fn carry_out(&mut self, site: &Site, step: Step) -> Option<(Act, Outcome)> {
        let gate = &site.gate;
        Some(match step {
            Step::Now(cost) => self.arrive(gate, cost, false, false),
            Step::Wait(cost) => self.arrive(gate, cost, true, false),
            Step::Late(cost) => self.arrive(gate, cost, true, true),
            Step::Look => {
                let (who, cost, ticket) = self.places.pop_front()?;
                let (number, waker) = self.waker();
                let outcome = match gate.find(ticket, &waker) {
                    None => {
                        self.places.push_front((who, cost, ticket));
                        Outcome::Waits
                    }
                    Some(outcome) => self.collect(cost, outcome),
                };
                (Act::Look { who, waker: number }, outcome)
            }
            Step::Expire => {
                let (who, cost, ticket) = self.places.pop_front()?;
                let outcome = gate.expire(ticket, Expiry::WaitLimit);
                (Act::Expire { who }, self.collect(cost, outcome))
            }
            Step::Cancel => {
                let (who, _, ticket) = self.places.pop_back()?;
                gate.cancel(ticket);
                (Act::Cancel { who }, Outcome::Done)
            }
            Step::Release => {
                let cost = self.permits.pop_front()?;
                gate.release(cost as u32);
                (Act::Release { cost }, Outcome::Done)
            }
            Step::Abandon => {
                let cost = self.permits.pop_front()?;
                gate.abandon(cost as u32);
                (Act::Abandon { cost }, Outcome::Done)
            }
            Step::Resize(capacity) => {
                let resized = gate.resize(capacity as u32);
                let refused = |refusal: _| Outcome::Refused(Refusal::from(refusal));
                (Act::Resize { capacity }, resized.map_or_else(refused, |()| Outcome::Done))
            }
            Step::Close => {
                gate.close();
                (Act::Close, Outcome::Done)
            }
            Step::Snapshot => {
                let seen = gate.look_around();
                (Act::Snapshot, Outcome::Seen(Box::new((&seen).into())))
            }
            Step::AwaitDrain => {
                let (waker, joining) = self.waker();
                let ticket = gate.join_drain(joining);
                self.drain_waiters.extend(ticket);
                (Act::AwaitDrain { waker }, Outcome::IsDrained(ticket.is_none()))
            }
            Step::Subscribe(on) => {
                gate.set_sink(on.then(|| site.recorder.clone() as SharedSink));
                (Act::Subscribe(on), Outcome::Done)
            }
            Step::Inspect => return None,
        })
    }

    fn arrive(&mut self, gate: &Shared, cost: usize, waits: bool, expired: bool) -> (Act, Outcome) {
        let (who, waker) = self.waker();
        let act = Act::Arrive { who, cost, waits, expired };
        let expired = expired.then_some(Expiry::WaitLimit);
        if expired.is_none() && gate.admit_fast(cost as u32) {
            self.permits.push_back(cost);
            return (act, Outcome::Admitted);
        }
        let policy = |when_full| gate.arrive(Arrival { cost, expired, when_full });
        let mut arrived = policy(if waits { WhenFull::AskForWaker } else { WhenFull::Reject });
        if let ArrivalOutcome::NeedsWaker = arrived {
            arrived = policy(WhenFull::Join(Some(waker), None));
        }
        let outcome = match arrived {
            ArrivalOutcome::Admitted => {
                self.permits.push_back(cost);
                Outcome::Admitted
            }
            ArrivalOutcome::Queued { ticket, .. } => {
                self.places.push_back((who, cost, ticket));
                Outcome::Waits
            }
            ArrivalOutcome::Rejected(rejection) => Outcome::Refused((*rejection.reason()).into()),
            ArrivalOutcome::NeedsWaker => panic!("prepared, and asked to prepare"),
        };
        (act, outcome)
    }

    fn collect(&mut self, cost: usize, outcome: Result<(), RejectionReason>) -> Outcome {
        match outcome {
            Ok(()) => {
                self.permits.push_back(cost);
                Outcome::Admitted
            }
            Err(reason) => Outcome::Refused(reason.into()),
        }
    }

    /// A waker, and a number for it that nobody else has.
    fn waker(&mut self) -> (usize, Waker) {
        self.count += 1;
        let number = 100 * self.name + self.count;
        let (mark, waker) = Mark::new();
        self.wakers.push((number, mark));
        (number, waker)
    }

    /// What this thread has told since it was last asked.
    fn told(&self, recorder: &Recorder) -> Vec<Event> {
        let me = thread::current().id();
        let mut told = recorder.0.lock().expect("not poisoned");
        let (mine, others) = told.drain(..).partition(|(teller, _)| *teller == me);
        *told = others;
        let mine: Vec<_> = mine;
        mine.iter().map(|(_, change)| change.into()).collect()
    }

    /// Takes over what another thread held.
    pub(super) fn adopt(&mut self, other: Hand) {
        self.permits.extend(other.permits);
        self.places.extend(other.places);
        self.drain_waiters.extend(other.drain_waiters);
        self.wakers.extend(other.wakers);
    }

    /// Looks at every place once, gives everything back, leaves, and closes behind itself.
    pub(super) fn finish(&mut self, site: &Site) {
        self.perform(site, Step::Inspect);
        self.perform(site, Step::Snapshot);
        for _ in 0..2 {
            for _ in 0..self.places.len() {
                self.perform(site, Step::Look);
                // A place that still waits goes to the end, so that each is looked at.
                if let Some(Record { outcome: Outcome::Waits, .. }) = self.records.last() {
                    self.places.rotate_left(1);
                }
            }
            while !self.permits.is_empty() {
                self.perform(site, Step::Release);
            }
        }
        while !self.places.is_empty() {
            self.perform(site, Step::Cancel);
        }
        while !self.permits.is_empty() {
            self.perform(site, Step::Release);
        }
        for step in [Step::Inspect, Step::Close, Step::Snapshot, Step::AwaitDrain, Step::Inspect] {
            self.perform(site, step);
        }
        for ticket in self.drain_waiters.drain(..) {
            assert!(site.gate.poll_drain(ticket, Waker::noop()), "the drain is missed");
        }
    }

    pub(super) fn woken(&self) -> BTreeSet<usize> {
        let woken = self.wakers.iter().filter(|(_, mark)| mark.was_woken());
        woken.map(|&(number, _)| number).collect()
    }
}
