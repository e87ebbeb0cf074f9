//! What nobody can do without who does the same work: the least that a case can take, to read it by.

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
    handover::{On, SLOTS, saturated},
    two_threads::on_two,
};

/// Two threads take from one word and give back, by changes that depend on what it holds, and count a
/// handle in the same cache line.
pub(crate) fn word() -> Case {
    #[derive(Default)]
    #[repr(align(64))]
    struct Line {
        word: AtomicU64,
        handles: AtomicU64,
    }
    let line = Line::default();
    on_two("bare word and handle, two threads", move |times| {
        for _ in 0..times {
            change(&line.word, 1);
            line.handles.fetch_add(1, Ordering::Relaxed);
            change(&black_box(&line).word, 1_u64.wrapping_neg());
            line.handles.fetch_sub(1, Ordering::AcqRel);
        }
    })
}

fn change(word: &AtomicU64, by: u64) {
    let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
    let mut seen = word.load(Ordering::Relaxed);
    while let Err(now) = word.compare_exchange_weak(seen, seen.wrapping_add(by), success, failure) {
        seen = now;
    }
}

/// A key is found under a lock, the time noted, what is there held, and a unit of it taken and given back.
pub(crate) fn hit(keys: u64) -> Case {
    let (map, mut random) = (Map::new(keys), Random(0x9E37_79B9));
    Case::repeat("bare lock, table, clock", move || {
        let key = random.below(keys);
        let (shard, hash) = map.find(key);
        let mut books = shard.lock();
        let entry = books.entry(hash, key);
        entry.since = map.now();
        let unit = entry.unit.clone();
        drop(books);
        change(&unit, 1);
        let unit = black_box(unit);
        change(&unit, 1_u64.wrapping_neg());
    })
}

/// The same, and known is who of all has been idle longest: who is used leaves an order of the idle, and
/// joins it again with the time and a number.
pub(crate) fn ordered_hit(keys: u64) -> Case {
    let (map, mut random) = (Map::new(keys), Random(0x9E37_79B9));
    Case::repeat("bare lock, table, clock, order", move || {
        let key = random.below(keys);
        let (shard, hash) = map.find(key);
        let mut books = shard.lock();
        let entry = books.entry(hash, key);
        let (place, unit) = (entry.place, entry.unit.clone());
        books.leave(place);
        drop(books);
        change(&unit, 1);
        let unit = black_box(unit);
        change(&unit, 1_u64.wrapping_neg());
        let mut books = shard.lock();
        books.join(place);
        books.idle[place as usize] = (map.now(), map.numbers.0.fetch_add(1, Ordering::Relaxed));
    })
}

/// Hand-overs through a queue of wakers under a lock, each timed: who waits cannot leave, and nobody else
/// comes.
pub(crate) fn handover(on: On) -> Case {
    let turnstile = Arc::new(Turnstile::default());
    turnstile.queue.lock().free = SLOTS;
    saturated("bare queue, timed", on, move |times| {
        let turnstile = turnstile.clone();
        async move {
            for _ in 0..times {
                turnstile.enter().await;
                yield_now().await;
                turnstile.leave();
            }
        }
    })
}

#[derive(Default)]
struct Turnstile {
    queue: Mutex<Queue>,
    /// How many have been called.
    called: AtomicU64,
}

#[derive(Default)]
struct Queue {
    free: usize,
    waiting: VecDeque<(Waker, Instant)>,
    joined: u64,
    waited: Duration,
    longest: Duration,
}

impl Turnstile {
    async fn enter(&self) {
        let mut number = None;
        poll_fn(|cx| match number {
            Some(number) if number < self.called.load(Ordering::Acquire) => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                let since = Instant::now();
                let waker = cx.waker().clone();
                let mut queue = self.queue.lock();
                if queue.free > 0 {
                    queue.free -= 1;
                    return Poll::Ready(());
                }
                number = Some(queue.joined);
                queue.joined += 1;
                queue.waiting.push_back((waker, since));
                Poll::Pending
            }
        })
        .await;
    }

    fn leave(&self) {
        let now = Instant::now();
        let mut queue = self.queue.lock();
        let Some((waker, since)) = queue.waiting.pop_front() else {
            queue.free += 1;
            return;
        };
        let waited = now.saturating_duration_since(since);
        queue.waited += waited;
        queue.longest = queue.longest.max(waited);
        let called = self.called.load(Ordering::Relaxed) + 1;
        self.called.store(called, Ordering::Release);
        drop(queue);
        waker.wake();
    }
}

struct Map {
    hasher: RandomState,
    shards: Vec<Apart<Mutex<Books>>>,
    epoch: Instant,
    numbers: Apart<AtomicU64>,
}

#[repr(align(128))]
struct Apart<T>(T);

struct Books {
    table: HashTable<Entry>,
    /// The neighbours of each place in a ring, of which place 0 is the end that stays.
    ring: Vec<(u32, u32)>,
    /// Since when each place is idle, and its number.
    idle: Vec<(u64, u64)>,
}

struct Entry {
    key: u64,
    since: u64,
    place: u32,
    unit: Arc<AtomicU64>,
}

impl Map {
    fn new(keys: u64) -> Self {
        let shard = || Apart(Mutex::new(Books::with_end()));
        let map = Self {
            hasher: RandomState::new(),
            shards: (0..16).map(|_| shard()).collect(),
            epoch: Instant::now(),
            numbers: Apart(AtomicU64::new(0)),
        };
        for key in 0..keys {
            let (shard, hash) = map.find(key);
            let mut books = shard.lock();
            let place = books.ring.len() as u32;
            let entry = Entry { key, since: 0, place, unit: Arc::default() };
            books.table.insert_unique(hash, entry, |entry| map.find(entry.key).1);
            books.ring.push((0, 0));
            books.idle.push((0, 0));
            books.join(place);
        }
        map
    }

    fn find(&self, key: u64) -> (&Mutex<Books>, u64) {
        let hash = self.hasher.hash_one(key);
        (&self.shards[hash as usize % self.shards.len()].0, hash)
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

impl Books {
    fn with_end() -> Self {
        Self { table: HashTable::new(), ring: vec![(0, 0)], idle: vec![(0, 0)] }
    }

    fn entry(&mut self, hash: u64, key: u64) -> &mut Entry {
        self.table.find_mut(hash, |entry| entry.key == key).expect("a key that is there")
    }

    fn leave(&mut self, place: u32) {
        let (prev, next) = self.ring[place as usize];
        self.ring[prev as usize].1 = next;
        self.ring[next as usize].0 = prev;
    }

    fn join(&mut self, place: u32) {
        let tail = self.ring[0].0;
        self.ring[place as usize] = (tail, 0);
        self.ring[tail as usize].1 = place;
        self.ring[0].0 = place;
    }
}
