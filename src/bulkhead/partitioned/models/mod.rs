//! Models of the partition map: small programs of two or three threads on one shelf, run in every order
//! of their steps up to a bound of preemptions. Each states its promise.
//!
//! They own keys whose shard is known, and the question whether the books are in order when all is over.
//! The gates have models of their own in [`core`](crate::core): here a pin does as a use, where
//! admission is not the subject. `.ci/loom` runs them all.

mod entering;
mod evicting;
mod totals_and_close;

use std::{
    hash::{BuildHasher, Hasher},
    time::Duration,
};

use super::{
    limits::{Limits, LimitsSource},
    map::{MapSettings, PartitionMap},
};
use crate::{
    bulkhead::{compartment::OwnedHandle, slot::Slot},
    core::{
        operation::{arrive::admit_now, handle::WaitPolicy},
        rejection::{Rejection, reason::RejectionReason},
    },
    observe::partitions::PartitionedStatus,
    sync::{
        Arc, Ordering,
        models::{Builder, JoinHandle, Number, thread},
    },
};

/// Runs `model` in every order with at most `preemptions` switches away from a thread that could have
/// gone on, and says how many orders that were.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    explore_some(preemptions, None, model);
}

/// The same, with an end to it: at most about `most` orders.
fn explore_some(preemptions: usize, most: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    if let Some(most) = most {
        // The bound is looked at once in so many orders.
        builder.checkpoint_interval = most;
        builder.max_permutations = Some(most);
    }
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = builder.max_branches.max(2_000);
    let schedules = Arc::new(Number::new(0));
    let counted = schedules.clone();
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let test = std::thread::current();
    let schedules = schedules.load(Ordering::Relaxed);
    println!("{}: {schedules} schedules", test.name().unwrap_or("model"));
}

/// A key that says where it belongs: of so many shards, it is in the one with this number.
type Key = (u32, u32);

/// Hashes a key to the number of its shard, the same in every schedule.
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
        unreachable!("keys of models are numbers");
    }

    fn write_u32(&mut self, number: u32) {
        self.0.get_or_insert(number);
    }

    fn finish(&self) -> u64 {
        u64::from(self.0.expect("a key was hashed")) << 32
    }
}

/// A shelf of two shards, or of one if it may retain one partition only, as several threads use it.
#[derive(Clone)]
struct Shared(Arc<PartitionMap<Key>>);

impl Shared {
    fn new(max_partitions: usize) -> Self {
        let settings = MapSettings { max_partitions, idle_timeout: Duration::from_secs(300) };
        let default = Limits { parallelism: 2, waiting_room: 0 };
        let limits = LimitsSource { default, chosen: None };
        Self(Arc::new(PartitionMap::new("customers".into(), None, settings, limits)))
    }

    /// With these partitions, idle in this order.
    fn with_idle(max_partitions: usize, keys: &[Key]) -> Self {
        let map = Self::new(max_partitions);
        keys.iter().for_each(|key| drop(map.slot_now(*key).expect("room for all")));
        map
    }

    fn slot_now(&self, key: Key) -> Result<Slot, Rejection> {
        admit_now(self.pin(key)?, 1, WaitPolicy::NoWait).map(Slot::new)
    }

    /// Pins the partition of a key, made if there is none, and stops there.
    fn pin(&self, key: Key) -> Result<OwnedHandle, Rejection> {
        self.0.enter(&key, WaitPolicy::NoWait)
    }

    fn has(&self, key: Key) -> bool {
        self.0.peek(&key).is_some()
    }

    fn beside<T: 'static>(&self, run: impl FnOnce(&Self) -> T + 'static) -> JoinHandle<T> {
        let map = self.clone();
        thread::spawn(move || run(&map))
    }

    /// A status whose identities hold.
    fn look_around(&self) -> PartitionedStatus {
        let status = self.0.status();
        let totals = &status.totals;
        assert_eq!(totals.admitted, status.in_flight as u64 + totals.finished + totals.abandoned);
        assert!(totals.finished <= totals.admitted, "a count fell below zero");
        assert!(status.partitions <= status.max_partitions, "{status:?}");
        assert!(status.active_partitions <= status.partitions, "{status:?}");
        status
    }

    /// The books are in order, and say the same as the counts.
    fn assert_settled(&self) -> PartitionedStatus {
        self.0.shards.all().iter().for_each(|shard| shard.assert_settled());
        let status = self.look_around();
        let blocks = (0..self.0.shards()).filter_map(|shard| self.0.block(shard, 0));
        assert_eq!(status.partitions, blocks.map(|block| block.len()).sum::<usize>());
        status
    }
}

fn ended<T>(thread: JoinHandle<T>) -> T {
    thread.join().expect("a thread of a model that panics ends the model")
}

fn is_limit(rejection: &Rejection) -> bool {
    matches!(rejection.reason(), RejectionReason::PartitionLimit { .. })
}
