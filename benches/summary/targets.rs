//! The performance targets: our case, the peer's case, and how they should compare.

use std::time::Duration;

use crate::{
    cases::{
        Case, WAIT_LIMIT, baseline,
        handover::{self, RuntimeKind},
        layer, partitions, two_threads, uncontended,
    },
    measure::{self, Comparison, LONG_ROUND, SHORT_ROUND},
};

/// A comparison of two cases, with the highest allowed ratio if it has one.
pub(crate) struct Target {
    pub(crate) number: &'static str,
    work: &'static str,
    at_most: Option<f64>,
    rounds: Rounds,
    ours: fn() -> Case,
    peer: fn() -> Case,
}

/// How two cases are compared.
#[derive(Clone, Copy)]
struct Rounds {
    length: Duration,
    count: usize,
    /// Whether the cases use two processors.
    two_processors: bool,
}

/// The result of measuring a [`Target`].
pub(crate) struct Outcome {
    pub(crate) number: &'static str,
    pub(crate) work: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) at_most: Option<f64>,
    pub(crate) comparison: Comparison,
    /// Nanoseconds of a word's round trip between two processors, before and after the comparison, if its cases
    /// use two.
    pub(crate) round_trips: Option<(f64, f64)>,
}

impl Target {
    pub(crate) fn measure(&self) -> Outcome {
        let (our_case, peer_case) = ((self.ours)(), (self.peer)());
        let peer = peer_case.name;
        let Self {
            number, work, at_most, rounds: Rounds { length, count, two_processors }, ..
        } = *self;
        let round_trip = || two_processors.then(|| measure::fastest(two_threads::round_trip(), 21));
        let before = round_trip();
        let comparison = measure::compare(our_case, peer_case, length, count);
        let round_trips = before.zip(round_trip());
        Outcome { number, work, peer, at_most, comparison, round_trips }
    }
}

impl Outcome {
    pub(crate) fn verdict(&self) -> &'static str {
        match self.at_most {
            None => "",
            Some(at_most) if self.comparison.ratio <= at_most => "ok",
            Some(_) => "MISSED",
        }
    }
}

/// The cost, in nanoseconds, of what every admission and every wait needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// One compare-exchange and one fetch-sub, which every admission needs.
    pub(crate) exchange: f64,
    /// One clock reading, of which every wait needs two.
    pub(crate) clock: f64,
}

pub(crate) fn measure_limits() -> Limits {
    Limits {
        exchange: measure::fastest(uncontended::physical_limit(), 101),
        clock: measure::fastest(uncontended::clock(), 101),
    }
}

/// Returns all targets, and comparisons without a target that help to interpret them.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<Target> {
    use RuntimeKind::{CurrentThread, TwoWorkers};

    const ONE_TASK: Rounds = Rounds { length: SHORT_ROUND, count: 401, two_processors: false };
    // Rounds with a thousand tasks or two threads are the most sensitive to other load on the machine.
    const MANY_TASKS: Rounds = Rounds { length: LONG_ROUND, count: 151, two_processors: false };
    const TWO_PROCESSORS: Rounds = Rounds { two_processors: true, ..MANY_TASKS };
    let target = |number, work, at_most, rounds, ours, peer| {
        Target { number, work, at_most, rounds, ours, peer }
    };
    vec![
        target("1", "slot_now() + drop", Some(0.72), ONE_TASK,
            uncontended::slot_now, uncontended::tokio_try_acquire_owned),
        target("1a", "slot_now() + drop", None, ONE_TASK,
            uncontended::slot_now, uncontended::tokio_try_acquire),
        target("2", "execute(ready future)", Some(0.60), ONE_TASK,
            uncontended::execute, uncontended::tokio_acquire),
        target("2a", "slot().await + drop", Some(0.60), ONE_TASK,
            uncontended::slot, uncontended::tokio_acquire_owned),
        target("3", "layer: clone + oneshot", Some(0.90), ONE_TASK, layer::plain, layer::concurrency_limit),
        target("3a", "layer, per request", Some(0.95), ONE_TASK, layer::per_request, layer::concurrency_limit),
        target("4", "layer: clone + oneshot", Some(0.45), ONE_TASK, layer::plain, layer::tower_stack),
        target("5", "layer: clone + oneshot", Some(0.16), ONE_TASK, layer::plain, layer::resilience_waiting),
        target("5a", "layer: clone + oneshot", None, ONE_TASK, layer::plain, layer::resilience_backpressure),
        target("6", "slot_now() + drop, two threads", Some(0.75), TWO_PROCESSORS,
            two_threads::slot_now, two_threads::tokio_try_acquire_owned),
        target("6a", "slot_now() + drop, two threads", None, TWO_PROCESSORS,
            two_threads::slot_now, baseline::word_and_handle_count),
        target("7", "hand-over, wait limit, current thread", Some(0.85), MANY_TASKS,
            || handover::execute(CurrentThread, Some(WAIT_LIMIT)),
            || handover::tokio_timeout_acquire(CurrentThread)),
        target("7", "hand-over, wait limit, two workers", Some(1.0), TWO_PROCESSORS,
            || handover::execute(TwoWorkers, Some(WAIT_LIMIT)),
            || handover::tokio_timeout_acquire(TwoWorkers)),
        target("7a", "baseline: queue of wakers, timed, no limit, two workers", None, TWO_PROCESSORS,
            || baseline::handover(TwoWorkers), || handover::tokio_timeout_acquire(TwoWorkers)),
        target("7b", "hand-over, a deadline each, current thread", Some(0.75), MANY_TASKS,
            || handover::execute_before(CurrentThread),
            || handover::tokio_timeout_at_acquire(CurrentThread)),
        target("8", "hand-over, no limit, current thread", Some(1.25), MANY_TASKS,
            || handover::execute(CurrentThread, None), || handover::tokio_acquire(CurrentThread)),
        target("8", "hand-over, no limit, two workers", Some(1.4), TWO_PROCESSORS,
            || handover::execute(TwoWorkers, None), || handover::tokio_acquire(TwoWorkers)),
        target("8a", "hand-over, no limit, current thread", None, MANY_TASKS,
            || handover::execute(CurrentThread, None), || handover::tokio_acquire_timed(CurrentThread)),
        target("8b", "tokio acquire(), timed, current thread", None, MANY_TASKS,
            || handover::tokio_acquire_timed(CurrentThread), || handover::tokio_acquire(CurrentThread)),
        target("8c", "baseline: queue of wakers, timed, current thread", None, MANY_TASKS,
            || baseline::handover(CurrentThread), || handover::tokio_acquire(CurrentThread)),
        target("8c", "baseline: queue of wakers, timed, two workers", None, TWO_PROCESSORS,
            || baseline::handover(TwoWorkers), || handover::tokio_acquire(TwoWorkers)),
        target("8d", "hand-over, no limit, current thread", None, MANY_TASKS,
            || handover::execute(CurrentThread, None), || baseline::handover(CurrentThread)),
        target("9", "layer: rejection when full", Some(0.50), ONE_TASK,
            layer::plain_rejection, layer::tower_stack_rejection),
        target("9a", "layer: rejection when full", None, ONE_TASK,
            layer::plain_rejection, layer::load_shed_rejection),
        target("10", "partition hit, 100,000 keys", Some(1.7), ONE_TASK,
            || partitions::hit(100_000), || baseline::partition_hit_with_idle_order(100_000)),
        target("10", "partition hit, 100 hot keys", Some(1.15), ONE_TASK,
            || partitions::hit(100), || baseline::partition_hit_with_idle_order(100)),
        target("10a", "100 hot keys, two threads", None, TWO_PROCESSORS,
            two_threads::hot_keys, two_threads::dashmap_hot_keys),
        target("10b", "partition hit, 100,000 keys", None, ONE_TASK,
            || partitions::hit(100_000), || partitions::dashmap_hit_with_last_use(100_000)),
        target("10b", "partition hit, 100 hot keys", None, ONE_TASK,
            || partitions::hit(100), || partitions::dashmap_hit_with_last_use(100)),
        target("10c", "partition hit, 100,000 keys", None, ONE_TASK,
            || partitions::hit(100_000), || partitions::dashmap_hit(100_000)),
        target("10c", "partition hit, 100 hot keys", None, ONE_TASK,
            || partitions::hit(100), || partitions::dashmap_hit(100)),
        target("10d", "baseline: lock, table, clock, idle order, 100,000 keys", None, ONE_TASK,
            || baseline::partition_hit_with_idle_order(100_000), || partitions::dashmap_hit(100_000)),
        target("10d", "baseline: lock, table, clock, 100 hot keys", None, ONE_TASK,
            || baseline::partition_hit(100), || partitions::dashmap_hit(100)),
        target("10e", "partition hit, no expiry, 100,000 keys", None, ONE_TASK,
            || partitions::hit_without_expiry(100_000), || partitions::dashmap_hit(100_000)),
        target("10e", "partition hit, no expiry, 100 hot keys", None, ONE_TASK,
            || partitions::hit_without_expiry(100), || partitions::dashmap_hit(100)),
        target("11", "weighted slot_now(4) + drop", Some(0.75), ONE_TASK,
            uncontended::weighted_slot_now, uncontended::tokio_try_acquire_many_owned),
        target("12", "slot_now, status() every 10 us alongside", Some(1.11), TWO_PROCESSORS,
            two_threads::slot_now_and_frequent_status, two_threads::slot_now_alone),
        target("12a", "slot_now, status() every 1 ms alongside", None, TWO_PROCESSORS,
            two_threads::slot_now_and_infrequent_status, two_threads::slot_now_alone),
        target("21", "shared capacity: partition hit, 100 hot keys, vs not shared", Some(1.3), ONE_TASK,
            || partitions::shared_hit(100), || partitions::hit(100)),
        target("21", "shared capacity: hand-over between 10 keys, vs row 8's", Some(1.5), MANY_TASKS,
            || handover::between_keys(CurrentThread, 10), || handover::execute(CurrentThread, None)),
        target("21", "shared capacity: hand-over between 1,000 keys, vs row 8's", Some(1.5), MANY_TASKS,
            || handover::between_keys(CurrentThread, 1_000), || handover::execute(CurrentThread, None)),
        target("21a", "hand-over in a partition, not shared, vs row 8's", None, MANY_TASKS,
            || handover::in_a_partition(CurrentThread), || handover::execute(CurrentThread, None)),
    ]
}
