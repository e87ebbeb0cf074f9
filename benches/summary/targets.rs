//! What is aimed at: our case, the peer's, and how they should compare.

use std::time::Duration;

use crate::{
    cases::{
        Case, LIMIT, baseline,
        handover::{self, On},
        layer, partitions, two_threads, uncontended,
    },
    measure::{self, LONG, Measured, SHORT},
};

/// A comparison, and the most that the ratio may be if there is a target for it.
pub(crate) struct Target {
    pub(crate) number: &'static str,
    work: &'static str,
    at_most: Option<f64>,
    rounds: Rounds,
    ours: fn() -> Case,
    peers: fn() -> Case,
}

/// How two cases are compared.
#[derive(Clone, Copy)]
struct Rounds {
    length: Duration,
    count: usize,
    /// Whether two processors are in use.
    on_two: bool,
}

/// A comparison that was made.
pub(crate) struct Outcome {
    pub(crate) number: &'static str,
    pub(crate) work: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) at_most: Option<f64>,
    pub(crate) measured: Measured,
    /// How long a word takes from one processor to the other and back, before and after, where two were
    /// in use.
    pub(crate) round_trips: Option<(f64, f64)>,
}

impl Target {
    pub(crate) fn measure(&self) -> Outcome {
        let (ours, peers) = ((self.ours)(), (self.peers)());
        let peer = peers.name;
        let Self { number, work, at_most, rounds: Rounds { length, count, on_two }, .. } = *self;
        let round_trip = || on_two.then(|| measure::fastest(two_threads::round_trip(), 21));
        let before = round_trip();
        let measured = measure::compare(ours, peers, length, count);
        let round_trips = before.zip(round_trip());
        Outcome { number, work, peer, at_most, measured, round_trips }
    }
}

impl Outcome {
    pub(crate) fn verdict(&self) -> &'static str {
        match self.at_most {
            None => "",
            Some(at_most) if self.measured.ratio <= at_most => "ok",
            Some(_) => "MISSED",
        }
    }
}

/// What no admission can do without, and no wait, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) exchange: f64,
    pub(crate) clock: f64,
}

pub(crate) fn physical_limits() -> Limits {
    Limits {
        exchange: measure::fastest(uncontended::physical_limit(), 101),
        clock: measure::fastest(uncontended::clock(), 101),
    }
}

/// The targets, and beside some of them what helps to read them.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<Target> {
    const SINGLE: Rounds = Rounds { length: SHORT, count: 401, on_two: false };
    // A thousand tasks, or two threads: what else runs here disturbs these most.
    const CROWD: Rounds = Rounds { length: LONG, count: 151, on_two: false };
    const PAIR: Rounds = Rounds { on_two: true, ..CROWD };
    let target = |number, work, at_most, rounds, ours, peers| {
        Target { number, work, at_most, rounds, ours, peers }
    };
    vec![
        target("1", "slot_now() + drop", Some(0.75), SINGLE, uncontended::slot_now, uncontended::tokio_try_acquire_owned),
        target("1a", "slot_now() + drop", None, SINGLE, uncontended::slot_now, uncontended::tokio_try_acquire),
        target("2", "execute(ready future)", Some(0.50), SINGLE, uncontended::execute, uncontended::tokio_acquire),
        target("2a", "slot().await + drop", None, SINGLE, uncontended::slot, uncontended::tokio_acquire_owned),
        target("3", "layer: clone + oneshot", Some(0.85), SINGLE, layer::plain, layer::concurrency_limit),
        target("3a", "layer, per request", None, SINGLE, layer::per_request, layer::concurrency_limit),
        target("4", "layer: clone + oneshot", Some(0.45), SINGLE, layer::plain, layer::tower_stack),
        target("5", "layer: clone + oneshot", Some(0.15), SINGLE, layer::plain, layer::resilience_waiting),
        target("5a", "layer: clone + oneshot", None, SINGLE, layer::plain, layer::resilience_backpressure),
        target("6", "slot_now() + drop, two threads", Some(0.70), PAIR, two_threads::slot_now, two_threads::tokio_try_acquire_owned),
        target("6a", "slot_now() + drop, two threads", None, PAIR, two_threads::slot_now, baseline::word),
        target("7", "hand-over, wait limit, current thread", Some(0.85), CROWD,
            || handover::execute(On::CurrentThread, Some(LIMIT)), || handover::tokio_timeout_acquire(On::CurrentThread)),
        target("7", "hand-over, wait limit, two workers", Some(0.85), PAIR,
            || handover::execute(On::TwoWorkers, Some(LIMIT)), || handover::tokio_timeout_acquire(On::TwoWorkers)),
        target("7a", "bare queue, timed, no limit, two workers", None, PAIR,
            || baseline::handover(On::TwoWorkers), || handover::tokio_timeout_acquire(On::TwoWorkers)),
        target("8", "hand-over, no limit, current thread", Some(1.15), CROWD,
            || handover::execute(On::CurrentThread, None), || handover::tokio_acquire(On::CurrentThread)),
        target("8", "hand-over, no limit, two workers", Some(1.15), PAIR,
            || handover::execute(On::TwoWorkers, None), || handover::tokio_acquire(On::TwoWorkers)),
        target("8a", "hand-over, no limit, current thread", None, CROWD,
            || handover::execute(On::CurrentThread, None), || handover::tokio_acquire_timed(On::CurrentThread)),
        target("8b", "tokio acquire(), timed, current thread", None, CROWD,
            || handover::tokio_acquire_timed(On::CurrentThread), || handover::tokio_acquire(On::CurrentThread)),
        target("8c", "bare queue, timed, current thread", None, CROWD,
            || baseline::handover(On::CurrentThread), || handover::tokio_acquire(On::CurrentThread)),
        target("8c", "bare queue, timed, two workers", None, PAIR,
            || baseline::handover(On::TwoWorkers), || handover::tokio_acquire(On::TwoWorkers)),
        target("8d", "hand-over, no limit, current thread", None, CROWD,
            || handover::execute(On::CurrentThread, None), || baseline::handover(On::CurrentThread)),
        target("9", "layer: rejection when full", Some(0.50), SINGLE, layer::plain_rejection, layer::tower_stack_rejection),
        target("9a", "layer: rejection when full", None, SINGLE, layer::plain_rejection, layer::load_shed_rejection),
        target("10", "partition hit, 100,000 keys", Some(1.20), SINGLE,
            || partitions::hit(100_000), || partitions::dashmap_hit(100_000)),
        target("10", "partition hit, 100 hot keys", Some(1.20), SINGLE,
            || partitions::hit(100), || partitions::dashmap_hit(100)),
        target("10a", "100 hot keys, two threads", None, PAIR, two_threads::hot_keys, two_threads::dashmap_hot_keys),
        target("10b", "partition hit, 100,000 keys", None, SINGLE,
            || partitions::hit(100_000), || partitions::dashmap_stamped_hit(100_000)),
        target("10b", "partition hit, 100 hot keys", None, SINGLE,
            || partitions::hit(100), || partitions::dashmap_stamped_hit(100)),
        target("10c", "partition hit, 100,000 keys", None, SINGLE,
            || partitions::hit(100_000), || baseline::ordered_hit(100_000)),
        target("10c", "partition hit, 100 hot keys", None, SINGLE,
            || partitions::hit(100), || baseline::ordered_hit(100)),
        target("10d", "bare lock, table, clock, order, 100,000 keys", None, SINGLE,
            || baseline::ordered_hit(100_000), || partitions::dashmap_hit(100_000)),
        target("10d", "bare lock, table, clock, 100 hot keys", None, SINGLE,
            || baseline::hit(100), || partitions::dashmap_hit(100)),
        target("10e", "partition hit, kept forever, 100,000 keys", None, SINGLE,
            || partitions::hit_forever(100_000), || partitions::dashmap_hit(100_000)),
        target("10e", "partition hit, kept forever, 100 hot keys", None, SINGLE,
            || partitions::hit_forever(100), || partitions::dashmap_hit(100)),
        target("11", "weighted slot_now(4) + drop", Some(1.10), SINGLE,
            uncontended::weighted_slot_now, uncontended::tokio_try_acquire_many_owned),
        target("12", "status() every 10 us beside slot_now", Some(1.0 / 0.9), PAIR, two_threads::with_status, two_threads::without_status),
        target("12a", "status() at 1 kHz beside slot_now", None, PAIR, two_threads::with_rare_status, two_threads::without_status),
    ]
}
