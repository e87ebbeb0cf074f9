//! What is aimed at: our case, the peer's, and how they should compare.

use crate::{
    cases::{
        Case, LIMIT, direct,
        handover::{self, On},
        layer, partition, threads,
    },
    rounds::{self, Measured},
};

/// A comparison, and the most that the ratio may be if there is a target for it.
pub(crate) struct Target {
    pub(crate) number: &'static str,
    work: &'static str,
    at_most: Option<f64>,
    rounds: usize,
    ours: fn() -> Case,
    peers: fn() -> Case,
}

/// A comparison that was made.
pub(crate) struct Outcome {
    pub(crate) number: &'static str,
    pub(crate) work: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) at_most: Option<f64>,
    pub(crate) measured: Measured,
}

impl Target {
    pub(crate) fn measure(&self) -> Outcome {
        let (ours, peers) = ((self.ours)(), (self.peers)());
        let peer = peers.name;
        let measured = rounds::compare(ours, peers, self.rounds);
        Outcome { number: self.number, work: self.work, peer, at_most: self.at_most, measured }
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

/// The nanoseconds of what no admission can do without.
pub(crate) fn physical_limit() -> f64 {
    rounds::fastest(direct::physical_limit(), 31)
}

/// The targets, and beside some of them what helps to read them.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<Target> {
    const MANY: usize = 401;
    // Two threads, or runtimes of them: what else runs here disturbs these most.
    const MORE: usize = 601;
    let target = |number, work, at_most, rounds, ours, peers| {
        Target { number, work, at_most, rounds, ours, peers }
    };
    vec![
        target("1", "slot_now() + drop", Some(0.75), MANY, direct::slot_now, direct::tokio_try_acquire_owned),
        target("1a", "slot_now() + drop", None, MANY, direct::slot_now, direct::tokio_try_acquire),
        target("2", "execute(ready future)", Some(0.50), MANY, direct::execute, direct::tokio_acquire),
        target("2a", "slot().await + drop", None, MANY, direct::slot, direct::tokio_acquire_owned),
        target("3", "layer: clone + oneshot", Some(0.85), MANY, layer::plain, layer::concurrency_limit),
        target("3a", "layer, per request", None, MANY, layer::per_request, layer::concurrency_limit),
        target("4", "layer: clone + oneshot", Some(0.45), MANY, layer::plain, layer::tower_stack),
        target("5", "layer: clone + oneshot", Some(0.15), MANY, layer::plain, layer::resilience_waiting),
        target("5a", "layer: clone + oneshot", None, MANY, layer::plain, layer::resilience_backpressure),
        target("6", "slot_now() + drop, two threads", Some(0.70), MORE, threads::slot_now, threads::tokio_try_acquire_owned),
        target("7", "hand-over, wait limit, current thread", Some(0.85), MANY,
            || handover::execute(On::CurrentThread, Some(LIMIT)), || handover::tokio_timeout_acquire(On::CurrentThread)),
        target("7", "hand-over, wait limit, two workers", Some(0.85), MORE,
            || handover::execute(On::TwoWorkers, Some(LIMIT)), || handover::tokio_timeout_acquire(On::TwoWorkers)),
        target("8", "hand-over, no limit, current thread", Some(1.15), MANY,
            || handover::execute(On::CurrentThread, None), || handover::tokio_acquire(On::CurrentThread)),
        target("8", "hand-over, no limit, two workers", Some(1.15), MORE,
            || handover::execute(On::TwoWorkers, None), || handover::tokio_acquire(On::TwoWorkers)),
        target("9", "layer: rejection when full", Some(0.50), MANY, layer::plain_rejection, layer::tower_stack_rejection),
        target("9a", "layer: rejection when full", None, MANY, layer::plain_rejection, layer::load_shed_rejection),
        target("10", "partition hit, 100,000 keys", Some(1.20), MANY,
            || partition::hit(100_000), || partition::dashmap_hit(100_000)),
        target("10", "partition hit, 100 hot keys", Some(1.20), MANY,
            || partition::hit(100), || partition::dashmap_hit(100)),
        target("10a", "100 hot keys, two threads", None, MORE, threads::hot_keys, threads::dashmap_hot_keys),
        target("11", "weighted slot_now(4) + drop", Some(1.10), MANY,
            direct::weighted_slot_now, direct::tokio_try_acquire_many_owned),
        target("12", "status() every 10 us beside slot_now", Some(1.0 / 0.9), MORE, threads::with_status, threads::without_status),
        target("12a", "status() at 1 kHz beside slot_now", None, MORE, threads::with_rare_status, threads::without_status),
    ]
}
