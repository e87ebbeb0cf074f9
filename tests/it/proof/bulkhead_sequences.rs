//! Random sequences of every operation against the reference.

use std::time::Duration;

use bulklink::{Bulkhead, PartitionLimits, PartitionedBulkhead, WeightedBulkhead};
use proptest::{collection::vec, option, prelude::*};

use super::{
    bulkhead_driver::{Driver, Face, How, Step},
    event_handlers::HandlerKind,
    on_paused_time,
    reference::bulkhead::Model,
    reference::partitioned::{IMPOSSIBLE, Key, PANICKING, PartitionedModel, limits},
    reference::{Real, Reference},
};
use crate::support::cases;

/// What a bulkhead is made with.
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
        let model = Model::new(self.capacity, self.room);
        (Real::Plain(builder.build().unwrap()), Reference::Plain(model))
    }

    pub(crate) fn weighted(self) -> (Real, Reference) {
        let builder =
            WeightedBulkhead::builder("proof").capacity(self.capacity).waiting_room(self.room);
        let builder = match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        };
        let model = Model::new(self.capacity, self.room);
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
                IMPOSSIBLE => PartitionLimits::new(0),
                // A panic without its message.
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
        (Real::Many(builder.build().unwrap()), Reference::Many(partitioned))
    }
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        4 => Just(How::Patiently),
        3 => Just(How::Now),
        2 => (0u64..15).prop_map(How::Within),
        2 => (0u64..15).prop_map(How::Before),
    ]
}

pub(crate) fn key() -> impl Strategy<Value = Key> {
    prop_oneof![12 => 0u8..4, 1 => Just(IMPOSSIBLE), 1 => Just(PANICKING)]
}

/// Mostly what can be admitted, and sometimes what never can.
pub(crate) fn cost() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 1usize..5,
        1 => Just(0),
        1 => Just(Bulkhead::MAX_CAPACITY),
        1 => Just(u32::MAX as usize),
    ]
}

fn manner() -> impl Strategy<Value = HandlerKind> {
    prop_oneof![Just(HandlerKind::Listens), Just(HandlerKind::Panics), Just(HandlerKind::Looks)]
}

fn step() -> impl Strategy<Value = Step> {
    let face = prop_oneof![Just(Face::Slot), Just(Face::Run)];
    let polled = prop::bool::weighted(0.9);
    let arrival = (face, how(), key(), cost(), polled);
    let arrive = arrival.prop_map(|(face, how, key, cost, polled)| Step::Arrive {
        face,
        how,
        key,
        cost,
        polled,
    });
    let at = || 0usize..64;
    let drain = prop_oneof![2 => Just(Step::AwaitClose), 1 => at().prop_map(Step::DropAwait)];
    let tidy = prop_oneof![key().prop_map(Step::Discard), Just(Step::CleanUp)];
    prop_oneof![
        24 => arrive,
        14 => (at(), any::<bool>()).prop_map(|(at, anew)| Step::Poll { at, anew }),
        10 => (at(), prop::bool::weighted(0.2))
            .prop_map(|(at, panics)| Step::Finish { at, panics }),
        7 => at().prop_map(Step::Drop),
        7 => (1u64..12).prop_map(Step::Advance),
        4 => (key(), 0usize..7).prop_map(|(key, capacity)| Step::Resize(key, capacity)),
        1 => Just(Step::Close),
        2 => drain,
        2 => manner().prop_map(Step::Subscribe),
        2 => at().prop_map(Step::Unsubscribe),
        2 => tidy,
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
    fn a_plain_bulkhead_does_as_the_reference(settings in settings(), steps in vec(step(), 1..80)) {
        check(Settings::plain, settings, &steps);
    }

    #[test]
    fn a_weighted_bulkhead_does_as_the_reference(
        settings in settings(), steps in vec(step(), 1..80)
    ) {
        check(Settings::weighted, settings, &steps);
    }

    #[test]
    fn a_partitioned_bulkhead_does_as_the_reference(
        settings in settings(), steps in vec(step(), 1..80)
    ) {
        check(Settings::partitioned, settings, &steps);
    }
}
