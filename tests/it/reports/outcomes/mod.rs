//! Every outcome is counted once: which counters each rejection moves, however the operation arrives, and that
//! every counter of `Totals` is moved by something.

mod arrivals;

use std::{collections::BTreeSet, future::ready, task::Poll, time::Duration};

use bulklink::{
    BulkheadLayer, Deadline, HeaderKey, PartitionLimits, PartitionedBulkhead,
    PartitionedBulkheadLayer, Rejection, Totals, WeightedBulkheadLayer,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::advance;
use tokio_test::task;
use tower::{Layer, Service, ServiceExt};

use self::arrivals::{Arrivals, WAIT_LIMIT, all, partitioned, plain, reports};
use super::counters;
use crate::support::{
    bulkhead, customers, full,
    http_service::{WebLayer, shop},
    in_paused_time, waiting, weighted,
};

const SECOND: Duration = Duration::from_secs(1);

/// Returns the counters that differ, each with the difference, in alphabetical order. `u` is the cost of an
/// operation, which counters in units show as such.
fn moved(before: &Totals, after: &Totals) -> BTreeSet<String> {
    let pairs = counters(before).into_iter().zip(counters(after));
    let moved = pairs.filter(|(before, after)| before != after);
    moved
        .map(|((name, before), (_, after))| match (before.parse::<u64>(), after.parse::<u64>()) {
            (Ok(before), Ok(after)) => format!("{name} {}", after - before),
            _ => format!("{name} {after}"),
        })
        .collect()
}

/// Asserts that exactly these counters were moved. `{u}` stands for the units of an operation.
#[track_caller]
fn assert_moved(what: &str, [before, after]: [Totals; 2], expected: &str, units: u64) {
    let expected = expected.replace("{u}", &units.to_string());
    let expected: BTreeSet<String> = expected.split(", ").map(String::from).collect();
    assert_eq!(moved(&before, &after), expected, "{what}");
}

impl Arrivals {
    /// Makes one attempt, and asserts why it is rejected and which counters that moves. `end` happens while it waits.
    async fn assert_rejected(
        &self,
        deadline: Option<Duration>,
        end: impl AsyncFnOnce(&Self),
        reason: &str,
        expected: &str,
    ) {
        let before = (self.totals)();
        let mut attempt = task::spawn((self.attempt)(deadline.map(Deadline::after)));
        let rejection = match attempt.poll() {
            Poll::Ready(outcome) => outcome.unwrap_err(),
            Poll::Pending => {
                end(self).await;
                let Poll::Ready(outcome) = attempt.poll() else {
                    panic!("{}: it still waits", self.name);
                };
                outcome.unwrap_err()
            }
        };
        assert_eq!(rejection.reason().name(), reason, "{}", self.name);
        let after = (self.totals)();
        assert_moved(self.name, [before, after], expected, self.units);
        assert_eq!(after.rejected() - before.rejected(), 1, "{}", self.name);
        assert_eq!(after.arrived() - before.arrived(), 1, "{}", self.name);
    }
}

async fn nothing(_: &Arrivals) {
    panic!("it waits");
}

/// Runs `check` for all ways to arrive at a bulkhead with this waiting room.
fn for_all(room: usize, check: impl AsyncFn(&Arrivals)) {
    in_paused_time(tokio::task::unconstrained(async {
        for arrivals in all(room) {
            check(&arrivals).await;
        }
    }));
}

#[test]
fn saturated() {
    for_all(0, async |arrivals| {
        let _held = (arrivals.hold)();
        arrivals.assert_rejected(None, nothing, "saturated", "saturated 1").await;
    });
}

#[test]
fn wait_limit() {
    for_all(1, async |arrivals| {
        let _held = (arrivals.hold)();
        let expected =
            "queued 1, queued_units {u}, expired 1, expired_wait_time 5s, pressure_time 5s";
        let wait = async |_: &Arrivals| advance(WAIT_LIMIT).await;
        arrivals.assert_rejected(None, wait, "wait_limit", expected).await;
    });
}

#[test]
fn paused_without_a_place_and_in_line() {
    for_all(0, async |arrivals| {
        (arrivals.pause)();
        arrivals.assert_rejected(None, nothing, "paused", "paused 1").await;
    });
    for_all(1, async |arrivals| {
        (arrivals.pause)();
        let expected = "queued 1, queued_units {u}, expired 1, expired_wait_time 5s";
        let wait = async |_: &Arrivals| advance(WAIT_LIMIT).await;
        arrivals.assert_rejected(None, wait, "wait_limit", expected).await;
    });
}

#[test]
fn closed_on_arrival_and_in_line() {
    for_all(1, async |arrivals| {
        let held = (arrivals.hold)();
        let expected = "queued 1, queued_units {u}, closed_while_waiting 1, pressure_time 1s";
        let close = async |arrivals: &Arrivals| {
            advance(SECOND).await;
            (arrivals.close)();
        };
        arrivals.assert_rejected(None, close, "closed", expected).await;
        arrivals.assert_rejected(None, nothing, "closed", "closed_before_queue 1").await;
        drop(held);
        arrivals.assert_rejected(None, nothing, "closed", "closed_before_queue 1").await;
    });
    // Where the key of a partitioned bulkhead has no partition.
    for_all(1, async |arrivals| {
        (arrivals.close)();
        arrivals.assert_rejected(None, nothing, "closed", "closed_before_queue 1").await;
    });
}

#[test]
fn deadline_on_arrival_and_in_line() {
    for_all(1, async |arrivals| {
        if !arrivals.takes_deadline {
            return;
        }
        let late = "expired_before_queue 1, expired_before_queue_by_deadline 1";
        // For a key with and without a partition.
        arrivals.assert_rejected(Some(Duration::ZERO), nothing, "deadline", late).await;
        let _held = (arrivals.hold)();
        arrivals.assert_rejected(Some(Duration::ZERO), nothing, "deadline", late).await;
        let expected = "queued 1, queued_units {u}, expired 1, expired_by_deadline 1, \
                        expired_wait_time 1s, pressure_time 1s";
        let wait = async |_: &Arrivals| advance(SECOND).await;
        arrivals.assert_rejected(Some(SECOND), wait, "deadline", expected).await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_deadline_has_passed_since_readiness_is_abandoned_by_its_deadline() {
    for arrivals in all(1).into_iter().filter(|arrivals| !arrivals.takes_deadline) {
        let before = (arrivals.totals)();
        let rejection =
            (arrivals.attempt)(Some(Deadline::after(Duration::ZERO))).await.unwrap_err();
        assert_eq!(rejection.reason().name(), "deadline");
        let expected = "admitted 1, admitted_units {u}, abandoned 1, abandoned_units {u}, \
                        abandoned_by_deadline 1";
        let after = (arrivals.totals)();
        assert_moved(arrivals.name, [before, after], expected, arrivals.units);
        assert_eq!((after.rejected(), after.arrived()), (0, 1), "it counts as admitted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_no_time_has_expired_before_the_line() {
    let (payments, reports, customers) = (plain(1), reports(1), partitioned(1));
    let expected = "expired_before_queue 1";
    let no_time = Duration::ZERO;
    let before = payments.status().totals;
    assert!(payments.slot_within(no_time).await.is_err());
    assert_moved("plain", [before, payments.status().totals], expected, 1);
    let before = reports.status().totals;
    assert!(reports.slot_within(no_time, 2).await.is_err());
    assert_moved("weighted", [before, reports.status().totals], expected, 2);
    for partition in ["new", "retained"] {
        let before = customers.status().totals;
        let rejection = customers.slot_within(no_time, &7).await.unwrap_err();
        assert_eq!(rejection.reason().name(), "wait_limit");
        assert_moved(partition, [before, customers.status().totals], expected, 1);
        let _slot = customers.slot_now(&7).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_ready_and_too_late_has_expired_before_the_line() {
    let payments = plain(1);
    let mut service = BulkheadLayer::new(&payments).layer(shop());
    let mut request = Request::new(());
    request.extensions_mut().insert(Deadline::after(Duration::ZERO));
    let Ok(response) = service.call(request).await;
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason().name(), "deadline");
    let expected = "expired_before_queue 1, expired_before_queue_by_deadline 1";
    assert_moved("layer", [Totals::default(), payments.status().totals], expected, 1);
}

/// The reason for which a request is rejected by a layer.
async fn reason(layer: impl WebLayer, request: Request<()>) -> &'static str {
    let Ok(response) = layer.layer(shop()).oneshot(request).await;
    response.extensions().get::<Rejection>().unwrap().reason().name()
}

#[tokio::test]
async fn impossible_costs() {
    for (cost, name, expected) in
        [(0, "invalid_cost", "invalid_cost 1"), (4, "oversized", "oversized 1")]
    {
        let bulkhead = reports(1);
        let mut before = bulkhead.status().totals;
        let mut check = |reason: &str, what: &str| {
            let after = bulkhead.status().totals;
            assert_eq!(reason, name, "{what}");
            assert_moved(what, [before, after], expected, 1);
            assert_eq!(after.rejected() - before.rejected(), 1);
            before = after;
        };
        check(bulkhead.slot_now(cost).unwrap_err().reason().name(), "slot_now");
        check(bulkhead.slot(cost).await.unwrap_err().reason().name(), "slot");
        check(bulkhead.execute(cost, async {}).await.unwrap_err().reason().name(), "execute");
        let fixed = WeightedBulkheadLayer::fixed(&bulkhead, cost);
        check(reason(fixed.clone(), Request::new(())).await, "fixed layer");
        check(reason(fixed.per_request(), Request::new(())).await, "fixed layer, per request");
        let by_request = WeightedBulkheadLayer::new(&bulkhead, move |_: &Request<()>| cost);
        check(reason(by_request, Request::new(())).await, "layer");
    }
}

#[tokio::test]
async fn saturated_in_total() {
    let customers = PartitionedBulkhead::builder("one").parallelism(1).max_partitions(3);
    let customers = customers.total_parallelism(1).build().unwrap();
    let _used = customers.slot_now(&1).unwrap();
    let layer = PartitionedBulkheadLayer::fixed(&customers, 2);
    for attempt in 0..4 {
        let before = customers.status().totals;
        let (reason, what) = match attempt {
            0 => (customers.slot_now(&2).unwrap_err().reason().name(), "slot_now"),
            1 => (customers.slot(&2).await.unwrap_err().reason().name(), "slot"),
            2 => (reason(layer.clone(), Request::new(())).await, "layer"),
            _ => (reason(layer.clone().per_request(), Request::new(())).await, "per request"),
        };
        assert_eq!(reason, "total_saturated", "{what}");
        let after = customers.status().totals;
        assert_moved(what, [before, after], "total_saturated 1", 1);
        assert_eq!(
            (after.rejected() - before.rejected(), after.arrived() - before.arrived()),
            (1, 1)
        );
    }
}

#[tokio::test]
async fn keys_without_a_partition() {
    let limits_for = |&key: &u64| match key {
        0 => PartitionLimits::new(0),
        1 => std::panic::resume_unwind(Box::new(())),
        4 => PartitionLimits::refused(),
        _ => PartitionLimits::new(1),
    };
    let builder = PartitionedBulkhead::builder("one").parallelism(1).max_partitions(1);
    let customers = builder.limits_for(limits_for).build().unwrap();
    let _used = customers.slot_now(&2).unwrap();
    for (key, name, expected) in [
        (Some(0), "invalid_limits", "invalid_limits 1"),
        (Some(1), "invalid_limits", "invalid_limits 1"),
        (Some(3), "partition_limit", "partition_limited 1"),
        (Some(4), "key_refused", "key_refused 1"),
        (None, "missing_key", "missing_key 1"),
    ] {
        let mut before = customers.status().totals;
        let mut check = |reason: &str, what: &str| {
            let after = customers.status().totals;
            assert_eq!(reason, name, "{what}");
            assert_moved(what, [before, after], expected, 1);
            assert_eq!(after.rejected() - before.rejected(), 1);
            before = after;
        };
        let by_header = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
        let mut request = Request::get("/order");
        if let Some(key) = key {
            check(customers.slot_now(&key).unwrap_err().reason().name(), "slot_now");
            check(customers.slot(&key).await.unwrap_err().reason().name(), "slot");
            let fixed = PartitionedBulkheadLayer::fixed(&customers, key);
            check(reason(fixed.clone(), Request::new(())).await, "fixed layer");
            check(reason(fixed.per_request(), Request::new(())).await, "fixed layer, per request");
            request = request.header("x-customer", key);
        }
        check(reason(by_header, request.body(()).unwrap()).await, "layer");
    }
}

/// What moves the other counters, and which ones.
#[tokio::test(start_paused = true)]
async fn outcomes_that_are_no_rejections() {
    let reports = weighted(3, 2);
    let totals = || reports.status().totals;

    let before = totals();
    let slot = reports.slot_now(2).unwrap();
    assert_moved("admitted", [before, totals()], "admitted 1, admitted_units 2", 2);

    let before = totals();
    let cancelled = waiting(reports.slot(3));
    advance(SECOND).await;
    drop(cancelled);
    let expected =
        "queued 1, queued_units 3, cancelled 1, cancelled_wait_time 1s, pressure_time 1s";
    assert_moved("cancelled", [before, totals()], expected, 3);

    let before = totals();
    let mut waiter = task::spawn(reports.execute(3, std::future::pending::<()>()));
    assert!(waiter.poll().is_pending());
    advance(SECOND).await;
    drop(slot);
    let expected = "finished 1, finished_units 2, queued 1, queued_units 3, admitted 1, \
                    admitted_units 3, admitted_from_queue 1, admitted_from_queue_units 3, \
                    wait_time 1s, pressure_time 2s";
    assert_moved("from the line", [before, totals()], expected, 3);

    let before = totals();
    assert!(waiter.poll().is_pending());
    drop(waiter);
    let expected = "finished 1, finished_units 3, cut_short 1, cut_short_units 3";
    assert_moved("cut short", [before, totals()], expected, 3);

    let slot = reports.slot_now(1).unwrap();
    let waiter = waiting(reports.slot(3));
    drop(slot);
    let before = totals();
    drop(waiter);
    let expected = "abandoned 1, abandoned_units 3";
    assert_moved("abandoned", [before, totals()], expected, 3);

    let before = totals();
    let subscription = reports.subscribe(|_| std::panic::resume_unwind(Box::new(())));
    drop(reports.slot_now(1).unwrap());
    drop(subscription);
    let expected = "admitted 1, admitted_units 1, finished 1, finished_units 1, handler_panics 2";
    assert_moved("handlers", [before, totals()], expected, 1);
}

#[tokio::test]
async fn requests_around_the_bulkhead_and_bodies() {
    let (payments, _slot) = full(0);
    let before = payments.status().totals;
    let bypass = BulkheadLayer::new(&payments).per_request().bypass(|_: &Request<()>| true);
    let Ok(_) = bypass.layer(shop()).oneshot(Request::new(())).await;
    assert_moved("bypassed", [before, payments.status().totals], "bypassed 1", 1);

    let twice = bulkhead(1, 0);
    let layer = || BulkheadLayer::new(&twice).per_request();
    let before = twice.status().totals;
    let Ok(_) = layer().layer(layer().layer(shop())).oneshot(Request::new(())).await;
    let expected = "admitted 1, admitted_units 1, nested 1, finished 1, finished_units 1";
    assert_moved("nested", [before, twice.status().totals], expected, 1);

    let downloads = bulkhead(1, 0);
    let inner = tower::service_fn(|_: Request<()>| {
        ready(Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from("body"))))
    });
    let Ok(response) =
        BulkheadLayer::new(&downloads).hold_body().layer(inner).oneshot(Request::new(())).await;
    let before = downloads.status().totals;
    drop(response);
    let expected = "finished 1, finished_units 1, bodies_ended_early 1";
    assert_moved("body", [before, downloads.status().totals], expected, 1);
}

/// The counters that the tests above move. A counter that is missing here is one that no test moves.
const MOVED: &str = "admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned \
    abandoned_units abandoned_by_deadline queued queued_units saturated total_saturated expired expired_by_deadline \
    expired_before_queue expired_before_queue_by_deadline cancelled closed_before_queue \
    closed_while_waiting paused oversized invalid_cost partition_limited invalid_limits key_refused missing_key bypassed nested \
    finished finished_units cut_short cut_short_units bodies_ended_early handler_panics wait_time \
    cancelled_wait_time expired_wait_time pressure_time";

#[test]
fn every_counter_is_moved_by_a_test() {
    let all: Vec<String> = counters(&Totals::default()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(all.join(" "), MOVED, "a new counter needs a test here");
    let source = include_str!("mod.rs");
    for name in MOVED.split(' ') {
        // In an expectation: the name, a space and a number.
        let is_moved = source.split(name).skip(1).any(|rest| {
            rest.strip_prefix(' ').is_some_and(|rest| {
                rest.starts_with("{u}") || rest.starts_with(|c: char| c.is_ascii_digit())
            })
        });
        assert!(is_moved, "no test moves {name}");
    }
}

#[test]
fn a_partition_that_is_removed_leaves_what_it_has_counted() {
    let customers = customers(1, 1, 1);
    let slot = customers.slot_now(&1).unwrap();
    drop(waiting(customers.slot(&1)));
    assert!(customers.slot_now(&1).is_err() && customers.slot_now(&2).is_err());
    drop(slot);
    let before = customers.status().totals;
    assert!(customers.discard(&1));
    assert_eq!(moved(&before, &customers.status().totals), BTreeSet::new());
}
