//! `PartitionMap`: all partitions of a bulkhead by key, never more of them than allowed.
//!
//! It owns lookup, creation and eviction of partitions. It does not own admission: that is up to the gate of
//! each partition. A hit takes the lock of one shard and no other. Creation and eviction also take one creation
//! lock: otherwise two operations with new keys, searching for an idle partition at the same time, could each
//! find only partitions that the other has just taken, and both be rejected.
//!
//! Lock order: `status_lock`, `creation`, shards by ascending number, the pool, the gate of a partition, the rejection
//! cache. No user code runs under any of these locks except `Hash` and `Eq` of a key, and its `Clone` where all
//! partitions are gone through: `for_each_partition`, `reconfigure` and `refresh_limits`. Keys and limits are
//! created before a lock is taken, and keys and partitions are dropped after it is released.

#[cfg(not(all(test, bulklink_loom)))]
use std::hash::RandomState;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
    mem,
    time::Duration,
};

use tokio::time::Instant;

#[cfg(all(test, bulklink_loom))]
use super::models::NoRandomState as RandomState;
use super::{
    parent::{PartitionLink, PartitionParent},
    partition_limits::{Limits, LimitsFn, LimitsOverride, chosen_limits},
    shard::Removed,
    shards::Shards,
};
use crate::{
    bulkhead::{compartment::Compartment, handle::OwnedHandle},
    core::{
        clock,
        gate::{
            Gate, GateKind,
            effects::{Effects, EventKind},
            lifecycle::Phase,
            records::SharedRecords,
            shared_pool::SharedPool,
            trace::Notice,
        },
        limits::{Expiry, wait_limit::WaitLimit, wait_policy::WaitPolicy},
        pool::rules::PoolLimits,
        rejection::{Rejection, cache::RejectionCache, reason::RejectionReason},
    },
    observe::partitions::PartitionCounts,
    sync::{Arc, Mutex, did_panic, unique_number},
};

/// How many overdue partitions one creation removes: more than one, so that they are removed faster than new
/// ones are created, and few enough to cost little.
const CLEANED_PER_CREATION: usize = 4;

/// How many partitions are evicted under one lock.
const EVICTED_AT_ONCE: usize = 64;

const INSERTED_ONCE: &str = "a key is inserted once";

pub(super) struct PartitionMap<K> {
    pub(super) parent: Arc<PartitionParent>,
    pub(super) instance: u64,
    pub(super) created_at: Instant,
    /// Chooses the limits of a key, in place of the usual ones.
    pub(super) limits_for: Option<LimitsFn<K>>,
    hasher: RandomState,
    pub(super) shards: Arc<Shards<K>>,
    pub(super) creation: Mutex<Creation<K>>,
    /// Held while a status is taken, so that statuses are taken in the order of their sequence numbers.
    pub(super) status_lock: Mutex<()>,
}

/// The settings that may change, but for the wait limit, which the partitions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MapSettings {
    /// The limits of a key for which none are chosen.
    pub(super) usual: Limits,
    /// What all keys share.
    pub(super) total: Option<PoolLimits>,
    pub(super) max_partitions: usize,
    pub(super) idle_timeout: Duration,
}

/// The state under the creation lock.
pub(super) struct Creation<K> {
    pub(super) settings: MapSettings,
    pub(super) overrides: HashMap<K, LimitsOverride>,
    /// Of the whole bulkhead. It stays [`Phase::Draining`] when the last line is empty, because a partition does not know the
    /// map, and [`Phase::Closed`] when the last operation ends.
    pub(super) phase: Phase,
    pub(super) counts: PartitionCounts,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionMap<K> {
    pub(super) fn new(
        label: Arc<str>,
        wait_limit: Option<Duration>,
        settings: MapSettings,
        limits_for: Option<LimitsFn<K>>,
    ) -> Self {
        let shards = Arc::new(Shards::new(settings.max_partitions, settings.idle_timeout));
        let (root_gate, pin_counter) = (Gate::new(1, 0, GateKind::Plain, None), shards.clone());
        let instance = unique_number();
        let records = SharedRecords::new(
            RejectionCache::new(label.clone(), instance, true),
            WaitLimit::new(wait_limit),
            settings.total.map(SharedPool::boxed),
        );
        Self {
            parent: Arc::new(PartitionParent { label, root_gate, records, pin_counter }),
            instance,
            created_at: clock::now(),
            limits_for,
            hasher: RandomState::new(),
            shards,
            creation: Mutex::new(Creation {
                settings,
                overrides: HashMap::new(),
                phase: Phase::Open,
                counts: PartitionCounts::default(),
            }),
            status_lock: Mutex::new(()),
        }
    }

    /// Pins the partition of `key`, and creates it if there is none. `policy` is that of the operation.
    #[inline]
    pub(super) fn enter(&self, key: &K, policy: WaitPolicy) -> Result<OwnedHandle, Rejection> {
        let hash = self.hash(key);
        match self.shards.of(hash).pin(hash, key, || policy.expired()) {
            Some(entered) => entered,
            None => {
                self.create(hash, key, policy).map_err(|reason| self.parent.count_rejected(reason))
            }
        }
    }

    /// Returns the partition of `key` unpinned. Does not count as a use.
    pub(super) fn peek(&self, key: &K) -> Option<Arc<Compartment>> {
        let hash = self.hash(key);
        self.shards.of(hash).peek(hash, key)
    }

    #[cold]
    fn create(
        &self,
        hash: u32,
        key: &K,
        policy: WaitPolicy,
    ) -> Result<OwnedHandle, RejectionReason> {
        if self.creation.lock().phase.turns_away() {
            // No user code runs for a key of a closed bulkhead.
            return Err(RejectionReason::Closed);
        }
        let (chosen, mut new_key) = (self.choose(key), Some(key.clone()));
        let expired = policy.expired();
        let (mut removed, mut effects) = (Vec::new(), Effects::default());
        let created =
            self.create_locked(hash, &mut new_key, chosen, expired, &mut removed, &mut effects);
        effects.carry_out();
        // Dropping a key is user code: a panic in it must not release the new pin.
        drop_each(removed);
        did_panic(|| drop(new_key));
        created
    }

    fn create_locked(
        &self,
        hash: u32,
        new_key: &mut Option<K>,
        chosen: Option<Result<Limits, RejectionReason>>,
        expired: Option<Expiry>,
        removed: &mut Vec<Removed<K>>,
        effects: &mut Effects,
    ) -> Result<OwnedHandle, RejectionReason> {
        let mut creation = self.creation.lock();
        if creation.phase.turns_away() {
            return Err(RejectionReason::Closed);
        }
        // Another operation may have created it while this one was choosing the limits.
        let shard = self.shards.of(hash);
        let key = new_key.as_ref().expect(INSERTED_ONCE);
        if let Some(Ok(handle)) = shard.pin(hash, key, || None) {
            return Ok(handle);
        }
        let limits = creation.limits(key, chosen);
        if let Some(expiry) = expired {
            // No partition is evicted for an operation that has already expired.
            return Err(expiry.reason(Duration::ZERO, Duration::ZERO));
        }
        let limits = limits?;
        self.remove_overdue(&mut creation, CLEANED_PER_CREATION, removed);
        let max_partitions = creation.settings.max_partitions;
        self.make_room(&mut creation, max_partitions - 1, removed);
        if creation.counts.retained() >= max_partitions {
            let active_partitions = creation.counts.retained();
            return Err(RejectionReason::PartitionLimit { max_partitions, active_partitions });
        }
        creation.counts.count_created();
        let key = new_key.take().expect(INSERTED_ONCE);
        Ok(self.insert(hash, key, limits, creation.phase.is_paused(), effects))
    }

    fn insert(
        &self,
        hash: u32,
        key: K,
        limits: Limits,
        is_paused: bool,
        effects: &mut Effects,
    ) -> OwnedHandle {
        self.shards.of(hash).insert(hash, key, |at| {
            let parent = self.parent.clone();
            let link = PartitionLink::new(parent, unique_number(), at, hash);
            let partition = Arc::new(Compartment::partition(limits, link));
            if let Some(pool) = &self.parent.records.pool {
                pool.add(&partition, hash, limits.share);
            }
            if is_paused {
                partition.set_paused_leaving(true, effects);
            }
            partition
        })
    }

    /// Removes idle partitions until at most `most` are retained, but not many at once: after `max_partitions` was lowered, far
    /// more may be.
    pub(super) fn make_room(
        &self,
        creation: &mut Creation<K>,
        most: usize,
        removed: &mut Vec<Removed<K>>,
    ) {
        for _ in 0..EVICTED_AT_ONCE {
            if creation.counts.retained() <= most {
                return;
            }
            let Some(evicted) = self.shards.remove_oldest() else { return };
            creation.counts.evicted += 1;
            removed.push(evicted);
        }
    }

    /// Removes up to `most` partitions that have been idle for the idle timeout, those idle longest first.
    fn remove_overdue(
        &self,
        creation: &mut Creation<K>,
        most: usize,
        overdue: &mut Vec<Removed<K>>,
    ) {
        for _ in 0..most {
            let Some(entry) = self.shards.remove_overdue() else { return };
            creation.counts.evicted += 1;
            overdue.push(entry);
        }
    }

    /// Removes every partition that has been idle for the idle timeout, a few at a time. Returns how many.
    pub(super) fn cleanup_idle(&self) -> usize {
        let mut removed = 0;
        loop {
            let mut overdue = Vec::new();
            self.remove_overdue(&mut self.creation.lock(), CLEANED_PER_CREATION, &mut overdue);
            if overdue.is_empty() {
                return removed;
            }
            removed += overdue.len();
            drop_each(overdue);
        }
    }

    /// Removes the partition of `key` if there is one and it is idle. Returns whether it did.
    pub(super) fn discard(&self, key: &K) -> bool {
        let hash = self.hash(key);
        let mut creation = self.creation.lock();
        let discarded = self.shards.of(hash).discard(hash, key);
        creation.counts.discarded += u64::from(discarded.is_some());
        drop(creation);
        discarded.is_some()
    }

    /// Returns the phase of the whole bulkhead, which is closed once no partition has a line any more.
    pub(super) fn phase(&self) -> Phase {
        self.phase_of(&self.creation.lock())
    }

    pub(super) fn phase_of(&self, creation: &Creation<K>) -> Phase {
        match creation.phase {
            Phase::Draining if !self.parent.records.undrained.any() => Phase::Closed,
            phase => phase,
        }
    }

    /// Pauses every partition, or resumes every one.
    ///
    /// Two calls at the same time may disagree: each applies whatever was asked for last, a block at a time and under the
    /// creation lock, so that the last one prevails everywhere.
    pub(super) fn set_paused(&self, paused: bool) {
        let (from, to, kind) = match paused {
            true => (Phase::Open, Phase::Paused, EventKind::Paused),
            false => (Phase::Paused, Phase::Open, EventKind::Resumed),
        };
        let mut effects = Effects::default();
        {
            let mut creation = self.creation.lock();
            if creation.phase != from {
                return;
            }
            creation.phase = to;
            if paused {
                self.parent.records.hold_pool(true, &mut effects);
            }
        }
        effects.carry_out();
        self.tell(kind);
        self.for_each_block(|partitions| {
            let mut effects = Effects::default();
            let creation = self.creation.lock();
            for partition in &partitions {
                partition.set_paused_leaving(creation.phase.is_paused(), &mut effects);
            }
            drop(creation);
            effects.carry_out();
        });
        self.release_pool();
    }

    /// Hands out what was held back during a pause, unless the bulkhead is paused.
    fn release_pool(&self) {
        let mut effects = Effects::default();
        let creation = self.creation.lock();
        if !creation.phase.is_paused() {
            self.parent.records.hold_pool(false, &mut effects);
        }
        drop(creation);
        effects.carry_out();
    }

    /// Drains every partition. The bulkhead is closed once none of them has a line.
    pub(super) fn drain(&self) {
        let records = self.parent.records();
        {
            let mut creation = self.creation.lock();
            match creation.phase {
                Phase::Open | Phase::Paused => records.undrained.add(),
                // Once this returns, no newcomer is admitted, even if another thread is not done yet.
                Phase::Draining if records.undrained.add_to_some() => {}
                Phase::Draining | Phase::Closed | Phase::Drained => return,
            }
            if mem::replace(&mut creation.phase, Phase::Draining) != Phase::Draining {
                drop(creation);
                self.tell(EventKind::Draining);
            }
        }
        self.for_each_block(|partitions| partitions.iter().for_each(|partition| partition.drain()));
        self.release_pool();
        self.parent.root_gate.close(None);
        self.remove_idle();
        if let Some(notice) = records.drained_one() {
            notice.tell_caught();
        }
    }

    /// Closes every partition, and then the bulkhead through its root gate. Does so even if another thread is
    /// already closing it: once this returns, no operation is admitted.
    pub(super) fn close(&self) {
        let before = mem::replace(&mut self.creation.lock().phase, Phase::Closed);
        self.for_each_block(|partitions| partitions.iter().for_each(|partition| partition.close()));
        self.parent.root_gate.close(None);
        // What was draining tells itself that its last line is gone.
        if matches!(before, Phase::Open | Phase::Paused) {
            self.tell(EventKind::Closed);
        }
        self.remove_idle();
    }

    /// Tells of a change of all partitions.
    pub(super) fn tell(&self, kind: EventKind) {
        if let Some(notice) = Notice::of_partitions(&self.parent.label, kind) {
            notice.tell_caught();
        }
    }

    /// Removes the idle partitions for good, and each other one as soon as it is idle. Drops the keys with limits of their own.
    fn remove_idle(&self) {
        let overrides = mem::take(&mut self.creation.lock().overrides);
        for (key, _) in overrides {
            did_panic(|| drop(key));
        }
        for shard in self.shards.all() {
            loop {
                let removed = shard.remove_idle_of_closed();
                if removed.is_empty() {
                    break;
                }
                drop_each(removed);
            }
        }
    }

    /// Calls `f` with all partitions, a block at a time and under no lock.
    fn for_each_block(&self, mut f: impl FnMut(Vec<Arc<Compartment>>)) {
        for shard in self.shards.all() {
            let mut visit = shard.visit();
            while let Some(partitions) = visit.partitions() {
                f(partitions);
            }
        }
    }

    pub(super) fn hash(&self, key: &K) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

impl<K> PartitionMap<K> {
    pub(super) fn settings(&self) -> MapSettings {
        self.creation.lock().settings
    }

    /// Whether the keys share a capacity.
    pub(super) fn shares(&self) -> bool {
        self.parent.records.pool.is_some()
    }

    /// Returns the limits that the user's function gives a key, if there is one. Runs user code.
    pub(super) fn choose(&self, key: &K) -> Option<Result<Limits, RejectionReason>> {
        self.limits_for.as_ref().map(|choose| chosen_limits(choose, key, self.shares()))
    }
}

impl<K: Hash + Eq> Creation<K> {
    /// Returns the limits of a key for which these were chosen.
    pub(super) fn limits(
        &self,
        key: &K,
        chosen: Option<Result<Limits, RejectionReason>>,
    ) -> Result<Limits, RejectionReason> {
        let limits = chosen.unwrap_or(Ok(self.settings.usual));
        match self.overrides.get(key) {
            Some(set) => set.over(limits),
            None => limits,
        }
    }
}

impl<K> Drop for PartitionMap<K> {
    /// Breaks a reference cycle: the shards hold the partitions, whose parent holds the shards.
    fn drop(&mut self) {
        self.shards.take_all().into_iter().for_each(|state| drop_each(state.into_entries()));
    }
}

/// Drops entries one by one: the drop of a key is user code, and a second panic while a first one unwinds would abort.
pub(super) fn drop_each<T>(entries: impl IntoIterator<Item = T>) {
    for entry in entries {
        did_panic(|| drop(entry));
    }
}
