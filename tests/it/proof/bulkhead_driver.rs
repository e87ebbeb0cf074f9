//! Drives a bulkhead and its reference through the same steps, and compares them after each step.

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bulklink::{PartitionLimits, PartitionedChange, Rejection, Slot};
use tokio::time::Instant;

use super::{
    event_handlers::{EventHandlers, HandlerKind},
    reference::bulkhead::{Id, Outcome, Settings, Terms, WorkEnd},
    reference::observed::Reason,
    reference::partitioned::Key,
    reference::{Real, Reference, compare},
};
use crate::support::Wakes;

/// What an operation wants: a slot to hold, or work to run in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    Slot,
    Execute,
}

/// How long an operation may wait. Times are milliseconds from the creation of its future.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitPolicy {
    UpToLimit,
    NoWait,
    Within(u64),
    Before(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Creates an operation, and polls it if `polled`.
    Arrive {
        kind: OperationKind,
        policy: WaitPolicy,
        key: Key,
        cost: usize,
        polled: bool,
    },
    /// Polls an operation with its last waker or a new one.
    Poll {
        at: usize,
        new_waker: bool,
    },
    /// Drops the slot, or makes the work end or panic.
    Finish {
        at: usize,
        panics: bool,
    },
    Drop(usize),
    Advance(u64),
    Resize(Key, usize),
    Reconfigure(Settings),
    Pause,
    Resume,
    Drain,
    Close,
    AwaitClosing,
    AwaitClose,
    DropAwait(usize),
    Subscribe(HandlerKind),
    Unsubscribe(usize),
    Discard(Key),
    CleanUp,
    /// Sets the limits of a key: the capacity and the room. `None` refuses it.
    SetLimits(Key, Option<(usize, usize)>),
    ClearLimits(Key),
    /// Changes how many partitions are retained, and for how many milliseconds.
    Retain(Option<usize>, Option<u64>),
}

type OperationFuture = Pin<Box<dyn Future<Output = Result<Option<Slot>, Rejection>>>>;

/// Work that ends or panics on command of the driver.
#[derive(Default)]
struct Work {
    has_begun: AtomicBool,
    command: AtomicU8,
}

const END: u8 = 1;
const PANIC: u8 = 2;

impl Work {
    async fn run(self: Arc<Self>) {
        poll_fn(|_| {
            self.has_begun.store(true, Ordering::Relaxed);
            match self.command.load(Ordering::Relaxed) {
                END => Poll::Ready(()),
                PANIC => resume_unwind(Box::new(())),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NotPolled,
    Waiting,
    Running,
}

struct Op {
    id: Id,
    key: Key,
    terms: Terms,
    stage: Stage,
    future: OperationFuture,
    slot: Option<Slot>,
    work: Arc<Work>,
    token: usize,
    waker: Waker,
}

/// Calls the method for an operation of this kind and policy, whatever the type of the bulkhead.
macro_rules! call_method {
    ($bulkhead:ident, $policy:ident, $kind:ident, $work:ident, $deadline:ident; $($arg:expr)?) => {
        match ($kind, $policy) {
            (OperationKind::Slot, WaitPolicy::UpToLimit) => $bulkhead.slot($($arg)?).await.map(Some),
            (OperationKind::Slot, WaitPolicy::NoWait) => $bulkhead.slot_now($($arg)?).map(Some),
            (OperationKind::Slot, WaitPolicy::Within(ms)) => {
                $bulkhead.slot_within(Duration::from_millis(ms) $(, $arg)?).await.map(Some)
            }
            (OperationKind::Slot, WaitPolicy::Before(_)) => {
                $bulkhead.slot_before($deadline $(, $arg)?).await.map(Some)
            }
            (OperationKind::Execute, WaitPolicy::UpToLimit) => {
                $bulkhead.execute($($arg,)? $work).await.map(|()| None)
            }
            (OperationKind::Execute, WaitPolicy::NoWait) => {
                $bulkhead.execute_now($($arg,)? $work).await.map(|()| None)
            }
            (OperationKind::Execute, WaitPolicy::Within(ms)) => {
                let limit = Duration::from_millis(ms);
                $bulkhead.execute_within(limit, $($arg,)? $work).await.map(|()| None)
            }
            (OperationKind::Execute, WaitPolicy::Before(_)) => {
                $bulkhead.execute_before($deadline, $($arg,)? $work).await.map(|()| None)
            }
        }
    };
}

fn operation(
    real: Real,
    kind: OperationKind,
    policy: WaitPolicy,
    key: Key,
    cost: usize,
    work: Arc<Work>,
) -> OperationFuture {
    let now = Instant::now();
    let deadline =
        if let WaitPolicy::Before(ms) = policy { now + Duration::from_millis(ms) } else { now };
    Box::pin(async move {
        let work = work.run();
        match real {
            Real::Plain(bulkhead) => call_method!(bulkhead, policy, kind, work, deadline;),
            Real::Weighted(bulkhead) => call_method!(bulkhead, policy, kind, work, deadline; cost),
            Real::Partitioned(bulkhead) => {
                call_method!(bulkhead, policy, kind, work, deadline; &key)
            }
        }
    })
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Milestone {
    Closing,
    Drained,
}

struct AwaitedEnd {
    milestone: Milestone,
    token: usize,
    waker: Waker,
    future: Pin<Box<dyn Future<Output = ()>>>,
}

pub(crate) struct Driver {
    real: Real,
    reference: Reference,
    /// The wait limit of a partitioned bulkhead.
    wait_limit: Option<Duration>,
    ops: Vec<Op>,
    drains: Vec<AwaitedEnd>,
    handlers: EventHandlers,
    wakes: Wakes,
    wakes_checked: usize,
    tokens: usize,
    due: Vec<Id>,
    /// Waiters that were woken because their limit has passed and that were not polled since. Nothing else
    /// needs to wake them.
    due_woken: BTreeSet<Id>,
}

impl Driver {
    pub(crate) fn new(real: Real, reference: Reference, wait_limit: Option<Duration>) -> Self {
        let wait_limit = wait_limit.filter(|_| matches!(real, Real::Partitioned(_)));
        Self {
            real,
            reference,
            wait_limit,
            ops: Vec::new(),
            drains: Vec::new(),
            handlers: EventHandlers::default(),
            wakes: Wakes::default(),
            wakes_checked: 0,
            tokens: 0,
            due: Vec::new(),
            due_woken: BTreeSet::new(),
        }
    }

    pub(crate) async fn run(&mut self, steps: &[Step]) {
        for &step in steps {
            self.step(step).await;
        }
        // Drops every remaining operation. Nothing may be left.
        while !self.ops.is_empty() {
            self.step(Step::Drop(self.ops.len() / 2)).await;
        }
        self.step(Step::Close).await;
        assert!(self.reference.is_drained());
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Arrive { kind, policy, key, cost, polled } => {
                self.create(kind, policy, key, cost);
                if polled {
                    self.poll(self.ops.len() - 1, false);
                }
            }
            Step::Poll { at, new_waker } => self.with(at, |driver, at| driver.poll(at, new_waker)),
            Step::Finish { at, panics } => self.with(at, |driver, at| driver.finish(at, panics)),
            Step::Drop(at) => self.with(at, Self::drop_op),
            Step::Advance(ms) => {
                let time = Duration::from_millis(ms);
                tokio::time::advance(time).await;
                self.due = self.reference.advance(time);
            }
            Step::Resize(key, capacity) => {
                let done = self.real.resize(key, capacity);
                assert_eq!(done, self.reference.resize(key, capacity), "resized to {capacity}");
            }
            Step::Reconfigure(settings) => {
                let done = self.real.reconfigure(&settings);
                assert_eq!(done, self.reference.reconfigure(&settings), "{settings:?}");
            }
            Step::Pause => {
                self.real.pause();
                self.reference.pause();
            }
            Step::Resume => {
                self.real.resume();
                self.reference.resume();
            }
            Step::Drain => {
                self.real.drain();
                self.reference.drain();
            }
            Step::Close => {
                self.real.close();
                self.reference.close();
            }
            Step::AwaitClosing => self.await_end(Milestone::Closing),
            Step::AwaitClose => self.await_end(Milestone::Drained),
            Step::DropAwait(at) if !self.drains.is_empty() => {
                drop(self.drains.remove(at % self.drains.len()));
            }
            Step::DropAwait(_) => {}
            Step::Subscribe(kind) => self.handlers.subscribe(&self.real, kind),
            Step::Unsubscribe(at) => self.handlers.unsubscribe(at),
            Step::Discard(key) => {
                if let (Real::Partitioned(real), Reference::Partitioned(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    assert_eq!(real.discard(&key), partitioned.discard(key), "discarded");
                }
            }
            Step::SetLimits(key, limits) => {
                if let (Real::Partitioned(real), Reference::Partitioned(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    let set = limits.map_or(PartitionLimits::refused(), |(capacity, room)| {
                        PartitionLimits::new(capacity).waiting_room(room)
                    });
                    let done = real.set_limits(&key, set).is_ok();
                    assert_eq!(done, partitioned.set_limits(key, limits), "set limits");
                }
            }
            Step::ClearLimits(key) => {
                if let (Real::Partitioned(real), Reference::Partitioned(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    assert_eq!(real.clear_limits(&key), partitioned.clear_limits(key), "cleared");
                }
            }
            Step::Retain(max, idle) => {
                if let (Real::Partitioned(real), Reference::Partitioned(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    let idle = idle.map(Duration::from_millis);
                    let change = PartitionedChange::new();
                    let change = max.into_iter().fold(change, |all, n| all.max_partitions(n));
                    let change = idle.into_iter().fold(change, |all, time| all.idle_timeout(time));
                    let done = real.reconfigure(change).is_ok();
                    assert_eq!(done, partitioned.reconfigure(max, idle), "retain");
                }
            }
            Step::CleanUp => {
                if let (Real::Partitioned(real), Reference::Partitioned(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    assert_eq!(real.cleanup_idle(), partitioned.clean_up(), "cleaned up");
                }
            }
        }
        self.handlers.compare(&mut self.reference);
        let sequence = compare(&self.real, &self.reference);
        self.handlers.check_sequence(sequence);
        self.check_wakes(matches!(step, Step::Advance(_)));
    }

    fn with(&mut self, at: usize, act: impl FnOnce(&mut Self, usize)) {
        if !self.ops.is_empty() {
            act(self, at % self.ops.len());
        }
    }

    fn token(&mut self) -> (usize, Waker) {
        self.tokens += 1;
        (self.tokens, self.wakes.waker(self.tokens))
    }

    fn create(&mut self, kind: OperationKind, policy: WaitPolicy, key: Key, cost: usize) {
        let cost = if matches!(self.real, Real::Weighted(_)) { cost } else { 1 };
        let (wait_limit, now) = (self.wait_limit, self.reference.now());
        let (waits, limit, deadline) = match policy {
            WaitPolicy::UpToLimit => (true, wait_limit, None),
            WaitPolicy::NoWait => (false, None, None),
            WaitPolicy::Within(ms) => {
                let limit = Duration::from_millis(ms);
                (true, Some(wait_limit.map_or(limit, |other| other.min(limit))), None)
            }
            WaitPolicy::Before(ms) => (true, wait_limit, Some(now + Duration::from_millis(ms))),
        };
        let terms = Terms { cost, waits, limit, deadline };
        let work = Arc::<Work>::default();
        let future = operation(self.real.clone(), kind, policy, key, cost, work.clone());
        let (id, waker) = self.token();
        let (stage, slot) = (Stage::NotPolled, None);
        self.ops.push(Op { id, key, terms, stage, future, slot, work, token: id, waker });
    }

    fn poll(&mut self, at: usize, new_waker: bool) {
        let (token, waker) = self.token();
        let op = &mut self.ops[at];
        if op.slot.is_some() {
            return;
        }
        self.due_woken.remove(&op.id);
        if new_waker {
            (op.token, op.waker) = (token, waker);
        }
        let expected = match op.stage {
            Stage::NotPolled => self.reference.arrive(op.id, op.key, op.terms),
            Stage::Waiting => self.reference.poll_waiter(op.id),
            Stage::Running => Outcome::Admitted,
        };
        let result = op.future.as_mut().poll(&mut Context::from_waker(&op.waker));
        let outcome = match &result {
            Poll::Ready(Err(rejection)) => Outcome::Rejected(Reason::from(rejection.reason())),
            Poll::Ready(Ok(_)) => Outcome::Admitted,
            Poll::Pending if op.work.has_begun.load(Ordering::Relaxed) => Outcome::Admitted,
            Poll::Pending => Outcome::Waits,
        };
        assert_eq!(outcome, expected, "the outcome of operation {}", op.id);
        match result {
            Poll::Ready(Ok(slot)) => op.slot = slot,
            Poll::Ready(Err(_)) => {
                self.ops.remove(at);
                return;
            }
            Poll::Pending => {}
        }
        op.stage = if outcome == Outcome::Waits { Stage::Waiting } else { Stage::Running };
    }

    fn finish(&mut self, at: usize, panics: bool) {
        if self.ops[at].stage != Stage::Running {
            return;
        }
        let mut op = self.ops.remove(at);
        // A slot knows nothing of the work, so its drop completes it.
        let mut how = WorkEnd::Completed;
        if op.slot.is_none() {
            if panics {
                how = WorkEnd::CutShort;
            }
            op.work.command.store(if panics { PANIC } else { END }, Ordering::Relaxed);
            let cx = &mut Context::from_waker(&op.waker);
            let end = catch_unwind(AssertUnwindSafe(|| op.future.as_mut().poll(cx)));
            assert_eq!(end.is_err(), panics, "a panic must reach the caller");
        }
        drop(op.slot);
        self.reference.release(op.id, how);
    }

    fn drop_op(&mut self, at: usize) {
        let op = self.ops.remove(at);
        match op.stage {
            Stage::NotPolled => {}
            Stage::Waiting => self.reference.leave(op.id),
            Stage::Running if op.slot.is_some() => {
                self.reference.release(op.id, WorkEnd::Completed);
            }
            Stage::Running => self.reference.release(op.id, WorkEnd::CutShort),
        }
        drop((op.future, op.slot));
    }

    fn await_end(&mut self, milestone: Milestone) {
        let (token, waker) = self.token();
        let real = self.real.clone();
        let mut future: Pin<Box<dyn Future<Output = ()>>> = match milestone {
            Milestone::Closing => Box::pin(real.closing()),
            Milestone::Drained => Box::pin(real.wait_closed()),
        };
        let is_ready = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        assert_eq!(is_ready, self.is_reached(milestone), "{milestone:?}");
        if !is_ready {
            self.drains.push(AwaitedEnd { milestone, token, waker, future });
        }
    }

    fn is_reached(&self, milestone: Milestone) -> bool {
        match milestone {
            Milestone::Closing => self.reference.is_closing(),
            Milestone::Drained => self.reference.is_drained(),
        }
    }

    /// Checks that exactly the waiters with a new outcome were woken, in order.
    fn check_wakes(&mut self, has_advanced: bool) {
        let order = self.wakes.order();
        let mut woken = order[self.wakes_checked..].to_vec();
        self.wakes_checked = order.len();
        self.drains.retain_mut(|AwaitedEnd { token, waker, future, .. }| {
            let is_woken = woken.contains(token);
            woken.retain(|woken| woken != token);
            !(is_woken && future.as_mut().poll(&mut Context::from_waker(waker)).is_ready())
        });
        for AwaitedEnd { milestone, .. } in &self.drains {
            assert!(!self.is_reached(*milestone), "a wait for {milestone:?} was not woken");
        }
        let token = |ops: &[Op], id: Id| ops.iter().find(|op| op.id == id).map(|op| op.token);
        let called = self.reference.take_called();
        if has_advanced {
            for id in self.due.drain(..) {
                let token = token(&self.ops, id).unwrap();
                assert!(woken.contains(&token), "operation {id} was not woken at its limit");
                self.due_woken.insert(id);
            }
            // Whoever fits now that others have left.
            for token in called.into_iter().filter_map(|id| token(&self.ops, id)) {
                assert!(woken.contains(&token), "a waiter that was admitted was not woken");
            }
        } else {
            let due_woken = self.due_woken.iter().filter_map(|&id| token(&self.ops, id));
            let due_woken: BTreeSet<usize> = due_woken.collect();
            woken.retain(|token| !due_woken.contains(token));
            let mut called: Vec<usize> =
                called.into_iter().filter_map(|id| token(&self.ops, id)).collect();
            called.retain(|token| !due_woken.contains(token));
            // There is no order between partitions.
            let key =
                |token: &usize| self.ops.iter().find(|op| op.token == *token).map(|op| op.key);
            if let Real::Partitioned(_) = self.real {
                woken.sort_by_key(key);
                called.sort_by_key(key);
            }
            assert_eq!(woken, called, "the wake-ups, in order");
        }
    }
}
