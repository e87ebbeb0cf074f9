//! What is serialized conforms to `docs/status.schema.json`, has stable names, and adds up.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use bulklink::{
    Advice, AdviceError, Bulkhead, BulkheadEvent, BulkheadRegistry, Change, EventKind, Goal,
    PartitionLimits, PartitionedBulkhead, Rejection, Totals, WeightedBulkhead,
};
use serde_json::Value;
use tokio::time::advance;
use tokio_test::task;

use super::schema::{Schema, properties};
use crate::{
    reports::counters,
    support::{Random, full, in_paused_time, ms, must_end},
};

const SECOND: Duration = Duration::from_secs(1);

/// Returns a number at a path such as `totals.admitted`.
#[track_caller]
fn number(value: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(value, |value, key| &value[key]);
    found.as_f64().unwrap_or_else(|| panic!("{path} is {found}"))
}

fn unix_ms(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as f64
}

/// Returns a registry of all kinds, with a load in which operations run, wait, give up, expire and are rejected.
async fn played_registry() -> (BulkheadRegistry, Bulkhead, PartitionedBulkhead<String>) {
    let registry = BulkheadRegistry::new();
    let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(2);
    let payments = registry.create(payments.wait_limit(5 * SECOND)).unwrap();
    let reports = WeightedBulkhead::builder("reports").capacity(4).waiting_room(1);
    let reports = registry.create(reports).unwrap();
    let customers = PartitionedBulkhead::<String>::builder("customers").parallelism(1);
    let customers = registry.create(customers.max_partitions(2).wait_limit(SECOND)).unwrap();
    let held = payments.slot_now().unwrap();
    let mut waiting = task::spawn(payments.slot());
    let mut impatient = task::spawn(payments.slot());
    assert!(waiting.poll().is_pending() && impatient.poll().is_pending());
    assert!(payments.slot_now().is_err());
    advance(SECOND).await;
    drop((impatient, held));
    drop(waiting.await.unwrap());
    assert!(reports.slot_now(5).is_err() && reports.slot_now(0).is_err());
    drop(reports.slot_now(3).unwrap());
    drop(customers.slot_now(&"the secret key".to_owned()).unwrap());
    (registry, payments, customers)
}

#[test]
fn statuses_intervals_and_reports_conform_to_the_schema() {
    in_paused_time(async {
        let schema = Schema::new();
        let (registry, payments, customers) = played_registry().await;
        for status in registry.statuses() {
            schema.check("status", &status);
            schema.check("totals", status.totals());
        }
        schema.check("bulkhead_status", &payments.status());
        schema.check("partitioned_status", &customers.status());
        schema.check("histogram", &payments.status().waits);
        schema.check("hold_times", &payments.status().holds);
        schema.check("peaks", &payments.status().peaks);
        for report in registry.capacity_reports() {
            schema.check("report", &report);
        }
        let before = registry.snapshot();
        let held = payments.slot_now().unwrap();
        let mut waiting = task::spawn(payments.slot());
        assert!(waiting.poll().is_pending());
        advance(SECOND).await;
        let after = registry.snapshot();
        schema.check("registry_snapshot", &after);
        let mut interval = after.since(&before);
        interval.removed = before.statuses.clone();
        let json = schema.check("registry_interval", &interval);
        assert_eq!(json["intervals"][0]["kind"], "bulkhead");
        assert_eq!(json["intervals"][2]["kind"], "partitioned");
        assert_eq!(number(&json["intervals"][0], "arrivals_per_second"), 2.0);
        for report in interval.capacity_reports() {
            let json = schema.check("report", &report);
            assert_eq!(json["severity"], report.severity().to_string());
            for (finding, json) in report.findings.iter().zip(json["findings"].as_array().unwrap())
            {
                assert_eq!(json["code"], finding.code.name());
            }
        }
        drop((held, waiting));
        // An interval without length has no rates.
        let json = schema.check("interval", &registry.snapshot().since(&after).intervals[1]);
        assert_eq!(json["arrivals_per_second"], Value::Null);
    });
}

#[test]
fn advice_and_its_errors_conform_to_the_schema() {
    in_paused_time(async {
        let schema = Schema::new();
        let (payments, held) = full(1);
        let before = payments.status();
        let mut held = Some(held);
        // Each is admitted from the line, and so each one is timed.
        for _ in 0..1_001 {
            let mut next = task::spawn(payments.slot());
            assert!(next.poll().is_pending());
            advance(ms(10)).await;
            drop(held.take());
            held = Some(next.await.unwrap());
        }
        let interval = payments.status().since(&before).unwrap();
        let advice: Advice = interval.advise(Goal::answer_within(SECOND)).unwrap();
        let json = schema.check("advice", &advice);
        assert_eq!(json["capacity"]["end"], *advice.capacity.end());
        assert_eq!(number(&json, "wait_limit_seconds"), advice.wait_limit.as_secs_f64());
        let late: AdviceError = interval.advise(Goal::answer_within(ms(1))).unwrap_err();
        let json = schema.check("advice_error", &late);
        assert_eq!(json["error"], "goal_below_work");
        assert!(number(&json, "p99_hold_seconds") > 0.009);
        let last = payments.status();
        let nothing = payments.status().since(&last).unwrap();
        let none = nothing.advise(Goal::answer_within(SECOND)).unwrap_err();
        let json = schema.check("advice_error", &none);
        assert_eq!(
            (&json["error"], number(&json, "timed")),
            (&Value::from("not_enough_evidence"), 0.0)
        );
    });
}

#[test]
fn rejections_conform_to_the_schema_with_the_numbers_of_their_reason() {
    in_paused_time(async {
        let schema = Schema::new();
        let (payments, _held) = full(1);
        let saturated = payments.slot_now().unwrap_err();
        let late = payments.slot_within(2 * SECOND).await.unwrap_err();
        let passed =
            payments.slot_before(bulklink::Deadline::after(Duration::ZERO)).await.unwrap_err();
        payments.close();
        let closed = payments.slot_now().unwrap_err();
        let reports = crate::support::weighted(4, 0);
        let [oversized, free] = [5, 0].map(|cost| reports.slot_now(cost).unwrap_err());
        let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
        let customers = customers.max_partitions(1).limits_for(|&key| match key {
            9 => PartitionLimits::new(0),
            8 => panic!("a bug in the closure"),
            _ => PartitionLimits::new(1),
        });
        let customers = customers.build().unwrap();
        let invalid = customers.slot_now(&9).unwrap_err();
        let panicked = customers.slot_now(&8).unwrap_err();
        let _slot = customers.slot_now(&1).unwrap();
        let full = customers.slot_now(&2).unwrap_err();
        let expected: [(&Rejection, &str, &[&str]); 9] = [
            (&saturated, "saturated", &["capacity", "cost", "used", "waiting", "waiting_room"]),
            (&late, "wait_limit", &["limit_seconds", "waited_seconds"]),
            (&passed, "deadline", &["waited_seconds"]),
            (&closed, "closed", &[]),
            (&oversized, "oversized", &["capacity", "cost"]),
            (&free, "invalid_cost", &[]),
            (&invalid, "invalid_limits", &["setting", "value"]),
            (&panicked, "invalid_limits", &[]),
            (&full, "partition_limit", &["active_partitions", "max_partitions"]),
        ];
        for (rejection, name, numbers) in expected {
            let json = schema.check("rejection", rejection);
            assert_eq!(json["reason"]["name"], name);
            assert_eq!(json["message"], rejection.to_string());
            let keys = json["reason"].as_object().unwrap().keys().map(String::as_str);
            let numbers: BTreeSet<_> = numbers.iter().copied().chain(["name"]).collect();
            assert_eq!(keys.collect::<BTreeSet<_>>(), numbers);
        }
        let json = schema.check("rejection", &late);
        assert_eq!(number(&json, "reason.waited_seconds"), 2.0);
        assert_eq!(number(&json, "retry_after_seconds"), late.retry_after().unwrap().as_secs_f64());
    });
}

#[test]
fn events_conform_to_the_schema() {
    in_paused_time(async {
        let schema = Schema::new();
        let payments = crate::support::bulkhead(1, 1);
        let events: Arc<Mutex<Vec<BulkheadEvent>>> = Arc::default();
        let sink = events.clone();
        let subscription =
            payments.subscribe(move |event| sink.lock().unwrap().push(event.clone()));
        let held = payments.slot_now().unwrap();
        let mut waiting = task::spawn(payments.slot());
        assert!(waiting.poll().is_pending());
        advance(SECOND).await;
        drop(held);
        drop(waiting);
        payments.resize(3).unwrap();
        payments.reconfigure(Change::new().parallelism(4).wait_limit(2 * SECOND)).unwrap();
        payments.close();
        drop(subscription);
        let events = events.lock().unwrap();
        assert!(events.len() >= 8, "{events:?}");
        for event in &*events {
            let json = schema.check("event", event);
            assert_eq!(json["kind"], event.kind.name());
            assert_eq!(number(&json, "sequence"), event.sequence as f64);
            assert_eq!(
                json["waited_seconds"].as_f64(),
                event.waited.map(|time| time.as_secs_f64())
            );
            if event.kind == EventKind::Reconfigured {
                assert_eq!(json["previous"]["capacity"], 3);
                assert_eq!(number(&json, "wait_limit_seconds"), 2.0);
            }
        }
        assert!(events.iter().any(|event| event.previous.is_some()), "{events:?}");
    });
}

#[test]
fn every_counter_is_serialized_under_its_own_name() {
    let json = serde_json::to_value(Totals::default()).unwrap();
    let derived = ["arrived", "rejected", "completed"];
    let expected: BTreeSet<_> = counters(&Totals::default())
        .into_iter()
        .map(|(name, value)| if value.ends_with("ns") { format!("{name}_seconds") } else { name })
        .chain(derived.map(String::from))
        .collect();
    let serialized: BTreeSet<_> = json.as_object().unwrap().keys().cloned().collect();
    assert_eq!(serialized, expected);
    assert_eq!(properties("totals").keys().cloned().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn a_histogram_is_its_buckets_that_are_not_empty() {
    in_paused_time(async {
        let (_, payments, _) = played_registry().await;
        let status = payments.status();
        let json = serde_json::to_value(&status).unwrap();
        for (json, histogram) in
            [(&json["waits"], &status.waits), (&json["patience"], &status.patience)]
        {
            assert_eq!(number(json, "count"), 1.0);
            let [bucket] = &json["buckets"].as_array().unwrap()[..] else { panic!("{json}") };
            assert!(number(bucket, "from_seconds") <= 1.0 && number(bucket, "to_seconds") > 1.0);
            let median = histogram.quantile(0.5).unwrap().as_secs_f64();
            assert_eq!(number(json, "p50_seconds"), median);
        }
        // The last bucket has no end.
        let (payments, held) = full(1);
        let mut waiting = task::spawn(payments.slot());
        assert!(waiting.poll().is_pending());
        advance(1_000 * SECOND).await;
        drop(held);
        drop(waiting.await.unwrap());
        let json = serde_json::to_value(payments.status().waits).unwrap();
        assert_eq!(json["buckets"][0]["to_seconds"], Value::Null);
    });
}

#[test]
fn points_in_time_are_related_to_the_wall_clock() {
    in_paused_time(async {
        let start = unix_ms(SystemTime::now());
        let (payments, _held) = full(1);
        let mut waiting = task::spawn(payments.slot());
        assert!(waiting.poll().is_pending());
        advance(5 * SECOND).await;
        let status = payments.status();
        advance(60 * SECOND).await;
        let json = serde_json::to_value(&status).unwrap();
        let end = unix_ms(SystemTime::now());
        // Paused time passes for the statuses, and not for the wall clock.
        let taken = number(&json, "taken_at_unix_ms") + 60_000.0;
        assert!((start - 1.0..=end + 1.0).contains(&taken), "{start} {taken} {end}");
        let waited =
            number(&json, "taken_at_unix_ms") - number(&json, "under_pressure_since_unix_ms");
        assert!((waited - 5_000.0).abs() <= end - start + 1.0, "{waited}");
        assert_eq!(number(&json, "pressure_seconds"), 5.0);
        // One that was taken in what is the future by now, as after a test that had paused the time.
        let json = std::thread::spawn(move || serde_json::to_value(&status).unwrap());
        let json = json.join().unwrap();
        assert!(number(&json, "taken_at_unix_ms") > 0.0);
    });
}

#[test]
fn no_key_is_serialized() {
    in_paused_time(async {
        let (registry, _, customers) = played_registry().await;
        let snapshot = registry.snapshot();
        let texts = [
            serde_json::to_string(&snapshot).unwrap(),
            serde_json::to_string(&snapshot.since(&snapshot)).unwrap(),
            serde_json::to_string(&registry.capacity_reports()).unwrap(),
            serde_json::to_string(&customers.slot_now(&"x".into()).map(drop).err()).unwrap(),
        ];
        assert!(texts.iter().all(|text| !text.contains("secret")), "{texts:?}");
    });
}

#[test]
fn a_label_of_any_text_is_a_json_string() {
    for label in ["\"quoted\" \\ \n line", "<script>alert(1)</script>", "Zahlungen für 日本 🚢"]
    {
        let payments = Bulkhead::builder(label).parallelism(1).build().unwrap();
        let text = serde_json::to_string(&payments.status()).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["label"], label);
    }
}

/// Asserts the identities of the totals in a serialized status.
#[track_caller]
pub(super) fn assert_adds_up(json: &Value) {
    let total = |name: &str| number(&json["totals"], name);
    let (in_flight, waiting) = (number(json, "in_flight"), number(json, "waiting"));
    assert_eq!(total("admitted"), in_flight + total("finished") + total("abandoned"), "{json:#}");
    let left = ["admitted_from_queue", "expired", "cancelled", "closed_while_waiting"].map(total);
    assert_eq!(total("queued"), waiting + left.iter().sum::<f64>(), "{json:#}");
    let decided = total("admitted") + total("rejected") + total("cancelled");
    assert_eq!(total("arrived"), decided + waiting, "{json:#}");
    assert_eq!(total("finished"), total("completed") + total("cut_short"), "{json:#}");
    for (histogram, count) in [("waits", "admitted_from_queue"), ("patience", "cancelled")] {
        let buckets = json[histogram]["buckets"].as_array().unwrap();
        let sum: f64 = buckets.iter().map(|bucket| number(bucket, "count")).sum();
        assert_eq!((sum, number(&json[histogram], "count")), (total(count), total(count)));
    }
}

#[test]
fn what_is_serialized_under_load_adds_up() {
    must_end(|| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(4).enable_time().build().unwrap();
        runtime.block_on(async {
            let registry = BulkheadRegistry::new();
            let payments = Bulkhead::builder("payments").parallelism(3).waiting_room(4);
            let payments = registry.create(payments.wait_limit(ms(2))).unwrap();
            let reports = WeightedBulkhead::builder("reports").capacity(5).waiting_room(3);
            let reports = registry.create(reports).unwrap();
            let stop = Arc::new(AtomicBool::new(false));
            let load = |seed| {
                let (payments, reports, stop) = (payments.clone(), reports.clone(), stop.clone());
                tokio::spawn(async move {
                    let mut random = Random::new(seed);
                    while !stop.load(Ordering::Relaxed) {
                        match random.below(4) {
                            0 => drop(payments.slot().await),
                            1 => drop(payments.execute(tokio::task::yield_now()).await),
                            2 => drop(reports.slot(1 + random.below(6)).await),
                            // Dropped while it waits or runs.
                            _ => {
                                let work = payments.execute(tokio::task::yield_now());
                                tokio::select! { biased; _ = work => {}, _ = async {} => {} }
                            }
                        }
                        tokio::task::yield_now().await;
                    }
                })
            };
            let tasks: Vec<_> = (0..12).map(load).collect();
            let schema = Schema::new();
            for round in 0..300 {
                let json = serde_json::to_value(registry.snapshot()).unwrap();
                if round % 50 == 0 {
                    schema.check("registry_snapshot", &registry.snapshot());
                }
                json["statuses"].as_array().unwrap().iter().for_each(assert_adds_up);
                tokio::task::yield_now().await;
            }
            stop.store(true, Ordering::Relaxed);
            for task in tasks {
                task.await.unwrap();
            }
            let totals = payments.status().totals;
            assert!(totals.saturated + totals.expired + totals.cancelled > 0, "{totals:?}");
        });
    });
}
