//! Drives service handles of one bulkhead and the reference through the same steps, and compares them.

use std::{
    collections::BTreeMap,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bulklink::{
    BulkheadLayer, Deadline, HeldBody, MissingKey, PartitionedBulkheadLayer, WeightedBulkheadLayer,
};
use tokio::time::Instant;
use tower::Layer;

use super::{
    bulkhead_sequences::Settings,
    event_handlers::{EventHandlers, HandlerKind},
    reference::bulkhead::{Id, Outcome, Terms},
    reference::observed::Reason,
    reference::partitioned::Key,
    reference::{Real, Reference, compare},
    service_handles::{
        Body, Command, END, FAIL, Handle, Inner, PANIC, Req, ResponseFuture, Spec, WAIT,
        poll_caught,
    },
};
use crate::support::Wakes;

/// The key of layers with a fixed key, and the default for requests without a key.
const FIXED_KEY: Key = 1;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    PollReady(usize),
    Call {
        at: usize,
        cost: usize,
        key: Option<Key>,
        bypasses: bool,
        deadline: Option<u64>,
    },
    Clone(usize),
    DropHandle(usize),
    Poll(usize),
    /// Sets the command of a request, and polls its response.
    End(usize, u8),
    DropCall(usize),
    DropBody(usize),
    /// Sets the command for the readiness of the inner service.
    Inner(u8),
    Advance(u64),
    Resize(Key, usize),
    Pause,
    Resume,
    Drain,
    Close,
    Subscribe,
}

/// Which layer the handles have, with which options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind: u8,
    pub(super) per_request: bool,
    pub(super) holds_body: bool,
    pub(super) cost: usize,
}

/// What a handle holds according to the contract.
#[derive(Clone, Copy, Debug)]
pub(super) enum HandleState {
    Empty,
    Queued(Id, Duration),
    Admitted(Id, Duration),
    Rejected(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Rejected(Reason),
    Waiting(Id),
    /// Admitted, but the inner service is not ready. `None` if the request bypasses the bulkhead.
    Admitted(Option<Id>),
    Running(Option<Id>),
}

pub(super) struct Call {
    pub(super) stage: Stage,
    pub(super) future: ResponseFuture,
    pub(super) command: Command,
    pub(super) to_head: bool,
}

/// A response body that holds a slot.
pub(super) struct HeldSlot {
    pub(super) body: Body,
    pub(super) id: Id,
    /// Whether it answers a HEAD request, whose client reads no body.
    pub(super) to_head: bool,
}

pub(super) struct ServiceDriver {
    pub(super) shape: Shape,
    pub(super) real: Real,
    pub(super) reference: Reference,
    pub(super) wait_limit: Option<Duration>,
    pub(super) handles: Vec<(Box<dyn Handle>, HandleState)>,
    pub(super) calls: Vec<Call>,
    pub(super) bodies: Vec<HeldSlot>,
    pub(super) ended: Vec<HeldBody<String>>,
    pub(super) inner: Command,
    /// The current command of the inner service.
    pub(super) inner_command: u8,
    pub(super) handlers: EventHandlers,
    pub(super) wakes: Wakes,
    /// The number of the waker of each waiter's last poll.
    pub(super) wakers: BTreeMap<Id, usize>,
    pub(super) ids: Id,
}

fn boxed<L>(layer: L, inner: Inner) -> Box<dyn Handle>
where
    L: Layer<Inner>,
    L::Service: Handle + 'static,
{
    Box::new(layer.layer(inner))
}

/// Returns a handle of this layer, which holds bodies or not.
macro_rules! handle {
    ($layer:expr, $shape:expr, $inner:expr) => {
        if $shape.holds_body { boxed($layer.hold_body(), $inner) } else { boxed($layer, $inner) }
    };
}

fn handle(shape: Shape, real: &Real, inner: Inner) -> Box<dyn Handle> {
    let bypass = |request: &Req| request.body().bypasses;
    match (real, shape.per_request) {
        (Real::Plain(bulkhead), false) => handle!(BulkheadLayer::new(bulkhead), shape, inner),
        (Real::Plain(bulkhead), true) => {
            handle!(BulkheadLayer::new(bulkhead).per_request().bypass(bypass), shape, inner)
        }
        (Real::Weighted(bulkhead), false) => {
            handle!(WeightedBulkheadLayer::fixed(bulkhead, shape.cost), shape, inner)
        }
        (Real::Weighted(bulkhead), true) => {
            let cost = |request: &Req| request.body().cost;
            handle!(WeightedBulkheadLayer::new(bulkhead, cost).bypass(bypass), shape, inner)
        }
        (Real::Partitioned(bulkhead), false) => {
            handle!(PartitionedBulkheadLayer::fixed(bulkhead, FIXED_KEY), shape, inner)
        }
        (Real::Partitioned(bulkhead), true) => {
            let key = |request: &Req| request.body().key;
            let layer = PartitionedBulkheadLayer::new(bulkhead, key).bypass(bypass);
            match shape.cost % 3 {
                0 => handle!(layer, shape, inner),
                1 => handle!(layer.missing_key(MissingKey::Bypass), shape, inner),
                _ => handle!(layer.missing_key(MissingKey::Use(FIXED_KEY)), shape, inner),
            }
        }
    }
}

impl ServiceDriver {
    pub(super) fn new(shape: Shape, settings: Settings) -> Self {
        let (real, reference) = match shape.kind {
            0 => settings.plain(),
            1 => settings.weighted(),
            _ => settings.partitioned(),
        };
        let inner = Command::default();
        inner.set(END);
        let first = handle(shape, &real, Inner(inner.clone()));
        Self {
            shape,
            real,
            reference,
            wait_limit: settings.wait_limit,
            handles: vec![(first, HandleState::Empty)],
            calls: Vec::new(),
            bodies: Vec::new(),
            ended: Vec::new(),
            inner,
            inner_command: END,
            handlers: EventHandlers::default(),
            wakes: Wakes::default(),
            wakers: BTreeMap::new(),
            ids: 0,
        }
    }

    pub(super) async fn step(&mut self, step: Step) {
        let at = |at: usize, of: usize| (of > 0).then(|| at % of);
        let (handles, calls) = (self.handles.len(), self.calls.len());
        match step {
            Step::PollReady(n) => _ = at(n, handles).map(|at| self.poll_ready(at)),
            Step::Call { at: n, cost, key, bypasses, deadline } => {
                let command = Command::default();
                let spec = Spec { cost, key, bypasses, command, to_head: n % 4 == 3 };
                _ = at(n, handles).map(|at| self.call(at, spec, deadline));
            }
            Step::Clone(n) if handles < 6 => {
                let clone = at(n, handles).map(|at| self.handles[at].0.clone_boxed());
                // A clone starts empty. If all handles are gone, the layer makes a new one.
                let new = || handle(self.shape, &self.real, Inner(self.inner.clone()));
                self.handles.push((clone.unwrap_or_else(new), HandleState::Empty));
            }
            Step::Clone(_) => {}
            Step::DropHandle(n) => _ = at(n, handles).map(|at| self.drop_handle(at)),
            Step::Poll(n) => _ = at(n, calls).map(|at| self.poll(at)),
            Step::End(n, command) => {
                _ = at(n, calls).map(|at| {
                    self.calls[at].command.set(command);
                    self.poll(at);
                });
            }
            Step::DropCall(n) => _ = at(n, calls).map(|at| self.drop_call(at)),
            Step::DropBody(n) => {
                _ = at(n, self.bodies.len()).map(|at| self.end_body(at, n % 2 == 0));
            }
            Step::Inner(command) => {
                self.inner.set(command);
                self.inner_command = command;
            }
            Step::Advance(ms) => {
                let time = Duration::from_millis(ms);
                tokio::time::advance(time).await;
                self.reference.advance(time);
            }
            Step::Resize(key, capacity) => {
                let done = self.real.resize(key, capacity);
                assert_eq!(done, self.reference.resize(key, capacity));
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
            Step::Subscribe => self.handlers.subscribe(&self.real, HandlerKind::Records),
        }
        self.handlers.compare(&mut self.reference);
        let sequence = compare(&self.real, &self.reference);
        self.handlers.check_sequence(sequence);
        let woken = self.wakes.order();
        for id in self.reference.take_called() {
            let waker = self.wakers.get(&id);
            assert!(waker.is_none_or(|waker| woken.contains(waker)), "{id} was not woken");
        }
    }

    /// Drops everything, and checks that nothing is left.
    pub(super) async fn end(mut self) {
        while !self.calls.is_empty() {
            self.step(Step::DropCall(0)).await;
        }
        while !self.bodies.is_empty() {
            self.step(Step::DropBody(1)).await;
        }
        while !self.handles.is_empty() {
            self.step(Step::DropHandle(0)).await;
        }
        self.step(Step::Close).await;
        assert!(self.reference.is_drained());
    }

    pub(super) fn waker(&mut self) -> (usize, Waker) {
        self.ids += 1;
        (self.ids, self.wakes.waker(self.ids))
    }

    /// Returns the terms of an operation that a handle starts without a request.
    fn handle_terms(&self) -> Terms {
        let cost = if let Real::Weighted(_) = self.real { self.shape.cost } else { 1 };
        Terms { cost, waits: true, limit: self.wait_limit, deadline: None }
    }

    fn arrive(&mut self, key: Key, terms: Terms) -> (Id, Outcome) {
        self.ids += 1;
        (self.ids, self.reference.arrive(self.ids, key, terms))
    }

    /// Returns the state of a handle after its operation has arrived or was polled.
    fn handle_state(&self, id: Id, since: Duration, outcome: Outcome) -> HandleState {
        match outcome {
            Outcome::Admitted => HandleState::Admitted(id, self.reference.now() - since),
            Outcome::Waits => HandleState::Queued(id, since),
            Outcome::Rejected(reason) => HandleState::Rejected(reason),
        }
    }

    fn poll_ready(&mut self, at: usize) {
        let (token, waker) = self.waker();
        let handle = &mut self.handles[at].0;
        let polled = poll_caught(|| handle.poll_ready(&mut Context::from_waker(&waker)));
        if self.shape.per_request {
            assert!(matches!(polled, Ok(Poll::Ready(Ok(())))), "not ready: {polled:?}");
            return;
        }
        let now = self.reference.now();
        let state = match self.handles[at].1 {
            HandleState::Admitted(id, waited) => HandleState::Admitted(id, waited),
            HandleState::Queued(id, since) => {
                let outcome = self.reference.poll_waiter(id);
                self.handle_state(id, since, outcome)
            }
            HandleState::Empty | HandleState::Rejected(_) => {
                let (id, outcome) = self.arrive(FIXED_KEY, self.handle_terms());
                self.handle_state(id, now, outcome)
            }
        };
        self.handles[at].1 = state;
        if let HandleState::Queued(id, _) = state {
            self.wakers.insert(id, token);
        }
        match (state, self.inner_command) {
            (HandleState::Queued(..), _) | (HandleState::Admitted(..), WAIT) => {
                assert!(matches!(polled, Ok(Poll::Pending)), "{polled:?} in {state:?}");
            }
            (HandleState::Admitted(id, _), FAIL) => {
                assert!(matches!(polled, Ok(Poll::Ready(Err(_)))), "{polled:?} in {state:?}");
                self.handles[at].1 = HandleState::Empty;
                self.reference.leave(id);
            }
            (HandleState::Admitted(..), PANIC) => {
                assert!(polled.is_err(), "{polled:?} in {state:?}")
            }
            _ => assert!(matches!(polled, Ok(Poll::Ready(Ok(())))), "{polled:?} in {state:?}"),
        }
    }

    fn call(&mut self, at: usize, spec: Spec, deadline: Option<u64>) {
        let (command, to_head) = (spec.command.clone(), spec.to_head);
        let now = self.reference.now();
        let model_deadline = deadline.map(|ms| now + Duration::from_millis(ms));
        let real_deadline =
            deadline.map(|ms| Deadline::at(Instant::now() + Duration::from_millis(ms)));
        let stage = if self.shape.per_request {
            self.call_per_request(&spec, model_deadline)
        } else {
            self.call_after_readiness(at, model_deadline)
        };
        let future = self.handles[at].0.call(spec, real_deadline);
        self.calls.push(Call { stage, future, command, to_head });
    }

    /// Calls with the slot from readiness, or with a slot that is free now.
    fn call_after_readiness(&mut self, at: usize, deadline: Option<Duration>) -> Stage {
        let state = std::mem::replace(&mut self.handles[at].1, HandleState::Empty);
        let now = self.reference.now();
        let state = match state {
            HandleState::Queued(id, since) => {
                let outcome = self.reference.poll_waiter(id);
                self.handle_state(id, since, outcome)
            }
            state => state,
        };
        match state {
            HandleState::Rejected(reason) => Stage::Rejected(reason),
            HandleState::Admitted(id, waited)
                if deadline.is_some_and(|deadline| deadline <= now) =>
            {
                self.reference.leave_late(id);
                Stage::Rejected(Reason::Deadline(waited))
            }
            HandleState::Admitted(id, _) => Stage::Running(Some(id)),
            HandleState::Empty | HandleState::Queued(..) => {
                if let HandleState::Queued(id, _) = state {
                    self.reference.leave(id);
                }
                let terms = Terms { waits: false, limit: None, deadline, ..self.handle_terms() };
                match self.arrive(FIXED_KEY, terms) {
                    (id, Outcome::Admitted) => Stage::Running(Some(id)),
                    (_, Outcome::Rejected(reason)) => Stage::Rejected(reason),
                    (_, Outcome::Waits) => unreachable!("it may not wait"),
                }
            }
        }
    }

    /// Calls with an operation that starts with the request.
    fn call_per_request(&mut self, spec: &Spec, deadline: Option<Duration>) -> Stage {
        let mut key = FIXED_KEY;
        let mut bypasses = spec.bypasses;
        if let (Real::Partitioned(_), false) = (&self.real, bypasses) {
            match (spec.key, self.shape.cost % 3) {
                (Some(own), _) => key = own,
                (None, 0) => {
                    self.reference.reject_missing_key();
                    return Stage::Rejected(Reason::MissingKey);
                }
                (None, missing) => bypasses = missing == 1,
            }
        }
        if bypasses {
            self.reference.bypass();
            return Stage::Admitted(None);
        }
        let cost = if let Real::Weighted(_) = self.real { spec.cost } else { 1 };
        let terms = Terms { cost, waits: true, limit: self.wait_limit, deadline };
        match self.arrive(key, terms) {
            (id, Outcome::Admitted) => Stage::Admitted(Some(id)),
            (id, Outcome::Waits) => Stage::Waiting(id),
            (_, Outcome::Rejected(reason)) => Stage::Rejected(reason),
        }
    }

    fn drop_handle(&mut self, at: usize) {
        let (handle, state) = self.handles.remove(at);
        drop(handle);
        if let HandleState::Queued(id, _) | HandleState::Admitted(id, _) = state {
            self.reference.leave(id);
        }
    }
}
