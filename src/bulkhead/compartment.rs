//! A compartment: a gate, whose it is, and on which terms operations ask at it.
//!
//! It owns everything that plain and weighted bulkheads have in common, which is all but the names
//! and types of their methods.

use std::{fmt, future::Future, time::Duration};

use super::{
    deadline::Deadline,
    error::{Rejection, ResizeError},
    partitioned::{family::Part, limits::Limits},
    slot::{Admission, Slot},
};
use crate::{
    core::{
        MAX_UNITS,
        admission::{Drain, Home, Run, Terms, Wait, admit_now},
        gate::{Gate, GateKind, ResizeRefusal},
        reason::RejectionReason,
        tally::Snapshot,
    },
    observe::{
        event::{BulkheadEvent, CountPanics, Origin, Subscribers, Subscription},
        status::BulkheadStatus,
    },
    sync::{Arc, Weak, unique_number},
};

/// One gate, as all its handles share it, and whose it is.
pub(crate) struct Compartment {
    gate: Gate,
    owner: Owner,
}

/// A bulkhead of its own, or one partition of many.
enum Owner {
    Whole(Box<Whole>),
    Part(Part),
}

/// What a bulkhead of its own has besides its gate.
struct Whole {
    label: Arc<str>,
    instance: u64,
    wait_limit: Option<Duration>,
    subscribers: Subscribers,
}

/// The ways to ask for a slot.
#[derive(Clone, Copy, Debug)]
pub enum Ask {
    /// For as long as the wait limit allows.
    Patiently,
    /// Without a wait.
    Now,
    /// Without a wait, if it is not too late already.
    NowBefore(Deadline),
    /// For so long at most.
    Within(Duration),
    /// Until then at most.
    Before(Deadline),
}

impl Ask {
    /// The terms of an operation that asks this way, where this is the wait limit.
    #[inline]
    pub(crate) fn terms(self, cost: usize, wait_limit: Option<Duration>) -> Terms {
        let terms = Terms { cost, waits: true, wait_limit, deadline: None };
        match self {
            Self::Patiently => terms,
            Self::Now => Terms { waits: false, wait_limit: None, ..terms },
            Self::NowBefore(deadline) => {
                let deadline = Some(deadline.instant());
                Terms { cost, waits: false, wait_limit: None, deadline }
            }
            Self::Within(limit) => {
                let limit = wait_limit.map_or(limit, |own| own.min(limit));
                Terms { wait_limit: Some(limit), ..terms }
            }
            Self::Before(deadline) => Terms { deadline: Some(deadline.instant()), ..terms },
        }
    }
}

impl Compartment {
    pub(crate) fn new(
        label: Arc<str>,
        capacity: u32,
        weighted: bool,
        waiting_room: u32,
        wait_limit: Option<Duration>,
    ) -> Self {
        let kind = if weighted { GateKind::Weighted } else { GateKind::Plain };
        let instance = unique_number();
        let whole = Whole { label, instance, wait_limit, subscribers: Subscribers::default() };
        Self { gate: Gate::new(capacity, waiting_room, kind), owner: Owner::Whole(Box::new(whole)) }
    }

    /// One partition of many.
    pub(super) fn partition(limits: Limits, part: Part) -> Self {
        let gate = Gate::new(limits.parallelism, limits.waiting_room, GateKind::Partition);
        Self { gate, owner: Owner::Part(part) }
    }

    pub(super) fn part(&self) -> Option<&Part> {
        match &self.owner {
            Owner::Whole(_) => None,
            Owner::Part(part) => Some(part),
        }
    }

    pub(crate) fn label(&self) -> &Arc<str> {
        match &self.owner {
            Owner::Whole(whole) => &whole.label,
            Owner::Part(part) => part.family.label(),
        }
    }

    fn instance(&self) -> u64 {
        match &self.owner {
            Owner::Whole(whole) => whole.instance,
            Owner::Part(part) => part.instance,
        }
    }

    pub(crate) fn waiting_room(&self) -> usize {
        self.gate.room() as usize
    }

    #[inline]
    pub(crate) fn wait_limit(&self) -> Option<Duration> {
        match &self.owner {
            Owner::Whole(whole) => whole.wait_limit,
            Owner::Part(part) => part.family.wait_limit(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.gate.capacity() as usize
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    #[inline]
    pub(crate) fn terms(&self, cost: usize, ask: Ask) -> Terms {
        ask.terms(cost, self.wait_limit())
    }

    #[inline]
    pub(crate) fn slot(self: &Arc<Self>, cost: usize, ask: Ask) -> Admission {
        Admission::new(Wait::new(self.into(), self.terms(cost, ask)))
    }

    #[inline]
    pub(crate) fn slot_now(self: &Arc<Self>, cost: usize) -> Result<Slot, Rejection> {
        admit_now(self.into(), &self.terms(cost, Ask::Now)).map(Slot::new)
    }

    #[inline]
    pub(crate) fn run<F: Future>(&self, cost: usize, ask: Ask, work: F) -> Run<&Self, F> {
        Run::new(self, self.terms(cost, ask), work)
    }

    pub(crate) fn run_owned<F: Future>(self: &Arc<Self>, cost: usize, work: F) -> Run<Tenant, F> {
        Run::new(self.into(), self.terms(cost, Ask::Patiently), work)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.gate.snapshot()
    }

    pub(crate) fn status(&self) -> BulkheadStatus {
        BulkheadStatus::new(
            self.gate.snapshot(),
            self.label().clone(),
            self.instance(),
            self.waiting_room(),
            self.wait_limit(),
        )
    }

    /// Resizes; `setting` is what the capacity is called here.
    pub(crate) fn resize(&self, setting: &'static str, value: usize) -> Result<(), ResizeError> {
        let label = || self.label().clone();
        let maximum = MAX_UNITS as usize;
        if value == 0 {
            return Err(ResizeError::Zero { label: label(), setting });
        }
        if value > maximum {
            return Err(ResizeError::TooLarge { label: label(), setting, value, maximum });
        }
        self.gate.resize(value as u32).map_err(|refusal| match refusal {
            ResizeRefusal::Closed => ResizeError::Closed { label: label() },
            ResizeRefusal::BelowQueuedCost(cost) => ResizeError::BelowQueuedCost {
                label: label(),
                capacity: value,
                cost: cost as usize,
            },
        })
    }

    pub(crate) fn count_bypass(&self) {
        self.gate.count_bypass();
    }

    pub(crate) fn close(&self) {
        self.gate.close();
    }

    pub(crate) fn subscribe<F>(self: &Arc<Self>, handler: F) -> Subscription
    where
        F: Fn(&BulkheadEvent) + Send + Sync + 'static,
    {
        let Owner::Whole(whole) = &self.owner else { unreachable!("partitions tell no events") };
        let panics: Weak<Self> = Arc::downgrade(self);
        let origin = Origin {
            label: whole.label.clone(),
            waiting_room: self.waiting_room(),
            panics: panics.clone(),
        };
        let number = whole.subscribers.add(&self.gate, origin.clone(), Arc::new(handler));
        Subscription::new(move || {
            let Some(compartment) = panics.upgrade() else { return };
            if let Owner::Whole(whole) = &compartment.owner {
                whole.subscribers.remove(&compartment.gate, origin, number);
            }
        })
    }

    pub(crate) fn wait_closed(&self) -> Drain<&Self> {
        Drain::new(self)
    }

    /// What a handle of the type `name` shows of itself.
    pub(crate) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct(name)
            .field("label", &status.label)
            .field("capacity", &status.capacity)
            .field("used", &status.used)
            .field("waiting", &status.waiting)
            .field("waiting_room", &status.waiting_room)
            .field("wait_limit", &status.wait_limit)
            .field("is_closed", &status.is_closed)
            .finish()
    }
}

impl Home for &Compartment {
    type Rejection = Rejection;

    #[inline]
    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn reject(&self, reason: RejectionReason) -> Rejection {
        Rejection::new(self.label().clone(), reason, self.part().is_some())
    }
}

/// A compartment as an operation holds on to it for as long as it needs.
#[derive(Debug)]
pub(crate) struct Tenant(Arc<Compartment>);

impl Tenant {
    #[inline]
    pub(crate) fn compartment(&self) -> &Compartment {
        &self.0
    }

    /// Takes over a pin of this partition.
    pub(super) fn of_pinned(compartment: Arc<Compartment>) -> Self {
        Self(compartment)
    }
}

impl From<&Arc<Compartment>> for Tenant {
    #[inline]
    fn from(compartment: &Arc<Compartment>) -> Self {
        Self(compartment.clone())
    }
}

impl Home for Tenant {
    type Rejection = Rejection;

    #[inline]
    fn gate(&self) -> &Gate {
        &self.0.gate
    }

    fn reject(&self, reason: RejectionReason) -> Rejection {
        (&*self.0).reject(reason)
    }
}

impl Drop for Tenant {
    #[inline]
    fn drop(&mut self) {
        if let Owner::Part(part) = &self.0.owner {
            part.unpin();
        }
    }
}

impl CountPanics for Compartment {
    fn count_handler_panic(&self) {
        self.gate.count_handler_panic();
    }
}

impl fmt::Debug for Compartment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compartment").field("label", self.label()).finish_non_exhaustive()
    }
}
