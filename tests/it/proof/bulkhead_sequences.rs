//! Random sequences of operations on a bulkhead, compared with the reference.

use std::time::Duration;

use bulklink::{Bulkhead, PartitionLimits, PartitionedBulkhead, WeightedBulkhead};
use proptest::{collection::vec, option, prelude::*};

use super::{
    bulkhead_driver::{Driver, OperationKind, Step, WaitPolicy},
    event_handlers::HandlerKind,
    on_paused_time,
    reference::bulkhead::{self, Model},
    reference::partitioned::{INVALID, Key, PANICKING, PartitionedModel, limits},
    reference::{Real, Reference},
};
use crate::support::cases;

/// The settings of a bulkhead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) capacity: usize,
    pub(crate) room: usize,
    pub(crate) wait_limit: Option<Duration>,
    pub(crate) max_partitions: usize,
    pub(crate) idle_timeout: Duration,
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    (1usize..5, 0usize..5, option::of(1u64..20), 1usize..4, 5u64..30).prop_map(
        |(capacity, room, limit, max_partitions, idle)| Settings {
            capacity,
            room,
            wait_limit: limit.map(Duration::from_millis),
            max_partitions,
            idle_timeout: Duration::from_millis(idle),
        },
    )
}

impl Settings {
    pub(crate) fn plain(self) -> (Real, Reference) {
        let builder = Bulkhead::builder("proof").parallelism(self.capacity).waiting_room(self.room);
        let builder = match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        };
        let mut model = Model::new(self.capacity, self.room);
        model.wait_limit = self.wait_limit;
        (Real::Plain(builder.build().unwrap()), Reference::Plain(model))
    }

    pub(crate) fn weighted(self) -> (Real, Reference) {
        let builder =
            WeightedBulkhead::builder("proof").capacity(self.capacity).waiting_room(self.room);
        let builder = match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        };
        let mut model = Model::new(self.capacity, self.room);
        model.wait_limit = self.wait_limit;
        (Real::Weighted(builder.build().unwrap()), Reference::Weighted(model))
    }

    pub(crate) fn partitioned(self) -> (Real, Reference) {
        let Self { capacity, room, max_partitions, idle_timeout, .. } = self;
        let builder = PartitionedBulkhead::<Key>::builder("proof")
            .parallelism(capacity)
            .waiting_room(room)
            .max_partitions(max_partitions)
            .idle_timeout(idle_timeout)
            .limits_for(move |&key| match key {
                INVALID => PartitionLimits::new(0),
                // Panics without printing a message.
                PANICKING => std::panic::resume_unwind(Box::new(())),
                key => {
                    let (capacity, room) = limits(key, capacity, room);
                    PartitionLimits::new(capacity).waiting_room(room)
                }
            });
        let builder = match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        };
        let partitioned = PartitionedModel::new(capacity, room, max_partitions, idle_timeout);
        (Real::Partitioned(builder.build().unwrap()), Reference::Partitioned(partitioned))
    }
}

fn policy() -> impl Strategy<Value = WaitPolicy> {
    prop_oneof![
        4 => Just(WaitPolicy::UpToLimit),
        3 => Just(WaitPolicy::NoWait),
        2 => (0u64..15).prop_map(WaitPolicy::Within),
        2 => (0u64..15).prop_map(WaitPolicy::Before),
    ]
}

pub(crate) fn key() -> impl Strategy<Value = Key> {
    prop_oneof![12 => 0u8..4, 1 => Just(INVALID), 1 => Just(PANICKING)]
}

/// Mostly costs that can be admitted, sometimes costs that never can.
pub(crate) fn cost() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 1usize..5,
        1 => Just(0),
        1 => Just(Bulkhead::MAX_CAPACITY),
        1 => Just(u32::MAX as usize),
    ]
}

fn handler() -> impl Strategy<Value = HandlerKind> {
    prop_oneof![
        Just(HandlerKind::Records),
        Just(HandlerKind::Panics),
        Just(HandlerKind::ReadsStatus)
    ]
}

fn new_settings() -> impl Strategy<Value = bulkhead::Settings> {
    let wait_limit = option::of(option::of((0u64..20).prop_map(Duration::from_millis)));
    (option::of(0usize..7), option::of(0usize..6), wait_limit)
        .prop_map(|(capacity, room, wait_limit)| bulkhead::Settings { capacity, room, wait_limit })
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(OperationKind::Slot), Just(OperationKind::Execute)];
    let polled = prop::bool::weighted(0.9);
    let arrival = (kind, policy(), key(), cost(), polled);
    let arrive = arrival.prop_map(|(kind, policy, key, cost, polled)| Step::Arrive {
        kind,
        policy,
        key,
        cost,
        polled,
    });
    let at = || 0usize..64;
    let drain = prop_oneof![
        2 => Just(Step::AwaitClose),
        2 => Just(Step::AwaitClosing),
        1 => at().prop_map(Step::DropAwait),
    ];
    let pause = prop_oneof![1 => Just(Step::Pause), 2 => Just(Step::Resume)];
    let cleanup = prop_oneof![key().prop_map(Step::Discard), Just(Step::CleanUp)];
    let limits = option::weighted(0.8, (0usize..5, 0usize..4));
    let set = prop_oneof![
        3 => (key(), limits).prop_map(|(key, limits)| Step::SetLimits(key, limits)),
        2 => key().prop_map(Step::ClearLimits),
        2 => (option::of(0usize..5), option::of(0u64..30))
            .prop_map(|(max, idle)| Step::Retain(max, idle)),
    ];
    prop_oneof![
        24 => arrive,
        14 => (at(), any::<bool>()).prop_map(|(at, new_waker)| Step::Poll { at, new_waker }),
        10 => (at(), prop::bool::weighted(0.2))
            .prop_map(|(at, panics)| Step::Finish { at, panics }),
        7 => at().prop_map(Step::Drop),
        7 => (1u64..12).prop_map(Step::Advance),
        4 => (key(), 0usize..7).prop_map(|(key, capacity)| Step::Resize(key, capacity)),
        5 => new_settings().prop_map(Step::Reconfigure),
        3 => pause,
        1 => prop_oneof![Just(Step::Drain), Just(Step::Close)],
        2 => drain,
        2 => handler().prop_map(Step::Subscribe),
        2 => at().prop_map(Step::Unsubscribe),
        2 => cleanup,
        4 => set,
    ]
}

fn check(make: fn(Settings) -> (Real, Reference), settings: Settings, steps: &[Step]) {
    on_paused_time(async {
        let (real, reference) = make(settings);
        Driver::new(real, reference, settings.wait_limit).run(steps).await;
    });
}

proptest! {
    #![proptest_config(cases(700))]

    #[test]
    fn a_plain_bulkhead_behaves_like_the_reference(settings in settings(), steps in vec(step(), 1..80)) {
        check(Settings::plain, settings, &steps);
    }

    #[test]
    fn a_weighted_bulkhead_behaves_like_the_reference(
        settings in settings(), steps in vec(step(), 1..80)
    ) {
        check(Settings::weighted, settings, &steps);
    }

    #[test]
    fn a_partitioned_bulkhead_behaves_like_the_reference(
        settings in settings(), steps in vec(step(), 1..80)
    ) {
        check(Settings::partitioned, settings, &steps);
    }
}
