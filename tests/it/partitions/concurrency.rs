//! Many threads that use more keys than there may be partitions.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use bulklink::{PartitionedBulkhead, RejectionReason, Slot};

use crate::support::{Random, assert_all_consistent, customers};

const THREADS: usize = 16;
const KEYS: usize = 64;
const MAX: usize = 32;
const PARALLELISM: usize = 2;

/// The bulkhead, and what its operations count themselves.
struct Tracker {
    customers: PartitionedBulkhead<u64>,
    running: [AtomicUsize; KEYS],
    admitted: AtomicU64,
    saturated: AtomicU64,
    out_of_partitions: AtomicU64,
}

impl Tracker {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            customers: customers(PARALLELISM, 3, MAX),
            running: std::array::from_fn(|_| AtomicUsize::new(0)),
            admitted: AtomicU64::new(0),
            saturated: AtomicU64::new(0),
            out_of_partitions: AtomicU64::new(0),
        })
    }

    /// Counts an admitted operation, and remembers the instance of the partition it runs in.
    fn begin(&self, key: usize, slot: Slot) -> Running<'_> {
        self.admitted.fetch_add(1, SeqCst);
        let others = self.running[key].fetch_add(1, SeqCst);
        assert!(others < PARALLELISM, "{others} others run with key {key}");
        let partition = self.instance(key);
        Running { tracker: self, key, partition, slot: Some(slot) }
    }

    fn instance(&self, key: usize) -> u64 {
        let status = self.customers.partition_status(&(key as u64));
        let status = status.expect("a partition with running work exists");
        assert!(status.in_flight >= 1 && status.in_flight <= PARALLELISM, "{status:?}");
        status.instance
    }

    fn count_rejection(&self, reason: &RejectionReason) {
        match reason {
            RejectionReason::Saturated { .. } => self.saturated.fetch_add(1, SeqCst),
            RejectionReason::PartitionLimit { max_partitions, active_partitions, .. } => {
                assert_eq!((*max_partitions, *active_partitions), (MAX, MAX));
                self.out_of_partitions.fetch_add(1, SeqCst)
            }
            other => panic!("{other}"),
        };
    }

    fn assert_settled(&self) {
        let status = self.customers.status();
        assert_all_consistent(&status);
        assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0));
        assert_eq!(status.totals.admitted - status.totals.abandoned, self.admitted.load(SeqCst));
        assert_eq!(status.totals.saturated, self.saturated.load(SeqCst));
        assert_eq!(status.totals.partition_limited, self.out_of_partitions.load(SeqCst));
        assert!(status.evicted > 0 && status.peak_partitions == MAX, "{status:?}");
    }

    /// Runs `work` on all threads at once, each with its own number.
    fn run(self: &Arc<Self>, work: impl Fn(&Self, usize) + Send + Sync + 'static) {
        let (start, work) = (Arc::new(Barrier::new(THREADS)), Arc::new(work));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (tracker, start, work) = (self.clone(), start.clone(), work.clone());
                thread::spawn(move || {
                    start.wait();
                    work(&tracker, number);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

struct Running<'a> {
    tracker: &'a Tracker,
    key: usize,
    partition: u64,
    slot: Option<Slot>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert_eq!(
                self.tracker.instance(self.key),
                self.partition,
                "evicted while its work ran"
            );
        }
        self.tracker.running[self.key].fetch_sub(1, SeqCst);
        drop(self.slot.take());
    }
}

#[test]
fn threads_that_use_fewer_partitions_than_the_limit_never_run_out_of_them() {
    let tracker = Tracker::new();
    tracker.run(|tracker, number| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut random = Random::new(number as u64);
        for _ in 0..400 {
            let key = random.below(KEYS);
            let outcome = match random.below(3) {
                0 => tracker.customers.slot_now(&(key as u64)),
                1 => runtime.block_on(tracker.customers.slot(&(key as u64))),
                _ => {
                    let key = key as u64;
                    let mut leaving = tokio_test::task::spawn(tracker.customers.slot(&key));
                    match leaving.poll() {
                        std::task::Poll::Ready(outcome) => outcome,
                        std::task::Poll::Pending => continue,
                    }
                }
            };
            match outcome {
                Ok(slot) => {
                    let running = tracker.begin(key, slot);
                    if random.below(4) == 0 {
                        thread::yield_now();
                    }
                    drop(running);
                }
                Err(rejection) => tracker.count_rejection(rejection.reason()),
            }
            if random.below(8) == 0 {
                tracker.customers.discard(&(random.below(KEYS) as u64));
            }
        }
    });
    // Sixteen threads use sixteen partitions at most, so one of the 32 was always idle.
    assert_eq!(tracker.out_of_partitions.load(SeqCst), 0);
    tracker.assert_settled();
}

#[test]
fn partitions_in_use_are_kept_while_threads_want_more_than_the_limit() {
    let tracker = Tracker::new();
    tracker.run(|tracker, number| {
        let mut random = Random::new(number as u64);
        let mut held = Vec::new();
        for step in 0..600 {
            let key = random.below(KEYS);
            match tracker.customers.slot_now(&(key as u64)) {
                Ok(slot) => held.push(tracker.begin(key, slot)),
                Err(rejection) => tracker.count_rejection(rejection.reason()),
            }
            while held.len() > 2 + random.below(4) {
                drop(held.swap_remove(random.below(held.len())));
            }
            if step % 100 == 0 {
                held.clear();
                assert_each_consistent(&tracker.customers);
            }
        }
    });
    tracker.assert_settled();
}

/// Asserts what holds while other threads work: partitions are read one after another, each of them consistent.
fn assert_each_consistent(customers: &PartitionedBulkhead<u64>) {
    let status = customers.status();
    let totals = &status.totals;
    assert_eq!(totals.admitted, status.in_flight as u64 + totals.finished + totals.abandoned);
    assert_eq!(totals.queued, status.waiting as u64 + totals.settled_waiting());
    assert!(status.partitions <= MAX && status.active_partitions <= status.partitions);
}

#[test]
fn as_many_keys_get_a_partition_as_the_limit_allows() {
    const ROUNDS: u64 = 50;
    let tracker = Tracker::new();
    let barrier = Barrier::new(THREADS);
    tracker.run(move |tracker, number| {
        for round in 0..ROUNDS {
            // No thread releases a slot before all threads have tried, each with its own keys.
            let keys = (0..KEYS / THREADS).map(|key| (number * 4 + key + round as usize) % KEYS);
            let held: Vec<_> = keys
                .filter_map(|key| match tracker.customers.slot_now(&(key as u64)) {
                    Ok(slot) => Some(tracker.begin(key, slot)),
                    Err(rejection) => {
                        tracker.count_rejection(rejection.reason());
                        None
                    }
                })
                .collect();
            barrier.wait();
            assert_eq!(tracker.admitted.load(SeqCst), (round + 1) * MAX as u64);
            assert_eq!(tracker.out_of_partitions.load(SeqCst), (round + 1) * MAX as u64);
            assert_eq!(tracker.customers.status().active_partitions, MAX);
            barrier.wait();
            drop(held);
            barrier.wait();
        }
    });
    tracker.assert_settled();
}

#[test]
fn threads_with_their_own_keys_always_get_their_partitions() {
    // There are two partitions for each thread, which uses at most two: an idle one can always be evicted.
    let tracker = Tracker::new();
    tracker.run(|tracker, number| {
        for round in 0..400 {
            let first = (number * 4 + round % 4) % KEYS;
            let second = (number * 4 + (round + 1) % 4) % KEYS;
            let one = tracker.customers.slot_now(&(first as u64)).expect("room for a first");
            let one = tracker.begin(first, one);
            let two = tracker.customers.slot_now(&(second as u64)).expect("room for a second");
            let two = tracker.begin(second, two);
            drop((one, two));
        }
    });
    assert_eq!(tracker.customers.status().totals.partition_limited, 0);
    tracker.assert_settled();
}
