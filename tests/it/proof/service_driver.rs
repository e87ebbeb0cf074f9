//! Drives service handles over one bulkhead and the reference through the same steps.

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
        Body, Calling, END, FAIL, Handle, Inner, Order, PANIC, Req, Spec, WAIT, poll_caught,
    },
};
use crate::support::Wakes;

/// The key of a layer that serves one key.
const OWN: Key = 1;

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
    /// The inner future is told how to end, and polled.
    End(usize, u8),
    DropCall(usize),
    DropBody(usize),
    /// What the inner service says when it is asked for readiness.
    Inner(u8),
    Advance(u64),
    Resize(Key, usize),
    Close,
    Subscribe,
}

/// Which layer, and with which options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind: u8,
    pub(super) per_request: bool,
    pub(super) holds_body: bool,
    pub(super) cost: usize,
}

/// What a handle holds, as the contract has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum HandleState {
    Empty,
    Queued(Id, Duration),
    Admitted(Id, Duration),
    Rejected(Reason),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Answered(Reason),
    Waiting(Id),
    /// Admitted, and the inner service is not ready. Without an operation it was let past.
    Admitted(Option<Id>),
    Running(Option<Id>),
}

pub(super) struct Call {
    pub(super) stage: Stage,
    pub(super) future: Calling,
    pub(super) order: Order,
}

pub(super) struct ServiceDriver {
    pub(super) shape: Shape,
    pub(super) real: Real,
    pub(super) reference: Reference,
    pub(super) wait_limit: Option<Duration>,
    pub(super) handles: Vec<(Box<dyn Handle>, HandleState)>,
    pub(super) calls: Vec<Call>,
    pub(super) bodies: Vec<(Body, Id)>,
    pub(super) ended: Vec<HeldBody<String>>,
    pub(super) inner: Order,
    /// What the inner service was told.
    pub(super) told: u8,
    pub(super) handlers: EventHandlers,
    pub(super) wakes: Wakes,
    /// Who wakes whom: the waker of each waiter's last poll.
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

/// The handle of this layer, holding bodies or not.
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
        (Real::Many(bulkhead), false) => {
            handle!(PartitionedBulkheadLayer::fixed(bulkhead, OWN), shape, inner)
        }
        (Real::Many(bulkhead), true) => {
            let key = |request: &Req| request.body().key;
            let layer = PartitionedBulkheadLayer::new(bulkhead, key).bypass(bypass);
            match shape.cost % 3 {
                0 => handle!(layer, shape, inner),
                1 => handle!(layer.missing_key(MissingKey::Bypass), shape, inner),
                _ => handle!(layer.missing_key(MissingKey::Use(OWN)), shape, inner),
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
        let inner = Order::default();
        inner.give(END);
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
            told: END,
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
                let order = Order::default();
                let spec = Spec { cost, key, bypasses, order };
                _ = at(n, handles).map(|at| self.call(at, spec, deadline));
            }
            Step::Clone(n) if handles < 6 => {
                let clone = at(n, handles).map(|at| self.handles[at].0.another());
                // A clone starts with nothing. Where all handles are gone, one comes from the layer.
                let new = || handle(self.shape, &self.real, Inner(self.inner.clone()));
                self.handles.push((clone.unwrap_or_else(new), HandleState::Empty));
            }
            Step::Clone(_) => {}
            Step::DropHandle(n) => _ = at(n, handles).map(|at| self.drop_handle(at)),
            Step::Poll(n) => _ = at(n, calls).map(|at| self.poll(at)),
            Step::End(n, order) => {
                _ = at(n, calls).map(|at| {
                    self.calls[at].order.give(order);
                    self.poll(at);
                });
            }
            Step::DropCall(n) => _ = at(n, calls).map(|at| self.drop_call(at)),
            Step::DropBody(n) => {
                _ = at(n, self.bodies.len()).map(|at| self.drop_body(at, n % 2 == 0));
            }
            Step::Inner(order) => {
                self.inner.give(order);
                self.told = order;
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
            Step::Close => {
                self.real.close();
                self.reference.close();
            }
            Step::Subscribe => self.handlers.subscribe(&self.real, HandlerKind::Listens),
        }
        self.handlers.compare(&mut self.reference);
        let number = compare(&self.real, &self.reference);
        self.handlers.number(number);
        let woken = self.wakes.order();
        for id in self.reference.called() {
            let waker = self.wakers.get(&id);
            assert!(waker.is_none_or(|waker| woken.contains(waker)), "{id} was not woken");
        }
    }

    /// Drops everything, and nothing is left.
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

    /// The terms of a handle that knows nothing of a request.
    fn unseen(&self) -> Terms {
        let cost = if let Real::Weighted(_) = self.real { self.shape.cost } else { 1 };
        Terms { cost, waits: true, limit: self.wait_limit, deadline: None }
    }

    fn arrive(&mut self, key: Key, terms: Terms) -> (Id, Outcome) {
        self.ids += 1;
        (self.ids, self.reference.arrive(self.ids, key, terms))
    }

    /// The state of a handle after its operation was asked for or looked at.
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
        let seen = poll_caught(|| handle.poll_ready(&mut Context::from_waker(&waker)));
        if self.shape.per_request {
            assert!(matches!(seen, Ok(Poll::Ready(Ok(())))), "always ready: {seen:?}");
            return;
        }
        let now = self.reference.now();
        let state = match self.handles[at].1 {
            HandleState::Admitted(id, waited) => HandleState::Admitted(id, waited),
            HandleState::Queued(id, since) => {
                let outcome = self.reference.look(id);
                self.handle_state(id, since, outcome)
            }
            HandleState::Empty | HandleState::Rejected(_) => {
                let (id, outcome) = self.arrive(OWN, self.unseen());
                self.handle_state(id, now, outcome)
            }
        };
        self.handles[at].1 = state;
        if let HandleState::Queued(id, _) = state {
            self.wakers.insert(id, token);
        }
        match (state, self.told) {
            (HandleState::Queued(..), _) | (HandleState::Admitted(..), WAIT) => {
                assert!(matches!(seen, Ok(Poll::Pending)), "{seen:?} in {state:?}");
            }
            (HandleState::Admitted(id, _), FAIL) => {
                assert!(matches!(seen, Ok(Poll::Ready(Err(_)))), "{seen:?} in {state:?}");
                self.handles[at].1 = HandleState::Empty;
                self.reference.leave(id);
            }
            (HandleState::Admitted(..), PANIC) => assert!(seen.is_err(), "{seen:?} in {state:?}"),
            _ => assert!(matches!(seen, Ok(Poll::Ready(Ok(())))), "{seen:?} in {state:?}"),
        }
    }

    fn call(&mut self, at: usize, spec: Spec, deadline: Option<u64>) {
        let order = spec.order.clone();
        let now = self.reference.now();
        let until = deadline.map(|ms| now + Duration::from_millis(ms));
        let at_instant =
            deadline.map(|ms| Deadline::at(Instant::now() + Duration::from_millis(ms)));
        let stage = if self.shape.per_request {
            self.call_seen(&spec, until)
        } else {
            self.call_unseen(at, until)
        };
        let future = self.handles[at].0.call(spec, at_instant);
        self.calls.push(Call { stage, future, order });
    }

    /// The slot that readiness brought, or what can be had now.
    fn call_unseen(&mut self, at: usize, until: Option<Duration>) -> Stage {
        let state = std::mem::replace(&mut self.handles[at].1, HandleState::Empty);
        let now = self.reference.now();
        let state = match state {
            HandleState::Queued(id, since) => {
                let outcome = self.reference.look(id);
                self.handle_state(id, since, outcome)
            }
            state => state,
        };
        match state {
            HandleState::Rejected(reason) => Stage::Answered(reason),
            HandleState::Admitted(id, waited) if until.is_some_and(|until| until <= now) => {
                self.reference.leave(id);
                Stage::Answered(Reason::Deadline(waited))
            }
            HandleState::Admitted(id, _) => Stage::Running(Some(id)),
            HandleState::Empty | HandleState::Queued(..) => {
                if let HandleState::Queued(id, _) = state {
                    self.reference.leave(id);
                }
                let terms = Terms { waits: false, limit: None, deadline: until, ..self.unseen() };
                match self.arrive(OWN, terms) {
                    (id, Outcome::Admitted) => Stage::Running(Some(id)),
                    (_, Outcome::Rejected(reason)) => Stage::Answered(reason),
                    (_, Outcome::Waits) => unreachable!("it does not wait"),
                }
            }
        }
    }

    /// The place in line of this request.
    fn call_seen(&mut self, spec: &Spec, until: Option<Duration>) -> Stage {
        let mut key = OWN;
        let mut passes = spec.bypasses;
        if let (Real::Many(_), false) = (&self.real, passes) {
            match (spec.key, self.shape.cost % 3) {
                (Some(own), _) => key = own,
                (None, 0) => return Stage::Answered(Reason::MissingKey),
                (None, missing) => passes = missing == 1,
            }
        }
        if passes {
            self.reference.bypass();
            return Stage::Admitted(None);
        }
        let cost = if let Real::Weighted(_) = self.real { spec.cost } else { 1 };
        let terms = Terms { cost, waits: true, limit: self.wait_limit, deadline: until };
        match self.arrive(key, terms) {
            (id, Outcome::Admitted) => Stage::Admitted(Some(id)),
            (id, Outcome::Waits) => Stage::Waiting(id),
            (_, Outcome::Rejected(reason)) => Stage::Answered(reason),
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
