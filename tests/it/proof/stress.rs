//! Many threads that do everything at random, with somebody watching, and a last account.

use std::{
    future::{Future, pending},
    pin::pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use bulklink::{Bulkhead, PartitionedBulkhead, PartitionedStatus, Totals, WeightedBulkhead};

use super::reference::partitioned::Key;
use crate::support::{Random, assert_identities, assert_plain};

/// Operations of each thread in a normal run.
const OPERATIONS: usize = 4_000;
const THREADS: usize = 4;

/// One kind of bulkhead under stress.
trait Subject: Clone + Send + Sync + 'static {
    /// One operation of any sort, from arrival to its end.
    fn operate(&self, random: &mut Random) -> impl Future<Output = ()> + Send;

    /// Something that concerns all.
    fn shake(&self, random: &mut Random);

    /// Checks the identities, and returns the number of the status.
    fn watch(&self) -> u64;

    fn close(&self);

    fn is_closed(&self) -> bool;

    fn wait_closed(&self) -> impl Future<Output = ()> + Send;

    /// Nothing is left.
    fn account(&self);
}

/// Polls a few times and then drops: the cancellation that may come at any point.
async fn give_up<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let once = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx)));
        if let Poll::Ready(output) = once.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Work of no time, or of a time long enough for waits to end behind it.
async fn hold(random: &mut Random) {
    if random.below(10) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..random.below(3) {
        tokio::task::yield_now().await;
    }
}

/// The same mix for every kind.
macro_rules! operate {
    ($bulkhead:expr, $random:expr; $($arg:expr)?) => {{
        let (bulkhead, random) = ($bulkhead, $random);
        let limit = Duration::from_micros(random.below(400) as u64);
        let polls = 1 + random.below(3);
        match random.below(9) {
            0 => {
                let slot = bulkhead.slot_now($($arg)?);
                hold(random).await;
                drop(slot);
            }
            1 | 2 => {
                let slot = bulkhead.slot($($arg)?).await;
                hold(random).await;
                drop(slot);
            }
            3 => drop(bulkhead.slot_within(limit $(, $arg)?).await),
            4 => {
                let deadline = tokio::time::Instant::now() + limit;
                let slot = bulkhead.slot_before(deadline $(, $arg)?).await;
                hold(random).await;
                drop(slot);
            }
            5 => drop(give_up(bulkhead.slot($($arg)?), polls).await),
            6 => drop(bulkhead.execute($($arg,)? hold(random)).await),
            7 => drop(give_up(bulkhead.execute($($arg,)? pending::<()>()), polls).await),
            _ => drop(bulkhead.execute_within(limit, $($arg,)? hold(random)).await),
        }
    }};
}

impl Subject for Bulkhead {
    async fn operate(&self, random: &mut Random) {
        operate!(self, random;);
    }

    fn shake(&self, random: &mut Random) {
        match random.below(3) {
            0 => drop(self.resize(1 + random.below(6))),
            1 => {
                let own = self.clone();
                let heard = AtomicU64::new(0);
                let subscription = self.subscribe(move |event| {
                    heard.fetch_max(event.sequence, Ordering::Relaxed);
                    assert!(own.status().sequence > event.sequence);
                });
                drop(self.slot_now());
                drop(subscription);
            }
            _ => drop(self.capacity_report()),
        }
    }

    fn watch(&self) -> u64 {
        let status = self.status();
        assert_plain(&status);
        status.sequence
    }

    fn close(&self) {
        Bulkhead::close(self);
    }

    fn is_closed(&self) -> bool {
        Bulkhead::is_closed(self)
    }

    async fn wait_closed(&self) {
        Bulkhead::wait_closed(self).await;
    }

    fn account(&self) {
        let status = self.status();
        assert_plain(&status);
        assert_eq!((status.used, status.waiting, status.waiting_units), (0, 0, 0), "{status:?}");
        assert_eq!(status.totals.handler_panics, 0);
        assert_real_mix(&status.totals);
    }
}

impl Subject for WeightedBulkhead {
    async fn operate(&self, random: &mut Random) {
        let cost = 1 + random.below(4);
        operate!(self, random; cost);
    }

    fn shake(&self, random: &mut Random) {
        match random.below(3) {
            0 => drop(self.resize(1 + random.below(8))),
            1 => {
                let own = self.clone();
                let subscription =
                    self.subscribe(move |event| assert!(own.status().sequence > event.sequence));
                drop(self.slot_now(1));
                drop(subscription);
            }
            _ => drop(self.capacity_report()),
        }
    }

    fn watch(&self) -> u64 {
        let status = self.status();
        assert_identities(&status);
        status.sequence
    }

    fn close(&self) {
        WeightedBulkhead::close(self);
    }

    fn is_closed(&self) -> bool {
        WeightedBulkhead::is_closed(self)
    }

    async fn wait_closed(&self) {
        WeightedBulkhead::wait_closed(self).await;
    }

    fn account(&self) {
        let status = self.status();
        assert_identities(&status);
        assert_eq!((status.used, status.in_flight, status.waiting_units), (0, 0, 0), "{status:?}");
        assert_eq!(status.totals.handler_panics, 0);
        assert_real_mix(&status.totals);
    }
}

/// Waits have ended in every way.
fn assert_real_mix(totals: &Totals) {
    let ways = [
        totals.direct_admitted(),
        totals.admitted_from_queue,
        totals.expired,
        totals.cancelled,
        totals.saturated,
        totals.closed_before_queue,
    ];
    assert!(ways.iter().all(|&way| way > 0), "a real mix: {totals:?}");
}

/// What holds over all partitions together.
fn assert_sums(status: &PartitionedStatus) {
    let totals = &status.totals;
    let running = status.in_flight as u64;
    assert_eq!(totals.admitted, running + totals.finished + totals.abandoned, "{status:?}");
    let waiting = status.waiting as u64;
    assert_eq!(totals.queued, waiting + totals.settled_waiting(), "{status:?}");
    let gone = status.evicted + status.discarded;
    assert_eq!(status.created, status.partitions as u64 + gone, "{status:?}");
    assert!(status.partitions <= status.peak_partitions, "{status:?}");
    assert!(status.peak_partitions <= status.max_partitions, "{status:?}");
    assert!(status.active_partitions <= status.partitions, "{status:?}");
}

impl Subject for PartitionedBulkhead<Key> {
    async fn operate(&self, random: &mut Random) {
        let key = random.below(12) as Key;
        operate!(self, random; &key);
    }

    fn shake(&self, random: &mut Random) {
        let key = random.below(12) as Key;
        match random.below(4) {
            0 => drop(self.resize_partition(&key, 1 + random.below(3))),
            1 => _ = self.discard(&key),
            2 => _ = self.cleanup_idle(),
            _ => {
                if let Some(status) = self.partition_status(&key) {
                    assert_plain(&status);
                }
            }
        }
    }

    fn watch(&self) -> u64 {
        let status = self.status();
        assert_sums(&status);
        status.sequence
    }

    fn close(&self) {
        PartitionedBulkhead::close(self);
    }

    fn is_closed(&self) -> bool {
        PartitionedBulkhead::is_closed(self)
    }

    async fn wait_closed(&self) {
        PartitionedBulkhead::wait_closed(self).await;
    }

    fn account(&self) {
        let status = self.status();
        assert_sums(&status);
        assert_eq!((status.in_flight, status.waiting), (0, 0), "{status:?}");
        assert_eq!(status.active_partitions, 0, "{status:?}");
        assert!(status.evicted > 0, "a real mix: {status:?}");
        assert_real_mix(&status.totals);
        for key in 0..12 {
            self.discard(&key);
        }
        assert_eq!(self.status().partitions, 0, "nothing is pinned");
    }
}

/// Tasks on their own threads do everything; one thread watches; then it is closed in the middle of it.
fn stress(subject: impl Subject, seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_time()
        .build()
        .unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let start = Arc::new(Barrier::new(2));
    let looks = Arc::new(AtomicU64::new(0));
    let watcher = thread::spawn({
        let (subject, over, start) = (subject.clone(), over.clone(), start.clone());
        let looks = looks.clone();
        move || {
            start.wait();
            let mut sequence = 0;
            while !over.load(Ordering::Acquire) {
                let next = subject.watch();
                assert!(next > sequence, "numbers rise");
                sequence = next;
                looks.fetch_add(1, Ordering::Release);
                thread::yield_now();
            }
        }
    });
    start.wait();
    let tasks: Vec<_> = (0..THREADS as u64 * 4)
        .map(|number| {
            let subject = subject.clone();
            runtime.spawn(async move {
                let mut random = Random::new(seed ^ (number << 32));
                let mut left = OPERATIONS / 4;
                // Half of them go on until it is closed, and for a while behind the closed door.
                let goes_on = number >= THREADS as u64 * 2;
                while left > 0 {
                    subject.operate(&mut random).await;
                    if random.below(50) == 0 {
                        subject.shake(&mut random);
                    }
                    if !goes_on || left > 100 || subject.is_closed() {
                        left -= 1;
                    }
                }
            })
        })
        .collect();
    let closing = subject.clone();
    runtime.block_on(async {
        for (number, task) in tasks.into_iter().enumerate() {
            if number == THREADS * 2 {
                // However busy the machine is, somebody has watched.
                while looks.load(Ordering::Acquire) < 10 {
                    assert!(!watcher.is_finished(), "the watcher saw something wrong");
                    tokio::task::yield_now().await;
                }
                closing.close();
            }
            let end = tokio::time::timeout(Duration::from_secs(60), task).await;
            end.expect("wedged").unwrap();
        }
        tokio::time::timeout(Duration::from_secs(60), closing.wait_closed()).await.expect("drains");
    });
    over.store(true, Ordering::Release);
    watcher.join().unwrap();
    subject.account();
}

const SEEDS: [u64; 2] = [0xB01D, 0x5EED];

#[test]
fn a_plain_bulkhead_under_stress_adds_up() {
    for seed in SEEDS {
        let bulkhead = Bulkhead::builder("stress").parallelism(3).waiting_room(8);
        stress(bulkhead.build().unwrap(), seed);
    }
}

#[test]
fn a_weighted_bulkhead_under_stress_adds_up() {
    for seed in SEEDS {
        let bulkhead = WeightedBulkhead::builder("stress").capacity(5).waiting_room(8);
        stress(bulkhead.build().unwrap(), seed);
    }
}

#[test]
fn a_partitioned_bulkhead_under_stress_adds_up() {
    for seed in SEEDS {
        let bulkhead = PartitionedBulkhead::<Key>::builder("stress")
            .parallelism(2)
            .waiting_room(4)
            .max_partitions(6)
            .idle_timeout(Duration::from_micros(200));
        stress(bulkhead.build().unwrap(), seed);
    }
}

#[test]
fn threads_without_a_runtime_use_the_fast_path() {
    let bulkhead = Bulkhead::builder("stress").parallelism(2).waiting_room(2).build().unwrap();
    let begin = Instant::now();
    thread::scope(|scope| {
        for number in 0..THREADS as u64 {
            let bulkhead = &bulkhead;
            scope.spawn(move || {
                let mut random = Random::new(number);
                for _ in 0..OPERATIONS * 5 {
                    match random.below(100) {
                        0 => drop(bulkhead.resize(1 + random.below(3))),
                        1 => {
                            let mut waiter = pin!(bulkhead.slot());
                            let mut cx = Context::from_waker(Waker::noop());
                            drop(waiter.as_mut().poll(&mut cx));
                        }
                        2 => assert_plain(&bulkhead.status()),
                        _ => drop(bulkhead.slot_now()),
                    }
                }
            });
        }
    });
    assert!(begin.elapsed() < Duration::from_secs(60));
    crate::support::assert_nothing_left(&bulkhead);
}
