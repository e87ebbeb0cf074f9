//! Changes of a map that is in use: its settings, and the limits of its partitions.
//!
//! It owns the order in which a change reaches the partitions: first it holds for new ones, then it is applied to those that
//! are retained, a block at a time and under the creation lock. Whatever was changed last prevails everywhere.

use std::hash::Hash;

use super::{
    map::{Creation, MapSettings, PartitionMap, drop_each},
    partition_limits::{Limits, LimitsOverride},
};
use crate::{
    bulkhead::compartment::Compartment,
    core::{
        gate::effects::{Effects, EventKind},
        rejection::reason::RejectionReason,
    },
    sync::did_panic,
};

/// Why a change of one key's limits was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRefusal {
    Closed,
    NoPartition,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionMap<K> {
    /// Changes the settings. Returns `false` if the bulkhead is closed.
    pub(super) fn reconfigure(&self, change: impl FnOnce(&mut MapSettings) -> bool) -> bool {
        let mut effects = Effects::default();
        let (before, after, is_changed) = {
            let mut creation = self.creation.lock();
            if self.phase_of(&creation).is_closed() {
                return false;
            }
            let before = creation.settings;
            // The wait limit is changed in the same section, so that of two changes one is the last in everything.
            let is_limit_changed = change(&mut creation.settings);
            let after = creation.settings;
            if after.idle_timeout != before.idle_timeout {
                self.shards.set_timeout(after.idle_timeout);
            }
            if let Some(total) = after.total.filter(|_| after.total != before.total) {
                self.parent.records.set_pool_limits(total, &mut effects);
            }
            (before, after, is_limit_changed || after != before)
        };
        effects.carry_out();
        if is_changed {
            self.tell(EventKind::Reconfigured);
        }
        if after.usual != before.usual && self.limits_for.is_none() {
            self.refresh_limits();
        }
        if after.max_partitions < before.max_partitions {
            self.evict_surplus();
        }
        true
    }

    /// Removes idle partitions until no more are retained than may be.
    fn evict_surplus(&self) {
        loop {
            let mut removed = Vec::new();
            let mut creation = self.creation.lock();
            let most = creation.settings.max_partitions;
            self.make_room(&mut creation, most, &mut removed);
            drop(creation);
            if removed.is_empty() {
                return;
            }
            drop_each(removed);
        }
    }

    /// Gives every retained partition the limits that its key has now. Returns how many have changed.
    pub(super) fn refresh_limits(&self) -> usize {
        let mut changed = 0;
        for shard in self.shards.all() {
            let mut visit = shard.visit();
            while let Some(partitions) = visit.keys_and_partitions() {
                let chosen: Vec<_> = partitions.iter().map(|(key, _)| self.choose(key)).collect();
                let mut effects = Effects::default();
                let creation = self.creation.lock();
                // All look-ups come first: they run `Hash` and `Eq` of keys, whose panics must not lose effects.
                let keys = partitions.iter().map(|(key, _)| key);
                let limits: Vec<_> =
                    keys.zip(chosen).map(|(key, chosen)| creation.limits(key, chosen)).collect();
                for ((_, partition), limits) in partitions.iter().zip(limits) {
                    changed += usize::from(apply(partition, limits, &mut effects));
                }
                drop(creation);
                effects.carry_out();
                for (key, _) in partitions {
                    did_panic(|| drop(key));
                }
            }
        }
        changed
    }

    /// Sets the limits of a key, whether it has a partition or not. `None` refuses it.
    pub(super) fn set_limits(&self, key: &K, limits: Option<Limits>) -> Result<(), KeyRefusal> {
        let mut owned = Some(key.clone());
        let set = self.change_override(key, |creation, _| {
            creation.keep(key, &mut owned, LimitsOverride::All(limits));
            Ok(Some(limits.ok_or(RejectionReason::KeyRefused)))
        });
        did_panic(|| drop(owned));
        set
    }

    /// Sets the parallelism of a key that has a partition.
    pub(super) fn resize(&self, key: &K, parallelism: u32) -> Result<(), KeyRefusal> {
        let (chosen, mut owned) = (self.choose(key), Some(key.clone()));
        let set = self.change_override(key, |creation, partition| {
            let partition = partition.ok_or(KeyRefusal::NoPartition)?;
            // Not those that it has: a smaller parallelism may have lowered its guarantee before.
            let otherwise = chosen.unwrap_or(Ok(creation.settings.usual));
            let limits = otherwise.unwrap_or_else(|_| partition.partition_limits());
            let before = creation.overrides.get(key).copied();
            let set = LimitsOverride::with_parallelism(before, parallelism);
            creation.keep(key, &mut owned, set);
            Ok(Some(set.over(Ok(limits))))
        });
        did_panic(|| drop(owned));
        set
    }

    /// Removes the limits that were set for a key. Returns whether there were any.
    pub(super) fn clear_limits(&self, key: &K) -> bool {
        let chosen = self.choose(key);
        let mut cleared = None;
        // A closed bulkhead has none.
        let _ = self.change_override(key, |creation, _| {
            cleared = creation.overrides.remove_entry(key);
            Ok(cleared.is_some().then(|| creation.limits(key, chosen)))
        });
        let is_cleared = cleared.is_some();
        did_panic(|| drop(cleared));
        is_cleared
    }

    /// Changes the override of a key, and gives its partition, if it has one, the limits that `change` returns, if it does.
    /// `change` runs under the creation lock, so it drops no key.
    fn change_override(
        &self,
        key: &K,
        change: impl FnOnce(
            &mut Creation<K>,
            Option<&Compartment>,
        ) -> Result<Option<Result<Limits, RejectionReason>>, KeyRefusal>,
    ) -> Result<(), KeyRefusal> {
        let hash = self.hash(key);
        let mut effects = Effects::default();
        let mut creation = self.creation.lock();
        if self.phase_of(&creation).is_closed() {
            return Err(KeyRefusal::Closed);
        }
        let partition = self.shards.of(hash).peek(hash, key);
        let limits = change(&mut creation, partition.as_deref())?;
        if let (Some(partition), Some(limits)) = (&partition, limits) {
            apply(partition, limits, &mut effects);
        }
        drop(creation);
        effects.carry_out();
        Ok(())
    }
}

impl<K: Hash + Eq> Creation<K> {
    /// Keeps the limits of a key, unless no newcomer will have them any more. Takes the owned key if it is needed: what is
    /// left of it is dropped by the caller, under no lock.
    fn keep(&mut self, key: &K, owned: &mut Option<K>, limits: LimitsOverride) {
        if self.phase.turns_away() {
            return;
        }
        match self.overrides.get_mut(key) {
            Some(before) => *before = limits,
            None => self.overrides.extend(owned.take().map(|key| (key, limits))),
        }
    }
}

/// Gives a partition limits. It keeps its own if `limits_for` panics or returns invalid ones. Returns whether it has changed.
fn apply(
    partition: &Compartment,
    limits: Result<Limits, RejectionReason>,
    effects: &mut Effects,
) -> bool {
    match limits {
        Ok(limits) => partition.set_limits_leaving(Some(limits), effects),
        Err(RejectionReason::KeyRefused) => partition.set_limits_leaving(None, effects),
        Err(_) => false,
    }
}
