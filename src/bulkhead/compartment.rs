//! A compartment: a gate, whose it is, and on which terms operations ask at it.
//!
//! It owns everything that plain and weighted bulkheads have in common, which is all but the names
//! and types of their methods.

use std::{
    fmt,
    future::Future,
    task::{Wake, Waker},
    time::Duration,
};

use super::{
    error::ResizeError,
    partitioned::{limits::Limits, parent::PartitionLink},
    slot::{Admission, Slot},
};
use crate::{
    core::{
        MAX_UNITS,
        gate::{Gate, GateKind, arrival::ResizeRefusal, snapshot::Snapshot},
        operation::{
            arrive::admit_now,
            drain::Drain,
            handle::{GateHandle, IntoOwnedHandle, WaitPolicy},
            run::Run,
            wait::Wait,
        },
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    observe::{
        event::{BulkheadEvent, CountPanics, EventSource, Subscribers, Subscription},
        status::BulkheadStatus,
    },
    sync::{Arc, Mutex, Weak, did_panic, unique_number},
};

/// One gate, as all its handles share it, and whose it is. In this order: see [`Gate`].
#[repr(C)]
pub(crate) struct Compartment {
    gate: Gate,
    owner: Owner,
}

/// Bytes of memory that processors take from one another together.
const CACHE_LINE: usize = 64;

/// How many blocks of memory are set aside for a better one. An allocator gives those first that were given
/// back, so who makes hundreds of bulkheads finds the bad ones again, and must take some of them.
const MOST_SET_ASIDE: usize = 16;

/// A bulkhead of its own, or one partition of many.
enum Owner {
    Standalone(Box<Standalone>),
    Partition(PartitionLink),
}

/// What a bulkhead of its own has besides its gate.
struct Standalone {
    label: Arc<str>,
    instance: u64,
    wait_limit: Option<Duration>,
    subscribers: Subscribers,
}

impl Compartment {
    /// A bulkhead of its own. Where the allocator gives it a block in which a cache line ends between the
    /// count of its handles and its word, another one is taken, up to a point.
    pub(crate) fn standalone(
        label: &Arc<str>,
        capacity: u32,
        weighted: bool,
        waiting_room: u32,
        wait_limit: Option<Duration>,
    ) -> Arc<Self> {
        let make = || Self::new(label.clone(), capacity, weighted, waiting_room, wait_limit);
        // Held meanwhile, so that their blocks are not given again.
        let mut set_aside = Vec::new();
        loop {
            let standalone = Arc::new(make());
            if standalone.is_in_one_line() || set_aside.len() == MOST_SET_ASIDE {
                return standalone;
            }
            set_aside.push(standalone);
        }
    }

    /// Whether no cache line ends between the word, which comes first, and the counts right before it.
    fn is_in_one_line(self: &Arc<Self>) -> bool {
        Arc::as_ptr(self) as usize % CACHE_LINE >= 2 * size_of::<usize>()
    }

    fn new(
        label: Arc<str>,
        capacity: u32,
        weighted: bool,
        waiting_room: u32,
        wait_limit: Option<Duration>,
    ) -> Self {
        let kind = if weighted { GateKind::Weighted } else { GateKind::Plain };
        let instance = unique_number();
        let rejections = RejectionCache::new(label.clone(), false);
        let standalone =
            Standalone { label, instance, wait_limit, subscribers: Subscribers::default() };
        Self {
            gate: Gate::new(capacity, waiting_room, kind, Some(rejections)),
            owner: Owner::Standalone(Box::new(standalone)),
        }
    }

    /// One partition of many.
    pub(super) fn partition(limits: Limits, link: PartitionLink) -> Self {
        let gate = Gate::new(limits.parallelism, limits.waiting_room, GateKind::Partition, None);
        Self { gate, owner: Owner::Partition(link) }
    }

    pub(super) fn link(&self) -> Option<&PartitionLink> {
        match &self.owner {
            Owner::Standalone(_) => None,
            Owner::Partition(link) => Some(link),
        }
    }

    pub(crate) fn label(&self) -> &Arc<str> {
        match &self.owner {
            Owner::Standalone(standalone) => &standalone.label,
            Owner::Partition(link) => link.parent.label(),
        }
    }

    fn instance(&self) -> u64 {
        match &self.owner {
            Owner::Standalone(standalone) => standalone.instance,
            Owner::Partition(link) => link.instance,
        }
    }

    pub(crate) fn waiting_room(&self) -> usize {
        self.gate.room() as usize
    }

    #[inline]
    pub(crate) fn wait_limit(&self) -> Option<Duration> {
        match &self.owner {
            Owner::Standalone(standalone) => standalone.wait_limit,
            Owner::Partition(link) => link.parent.wait_limit(),
        }
    }

    /// Who writes its rejections, where that is not the gate.
    #[inline]
    fn rejections(&self) -> Option<&Mutex<RejectionCache>> {
        self.link().map(|link| link.parent.rejections())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.gate.capacity() as usize
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    #[inline]
    pub(crate) fn slot(self: &Arc<Self>, cost: usize, policy: WaitPolicy) -> Admission {
        Admission::new(Wait::new(self.into(), cost, policy))
    }

    #[inline]
    pub(crate) fn slot_now(self: &Arc<Self>, cost: usize) -> Result<Slot, Rejection> {
        admit_now(LazyHandle::Borrowed(self), cost, WaitPolicy::NoWait).map(Slot::new)
    }

    #[inline]
    pub(crate) fn run<F: Future>(
        self: &Arc<Self>,
        cost: usize,
        policy: WaitPolicy,
        work: F,
    ) -> Run<BorrowedHandle<'_>, F> {
        Run::new(BorrowedHandle(self), cost, policy, work)
    }

    pub(crate) fn run_owned<F: Future>(
        self: &Arc<Self>,
        cost: usize,
        work: F,
    ) -> Run<OwnedHandle, F> {
        Run::new(self.into(), cost, WaitPolicy::UpToLimit, work)
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
        let Owner::Standalone(standalone) = &self.owner else {
            unreachable!("partitions tell no events")
        };
        let weak: Weak<Self> = Arc::downgrade(self);
        let source = EventSource {
            label: standalone.label.clone(),
            waiting_room: self.waiting_room(),
            panic_counter: weak.clone(),
        };
        let number = standalone.subscribers.add(&self.gate, source.clone(), Arc::new(handler));
        Subscription::new(move || {
            let Some(compartment) = weak.upgrade() else { return };
            if let Owner::Standalone(standalone) = &compartment.owner {
                standalone.subscribers.remove(&compartment.gate, source, number);
            }
        })
    }

    pub(crate) fn wait_closed(&self) -> Drain<'_> {
        Drain::new(&self.gate)
    }

    #[inline]
    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        match self.link() {
            None => self.gate.reject(reason),
            Some(link) => link.parent.reject(reason),
        }
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

/// A compartment as an operation holds on to it for as long as it needs.
#[derive(Debug)]
pub(crate) struct OwnedHandle(Arc<Compartment>);

/// A compartment that somebody else holds on to for as long as an operation needs it.
#[derive(Debug)]
pub(crate) struct BorrowedHandle<'a>(&'a Arc<Compartment>);

/// A compartment to ask at.
#[derive(Debug)]
pub(crate) enum LazyHandle<'a> {
    /// Only held on to once there is something to hold on for.
    Borrowed(&'a Arc<Compartment>),
    /// Held on to before, because a partition might go otherwise.
    Pinned(OwnedHandle),
}

/// Whoever is in a compartment, however it holds on to it.
pub(crate) trait CompartmentHandle {
    fn compartment(&self) -> &Arc<Compartment>;
}

impl CompartmentHandle for OwnedHandle {
    #[inline]
    fn compartment(&self) -> &Arc<Compartment> {
        &self.0
    }
}

impl CompartmentHandle for BorrowedHandle<'_> {
    #[inline]
    fn compartment(&self) -> &Arc<Compartment> {
        self.0
    }
}

impl CompartmentHandle for LazyHandle<'_> {
    #[inline]
    fn compartment(&self) -> &Arc<Compartment> {
        match self {
            Self::Borrowed(compartment) => compartment,
            Self::Pinned(handle) => &handle.0,
        }
    }
}

impl<T: CompartmentHandle> GateHandle for T {
    #[inline]
    fn gate(&self) -> &Gate {
        &self.compartment().gate
    }

    #[inline]
    fn rejections(&self) -> Option<&Mutex<RejectionCache>> {
        self.compartment().rejections()
    }

    #[inline]
    fn wait_limit(&self) -> Option<Duration> {
        self.compartment().wait_limit()
    }

    fn alarm_waker(&self) -> Waker {
        Arc::new(AlarmWaker(Arc::downgrade(self.compartment()))).into()
    }
}

impl IntoOwnedHandle for OwnedHandle {
    type Owned = Self;

    #[inline]
    fn into_owned(self) -> Self {
        self
    }
}

impl IntoOwnedHandle for BorrowedHandle<'_> {
    type Owned = Self;

    #[inline]
    fn into_owned(self) -> Self {
        self
    }
}

impl IntoOwnedHandle for LazyHandle<'_> {
    type Owned = OwnedHandle;

    #[inline]
    fn into_owned(self) -> OwnedHandle {
        match self {
            Self::Borrowed(compartment) => compartment.into(),
            Self::Pinned(handle) => handle,
        }
    }
}

impl OwnedHandle {
    #[inline]
    pub(crate) fn compartment(&self) -> &Compartment {
        &self.0
    }

    /// Takes over a pin of this partition.
    pub(super) fn from_pinned(compartment: Arc<Compartment>) -> Self {
        Self(compartment)
    }
}

impl From<&Arc<Compartment>> for OwnedHandle {
    #[inline]
    fn from(compartment: &Arc<Compartment>) -> Self {
        Self(compartment.clone())
    }
}

impl Drop for OwnedHandle {
    #[inline]
    fn drop(&mut self) {
        if let Owner::Partition(link) = &self.0.owner {
            link.unpin();
        }
    }
}

/// Rings the alarm of a compartment, if there still is one.
struct AlarmWaker(Weak<Compartment>);

impl Wake for AlarmWaker {
    fn wake(self: Arc<Self>) {
        if let Some(compartment) = self.0.upgrade() {
            compartment.gate.fire_alarm();
            // If all others have let go of it meanwhile, its handlers are dropped here.
            did_panic(|| drop(compartment));
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

#[cfg(all(test, not(bulklink_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bulkhead_has_its_word_and_the_count_of_its_handles_in_one_cache_line() {
        let label: Arc<str> = "payments".into();
        let standalone = |size| {
            let standalone = Compartment::standalone(&label, 1, size % 3 == 0, 0, None);
            (vec![0_u8; size], standalone)
        };
        // With others between them, so that they begin anywhere in a line.
        let all: Vec<_> = (1..30).map(standalone).collect();
        assert_eq!(std::mem::offset_of!(Compartment, gate), 0);
        assert!(all.iter().all(|(_, standalone)| standalone.is_in_one_line()));
    }
}
