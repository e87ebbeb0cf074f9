//! Random sequences of readiness, calls, clones and drops of service handles, compared with the reference.

use proptest::{collection::vec, option, prelude::*};

use super::{
    bulkhead_sequences::{Settings, cost, key, settings},
    on_paused_time,
    service_driver::{ServiceDriver, Shape, Step},
    service_handles::{END, FAIL, PANIC, WAIT},
};
use crate::support::cases;

fn step() -> impl Strategy<Value = Step> {
    let at = || 0usize..64;
    let command =
        || prop_oneof![1 => Just(WAIT), 4 => Just(END), 1 => Just(FAIL), 1 => Just(PANIC)];
    let deadline = option::weighted(0.4, 0u64..15);
    let call = (at(), cost(), option::weighted(0.8, key()), prop::bool::weighted(0.1), deadline);
    let call = call.prop_map(|(at, cost, key, bypasses, deadline)| Step::Call {
        at,
        cost,
        key,
        bypasses,
        deadline,
    });
    prop_oneof![
        16 => at().prop_map(Step::PollReady),
        16 => call,
        4 => at().prop_map(Step::Clone),
        3 => at().prop_map(Step::DropHandle),
        12 => at().prop_map(Step::Poll),
        12 => (at(), command()).prop_map(|(at, command)| Step::End(at, command)),
        4 => at().prop_map(Step::DropCall),
        4 => at().prop_map(Step::DropBody),
        4 => command().prop_map(Step::Inner),
        6 => (1u64..12).prop_map(Step::Advance),
        2 => (key(), 0usize..7).prop_map(|(key, capacity)| Step::Resize(key, capacity)),
        2 => prop_oneof![1 => Just(Step::Pause), 2 => Just(Step::Resume)],
        1 => prop_oneof![Just(Step::Drain), Just(Step::Close)],
        1 => Just(Step::Subscribe),
    ]
}

fn check(shape: Shape, settings: Settings, steps: &[Step]) {
    on_paused_time(async {
        let mut driver = ServiceDriver::new(shape, settings);
        for &step in steps {
            driver.step(step).await;
        }
        driver.end().await;
    });
}

fn shape(per_request: bool) -> impl Strategy<Value = Shape> {
    (0u8..3, any::<bool>(), cost()).prop_map(move |(kind, holds_body, cost)| Shape {
        kind,
        per_request,
        holds_body,
        cost,
    })
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn handles_that_wait_in_readiness_behave_like_the_reference(
        shape in shape(false), settings in settings(), steps in vec(step(), 1..80)
    ) {
        check(shape, settings, &steps);
    }

    #[test]
    fn handles_that_wait_per_request_behave_like_the_reference(
        shape in shape(true), settings in settings(), steps in vec(step(), 1..80)
    ) {
        check(shape, settings, &steps);
    }
}
