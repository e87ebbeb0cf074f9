//! Baselines: the minimum that any implementation of the same work needs, with no bulkhead involved.
//! They show how much of a case's cost is the work itself.

use std::{
    collections::VecDeque,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use hashbrown::HashTable;
use parking_lot::Mutex;
use tokio::{task::yield_now, time::Instant};

use super::{
    Case, Random,
    handover::{RuntimeKind, SLOTS, saturated},
    two_threads::on_two_threads,
};

/// Two threads add to one atomic word and subtract again, by compare-exchange, and count a handle in the
/// same cache line.
pub(crate) fn word_and_handle_count() -> Case {
    #[derive(Default)]
    #[repr(align(64))]
    struct CacheLine {
        word: AtomicU64,
        handles: AtomicU64,
    }
    let line = CacheLine::default();
    on_two_threads("baseline: word and handle count, two threads", move |times| {
        for _ in 0..times {
            add(&line.word, 1);
            line.handles.fetch_add(1, Ordering::Relaxed);
            add(&black_box(&line).word, 1_u64.wrapping_neg());
            line.handles.fetch_sub(1, Ordering::AcqRel);
        }
    })
}

fn add(word: &AtomicU64, value: u64) {
    let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
    let mut current = word.load(Ordering::Relaxed);
    while let Err(actual) =
        word.compare_exchange_weak(current, current.wrapping_add(value), success, failure)
    {
        current = actual;
    }
}

/// Finds a key under a lock, records the time, clones the entry's word, then adds a unit to the word and
/// subtracts it.
pub(crate) fn partition_hit(keys: u64) -> Case {
    let (map, mut random) = (Map::new(keys), Random(0x9E37_79B9));
    Case::repeat("baseline: lock, table, clock", move || {
        let key = random.below(keys);
        let (lock, hash) = map.find(key);
        let mut shard = lock.lock();
        let entry = shard.entry(hash, key);
        entry.last_used = map.now();
        let word = entry.word.clone();
        drop(shard);
        add(&word, 1);
        let word = black_box(word);
        add(&word, 1_u64.wrapping_neg());
    })
}

/// Like [`partition_hit`], but also tracks which entry has been idle longest: the entry is unlinked from
/// the idle order while in use, and then appended with the time and a sequence number.
pub(crate) fn partition_hit_with_idle_order(keys: u64) -> Case {
    let (map, mut random) = (Map::new(keys), Random(0x9E37_79B9));
    Case::repeat("baseline: lock, table, clock, idle order", move || {
        let key = random.below(keys);
        let (lock, hash) = map.find(key);
        let mut shard = lock.lock();
        let entry = shard.entry(hash, key);
        let (index, word) = (entry.index, entry.word.clone());
        shard.unlink(index);
        drop(shard);
        add(&word, 1);
        let word = black_box(word);
        add(&word, 1_u64.wrapping_neg());
        let mut shard = lock.lock();
        shard.push_back(index);
        shard.idle[index as usize] = (map.now(), map.sequence.0.fetch_add(1, Ordering::Relaxed));
    })
}

/// Hand-overs through a queue of wakers under a lock, each wait timed. Waiters cannot be cancelled, and no
/// other tasks arrive.
pub(crate) fn handover(kind: RuntimeKind) -> Case {
    let queue = Arc::new(WakerQueue::default());
    queue.state.lock().free = SLOTS;
    saturated("baseline: queue of wakers, timed", kind, move |times| {
        let queue = queue.clone();
        async move {
            for _ in 0..times {
                queue.acquire().await;
                yield_now().await;
                queue.release();
            }
        }
    })
}

#[derive(Default)]
struct WakerQueue {
    state: Mutex<QueueState>,
    /// Number of waiters admitted so far.
    admitted: AtomicU64,
}

#[derive(Default)]
struct QueueState {
    free: usize,
    waiting: VecDeque<(Waker, Instant)>,
    joined: u64,
    waited: Duration,
    longest: Duration,
}

impl WakerQueue {
    async fn acquire(&self) {
        let mut number = None;
        poll_fn(|cx| match number {
            Some(number) if number < self.admitted.load(Ordering::Acquire) => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let since = Instant::now();
                let waker = cx.waker().clone();
                let mut state = self.state.lock();
                if state.free > 0 {
                    state.free -= 1;
                    return Poll::Ready(());
                }
                number = Some(state.joined);
                state.joined += 1;
                state.waiting.push_back((waker, since));
                Poll::Pending
            }
        })
        .await;
    }

    fn release(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let Some((waker, since)) = state.waiting.pop_front() else {
            state.free += 1;
            return;
        };
        let waited = now.saturating_duration_since(since);
        state.waited += waited;
        state.longest = state.longest.max(waited);
        let admitted = self.admitted.load(Ordering::Relaxed) + 1;
        self.admitted.store(admitted, Ordering::Release);
        drop(state);
        waker.wake();
    }
}

struct Map {
    hasher: RandomState,
    shards: Vec<CachePadded<Mutex<Shard>>>,
    epoch: Instant,
    sequence: CachePadded<AtomicU64>,
}

#[repr(align(128))]
struct CachePadded<T>(T);

struct Shard {
    table: HashTable<Entry>,
    /// The previous and the next index of each entry in a circular list, whose sentinel is index 0.
    links: Vec<(u32, u32)>,
    /// The time at which each entry became idle, and its sequence number.
    idle: Vec<(u64, u64)>,
}

struct Entry {
    key: u64,
    last_used: u64,
    index: u32,
    word: Arc<AtomicU64>,
}

impl Map {
    fn new(keys: u64) -> Self {
        let shard = || CachePadded(Mutex::new(Shard::with_sentinel()));
        let map = Self {
            hasher: RandomState::new(),
            shards: (0..16).map(|_| shard()).collect(),
            epoch: Instant::now(),
            sequence: CachePadded(AtomicU64::new(0)),
        };
        for key in 0..keys {
            let (lock, hash) = map.find(key);
            let mut shard = lock.lock();
            let index = shard.links.len() as u32;
            let entry = Entry { key, last_used: 0, index, word: Arc::default() };
            shard.table.insert_unique(hash, entry, |entry| map.find(entry.key).1);
            shard.links.push((0, 0));
            shard.idle.push((0, 0));
            shard.push_back(index);
        }
        map
    }

    fn find(&self, key: u64) -> (&Mutex<Shard>, u64) {
        let hash = self.hasher.hash_one(key);
        (&self.shards[hash as usize % self.shards.len()].0, hash)
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

impl Shard {
    fn with_sentinel() -> Self {
        Self { table: HashTable::new(), links: vec![(0, 0)], idle: vec![(0, 0)] }
    }

    fn entry(&mut self, hash: u64, key: u64) -> &mut Entry {
        self.table.find_mut(hash, |entry| entry.key == key).expect("a known key")
    }

    fn unlink(&mut self, index: u32) {
        let (prev, next) = self.links[index as usize];
        self.links[prev as usize].1 = next;
        self.links[next as usize].0 = prev;
    }

    fn push_back(&mut self, index: u32) {
        let tail = self.links[0].0;
        self.links[index as usize] = (tail, 0);
        self.links[tail as usize].1 = index;
        self.links[0].0 = index;
    }
}
