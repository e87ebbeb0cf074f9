//! A slot of the bulkhead of a key that is there already.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use bulklink::PartitionedBulkhead;
use dashmap::DashMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Case, PARALLELISM, Random};

/// What a user would otherwise put together. It forgets nobody.
pub(crate) type Semaphores = DashMap<u64, Arc<Semaphore>>;

/// A bulkhead with so many idle partitions.
pub(crate) fn bulkhead(keys: u64) -> PartitionedBulkhead<u64> {
    idle_for(keys, Duration::from_secs(300))
}

fn idle_for(keys: u64, timeout: Duration) -> PartitionedBulkhead<u64> {
    let bulkhead = PartitionedBulkhead::builder("bench").parallelism(PARALLELISM);
    let bulkhead = bulkhead.max_partitions(keys as usize).idle_timeout(timeout);
    let bulkhead = bulkhead.build().expect("valid settings");
    for key in 0..keys {
        drop(bulkhead.slot_now(&key).expect("a free slot"));
    }
    bulkhead
}

pub(crate) fn dashmap(keys: u64) -> Semaphores {
    let map = DashMap::new();
    for key in 0..keys {
        drop(take(&map, key));
    }
    map
}

/// A permit of the semaphore of a key.
pub(crate) fn take(map: &Semaphores, key: u64) -> OwnedSemaphorePermit {
    let semaphore = match map.get(&key) {
        Some(semaphore) => semaphore.clone(),
        None => map.entry(key).or_insert_with(|| Arc::new(Semaphore::new(PARALLELISM))).clone(),
    };
    semaphore.try_acquire_owned().expect("a free permit")
}

/// The same, with what it takes to forget those who are idle: when each was last used.
pub(crate) fn dashmap_stamped_hit(keys: u64) -> Case {
    let map: DashMap<u64, (Arc<Semaphore>, Instant)> = DashMap::new();
    for key in 0..keys {
        map.insert(key, (Arc::new(Semaphore::new(PARALLELISM)), Instant::now()));
    }
    let mut random = Random(0x9E37_79B9);
    Case::repeat("DashMap + try_acquire_owned + time of last use", move || {
        let mut entry = map.get_mut(&random.below(keys)).expect("a key that is there");
        let (semaphore, last_used) = &mut *entry;
        *last_used = Instant::now();
        let permit = semaphore.clone().try_acquire_owned();
        drop(entry);
        drop(black_box(permit.expect("a free permit")));
    })
}

pub(crate) fn hit(keys: u64) -> Case {
    hit_of(bulkhead(keys), keys)
}

/// Where idle partitions are kept forever, as by the peer.
pub(crate) fn hit_forever(keys: u64) -> Case {
    hit_of(idle_for(keys, Duration::MAX), keys)
}

fn hit_of(bulkhead: PartitionedBulkhead<u64>, keys: u64) -> Case {
    let mut random = Random(0x9E37_79B9);
    Case::repeat("partition hit", move || {
        drop(black_box(bulkhead.slot_now(&random.below(keys)).expect("a free slot")));
    })
}

pub(crate) fn dashmap_hit(keys: u64) -> Case {
    let (map, mut random) = (dashmap(keys), Random(0x9E37_79B9));
    Case::repeat("DashMap + try_acquire_owned", move || {
        drop(black_box(take(&map, random.below(keys))));
    })
}
