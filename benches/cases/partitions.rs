//! Slots of a partitioned bulkhead, for keys whose partition already exists.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bulklink::PartitionedBulkhead;
use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Case, PARALLELISM, Random};

/// The usual hand-written alternative: a map of semaphores. It never evicts a key.
pub(crate) type Semaphores = DashMap<u64, Arc<Semaphore>>;

/// Returns a bulkhead with `keys` idle partitions.
pub(crate) fn bulkhead(keys: u64) -> PartitionedBulkhead<u64> {
    with_idle_timeout(keys, Duration::from_secs(300))
}

fn with_idle_timeout(keys: u64, timeout: Duration) -> PartitionedBulkhead<u64> {
    let bulkhead = PartitionedBulkhead::builder("bench").parallelism(PARALLELISM);
    let bulkhead = bulkhead.max_partitions(keys as usize).idle_timeout(timeout);
    let bulkhead = bulkhead.build().expect("valid settings");
    for key in 0..keys {
        drop(bulkhead.slot_now(&key).expect("a free slot"));
    }
    bulkhead
}

/// As [`hit`], with a capacity that the keys share, and that is never full.
pub(crate) fn shared_hit(keys: u64) -> Case {
    let bulkhead = PartitionedBulkhead::builder("bench").parallelism(PARALLELISM);
    let bulkhead = bulkhead.max_partitions(keys as usize).total_parallelism(PARALLELISM);
    let bulkhead = bulkhead.build().expect("valid settings");
    let mut random = Random(0x9E37_79B9);
    Case::repeat("slot_now + drop, shared capacity", move || {
        drop(black_box(bulkhead.slot_now(&random.below(keys)).expect("a free slot")));
    })
}

pub(crate) fn dashmap(keys: u64) -> Semaphores {
    let map = DashMap::new();
    for key in 0..keys {
        drop(acquire(&map, key));
    }
    map
}

/// Takes a permit of the key's semaphore.
pub(crate) fn acquire(map: &Semaphores, key: u64) -> OwnedSemaphorePermit {
    let semaphore = match map.get(&key) {
        Some(semaphore) => semaphore.clone(),
        None => map.entry(key).or_insert_with(|| Arc::new(Semaphore::new(PARALLELISM))).clone(),
    };
    semaphore.try_acquire_owned().expect("a free permit")
}

/// Like [`dashmap_hit`], but also records when each key was last used, which evicting idle keys requires.
pub(crate) fn dashmap_hit_with_last_use(keys: u64) -> Case {
    let map: DashMap<u64, (Arc<Semaphore>, Instant)> = DashMap::new();
    for key in 0..keys {
        map.insert(key, (Arc::new(Semaphore::new(PARALLELISM)), Instant::now()));
    }
    let mut random = Random(0x9E37_79B9);
    Case::repeat("DashMap + try_acquire_owned + time of last use", move || {
        let mut entry = map.get_mut(&random.below(keys)).expect("a known key");
        let (semaphore, last_used) = &mut *entry;
        *last_used = Instant::now();
        let permit = semaphore.clone().try_acquire_owned();
        drop(entry);
        drop(black_box(permit.expect("a free permit")));
    })
}

pub(crate) fn hit(keys: u64) -> Case {
    hit_in(bulkhead(keys), keys)
}

/// A hit in a bulkhead whose idle partitions never expire, as in the peer's map.
pub(crate) fn hit_without_expiry(keys: u64) -> Case {
    hit_in(with_idle_timeout(keys, Duration::MAX), keys)
}

fn hit_in(bulkhead: PartitionedBulkhead<u64>, keys: u64) -> Case {
    let mut random = Random(0x9E37_79B9);
    Case::repeat("partition hit", move || {
        drop(black_box(bulkhead.slot_now(&random.below(keys)).expect("a free slot")));
    })
}

pub(crate) fn dashmap_hit(keys: u64) -> Case {
    let (map, mut random) = (dashmap(keys), Random(0x9E37_79B9));
    Case::repeat("DashMap + try_acquire_owned", move || {
        drop(black_box(acquire(&map, random.below(keys))));
    })
}
