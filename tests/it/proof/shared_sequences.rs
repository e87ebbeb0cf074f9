//! Random sequences on keys that share a capacity, compared with a count of who runs and who waits.
//!
//! Whose turn it is among keys that compete is not modelled here: `core/pool/exhaustive.rs` knows that. What is: who may
//! run at once, who may wait, why others may not, that nobody waits who could run, that guarantees come first, the order
//! within a key, limits, and every number of the status.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    mem,
    pin::Pin,
    task::Poll,
    time::Duration,
};

use bulklink::{
    PartitionLimits, PartitionedBulkhead, PartitionedChange, Rejection, RejectionReason, Slot,
};
use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tokio_test::task::{self, Spawn};

use crate::support::{assert_all_consistent, cases, in_paused_time, ms};

const WAIT_LIMIT: Duration = Duration::from_millis(50);

const MAX_PARTITIONS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An operation that waits if it must.
    Arrive(u64),
    /// One that does not wait.
    ArriveNow(u64),
    /// One of those that run ends.
    Release(usize),
    /// One of those that wait leaves.
    Leave(usize),
    Advance(u64),
    ResizeTotal(usize),
    ResizeTotalRoom(usize),
    SetLimits {
        key: u64,
        parallelism: usize,
        room: usize,
        weight: usize,
        guaranteed: usize,
    },
    ClearLimits(u64),
    Discard(u64),
    Pause,
    Resume,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..6_u64;
    let limits = (key(), 1..5_usize, 0..4_usize, 1..4_usize, 0..3_usize);
    let step = prop_oneof![
        8 => key().prop_map(Step::Arrive),
        2 => key().prop_map(Step::ArriveNow),
        7 => any::<usize>().prop_map(Step::Release),
        2 => any::<usize>().prop_map(Step::Leave),
        2 => (1..60_u64).prop_map(Step::Advance),
        1 => (1..6_usize).prop_map(Step::ResizeTotal),
        1 => (0..8_usize).prop_map(Step::ResizeTotalRoom),
        1 => limits.prop_map(|(key, parallelism, room, weight, guaranteed)| Step::SetLimits {
            key, parallelism, room, weight, guaranteed: guaranteed.min(parallelism)
        }),
        1 => key().prop_map(Step::ClearLimits),
        1 => key().prop_map(Step::Discard),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
    ];
    prop::collection::vec(step, 1..120)
}

type Waiting = Spawn<Pin<Box<dyn Future<Output = Result<Slot, Rejection>>>>>;

#[derive(Clone, Copy)]
struct Limits {
    parallelism: usize,
    room: usize,
    weight: usize,
    guaranteed: usize,
}

const USUAL: Limits = Limits { parallelism: 3, room: 3, weight: 1, guaranteed: 0 };

#[derive(Default)]
struct Key {
    running: Vec<Slot>,
    waiting: VecDeque<(Instant, Waiting)>,
}

/// What is known of the keys.
struct Known {
    customers: PartitionedBulkhead<u64>,
    keys: BTreeMap<u64, Key>,
    limits: BTreeMap<u64, Limits>,
    total: usize,
    total_room: usize,
    is_paused: bool,
    rejected: u64,
}

impl Known {
    fn new() -> Self {
        let customers = PartitionedBulkhead::builder("customers").parallelism(USUAL.parallelism);
        let customers = customers.waiting_room(USUAL.room).wait_limit(WAIT_LIMIT);
        let customers = customers.max_partitions(MAX_PARTITIONS).total_parallelism(3);
        Self {
            customers: customers.total_waiting_room(5).build().unwrap(),
            keys: (0..6).map(|key| (key, Key::default())).collect(),
            limits: BTreeMap::new(),
            total: 3,
            total_room: 5,
            is_paused: false,
            rejected: 0,
        }
    }

    fn limits(&self, key: u64) -> Limits {
        self.limits.get(&key).copied().unwrap_or(USUAL)
    }

    fn running(&self) -> usize {
        self.keys.values().map(|key| key.running.len()).sum()
    }

    fn waiting(&self) -> usize {
        self.keys.values().map(|key| key.waiting.len()).sum()
    }

    fn active(&self) -> usize {
        let in_use = |key: &&Key| !key.running.is_empty() || !key.waiting.is_empty();
        self.keys.values().filter(in_use).count()
    }

    /// Whether the key itself lets one more run.
    fn has_slot(&self, key: u64) -> bool {
        self.keys[&key].waiting.is_empty()
            && self.keys[&key].running.len() < self.limits(key).parallelism
    }

    /// What an operation of this key must learn: `Ok` if it is admitted, `None` if it waits.
    fn expected(&self, key: u64, waits: bool) -> Option<Result<(), &'static str>> {
        let Key { running, waiting } = &self.keys[&key];
        let is_active = !running.is_empty() || !waiting.is_empty();
        if !is_active && self.active() == MAX_PARTITIONS {
            return Some(Err("partition_limit"));
        }
        let (running, waiting) = (running.len(), waiting.len());
        let limits = self.limits(key);
        if !self.is_paused && self.has_slot(key) && self.running() < self.total {
            return Some(Ok(()));
        }
        let has_own_place = waiting < limits.room;
        let free = self.total_room.saturating_sub(self.waiting());
        let has_place = running + waiting < limits.guaranteed || waiting < limits.weight * free;
        if waits && has_own_place && has_place {
            return None;
        }
        Some(Err(match () {
            () if self.is_paused => "paused",
            () if self.has_slot(key) || waits && has_own_place => "total_saturated",
            () => "saturated",
        }))
    }

    fn arrive(&mut self, key: u64, waits: bool) {
        let expected = self.expected(key, waits);
        let customers = self.customers.clone();
        let found = if waits {
            let admission: Pin<Box<dyn Future<Output = _>>> =
                Box::pin(async move { customers.slot(&key).await });
            let mut waiter = task::spawn(admission);
            match waiter.poll() {
                Poll::Ready(found) => Some(found),
                Poll::Pending => {
                    let place = (Instant::now(), waiter);
                    self.keys.get_mut(&key).unwrap().waiting.push_back(place);
                    None
                }
            }
        } else {
            Some(customers.slot_now(&key))
        };
        let found = found.map(|found| match found {
            Ok(slot) => {
                self.keys.get_mut(&key).unwrap().running.push(slot);
                Ok(())
            }
            Err(rejection) => {
                self.rejected += 1;
                Err(name(&rejection))
            }
        });
        assert_eq!(found, expected, "key {key}, waits: {waits}");
    }

    /// The key and the place in it of the `at`-th of those that `count` counts.
    fn nth(&self, at: usize, count: impl Fn(&Key) -> usize) -> Option<(u64, usize)> {
        let all = self.keys.iter().flat_map(|(&key, of)| (0..count(of)).map(move |at| (key, at)));
        let all: Vec<_> = all.collect();
        (!all.is_empty()).then(|| all[at % all.len()])
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Arrive(key) => self.arrive(key, true),
            Step::ArriveNow(key) => self.arrive(key, false),
            Step::Release(at) => {
                if let Some((key, at)) = self.nth(at, |key| key.running.len()) {
                    drop(self.keys.get_mut(&key).unwrap().running.swap_remove(at));
                }
            }
            Step::Leave(at) => {
                if let Some((key, at)) = self.nth(at, |key| key.waiting.len()) {
                    self.keys.get_mut(&key).unwrap().waiting.remove(at);
                }
            }
            Step::Advance(millis) => advance(ms(millis)).await,
            Step::ResizeTotal(total) => {
                self.customers.resize_total(total).unwrap();
                self.total = total;
            }
            Step::ResizeTotalRoom(room) => {
                let change = PartitionedChange::new().total_waiting_room(room);
                self.customers.reconfigure(change).unwrap();
                self.total_room = room;
            }
            Step::SetLimits { key, parallelism, room, weight, guaranteed } => {
                let limits = PartitionLimits::new(parallelism).waiting_room(room);
                let limits = limits.weight(weight).guaranteed(guaranteed);
                self.customers.set_limits(&key, limits).unwrap();
                self.limits.insert(key, Limits { parallelism, room, weight, guaranteed });
            }
            Step::ClearLimits(key) => {
                let were_set = self.limits.remove(&key).is_some();
                assert_eq!(self.customers.clear_limits(&key), were_set);
            }
            Step::Discard(key) => {
                let of = &self.keys[&key];
                let is_active = !of.running.is_empty() || !of.waiting.is_empty();
                assert!(!self.customers.discard(&key) || !is_active);
            }
            Step::Pause => {
                self.customers.pause();
                self.is_paused = true;
            }
            Step::Resume => {
                self.customers.resume();
                self.is_paused = false;
            }
        }
    }

    /// Polls whoever was woken, and asserts that it was right to wake these and no others.
    fn settle(&mut self) {
        let now = Instant::now();
        let running_before: BTreeMap<_, _> =
            self.keys.iter().map(|(&key, of)| (key, of.running.len())).collect();
        let mut admitted = Vec::new();
        for (&key, of) in &mut self.keys {
            let mut is_first = true;
            for (since, mut waiter) in mem::take(&mut of.waiting) {
                if !waiter.is_woken() {
                    assert!(now - since < WAIT_LIMIT, "key {key} waits beyond its limit");
                    of.waiting.push_back((since, waiter));
                    is_first = false;
                    continue;
                }
                match waiter.poll() {
                    Poll::Pending => panic!("key {key} was woken for nothing"),
                    Poll::Ready(Ok(slot)) => {
                        assert!(is_first, "key {key}: somebody who came later was admitted first");
                        of.running.push(slot);
                        admitted.push(key);
                    }
                    Poll::Ready(Err(rejection)) => {
                        assert_eq!(name(&rejection), "wait_limit");
                        assert!(now - since >= WAIT_LIMIT, "key {key} was rejected too early");
                        self.rejected += 1;
                    }
                }
            }
        }
        assert!(admitted.is_empty() || !self.is_paused, "admitted while paused");
        if let [key] = *admitted {
            let is_short = |key: u64, running: usize| {
                let limits = self.limits(key);
                running < limits.guaranteed.min(limits.parallelism)
            };
            let passed_over = self.keys.iter().find(|&(&other, of)| {
                !of.waiting.is_empty() && is_short(other, running_before[&other])
            });
            if let Some((other, _)) = passed_over.filter(|_| !is_short(key, running_before[&key])) {
                panic!("{key} was admitted although {other} has not what it is guaranteed");
            }
        }
    }

    fn check(&self, running_before: usize) {
        assert!(self.running() <= self.total.max(running_before), "more run than may");
        if !self.is_paused && self.running() < self.total {
            for (&key, of) in &self.keys {
                let is_full = of.running.len() >= self.limits(key).parallelism;
                assert!(of.waiting.is_empty() || is_full, "{key} waits and could run");
            }
        }
        let status = self.customers.status();
        assert_all_consistent(&status);
        let total = status.total.unwrap();
        let waiting_keys = self.keys.values().filter(|key| !key.waiting.is_empty()).count();
        assert_eq!((total.parallelism, total.waiting_room), (self.total, self.total_room));
        assert_eq!((total.in_flight, total.waiting), (self.running(), self.waiting()));
        assert_eq!((status.in_flight, status.waiting), (self.running(), self.waiting()));
        assert_eq!(total.waiting_keys, waiting_keys);
        assert_eq!(status.active_partitions, self.active());
        assert_eq!(status.totals.rejected(), self.rejected);
        assert!(total.peak_in_flight >= total.in_flight && total.peak_waiting >= total.waiting);
        for (key, of) in &self.keys {
            let partition = self.customers.partition_status(key);
            let found = partition.map_or((0, 0), |status| (status.in_flight, status.waiting));
            assert_eq!(found, (of.running.len(), of.waiting.len()), "key {key}");
        }
    }
}

fn name(rejection: &Rejection) -> &'static str {
    match rejection.reason() {
        RejectionReason::Saturated { .. } => "saturated",
        RejectionReason::TotalSaturated { .. } => "total_saturated",
        RejectionReason::PartitionLimit { .. } => "partition_limit",
        RejectionReason::Paused => "paused",
        RejectionReason::WaitLimit { .. } => "wait_limit",
        other => panic!("rejected as {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(500) })]

    #[test]
    fn keys_that_share_a_capacity_are_admitted_and_rejected_as_counted(steps in steps()) {
        in_paused_time(async {
            let mut known = Known::new();
            for step in steps {
                let running_before = known.running();
                known.take(step).await;
                known.settle();
                known.check(running_before);
            }
            known.customers.resume();
            known.keys.clear();
            known.check(0);
        });
    }
}
