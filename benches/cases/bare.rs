//! What nobody can do without who does the same work: the least that a case can take, to read it by.

use std::{
    hash::{BuildHasher, RandomState},
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::HashTable;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Case, Random, threads::on_two};

/// Two threads take from one word and give back, by changes that depend on what it holds, and count a
/// handle in the same cache line.
pub(crate) fn word() -> Case {
    let word = Arc::new(AtomicU64::new(0));
    on_two("bare word and handle, two threads", move |times| {
        for _ in 0..times {
            change(&word, 1);
            let held = black_box(word.clone());
            change(&held, 1_u64.wrapping_neg());
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

/// A key is found under a lock, what is there is held, a unit of it taken and given back, and the time
/// noted.
pub(crate) fn hit(keys: u64) -> Case {
    let (map, mut random) = (Map::new(keys), Random(0x9E37_79B9));
    Case::repeat("bare lock, table, clock", move || {
        let key = random.below(keys);
        let (shard, hash) = map.find(key);
        let unit = shard.lock().hold(hash, key);
        change(&unit.word, 1);
        let unit = black_box(unit);
        change(&unit.word, 1_u64.wrapping_neg());
        unit.since.store(map.now(), Ordering::Relaxed);
    })
}

/// The same, and known is who of all has been idle longest: who is used leaves an order of the idle, and
/// joins it again with a number.
pub(crate) fn ordered_hit(keys: u64) -> Case {
    let (map, mut random) = (Map::new(keys), Random(0x9E37_79B9));
    Case::repeat("bare lock, table, clock, order", move || {
        let key = random.below(keys);
        let (shard, hash) = map.find(key);
        let mut books = shard.lock();
        let unit = books.hold(hash, key);
        books.leave(unit.place);
        drop(books);
        change(&unit.word, 1);
        let unit = black_box(unit);
        change(&unit.word, 1_u64.wrapping_neg());
        let mut books = shard.lock();
        books.join(unit.place);
        unit.since.store(map.now(), Ordering::Relaxed);
        unit.number.store(map.numbers.0.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    })
}

struct Map {
    hasher: RandomState,
    shards: Vec<Apart<Mutex<Books>>>,
    epoch: Instant,
    numbers: Apart<AtomicU64>,
}

#[repr(align(128))]
struct Apart<T>(T);

#[derive(Default)]
struct Books {
    table: HashTable<(u64, Arc<Unit>)>,
    /// The neighbours of each place in a ring, of which place 0 is the end that stays.
    ring: Vec<(u32, u32)>,
}

/// As large as a partition.
struct Unit {
    word: AtomicU64,
    since: AtomicU64,
    number: AtomicU64,
    place: u32,
    _rest: [u64; 21],
}

impl Map {
    fn new(keys: u64) -> Self {
        let shard = || Apart(Mutex::new(Books { ring: vec![(0, 0)], ..Books::default() }));
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
            let [word, since, number] = [const { AtomicU64::new(0) }; 3];
            let unit = Arc::new(Unit { word, since, number, place, _rest: [0; 21] });
            books.table.insert_unique(hash, (key, unit), |entry| map.find(entry.0).1);
            books.ring.push((0, 0));
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
    fn hold(&self, hash: u64, key: u64) -> Arc<Unit> {
        self.table.find(hash, |entry| entry.0 == key).expect("a key that is there").1.clone()
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
