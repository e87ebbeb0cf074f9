//! Stress: many threads do random operations while one checks the status. At the end the totals must add up.

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

/// The number of operations per thread.
const OPERATIONS: usize = 4_000;
const THREADS: usize = 4;

/// One kind of bulkhead under stress.
trait Subject: Clone + Send + Sync + 'static {
    /// Runs one random operation, from arrival to end.
    fn operate(&self, random: &mut Random) -> impl Future<Output = ()> + Send;

    /// Does something random that concerns the bulkhead as a whole, such as a resize.
    fn disturb(&self, random: &mut Random);

    /// Checks the invariants of the status, and returns its sequence number.
    fn check_status(&self) -> u64;

    fn close(&self);

    fn is_closed(&self) -> bool;

    fn wait_closed(&self) -> impl Future<Output = ()> + Send;

    /// Asserts that nothing is left and that the totals add up.
    fn check_end(&self);
}

/// Polls `future` up to `polls` times, then drops it. The cancellation may happen at any point.
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

/// Work that ends at once, or takes long enough for the limits of waiters to pass.
async fn hold(random: &mut Random) {
    if random.below(10) == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..random.below(3) {
        tokio::task::yield_now().await;
    }
}

/// Runs one random operation, with the same mix for every kind of bulkhead.
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

    fn disturb(&self, random: &mut Random) {
        match random.below(3) {
            0 => drop(self.resize(1 + random.below(6))),
            1 => {
                let own = self.clone();
                let highest = AtomicU64::new(0);
                let subscription = self.subscribe(move |event| {
                    highest.fetch_max(event.sequence, Ordering::Relaxed);
                    assert!(own.status().sequence > event.sequence);
                });
                drop(self.slot_now());
                drop(subscription);
            }
            _ => drop(self.capacity_report()),
        }
    }

    fn check_status(&self) -> u64 {
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

    fn check_end(&self) {
        let status = self.status();
        assert_plain(&status);
        assert_eq!((status.used, status.waiting, status.waiting_units), (0, 0, 0), "{status:?}");
        assert_eq!(status.totals.handler_panics, 0);
        assert_every_outcome(&status.totals);
    }
}

impl Subject for WeightedBulkhead {
    async fn operate(&self, random: &mut Random) {
        let cost = 1 + random.below(4);
        operate!(self, random; cost);
    }

    fn disturb(&self, random: &mut Random) {
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

    fn check_status(&self) -> u64 {
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

    fn check_end(&self) {
        let status = self.status();
        assert_identities(&status);
        assert_eq!((status.used, status.in_flight, status.waiting_units), (0, 0, 0), "{status:?}");
        assert_eq!(status.totals.handler_panics, 0);
        assert_every_outcome(&status.totals);
    }
}

/// Asserts that every outcome has occurred.
fn assert_every_outcome(totals: &Totals) {
    let outcomes = [
        totals.direct_admitted(),
        totals.admitted_from_queue,
        totals.expired,
        totals.cancelled,
        totals.saturated,
        totals.closed_before_queue,
    ];
    assert!(outcomes.iter().all(|&count| count > 0), "an outcome is missing: {totals:?}");
}

/// Asserts the invariants of the status of all partitions together.
fn assert_sums(status: &PartitionedStatus) {
    let totals = &status.totals;
    let running = status.in_flight as u64;
    assert_eq!(totals.admitted, running + totals.finished + totals.abandoned, "{status:?}");
    let waiting = status.waiting as u64;
    assert_eq!(totals.queued, waiting + totals.settled_waiting(), "{status:?}");
    let removed = status.evicted + status.discarded;
    assert_eq!(status.created, status.partitions as u64 + removed, "{status:?}");
    assert!(status.partitions <= status.peak_partitions, "{status:?}");
    assert!(status.peak_partitions <= status.max_partitions, "{status:?}");
    assert!(status.active_partitions <= status.partitions, "{status:?}");
}

impl Subject for PartitionedBulkhead<Key> {
    async fn operate(&self, random: &mut Random) {
        let key = random.below(12) as Key;
        operate!(self, random; &key);
    }

    fn disturb(&self, random: &mut Random) {
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

    fn check_status(&self) -> u64 {
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

    fn check_end(&self) {
        let status = self.status();
        assert_sums(&status);
        assert_eq!((status.in_flight, status.waiting), (0, 0), "{status:?}");
        assert_eq!(status.active_partitions, 0, "{status:?}");
        assert!(status.evicted > 0, "nothing was evicted: {status:?}");
        assert_every_outcome(&status.totals);
        for key in 0..12 {
            self.discard(&key);
        }
        assert_eq!(self.status().partitions, 0, "a partition is pinned");
    }
}

/// Runs random operations in tasks on several threads while another thread checks the status. Closes the
/// bulkhead in the middle.
fn stress(subject: impl Subject, seed: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_time()
        .build()
        .unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let start = Arc::new(Barrier::new(2));
    let checks = Arc::new(AtomicU64::new(0));
    let checker = thread::spawn({
        let (subject, is_done, start) = (subject.clone(), is_done.clone(), start.clone());
        let checks = checks.clone();
        move || {
            start.wait();
            let mut sequence = 0;
            while !is_done.load(Ordering::Acquire) {
                let next = subject.check_status();
                assert!(next > sequence, "sequence numbers must increase");
                sequence = next;
                checks.fetch_add(1, Ordering::Release);
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
                // Half of the tasks go on until the bulkhead is closed, and for 100 more operations.
                let outlasts_close = number >= THREADS as u64 * 2;
                while left > 0 {
                    subject.operate(&mut random).await;
                    if random.below(50) == 0 {
                        subject.disturb(&mut random);
                    }
                    if !outlasts_close || left > 100 || subject.is_closed() {
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
                // Wait for some checks of the status, however busy the machine is.
                while checks.load(Ordering::Acquire) < 10 {
                    assert!(!checker.is_finished(), "a status check failed");
                    tokio::task::yield_now().await;
                }
                closing.close();
            }
            let end = tokio::time::timeout(Duration::from_secs(60), task).await;
            end.expect("a task hangs").unwrap();
        }
        tokio::time::timeout(Duration::from_secs(60), closing.wait_closed())
            .await
            .expect("not drained");
    });
    is_done.store(true, Ordering::Release);
    checker.join().unwrap();
    subject.check_end();
}

const SEEDS: [u64; 2] = [0xB01D, 0x5EED];

#[test]
fn the_totals_of_a_plain_bulkhead_add_up_under_stress() {
    for seed in SEEDS {
        let bulkhead = Bulkhead::builder("stress").parallelism(3).waiting_room(8);
        stress(bulkhead.build().unwrap(), seed);
    }
}

#[test]
fn the_totals_of_a_weighted_bulkhead_add_up_under_stress() {
    for seed in SEEDS {
        let bulkhead = WeightedBulkhead::builder("stress").capacity(5).waiting_room(8);
        stress(bulkhead.build().unwrap(), seed);
    }
}

#[test]
fn the_totals_of_a_partitioned_bulkhead_add_up_under_stress() {
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
