//! `Compartment`: a gate and its owner.
//!
//! It owns everything that plain and weighted bulkheads have in common, which is all but the names
//! and types of their methods. The rules of admission belong to the gate.

use std::{fmt, future::Future, time::Duration};

use tokio::time::Instant;

use super::{
    handle::{BorrowedHandle, LazyHandle, OwnedHandle},
    partitioned::{parent::PartitionLink, partition_limits::Limits},
    slot::{Admission, Slot},
};
use crate::{
    core::{
        clock::{self, Nanos},
        gate::{
            Gate, GateKind,
            arrival::{Arrival, ArrivalOutcome, WhenFull},
            effects::Effects,
            lifecycle::Phase,
            reconfiguring::PartitionSettings,
            records::SharedRecords,
            sampling::HandOverStamps,
            shared_pool::PooledGate,
            snapshot::Snapshot,
            trace,
        },
        limits::{Expiry, wait_limit::WaitLimit, wait_policy::WaitPolicy},
        operation::{arrive::admit_now, milestone::Reached, run::Run, wait::Wait},
        pool::rules::Share,
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    observe::{
        event::{BulkheadEvent, CountPanics, EventSource, Subscribers, Subscription},
        status::BulkheadStatus,
    },
    sync::{Arc, Weak, unique_number},
};

/// A gate, shared by all of its handles, and its owner. The field order matters: see [`Gate`].
#[repr(C)]
pub(crate) struct Compartment {
    pub(super) gate: Gate,
    owner: Owner,
}

/// Size of a cache line in bytes.
const CACHE_LINE: usize = 64;

/// How many misaligned blocks are held back in search of a better one. Allocators reuse freed blocks first, so
/// a program that creates hundreds of bulkheads is offered the misaligned ones again and must accept some.
const MAX_MISALIGNED: usize = 16;

/// What a compartment belongs to: a standalone bulkhead, or a partitioned one as one of its partitions.
enum Owner {
    Standalone(Box<Standalone>),
    Partition(PartitionLink),
}

/// What a standalone bulkhead has besides its gate.
struct Standalone {
    label: Arc<str>,
    instance: u64,
    created_at: Instant,
    wait_limit: Arc<WaitLimit>,
    stamps: Option<Arc<HandOverStamps>>,
    subscribers: Subscribers,
}

impl Compartment {
    /// Creates a standalone bulkhead. If the allocator returns a block in which a cache line boundary falls
    /// between the handle counts and the word, allocates again, up to [`MAX_MISALIGNED`] times.
    pub(crate) fn standalone(
        label: &Arc<str>,
        capacity: u32,
        weighted: bool,
        waiting_room: u32,
        wait_limit: Option<Duration>,
    ) -> Arc<Self> {
        let make = || Self::new(label.clone(), capacity, weighted, waiting_room, wait_limit);
        // Held until the end, so that the allocator does not return the same blocks again.
        let mut misaligned = Vec::new();
        loop {
            let standalone = Arc::new(make());
            if standalone.word_shares_cache_line() || misaligned.len() == MAX_MISALIGNED {
                return standalone;
            }
            misaligned.push(standalone);
        }
    }

    /// Returns whether the word, which comes first, is in one cache line with the `Arc` counts right before it.
    fn word_shares_cache_line(self: &Arc<Self>) -> bool {
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
        let rejections = RejectionCache::new(label.clone(), instance, false);
        let gate =
            Gate::new(capacity, waiting_room, kind, Some(rejections)).with_wait_limit(wait_limit);
        let own = gate.wait_limit();
        let standalone = Standalone {
            label,
            instance,
            created_at: clock::now(),
            wait_limit: own.expect("a standalone bulkhead has a limit of its own"),
            stamps: gate.stamps(),
            subscribers: Subscribers::default(),
        };
        Self { gate, owner: Owner::Standalone(Box::new(standalone)) }
    }

    /// Creates a partition of a partitioned bulkhead.
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
    pub(crate) fn wait_limit(&self) -> &WaitLimit {
        match &self.owner {
            Owner::Standalone(standalone) => &standalone.wait_limit,
            Owner::Partition(link) => link.parent.wait_limit(),
        }
    }

    /// Returns the stamps of the gate's hand-overs, unless it is a partition.
    #[inline]
    pub(super) fn stamps(&self) -> Option<&HandOverStamps> {
        match &self.owner {
            Owner::Standalone(standalone) => standalone.stamps.as_deref(),
            Owner::Partition(_) => None,
        }
    }

    /// Returns what the gate shares with others, if it is a partition.
    #[inline]
    pub(super) fn shared(&self) -> Option<&SharedRecords> {
        self.link().map(|link| link.parent.records())
    }

    /// Returns the limits of a partition.
    pub(super) fn partition_limits(&self) -> Limits {
        let (share, _) = self.share().unwrap_or((Share::EVEN, Duration::ZERO));
        Limits { parallelism: self.gate.capacity(), waiting_room: self.gate.room(), share }
    }

    /// Returns what a partition competes with for the shared capacity, if there is one, and the seat time that it had.
    pub(super) fn share(&self) -> Option<(Share, Duration)> {
        let pool = self.shared()?.pool.as_ref()?;
        let (share, seat_time) = pool.share_of(&self.gate, Nanos::at(clock::now()))?;
        Some((share, Duration::from_nanos(seat_time)))
    }

    /// Takes a partition that nobody uses out of the pool, if its bulkhead has one.
    pub(super) fn leave_pool(&self, keeps_debt: bool) {
        let Some(link) = self.link() else { return };
        if let Some(pool) = &link.parent.records().pool {
            pool.remove(&self.gate, link.hash, keeps_debt);
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.gate.capacity() as usize
    }

    pub(super) fn phase(&self) -> Phase {
        self.gate.phase()
    }

    #[inline]
    pub(crate) fn slot(self: &Arc<Self>, cost: usize, policy: WaitPolicy) -> Admission {
        Admission::new(Wait::new(self.into(), cost, policy))
    }

    #[inline(always)]
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

    /// Returns a snapshot, and leaves the effects to the caller.
    pub(super) fn snapshot_leaving(&self, effects: &mut Effects) -> Snapshot {
        self.gate.snapshot_leaving(self.shared(), effects)
    }

    pub(crate) fn status(&self) -> BulkheadStatus {
        let (snapshot, times) = self.gate.snapshot_with_times(self.shared());
        let (age, wait_limit) = match &self.owner {
            Owner::Standalone(standalone) => (
                snapshot.taken_at.saturating_duration_since(standalone.created_at),
                snapshot.settings.wait_limit,
            ),
            Owner::Partition(link) => (snapshot.age, link.parent.wait_limit().get()),
        };
        let label = self.label().clone();
        BulkheadStatus::new(snapshot, times, age, label, self.instance(), wait_limit)
    }

    /// Returns the units in use or waited for, without `own` ones, divided by the capacity. Infinite while the gate is
    /// paused, draining or closed, or an operation of this cost would be rejected and there are no `own` units.
    pub(crate) fn load_without(&self, own: usize, cost: usize) -> f64 {
        let now = self.gate.snapshot(self.shared());
        let (capacity, used) = (now.settings.capacity as usize, now.used as usize);
        let pool = self.shared().and_then(|shared| shared.pool.as_ref());
        let (has_seat, has_place) = pool.map_or((true, true), |pool| pool.offers(&self.gate));
        let must_wait = now.waiting > 0 || cost > capacity.saturating_sub(used) || !has_seat;
        let is_full = now.waiting >= now.settings.room || !has_place;
        let is_rejected = cost > capacity || (must_wait && is_full);
        if now.phase != Phase::Open || now.is_refused || (is_rejected && own == 0) {
            return f64::INFINITY;
        }
        let busy = (now.waiting_units as usize + used).saturating_sub(own);
        busy as f64 / capacity as f64
    }

    /// Rejects an operation whose limit had passed before it arrived. The caller tells of it.
    pub(super) fn reject_late(&self, expiry: Expiry) -> Rejection {
        let arrival = Arrival {
            cost: 1,
            policy: &WaitPolicy::NoWait,
            expired: Some(expiry),
            when_full: WhenFull::Reject,
            stands: false,
        };
        match self.gate.arrive(arrival, self.shared()) {
            ArrivalOutcome::Rejected(rejection) => rejection,
            other => unreachable!("an expired operation was not rejected: {other:?}"),
        }
    }

    pub(crate) fn count_body_ended_early(&self) {
        self.gate.count_body_ended_early();
    }

    pub(crate) fn count_bypass(&self) {
        self.gate.count_bypass();
    }

    pub(crate) fn count_nested(&self) {
        self.gate.count_nested();
    }

    pub(super) fn close(&self) {
        self.gate.close(self.shared());
    }

    pub(super) fn drain(&self) {
        self.gate.drain(self.shared());
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let mut effects = Effects::default();
        self.set_paused_leaving(paused, &mut effects);
        effects.carry_out();
    }

    /// Pauses or resumes, and leaves the effects to the caller.
    pub(super) fn set_paused_leaving(&self, paused: bool, effects: &mut Effects) {
        self.gate.set_paused(paused, self.shared(), effects);
    }

    /// Sets the limits of a partition, or refuses its key, and leaves the effects to the caller. Returns whether that changes
    /// anything.
    pub(super) fn set_limits_leaving(&self, limits: Option<Limits>, effects: &mut Effects) -> bool {
        let limits = limits.map(|Limits { parallelism, waiting_room, share }| PartitionSettings {
            capacity: parallelism,
            room: waiting_room,
            share,
        });
        self.gate.set_limits(limits, self.shared(), effects)
    }

    pub(crate) fn subscribe<F>(self: &Arc<Self>, handler: F) -> Subscription
    where
        F: Fn(&BulkheadEvent) + Send + Sync + 'static,
    {
        let Owner::Standalone(standalone) = &self.owner else {
            unreachable!("partitions have no events")
        };
        let weak: Weak<Self> = Arc::downgrade(self);
        let source = EventSource {
            label: standalone.label.clone(),
            instance: standalone.instance,
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

    pub(super) fn wait_closed(&self) -> Reached<'_> {
        Reached::drained(&self.gate)
    }

    pub(super) fn closing(&self) -> Reached<'_> {
        Reached::closing(&self.gate)
    }

    #[inline]
    pub(crate) fn reject(&self, reason: RejectionReason) -> Rejection {
        match self.link() {
            None => trace::rejected(self.gate.reject(reason)),
            Some(link) => link.parent.reject(reason),
        }
    }

    /// Formats a handle of the type `name` for `Debug`.
    pub(crate) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct(name)
            .field("label", &status.label)
            .field("capacity", &status.capacity)
            .field("used", &status.used)
            .field("waiting", &status.waiting)
            .field("waiting_room", &status.waiting_room)
            .field("wait_limit", &status.wait_limit)
            .field("is_paused", &status.is_paused)
            .field("is_draining", &status.is_draining)
            .field("is_closed", &status.is_closed)
            .finish()
    }
}

impl PooledGate for Compartment {
    fn gate(&self) -> &Gate {
        &self.gate
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
    fn the_word_and_the_handle_counts_share_a_cache_line() {
        let label: Arc<str> = "payments".into();
        let standalone = |size| {
            let standalone = Compartment::standalone(&label, 1, size % 3 == 0, 0, None);
            (vec![0_u8; size], standalone)
        };
        // Other allocations in between make them start anywhere in a cache line.
        let all: Vec<_> = (1..30).map(standalone).collect();
        assert_eq!(std::mem::offset_of!(Compartment, gate), 0);
        assert!(all.iter().all(|(_, standalone)| standalone.word_shares_cache_line()));
    }
}
