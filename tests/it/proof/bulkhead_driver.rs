//! Drives a bulkhead and its reference through the same steps, and compares all after each.

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

use bulklink::{Rejection, Slot};
use tokio::time::Instant;

use super::{
    event_handlers::{EventHandlers, HandlerKind},
    reference::bulkhead::{Id, Outcome, Terms},
    reference::observed::Reason,
    reference::partitioned::Key,
    reference::{Real, Reference, compare},
};
use crate::support::Wakes;

/// What is asked for: a slot to hold, or work to run in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Slot,
    Run,
}

/// The four ways to ask. Times are milliseconds from now, when the future is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    Patiently,
    Now,
    Within(u64),
    Before(u64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// An operation is made, and polled at once or later.
    Arrive {
        face: Face,
        how: How,
        key: Key,
        cost: usize,
        polled: bool,
    },
    /// Polled, with its own waker or a new one.
    Poll {
        at: usize,
        anew: bool,
    },
    /// The slot is dropped, or the work ends, or panics.
    Finish {
        at: usize,
        panics: bool,
    },
    Drop(usize),
    Advance(u64),
    Resize(Key, usize),
    Close,
    AwaitClose,
    DropAwait(usize),
    Subscribe(HandlerKind),
    Unsubscribe(usize),
    Discard(Key),
    CleanUp,
}

type Asking = Pin<Box<dyn Future<Output = Result<Option<Slot>, Rejection>>>>;

/// Work under remote control.
#[derive(Default)]
struct Work {
    has_begun: AtomicBool,
    order: AtomicU8,
}

const END: u8 = 1;
const PANIC: u8 = 2;

impl Work {
    async fn run(self: Arc<Self>) {
        poll_fn(|_| {
            self.has_begun.store(true, Ordering::Relaxed);
            match self.order.load(Ordering::Relaxed) {
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
    Fresh,
    Waiting,
    Running,
}

struct Op {
    id: Id,
    key: Key,
    terms: Terms,
    stage: Stage,
    asking: Asking,
    slot: Option<Slot>,
    work: Arc<Work>,
    token: usize,
    waker: Waker,
}

/// The same question to each kind of bulkhead.
macro_rules! ask {
    ($bulkhead:ident, $how:ident, $face:ident, $work:ident, $before:ident; $($arg:expr)?) => {
        match ($face, $how) {
            (Face::Slot, How::Patiently) => $bulkhead.slot($($arg)?).await.map(Some),
            (Face::Slot, How::Now) => $bulkhead.slot_now($($arg)?).map(Some),
            (Face::Slot, How::Within(ms)) => {
                $bulkhead.slot_within(Duration::from_millis(ms) $(, $arg)?).await.map(Some)
            }
            (Face::Slot, How::Before(_)) => $bulkhead.slot_before($before $(, $arg)?).await.map(Some),
            (Face::Run, How::Patiently) => $bulkhead.execute($($arg,)? $work).await.map(|()| None),
            (Face::Run, How::Now) => $bulkhead.execute_now($($arg,)? $work).await.map(|()| None),
            (Face::Run, How::Within(ms)) => {
                let limit = Duration::from_millis(ms);
                $bulkhead.execute_within(limit, $($arg,)? $work).await.map(|()| None)
            }
            (Face::Run, How::Before(_)) => {
                $bulkhead.execute_before($before, $($arg,)? $work).await.map(|()| None)
            }
        }
    };
}

fn ask(real: Real, face: Face, how: How, key: Key, cost: usize, work: Arc<Work>) -> Asking {
    let before = Instant::now();
    let before =
        if let How::Before(ms) = how { before + Duration::from_millis(ms) } else { before };
    Box::pin(async move {
        let work = work.run();
        match real {
            Real::Plain(bulkhead) => ask!(bulkhead, how, face, work, before;),
            Real::Weighted(bulkhead) => ask!(bulkhead, how, face, work, before; cost),
            Real::Many(bulkhead) => ask!(bulkhead, how, face, work, before; &key),
        }
    })
}

pub(crate) struct Driver {
    real: Real,
    reference: Reference,
    wait_limit: Option<Duration>,
    ops: Vec<Op>,
    drains: Vec<(usize, Waker, Pin<Box<dyn Future<Output = ()>>>)>,
    handlers: EventHandlers,
    wakes: Wakes,
    wakes_seen: usize,
    tokens: usize,
    due: Vec<Id>,
    /// Who was told that its time is up and has not looked since: it needs not be told anything else.
    told: BTreeSet<Id>,
}

impl Driver {
    pub(crate) fn new(real: Real, reference: Reference, wait_limit: Option<Duration>) -> Self {
        Self {
            real,
            reference,
            wait_limit,
            ops: Vec::new(),
            drains: Vec::new(),
            handlers: EventHandlers::default(),
            wakes: Wakes::default(),
            wakes_seen: 0,
            tokens: 0,
            due: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    pub(crate) async fn run(&mut self, steps: &[Step]) {
        for &step in steps {
            self.step(step).await;
        }
        // Everything ends, in any way, and nothing is left.
        while !self.ops.is_empty() {
            self.step(Step::Drop(self.ops.len() / 2)).await;
        }
        self.step(Step::Close).await;
        assert!(self.reference.is_drained());
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Arrive { face, how, key, cost, polled } => {
                self.make(face, how, key, cost);
                if polled {
                    self.poll(self.ops.len() - 1, false);
                }
            }
            Step::Poll { at, anew } => self.with(at, |driver, at| driver.poll(at, anew)),
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
            Step::Close => {
                self.real.close();
                self.reference.close();
            }
            Step::AwaitClose => self.await_close(),
            Step::DropAwait(at) if !self.drains.is_empty() => {
                drop(self.drains.remove(at % self.drains.len()));
            }
            Step::DropAwait(_) => {}
            Step::Subscribe(manner) => self.handlers.subscribe(&self.real, manner),
            Step::Unsubscribe(at) => self.handlers.unsubscribe(at),
            Step::Discard(key) => {
                if let (Real::Many(real), Reference::Many(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    assert_eq!(real.discard(&key), partitioned.discard(key), "discarded");
                }
            }
            Step::CleanUp => {
                if let (Real::Many(real), Reference::Many(partitioned)) =
                    (&self.real, &mut self.reference)
                {
                    assert_eq!(real.cleanup_idle(), partitioned.clean_up(), "cleaned up");
                }
            }
        }
        self.handlers.compare(&mut self.reference);
        let number = compare(&self.real, &self.reference);
        self.handlers.number(number);
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

    fn make(&mut self, face: Face, how: How, key: Key, cost: usize) {
        let cost = if matches!(self.real, Real::Weighted(_)) { cost } else { 1 };
        let (own, now) = (self.wait_limit, self.reference.now());
        let (waits, limit, deadline) = match how {
            How::Patiently => (true, own, None),
            How::Now => (false, None, None),
            How::Within(ms) => {
                let limit = Duration::from_millis(ms);
                (true, Some(own.map_or(limit, |own| own.min(limit))), None)
            }
            How::Before(ms) => (true, own, Some(now + Duration::from_millis(ms))),
        };
        let terms = Terms { cost, waits, limit, deadline };
        let work = Arc::<Work>::default();
        let asking = ask(self.real.clone(), face, how, key, cost, work.clone());
        let (id, waker) = self.token();
        let (stage, slot) = (Stage::Fresh, None);
        self.ops.push(Op { id, key, terms, stage, asking, slot, work, token: id, waker });
    }

    fn poll(&mut self, at: usize, anew: bool) {
        let (token, waker) = self.token();
        let op = &mut self.ops[at];
        if op.slot.is_some() {
            return;
        }
        self.told.remove(&op.id);
        if anew {
            (op.token, op.waker) = (token, waker);
        }
        let expected = match op.stage {
            Stage::Fresh => self.reference.arrive(op.id, op.key, op.terms),
            Stage::Waiting => self.reference.look(op.id),
            Stage::Running => Outcome::Admitted,
        };
        let answer = op.asking.as_mut().poll(&mut Context::from_waker(&op.waker));
        let seen = match &answer {
            Poll::Ready(Err(rejection)) => Outcome::Rejected(Reason::from(rejection.reason())),
            Poll::Ready(Ok(_)) => Outcome::Admitted,
            Poll::Pending if op.work.has_begun.load(Ordering::Relaxed) => Outcome::Admitted,
            Poll::Pending => Outcome::Waits,
        };
        assert_eq!(seen, expected, "the outcome of operation {}", op.id);
        match answer {
            Poll::Ready(Ok(slot)) => op.slot = slot,
            Poll::Ready(Err(_)) => {
                self.ops.remove(at);
                return;
            }
            Poll::Pending => {}
        }
        op.stage = if seen == Outcome::Waits { Stage::Waiting } else { Stage::Running };
    }

    fn finish(&mut self, at: usize, panics: bool) {
        if self.ops[at].stage != Stage::Running {
            return;
        }
        let mut op = self.ops.remove(at);
        if op.slot.is_none() {
            op.work.order.store(if panics { PANIC } else { END }, Ordering::Relaxed);
            let cx = &mut Context::from_waker(&op.waker);
            let end = catch_unwind(AssertUnwindSafe(|| op.asking.as_mut().poll(cx)));
            assert_eq!(end.is_err(), panics, "a panic goes to whoever polls");
        }
        drop(op.slot);
        self.reference.release(op.id);
    }

    fn drop_op(&mut self, at: usize) {
        let op = self.ops.remove(at);
        match op.stage {
            Stage::Fresh => {}
            Stage::Waiting => self.reference.leave(op.id),
            Stage::Running => self.reference.release(op.id),
        }
        drop((op.asking, op.slot));
    }

    fn await_close(&mut self) {
        let (token, waker) = self.token();
        let mut drain = Box::pin(self.real.clone().wait_closed());
        let is_over = drain.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        assert_eq!(is_over, self.reference.is_drained(), "wait_closed");
        if !is_over {
            self.drains.push((token, waker, drain));
        }
    }

    /// Whoever has something to see was woken, in order, and nobody else was.
    fn check_wakes(&mut self, has_advanced: bool) {
        let order = self.wakes.order();
        let mut woken = order[self.wakes_seen..].to_vec();
        self.wakes_seen = order.len();
        self.drains.retain_mut(|(token, waker, drain)| {
            let is_woken = woken.contains(token);
            woken.retain(|woken| woken != token);
            !(is_woken && drain.as_mut().poll(&mut Context::from_waker(waker)).is_ready())
        });
        assert!(!self.reference.is_drained() || self.drains.is_empty(), "a drain was not told");
        let token = |ops: &[Op], id: Id| ops.iter().find(|op| op.id == id).map(|op| op.token);
        let called = self.reference.called();
        if has_advanced {
            for id in self.due.drain(..) {
                let token = token(&self.ops, id).unwrap();
                assert!(woken.contains(&token), "operation {id} was not told that its time is up");
                self.told.insert(id);
            }
        } else {
            let told = self.told.iter().filter_map(|&id| token(&self.ops, id));
            let told: BTreeSet<usize> = told.collect();
            woken.retain(|token| !told.contains(token));
            let mut called: Vec<usize> =
                called.into_iter().filter_map(|id| token(&self.ops, id)).collect();
            called.retain(|token| !told.contains(token));
            // Between partitions there is no order.
            let key =
                |token: &usize| self.ops.iter().find(|op| op.token == *token).map(|op| op.key);
            if let Real::Many(_) = self.real {
                woken.sort_by_key(key);
                called.sort_by_key(key);
            }
            assert_eq!(woken, called, "who was woken, and in which order");
        }
    }
}
