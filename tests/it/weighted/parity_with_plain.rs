//! A weighted bulkhead in which every operation costs 1 behaves like a plain bulkhead.

use std::time::Duration;

use bulklink::{
    Admission, Bulkhead, BulkheadEvent, BulkheadStatus, Deadline, HoldTimes, Rejection,
    RejectionReason, ResizeError, Slot, Subscription, WeightedBulkhead,
};
use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tokio_test::task::{self, Spawn};

use crate::support::{Log, assert_identities, cases, in_paused_time};

/// One step of a sequence. A `usize` selects one of the waiters or slots that exist, except in `Resize`.
#[derive(Clone, Debug)]
enum Step {
    Slot,
    Now,
    Within(u64),
    Before(u64),
    Execute,
    Poll(usize),
    Cancel(usize),
    Release(usize),
    Resize(usize),
    Advance(u64),
    Subscribe,
    Unsubscribe,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Slot),
        4 => Just(Step::Now),
        3 => (0u64..4).prop_map(Step::Within),
        3 => (0u64..4).prop_map(Step::Before),
        1 => Just(Step::Execute),
        4 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Cancel),
        5 => any::<usize>().prop_map(Step::Release),
        2 => (0usize..6).prop_map(Step::Resize),
        2 => (1u64..3).prop_map(Step::Advance),
        2 => Just(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
        1 => (0u8..8).prop_map(|choice| if choice == 0 { Step::Close } else { Step::Now }),
    ]
}

/// The interface that both kinds share, with every cost 1.
trait Kind {
    fn slot(&self) -> Admission;
    fn now(&self) -> Result<Slot, Rejection>;
    fn within(&self, limit: Duration) -> Admission;
    fn before(&self, deadline: Deadline) -> Admission;
    fn execute(&self) -> String;
    fn resize(&self, to: usize) -> Result<(), ResizeError>;
    fn close(&self);
    fn subscribe(&self, log: &Log) -> Subscription;
    fn status(&self) -> BulkheadStatus;
}

macro_rules! kind {
    ($kind:ty $(, $cost:literal)?) => {
        impl Kind for $kind {
            fn slot(&self) -> Admission {
                self.slot($($cost)?)
            }
            fn now(&self) -> Result<Slot, Rejection> {
                self.slot_now($($cost)?)
            }
            fn within(&self, limit: Duration) -> Admission {
                self.slot_within(limit $(, $cost)?)
            }
            fn before(&self, deadline: Deadline) -> Admission {
                self.slot_before(deadline $(, $cost)?)
            }
            fn execute(&self) -> String {
                // Two bulkheads, so their rejections are of different instances.
                let outcome = task::spawn(self.execute($($cost,)? async { "done" })).poll();
                format!("{:?}", outcome.map_err(|rejection| *rejection.reason()))
            }
            fn resize(&self, to: usize) -> Result<(), ResizeError> {
                self.resize(to)
            }
            fn close(&self) {
                self.close();
            }
            fn subscribe(&self, log: &Log) -> Subscription {
                self.subscribe(log.handler())
            }
            fn status(&self) -> BulkheadStatus {
                self.status()
            }
        }
    };
}

kind!(Bulkhead);
kind!(WeightedBulkhead, 1);

/// One of the two bulkheads, and everything that the steps have created.
struct Run<B> {
    bulkhead: B,
    waiters: Vec<Spawn<Admission>>,
    slots: Vec<Slot>,
    subscriptions: Vec<Subscription>,
    log: Log,
}

impl<B: Kind> Run<B> {
    fn new(bulkhead: B) -> Self {
        let (waiters, slots, subscriptions) = (Vec::new(), Vec::new(), Vec::new());
        Self { bulkhead, waiters, slots, subscriptions, log: Log::default() }
    }

    /// Takes a step and describes its outcome.
    fn take(&mut self, step: &Step) -> String {
        match *step {
            Step::Slot => self.poll(task::spawn(self.bulkhead.slot())),
            Step::Within(s) => self.poll(task::spawn(self.bulkhead.within(Duration::from_secs(s)))),
            Step::Before(s) => {
                let deadline = Deadline::at(Instant::now() + Duration::from_secs(s));
                self.poll(task::spawn(self.bulkhead.before(deadline)))
            }
            Step::Now => {
                let outcome = self.bulkhead.now();
                self.record(outcome)
            }
            Step::Execute => self.bulkhead.execute(),
            Step::Poll(_) if self.waiters.is_empty() => String::new(),
            Step::Poll(which) => {
                let waiter = self.waiters.remove(which % self.waiters.len());
                let woken = waiter.is_woken();
                format!("woken {woken}: {}", self.poll(waiter))
            }
            Step::Cancel(_) if self.waiters.is_empty() => String::new(),
            Step::Cancel(which) => {
                drop(self.waiters.remove(which % self.waiters.len()));
                String::new()
            }
            Step::Release(_) if self.slots.is_empty() => String::new(),
            Step::Release(which) => {
                drop(self.slots.swap_remove(which % self.slots.len()));
                String::new()
            }
            Step::Resize(to) => match self.bulkhead.resize(to) {
                Err(ResizeError::Zero { .. }) => "zero".to_owned(),
                Err(ResizeError::Closed { label, .. }) => format!("closed {label}"),
                other => format!("{other:?}"),
            },
            Step::Subscribe => {
                self.subscriptions.push(self.bulkhead.subscribe(&self.log));
                String::new()
            }
            Step::Unsubscribe => {
                drop(self.subscriptions.pop());
                String::new()
            }
            Step::Close => {
                self.bulkhead.close();
                String::new()
            }
            Step::Advance(_) => String::new(),
        }
    }

    fn poll(&mut self, mut waiter: Spawn<Admission>) -> String {
        match waiter.poll() {
            std::task::Poll::Ready(outcome) => self.record(outcome),
            std::task::Poll::Pending => {
                self.waiters.push(waiter);
                "waits".to_owned()
            }
        }
    }

    fn record(&mut self, outcome: Result<Slot, Rejection>) -> String {
        match outcome {
            Ok(slot) => {
                self.slots.push(slot);
                "admitted".to_owned()
            }
            Err(rejection) => {
                assert!(!matches!(rejection.reason(), RejectionReason::InvalidCost));
                let (reason, hint) = (rejection.reason(), rejection.retry_after());
                format!("{reason:?} {hint:?} {rejection}")
            }
        }
    }

    fn woken(&self) -> Vec<bool> {
        self.waiters.iter().map(|waiter| waiter.is_woken()).collect()
    }

    /// The status, and the events since the last call, without the fields in which any two bulkheads differ. Which
    /// operations are timed is one of these, because it is random.
    fn observed(&self) -> (BulkheadStatus, Vec<BulkheadEvent>) {
        let mut status = self.bulkhead.status();
        assert_identities(&status);
        status.instance = 0;
        status.holds = HoldTimes::default();
        let mut events = self.log.take();
        for event in &mut events {
            event.occurred_at = std::time::UNIX_EPOCH;
            event.instance = 0;
        }
        (status, events)
    }
}

async fn compare(parallelism: usize, room: usize, limit: Option<u64>, steps: &[Step]) {
    let mut plain = Bulkhead::builder("one").parallelism(parallelism).waiting_room(room);
    let mut weighted = WeightedBulkhead::builder("one").capacity(parallelism).waiting_room(room);
    if let Some(limit) = limit.map(Duration::from_secs) {
        (plain, weighted) = (plain.wait_limit(limit), weighted.wait_limit(limit));
    }
    let mut plain = Run::new(plain.build().unwrap());
    let mut weighted = Run::new(weighted.build().unwrap());
    for step in steps {
        if let Step::Advance(seconds) = step {
            advance(Duration::from_secs(*seconds)).await;
        }
        assert_eq!(plain.take(step), weighted.take(step), "{step:?}");
        assert_eq!(plain.woken(), weighted.woken(), "after {step:?}");
        assert_eq!(plain.observed(), weighted.observed(), "after {step:?}");
    }
    plain.waiters.clear();
    weighted.waiters.clear();
    assert_eq!(plain.observed(), weighted.observed(), "after the waiters have left");
    plain.slots.clear();
    weighted.slots.clear();
    assert_eq!(plain.observed(), weighted.observed(), "at the end");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..cases(2_000) })]

    #[test]
    fn a_weighted_bulkhead_with_unit_costs_behaves_like_a_plain_one(
        parallelism in 1usize..5,
        room in 0usize..5,
        limit in proptest::option::of(1u64..4),
        steps in proptest::collection::vec(step(), 1..50),
    ) {
        in_paused_time(compare(parallelism, room, limit, &steps));
    }
}
