//! The reference for a bulkhead of any kind, and its comparison with the real one.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadStatus, Change, Histogram, HoldTimes, PartitionedBulkhead, Totals,
    WeightedBulkhead, WeightedChange,
};
use tokio::time::Instant;

use self::{
    bulkhead::{Holds, Id, LeaveReason, Model, Outcome, Phase, Settings, Terms, WorkEnd},
    observed::phase,
    partitioned::{Key, PartitionedModel},
};
use crate::support::{assert_identities, assert_plain};

pub(crate) mod bulkhead;
pub(crate) mod observed;
pub(crate) mod partitioned;

pub(crate) enum Reference {
    Plain(Model),
    Weighted(Model),
    Partitioned(PartitionedModel),
}

/// Runs `$act` on the reference of any kind.
macro_rules! either {
    ($self:expr, $reference:ident => $act:expr) => {
        match $self {
            Reference::Plain($reference) | Reference::Weighted($reference) => $act,
            Reference::Partitioned($reference) => $act,
        }
    };
}

impl Reference {
    pub(crate) fn arrive(&mut self, id: Id, key: Key, terms: Terms) -> Outcome {
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.arrive(id, terms),
            Self::Partitioned(partitioned) => partitioned.arrive(id, key, terms),
        }
    }

    pub(crate) fn poll_waiter(&mut self, id: Id) -> Outcome {
        either!(self, reference => reference.poll_waiter(id))
    }

    /// Ends an operation that has started.
    pub(crate) fn release(&mut self, id: Id, end: WorkEnd) {
        either!(self, reference => reference.release(id, end));
    }

    /// Drops an operation that has not started.
    pub(crate) fn leave(&mut self, id: Id) {
        either!(self, reference => reference.leave(id, LeaveReason::Dropped));
    }

    /// Gives back the units of an operation whose deadline has passed since its admission.
    pub(crate) fn leave_late(&mut self, id: Id) {
        either!(self, reference => reference.leave(id, LeaveReason::Late));
    }

    /// Counts a body that was dropped before its end, for the operation that held a slot for it.
    pub(crate) fn end_body_early(&mut self, id: Id) {
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.totals.bodies_ended_early += 1,
            Self::Partitioned(partitioned) => partitioned.end_body_early(id),
        }
    }

    /// Counts a request without a key.
    pub(crate) fn reject_missing_key(&mut self) {
        match self {
            Self::Plain(_) | Self::Weighted(_) => unreachable!("it needs no key"),
            Self::Partitioned(partitioned) => partitioned.missing_key += 1,
        }
    }

    pub(crate) fn resize(&mut self, key: Key, capacity: usize) -> bool {
        match self {
            Self::Plain(model) => model.resize(capacity, false),
            Self::Weighted(model) => model.resize(capacity, true),
            Self::Partitioned(partitioned) => partitioned.resize(key, capacity),
        }
    }

    /// Changes the settings of a bulkhead without partitions.
    pub(crate) fn reconfigure(&mut self, settings: &Settings) -> bool {
        match self {
            Self::Plain(model) => model.reconfigure(settings, false),
            Self::Weighted(model) => model.reconfigure(settings, true),
            Self::Partitioned(_) => false,
        }
    }

    pub(crate) fn pause(&mut self) {
        either!(self, reference => reference.pause());
    }

    pub(crate) fn resume(&mut self) {
        either!(self, reference => reference.resume());
    }

    pub(crate) fn drain(&mut self) {
        either!(self, reference => reference.drain());
    }

    pub(crate) fn close(&mut self) {
        either!(self, reference => reference.close());
    }

    /// Whether it is draining or closed.
    pub(crate) fn is_closing(&self) -> bool {
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.phase >= Phase::Draining,
            Self::Partitioned(partitioned) => partitioned.phase() >= Phase::Draining,
        }
    }

    pub(crate) fn bypass(&mut self) {
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.totals.bypassed += 1,
            Self::Partitioned(partitioned) => partitioned.bypassed += 1,
        }
    }

    pub(crate) fn now(&self) -> Duration {
        either!(self, reference => reference.now)
    }

    /// Advances time, and returns the waiters whose limit or deadline has passed meanwhile.
    pub(crate) fn advance(&mut self, time: Duration) -> Vec<Id> {
        let now = self.now() + time;
        match self {
            Self::Plain(model) | Self::Weighted(model) => model.advance_to(now),
            Self::Partitioned(partitioned) => {
                partitioned.now = now;
                let partitions = partitioned.partitions.values_mut();
                partitions.flat_map(|partition| partition.advance_to(now)).collect()
            }
        }
    }

    /// Returns the waiters that were admitted or rejected by the close since the last call, in order.
    pub(crate) fn take_called(&mut self) -> Vec<Id> {
        either!(self, reference => std::mem::take(&mut reference.called))
    }

    pub(crate) fn is_drained(&self) -> bool {
        either!(self, reference => reference.is_drained())
    }
}

/// The bulkhead under test.
#[derive(Clone)]
pub(crate) enum Real {
    Plain(Bulkhead),
    Weighted(WeightedBulkhead),
    Partitioned(PartitionedBulkhead<Key>),
}

/// Calls a method of a bulkhead of any kind.
macro_rules! each {
    ($real:expr, $bulkhead:ident => $act:expr) => {
        match $real {
            Real::Plain($bulkhead) => $act,
            Real::Weighted($bulkhead) => $act,
            Real::Partitioned($bulkhead) => $act,
        }
    };
}

impl Real {
    pub(crate) fn pause(&self) {
        each!(self, bulkhead => bulkhead.pause());
    }

    pub(crate) fn resume(&self) {
        each!(self, bulkhead => bulkhead.resume());
    }

    pub(crate) fn drain(&self) {
        each!(self, bulkhead => bulkhead.drain());
    }

    pub(crate) fn close(&self) {
        each!(self, bulkhead => bulkhead.close());
    }

    /// Waits until the bulkhead is draining or closed.
    pub(crate) async fn closing(self) {
        each!(self, bulkhead => bulkhead.closing().await);
    }

    /// Resizes, and returns whether that was possible.
    pub(crate) fn resize(&self, key: Key, capacity: usize) -> bool {
        match self {
            Self::Plain(bulkhead) => bulkhead.resize(capacity).is_ok(),
            Self::Weighted(bulkhead) => bulkhead.resize(capacity).is_ok(),
            Self::Partitioned(bulkhead) => bulkhead.resize_partition(&key, capacity).is_ok(),
        }
    }

    /// Changes the settings of a bulkhead without partitions, and returns whether that was possible.
    pub(crate) fn reconfigure(&self, settings: &Settings) -> bool {
        let Settings { capacity, room, wait_limit } = *settings;
        macro_rules! change {
            ($change:expr, $capacity:ident) => {{
                let change = $change;
                let change = capacity.into_iter().fold(change, |change, n| change.$capacity(n));
                let change = room.into_iter().fold(change, |change, n| change.waiting_room(n));
                wait_limit.into_iter().fold(change, |change, limit| match limit {
                    Some(limit) => change.wait_limit(limit),
                    None => change.no_wait_limit(),
                })
            }};
        }
        match self {
            Self::Plain(bulkhead) => {
                bulkhead.reconfigure(change!(Change::new(), parallelism)).is_ok()
            }
            Self::Weighted(bulkhead) => {
                bulkhead.reconfigure(change!(WeightedChange::new(), capacity)).is_ok()
            }
            Self::Partitioned(_) => false,
        }
    }

    /// Waits until the bulkhead is closed and drained.
    pub(crate) async fn wait_closed(self) {
        each!(self, bulkhead => bulkhead.wait_closed().await);
    }
}

/// Compares everything that a status shows, and returns the sequence number of the status.
#[track_caller]
pub(crate) fn compare(real: &Real, reference: &Reference) -> u64 {
    match (real, reference) {
        (Real::Plain(bulkhead), Reference::Plain(model)) => {
            let status = bulkhead.status();
            assert_plain(&status);
            compare_one(&status, model, &model.totals);
            compare_times(&status, model);
            status.sequence
        }
        (Real::Weighted(bulkhead), Reference::Weighted(model)) => {
            let status = bulkhead.status();
            compare_one(&status, model, &model.totals);
            compare_times(&status, model);
            status.sequence
        }
        (Real::Partitioned(bulkhead), Reference::Partitioned(partitioned)) => {
            compare_partitioned(bulkhead, partitioned)
        }
        _ => unreachable!("the kinds differ"),
    }
}

#[track_caller]
fn compare_one(status: &BulkheadStatus, model: &Model, totals: &Totals) {
    assert_identities(status);
    assert_eq!(status.capacity, model.capacity, "capacity");
    assert_eq!(status.waiting_room, model.room, "waiting room");
    assert_eq!(status.used, model.used(), "used");
    assert_eq!(status.in_flight, model.in_flight(), "in flight");
    assert_eq!(status.waiting, model.waiting(), "waiting");
    assert_eq!(status.waiting_units, model.waiting_units(), "waiting units");
    let shown = phase(status.is_paused, status.is_draining, status.is_closed);
    assert_eq!(shown, model.phase, "phase");
    assert_eq!(status.is_drained(), model.is_drained(), "drained");
    assert_eq!(status.totals, *totals, "totals");
    assert_eq!(status.peaks, model.peaks, "peaks");
    assert_eq!(status.taken_at, Instant::now(), "taken at");
    let pressed_since = status.under_pressure_since.map(|since| time_of(since, model.now));
    assert_eq!(pressed_since, model.pressed_since, "under pressure since");
    let current = model.pressed_since.map_or(Duration::ZERO, |since| model.now - since);
    assert_eq!(status.pressure(status.taken_at), totals.pressure_time + current, "pressure");
}

/// Returns the time of an instant since the start of the case. `now` is the time of the present one.
fn time_of(instant: Instant, now: Duration) -> Duration {
    now - (Instant::now() - instant)
}

/// Compares what the status of a single partition does not show.
#[track_caller]
fn compare_times(status: &BulkheadStatus, model: &Model) {
    assert_eq!(status.age, model.now, "age");
    assert_eq!(status.wait_limit, model.wait_limit, "wait limit");
    assert_counts(&status.waits, &model.waits, "waits");
    assert_counts(&status.patience, &model.patience, "patience");
    assert_holds(&status.holds, model.holds);
}

/// Asserts that a histogram has counted exactly these durations.
#[track_caller]
fn assert_counts(histogram: &Histogram, durations: &[Duration], what: &str) {
    assert_eq!(histogram.count(), durations.len() as u64, "{what}");
    for bucket in histogram.buckets() {
        let (from, to) = (bucket.from, bucket.to.unwrap_or(Duration::MAX));
        assert!(from.is_zero() || bucket.to.is_none_or(|to| to <= from * 9 / 8), "{bucket:?}");
        let inside = durations.iter().filter(|&&duration| (from..to).contains(&duration));
        assert_eq!(inside.count() as u64, bucket.count, "{what} in {bucket:?}");
    }
}

/// Asserts that every operation from the line was timed, and that each other one that was timed counts for 64.
#[track_caller]
fn assert_holds(holds: &HoldTimes, expected: Holds) {
    let sampled = holds.timed().checked_sub(expected.completed).expect("not all were timed");
    assert!(sampled <= expected.untimed, "{sampled} of {} were sampled", expected.untimed);
    assert_eq!(holds.histogram().count(), expected.completed + 64 * sampled, "weights");
    // A stamp has a precision of 8.192 microseconds. No case has more units than this.
    let is_close =
        |seconds: f64, time: Duration| (seconds - time.as_secs_f64()).abs() < 8.192e-6 * 500.0;
    if sampled == 0 {
        let mean = holds.mean().map_or(0.0, |mean| mean.as_secs_f64());
        let seconds = mean * expected.completed as f64;
        assert!(is_close(seconds, expected.time), "{seconds}: {expected:?}");
    }
    if sampled == 0 && expected.untimed_cut_short == 0 {
        let seconds = holds.unit_seconds();
        assert!(is_close(seconds, expected.unit_time), "{seconds}: {expected:?}");
    }
}

#[track_caller]
fn compare_partitioned(bulkhead: &PartitionedBulkhead<Key>, partitioned: &PartitionedModel) -> u64 {
    let status = bulkhead.status();
    assert_eq!(status.partitions, partitioned.partitions.len(), "partitions");
    assert_eq!(status.active_partitions, partitioned.active(), "active partitions");
    assert_eq!(status.in_flight, partitioned.sum(Model::in_flight), "in flight");
    assert_eq!(status.waiting, partitioned.sum(Model::waiting), "waiting");
    let shown = phase(status.is_paused, status.is_draining, status.is_closed);
    assert_eq!(shown, partitioned.phase(), "phase");
    assert_eq!(status.created, partitioned.created, "created");
    assert_eq!(status.evicted, partitioned.evicted, "evicted");
    assert_eq!(status.discarded, partitioned.discarded, "discarded");
    assert_eq!(status.overrides, partitioned.overrides(), "overrides");
    assert_eq!(status.max_partitions, partitioned.max, "max partitions");
    assert_eq!(status.idle_timeout, partitioned.idle_timeout, "idle timeout");
    assert_eq!(status.peak_partitions, partitioned.peak, "peak partitions");
    assert_eq!(status.totals, partitioned.totals(), "totals");
    assert_eq!((status.taken_at, status.age), (Instant::now(), partitioned.now), "time");
    let pressure = (status.partitions_under_pressure, status.current_pressure);
    assert_eq!(pressure, partitioned.pressure(), "pressure");
    assert_eq!(status.pressure(), status.totals.pressure_time + pressure.1, "pressure");
    let [waits, patience] = partitioned.waits();
    assert_counts(&status.waits, &waits, "waits");
    assert_counts(&status.patience, &patience, "patience");
    assert_holds(&status.holds, partitioned.holds());
    for key in 0..6 {
        let partition = bulkhead.partition_status(&key);
        assert_eq!(
            partition.is_some(),
            partitioned.partitions.contains_key(&key),
            "partition {key}"
        );
        if let (Some(status), Some(model)) = (partition, partitioned.partitions.get(&key)) {
            assert_plain(&status);
            // These times are kept for all partitions together.
            let mut totals = model.totals;
            (totals.cancelled_wait_time, totals.expired_wait_time) = Default::default();
            compare_one(&status, model, &totals);
            assert!(status.waits.is_empty() && status.patience.is_empty());
            assert_eq!(status.holds, HoldTimes::default());
        }
    }
    status.sequence
}
