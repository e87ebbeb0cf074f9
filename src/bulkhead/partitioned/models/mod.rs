//! Loom models of the partition map: small programs of a few threads on one map, run under every schedule
//! up to a bound of preemptions. Each states its promise.
//!
//! This module owns keys with a known shard, and the checks of the map's invariants after a model. The gates
//! have models of their own in [`core`](crate::core), so a pin stands for a use here unless the model is
//! about admission. `.ci/loom` runs all models.

mod entering;
mod evicting;
mod shared;
mod totals_and_close;

use std::{
    future::Future,
    hash::{BuildHasher, Hasher},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    map::{MapSettings, PartitionMap},
    partition_limits::{Limits, LimitsFn, PartitionLimits},
};
use crate::{
    bulkhead::{handle::OwnedHandle, slot::Slot},
    core::{
        limits::wait_policy::WaitPolicy,
        operation::{arrive::admit_now, wait::Wait},
        pool::rules::Share,
        rejection::{Rejection, reason::RejectionReason},
    },
    observe::partitions::PartitionedStatus,
    sync::{
        Arc, Ordering,
        models::{Builder, JoinHandle, StdUsize, thread},
    },
};

/// Runs `model` under every schedule with at most `preemptions` switches away from a thread that could
/// have continued. Prints the number of schedules.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    explore_some(preemptions, None, model);
}

/// Does the same, but stops after about `max_schedules`.
fn explore_some(
    preemptions: usize,
    max_schedules: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let mut builder = Builder::new();
    if let Some(max_schedules) = max_schedules {
        // Loom compares the count with its maximum once per checkpoint interval.
        builder.checkpoint_interval = max_schedules;
        builder.max_permutations = Some(max_schedules);
    }
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = builder.max_branches.max(2_000);
    let schedules = Arc::new(StdUsize::new(0));
    let counter = schedules.clone();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let test = std::thread::current();
    let schedules = schedules.load(Ordering::Relaxed);
    println!("{}: {schedules} schedules", test.name().unwrap_or("model"));
}

/// A key whose first number is its hash, and so selects its shard. The second number tells apart keys of
/// one shard.
type Key = (u32, u32);

/// Hashes a key to its first number, the same in every schedule.
pub(super) struct NoRandomState;

pub(super) struct ShardOf(Option<u32>);

impl NoRandomState {
    pub(super) fn new() -> Self {
        Self
    }
}

impl BuildHasher for NoRandomState {
    type Hasher = ShardOf;

    fn build_hasher(&self) -> ShardOf {
        ShardOf(None)
    }
}

impl Hasher for ShardOf {
    fn write(&mut self, _: &[u8]) {
        unreachable!("the keys of models are numbers");
    }

    fn write_u32(&mut self, number: u32) {
        self.0.get_or_insert(number);
    }

    fn finish(&self) -> u64 {
        u64::from(self.0.expect("a key was hashed")) << 32
    }
}

/// A partition map with several owners. It has two shards, or one if it may retain only one partition.
#[derive(Clone)]
struct SharedMap(Arc<PartitionMap<Key>>);

impl SharedMap {
    fn new(max_partitions: usize) -> Self {
        Self::with_source(max_partitions, None)
    }

    /// Creates a map in which a key has the limits that `limits_for` returns.
    fn with_limits(
        max_partitions: usize,
        limits_for: impl Fn(&Key) -> PartitionLimits + Send + Sync + 'static,
    ) -> Self {
        Self::with_source(max_partitions, Some(Box::new(limits_for)))
    }

    fn with_source(max_partitions: usize, chosen: Option<LimitsFn<Key>>) -> Self {
        let settings = MapSettings {
            usual: Limits { parallelism: 2, waiting_room: 0, share: Share::EVEN },
            total: None,
            max_partitions,
            idle_timeout: Duration::from_secs(300),
        };
        Self(Arc::new(PartitionMap::new("customers".into(), None, settings, chosen)))
    }

    /// Pins the partition of a key if there is one.
    fn find(&self, key: &Key) -> Option<OwnedHandle> {
        let hash = self.0.hash(key);
        self.0.shards.of(hash).pin(hash, key, || None)?.ok()
    }

    /// Creates a map with a partition for each key, all idle and the first for the longest time.
    fn with_idle(max_partitions: usize, keys: &[Key]) -> Self {
        let map = Self::new(max_partitions);
        keys.iter().for_each(|key| drop(map.try_enter(*key).expect("room for all")));
        map
    }

    /// Admits an operation with this key, or rejects it.
    fn try_enter(&self, key: Key) -> Result<Slot, Rejection> {
        admit_now(self.pin(key)?, 1, WaitPolicy::NoWait).map(Slot::new)
    }

    /// Returns a wait for an operation with this key, which has not arrived yet.
    fn wait(&self, key: Key) -> Result<Wait<OwnedHandle>, Rejection> {
        Ok(Wait::new(self.pin(key)?, 1, WaitPolicy::UpToLimit))
    }

    /// Pins the partition of a key, creating it if there is none, without admitting an operation.
    fn pin(&self, key: Key) -> Result<OwnedHandle, Rejection> {
        self.0.enter(&key, WaitPolicy::NoWait)
    }

    fn has(&self, key: Key) -> bool {
        self.0.peek(&key).is_some()
    }

    /// Spawns a thread that owns a handle to the map.
    fn spawn<T: 'static>(&self, run: impl FnOnce(&Self) -> T + 'static) -> JoinHandle<T> {
        let map = self.clone();
        thread::spawn(move || run(&map))
    }

    /// Takes a status and asserts its identities.
    fn checked_status(&self) -> PartitionedStatus {
        let status = self.0.status();
        let totals = &status.totals;
        assert_eq!(totals.admitted, status.in_flight as u64 + totals.finished + totals.abandoned);
        let waiting = status.waiting as u64;
        assert_eq!(totals.queued, waiting + totals.settled_waiting());
        assert_eq!(
            totals.arrived(),
            totals.admitted + totals.rejected() + totals.cancelled + waiting
        );
        assert!(totals.finished <= totals.admitted, "a count fell below zero");
        // The times are read after the totals.
        assert!(status.waits.count() >= totals.admitted_from_queue, "{status:?}");
        assert!(status.patience.count() >= totals.cancelled, "{status:?}");
        assert!((status.waiting == 0) == (status.partitions_under_pressure == 0), "{status:?}");
        assert!(status.partitions <= status.max_partitions, "{status:?}");
        assert!(status.active_partitions <= status.partitions, "{status:?}");
        status
    }

    /// Asserts the invariants of every shard, and that the status agrees with the partitions they hold and with
    /// the times that they share. No other thread may use the map.
    fn assert_invariants(&self) -> PartitionedStatus {
        self.0.shards.all().iter().for_each(|shard| shard.assert_settled());
        let status = self.checked_status();
        let blocks = self.0.shards.all().iter().filter_map(|shard| shard.visit().partitions());
        assert_eq!(status.partitions, blocks.map(|block| block.len()).sum::<usize>());
        assert_eq!(status.waits.count(), status.totals.admitted_from_queue);
        assert_eq!(status.patience.count(), status.totals.cancelled);
        status
    }
}

fn join_thread<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a panic has already failed the model")
}

fn is_partition_limit(rejection: &Rejection) -> bool {
    matches!(rejection.reason(), RejectionReason::PartitionLimit { .. })
}
