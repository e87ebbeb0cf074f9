//! One thread of a random program: its permits and waiters, and the execution of its steps.

use std::collections::{BTreeSet, VecDeque};

use super::{
    history::{Event, Limit, Operation, Outcome, Record, Refusal},
    *,
};

/// A step of a thread. A step that needs a permit or a waiter is skipped if the thread has none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Arrives and does not wait.
    Now(usize),
    /// Arrives and joins the line if it must wait.
    Wait(usize),
    /// Arrives after this limit has passed.
    Late(usize, Limit),
    /// Polls the thread's oldest waiter.
    Poll,
    /// Expires the thread's oldest waiter.
    Expire(Limit),
    /// Releases the thread's oldest permit.
    Release,
    /// Releases the thread's oldest permit, as that of a timed operation.
    ReleaseTimed,
    /// Ends the operation of the thread's oldest permit as cut short.
    CutShort,
    /// Abandons the thread's oldest permit, because of a deadline or for another reason.
    Abandon {
        by_deadline: bool,
    },
    /// Cancels the thread's newest waiter.
    Cancel,
    Resize(usize),
    /// Sets the capacity and the waiting room.
    Reconfigure(usize, usize),
    Pause,
    Resume,
    Drain,
    Close,
    Snapshot,
    Subscribe(bool),
    JoinDrain,
    JoinClosing,
    /// Asserts the invariants under the lock. Not an operation, so it is not recorded.
    Inspect,
}

/// What the threads of a program share.
#[derive(Clone)]
pub(super) struct ProgramContext {
    pub(super) gate: SharedGate,
    pub(super) recorder: Arc<Recorder>,
    /// Records which operations ended before others began. It also orders memory, so only some programs
    /// have one.
    pub(super) clock: Option<Arc<LoomUsize>>,
}

/// A thread, with what it holds and its history.
#[derive(Default)]
pub(super) struct ProgramThread {
    number: usize,
    waker_count: usize,
    /// The costs of the admitted operations.
    permits: VecDeque<usize>,
    /// The id, cost and ticket of each waiter.
    waiters: VecDeque<(usize, usize, Ticket)>,
    milestones: Vec<(Milestone, Ticket)>,
    /// How many timed operations it has released.
    timed: u64,
    wakers: Vec<(usize, Arc<WakeFlag>)>,
    pub(super) records: Vec<Record>,
}

impl ProgramThread {
    pub(super) fn new(number: usize) -> Self {
        Self { number, ..Self::default() }
    }

    pub(super) fn perform(&mut self, context: &ProgramContext, step: Step) {
        if let Step::Inspect = step {
            return context.gate.assert_invariants();
        }
        // Acquire, since an operation counts as ended before this one began only if this thread can see it.
        let began = context.clock.as_ref().map_or(0, |clock| clock.load(Ordering::Acquire));
        let Some((operation, outcome)) = self.execute(context, step) else { return };
        let tick = |clock: &Arc<LoomUsize>| clock.fetch_add(1, Ordering::AcqRel);
        let ended = context.clock.as_ref().map_or(usize::MAX, tick);
        let events = self.take_events(&context.recorder);
        self.records.push(Record { operation, outcome, events, began, ended });
    }

    fn execute(&mut self, context: &ProgramContext, step: Step) -> Option<(Operation, Outcome)> {
        let gate = &context.gate;
        Some(match step {
            Step::Now(cost) => self.arrive(gate, cost, false, None),
            Step::Wait(cost) => self.arrive(gate, cost, true, None),
            Step::Late(cost, limit) => self.arrive(gate, cost, true, Some(limit)),
            Step::Poll => {
                let (id, cost, ticket) = self.waiters.pop_front()?;
                let (number, waker) = self.waker();
                let outcome = match gate.poll_outcome(ticket, &waker) {
                    None => {
                        self.waiters.push_front((id, cost, ticket));
                        Outcome::Waits
                    }
                    Some(outcome) => self.collect(cost, outcome),
                };
                (Operation::Poll { id, waker: number }, outcome)
            }
            Step::Expire(limit) => {
                let &(id, _, ticket) = self.waiters.front()?;
                gate.pass_limit(ticket, limit.into());
                (Operation::Expire { id, limit }, Outcome::Done)
            }
            Step::Cancel => {
                let (id, _, ticket) = self.waiters.pop_back()?;
                gate.cancel(ticket);
                (Operation::Cancel { id }, Outcome::Done)
            }
            Step::Release => {
                let cost = self.permits.pop_front()?;
                gate.release(cost as u32);
                (Operation::Release { cost }, Outcome::Done)
            }
            Step::ReleaseTimed => {
                let cost = self.permits.pop_front()?;
                self.timed += 1;
                gate.release_timed(cost as u32);
                (Operation::Release { cost }, Outcome::Done)
            }
            Step::CutShort => {
                let cost = self.permits.pop_front()?;
                gate.cut_short(cost as u32);
                (Operation::CutShort { cost }, Outcome::Done)
            }
            Step::Abandon { by_deadline } => {
                let cost = self.permits.pop_front()?;
                gate.abandon(cost as u32, by_deadline);
                (Operation::Abandon { cost, by_deadline }, Outcome::Done)
            }
            Step::Resize(capacity) => {
                let resized = gate.resize(capacity as u32);
                let refused = |refusal: _| Outcome::Refused(Refusal::from(refusal));
                (Operation::Resize { capacity }, resized.map_or_else(refused, |()| Outcome::Done))
            }
            Step::Reconfigure(capacity, room) => {
                let change = GateChange {
                    capacity: Some(capacity as u32),
                    room: Some(room as u32),
                    wait_limit: None,
                };
                let refused = |refusal: _| Outcome::Refused(Refusal::from(refusal));
                let changed = gate.reconfigure(&change);
                let outcome = changed.map_or_else(refused, |()| Outcome::Done);
                (Operation::Reconfigure { capacity, room }, outcome)
            }
            Step::Pause => {
                gate.pause();
                (Operation::Pause, Outcome::Done)
            }
            Step::Resume => {
                gate.resume();
                (Operation::Resume, Outcome::Done)
            }
            Step::Drain => {
                gate.drain();
                (Operation::Drain, Outcome::Done)
            }
            Step::Close => {
                gate.close();
                (Operation::Close, Outcome::Done)
            }
            Step::Snapshot => {
                let snapshot = gate.checked_snapshot();
                (Operation::Snapshot, Outcome::Snapshot(Box::new((&snapshot).into())))
            }
            Step::JoinDrain => {
                let (waker, joining) = self.waker();
                let ticket = gate.join_milestone(Milestone::Drained, joining);
                self.milestones.extend(ticket.map(|ticket| (Milestone::Drained, ticket)));
                (Operation::JoinDrain { waker }, Outcome::IsReached(ticket.is_none()))
            }
            Step::JoinClosing => {
                let (waker, joining) = self.waker();
                let ticket = gate.join_milestone(Milestone::Closing, joining);
                self.milestones.extend(ticket.map(|ticket| (Milestone::Closing, ticket)));
                (Operation::JoinClosing { waker }, Outcome::IsReached(ticket.is_none()))
            }
            Step::Subscribe(on) => {
                gate.set_sink(on.then(|| context.recorder.clone() as SharedSink));
                (Operation::Subscribe(on), Outcome::Done)
            }
            Step::Inspect => return None,
        })
    }

    fn arrive(
        &mut self,
        gate: &SharedGate,
        cost: usize,
        waits: bool,
        expired: Option<Limit>,
    ) -> (Operation, Outcome) {
        let (id, waker) = self.waker();
        let operation = Operation::Arrive { id, cost, waits, expired };
        let expired = expired.map(Expiry::from);
        if expired.is_none() && gate.admit_fast(cost as u32) {
            self.permits.push_back(cost);
            return (operation, Outcome::Admitted);
        }
        let arrive =
            |when_full| gate.arrive(Arrival { expired, ..SharedGate::arrival(cost, when_full) });
        let mut arrived = arrive(if waits { WhenFull::AskForWaker } else { WhenFull::Reject });
        if let ArrivalOutcome::NeedsWaker = arrived {
            arrived = arrive(WhenFull::Join(Some(waker), None));
        }
        let outcome = match arrived {
            ArrivalOutcome::Admitted => {
                self.permits.push_back(cost);
                Outcome::Admitted
            }
            ArrivalOutcome::Queued { ticket, .. } => {
                self.waiters.push_back((id, cost, ticket));
                Outcome::Waits
            }
            ArrivalOutcome::Rejected(rejection) => Outcome::Refused((*rejection.reason()).into()),
            ArrivalOutcome::Standing(_) => panic!("it was not told to stand"),
            ArrivalOutcome::NeedsWaker => panic!("a waker was provided, or none was needed"),
        };
        (operation, outcome)
    }

    /// Takes the outcome of a waiter that left the line.
    fn collect(&mut self, cost: usize, outcome: Result<(), RejectionReason>) -> Outcome {
        match outcome {
            Ok(()) => {
                self.permits.push_back(cost);
                Outcome::Admitted
            }
            Err(reason) => Outcome::Refused(reason.into()),
        }
    }

    /// Creates a waker with a number that is unique in the program.
    fn waker(&mut self) -> (usize, Waker) {
        self.waker_count += 1;
        let number = 100 * self.number + self.waker_count;
        let (flag, waker) = WakeFlag::new();
        self.wakers.push((number, flag));
        (number, waker)
    }

    /// Takes the events that this thread has emitted since the last call.
    fn take_events(&self, recorder: &Recorder) -> Vec<Event> {
        let this_thread = thread::current().id();
        let mut posted = recorder.0.lock().expect("not poisoned");
        let (own, others) = posted.drain(..).partition(|(poster, _)| *poster == this_thread);
        *posted = others;
        let own: Vec<_> = own;
        own.iter().map(|(_, change)| change.into()).collect()
    }

    /// Takes over what another thread holds.
    pub(super) fn take_over(&mut self, other: ProgramThread) {
        self.permits.extend(other.permits);
        self.waiters.extend(other.waiters);
        self.milestones.extend(other.milestones);
        self.timed += other.timed;
        self.wakers.extend(other.wakers);
    }

    /// Runs the epilogue: polls every waiter and releases every permit, twice, cancels the remaining waiters,
    /// releases what they were admitted to, closes the gate and checks the drain and the recorded holds.
    pub(super) fn finish(&mut self, context: &ProgramContext) {
        self.perform(context, Step::Inspect);
        self.perform(context, Step::Snapshot);
        self.perform(context, Step::Resume);
        for _ in 0..2 {
            for _ in 0..self.waiters.len() {
                self.perform(context, Step::Poll);
                // A waiter that still waits moves to the back, so that each is polled.
                if let Some(Record { outcome: Outcome::Waits, .. }) = self.records.last() {
                    self.waiters.rotate_left(1);
                }
            }
            while !self.permits.is_empty() {
                self.perform(context, Step::Release);
            }
        }
        while !self.waiters.is_empty() {
            self.perform(context, Step::Cancel);
        }
        while !self.permits.is_empty() {
            self.perform(context, Step::Release);
        }
        for step in [Step::Inspect, Step::Close, Step::Snapshot, Step::JoinDrain, Step::Inspect] {
            self.perform(context, step);
        }
        for (milestone, ticket) in self.milestones.drain(..) {
            let is_reached = context.gate.poll_milestone(milestone, ticket, Waker::noop());
            assert!(is_reached, "a wait for {milestone:?} missed it");
        }
        assert_eq!(context.gate.times().holds.timed(), self.timed);
    }

    /// Returns the numbers of the wakers that were woken.
    pub(super) fn woken(&self) -> BTreeSet<usize> {
        let woken = self.wakers.iter().filter(|(_, flag)| flag.was_woken());
        woken.map(|&(number, _)| number).collect()
    }
}
