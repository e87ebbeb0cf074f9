//! The metrics, read by a parser of the text format and by Prometheus' own `promtool`.
//!
//! What needs `promtool` is skipped where it is not installed, unless `BULKLINK_REQUIRE_PROMTOOL` is set.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use bulklink::{
    Bulkhead, BulkheadRegistry, Deadline, PartitionedBulkhead, RegistryStatus, WeightedBulkhead,
};
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use prometheus_parse::{Scrape, Value};
use serde_json::json;
use tokio::time::advance;
use tokio_test::task;

use crate::support::{in_paused_time, ms};

const SECOND: Duration = Duration::from_secs(1);

fn text(registry: &BulkheadRegistry) -> String {
    let (mut metrics, mut text) = (Registry::default(), String::new());
    metrics.register_collector(Box::new(registry.prometheus()));
    prometheus_text::encode(&mut text, &metrics).unwrap();
    text
}

/// Returns the value of every series, by its name and labels as `name{label="value"}`.
fn series(registry: &BulkheadRegistry) -> BTreeMap<String, f64> {
    let text = text(registry);
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let mut series = BTreeMap::new();
    for sample in scrape.samples {
        let mut labels: Vec<_> =
            sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        labels.sort();
        let name = format!("{}{{{}}}", sample.metric, labels.join(","));
        match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => {
                series.insert(name, value);
            }
            Value::Histogram(buckets) => {
                for bucket in buckets {
                    series.insert(format!("{name} le {}", bucket.less_than), bucket.count);
                }
            }
            Value::Summary(_) => panic!("no metric is a summary"),
        }
    }
    series
}

/// Returns the names of all exported series.
fn exported() -> BTreeSet<String> {
    let registry = BulkheadRegistry::new();
    registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    registry.create(customers.max_partitions(1).total_parallelism(1)).unwrap();
    let text = text(&registry);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

/// Runs `promtool` and asserts that it succeeds. Returns whether it is installed.
fn promtool(args: &[&str], folder: &Path, input: &str) -> bool {
    let mut command = Command::new("promtool");
    command.args(args).current_dir(folder).stdin(Stdio::piped());
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut process) = started else {
        assert!(env::var_os("BULKLINK_REQUIRE_PROMTOOL").is_none(), "promtool is not installed");
        println!("skipped: promtool is not installed");
        return false;
    };
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
    true
}

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs"))
}

#[test]
fn every_counter_and_gauge_of_a_status_is_exported() {
    in_paused_time(async {
        let registry = BulkheadRegistry::new();
        let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(2);
        let payments = registry.create(payments.wait_limit(5 * SECOND)).unwrap();
        let reports = registry.create(WeightedBulkhead::builder("reports").capacity(4)).unwrap();
        let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
        let customers = registry.create(customers.max_partitions(1)).unwrap();
        let tenants = PartitionedBulkhead::<u64>::builder("tenants").parallelism(9).waiting_room(9);
        let tenants = tenants.max_partitions(9).total_parallelism(2).total_waiting_room(20);
        let tenants = registry.create(tenants).unwrap();
        let tenant = [1, 2].map(|key| tenants.slot_now(&key).unwrap());
        assert!(tenants.slot_now(&3).is_err());
        let mut competing = task::spawn(tenants.slot(&3));
        assert!(competing.poll().is_pending());

        let held = payments.slot_now().unwrap();
        let mut expiring = task::spawn(payments.slot_within(SECOND));
        assert!(expiring.poll().is_pending());
        advance(SECOND).await;
        assert!(expiring.await.is_err());
        let mut late = task::spawn(payments.slot_before(Deadline::after(ms(500))));
        assert!(late.poll().is_pending());
        advance(SECOND).await;
        assert!(late.await.is_err());
        let (mut waiting, mut leaving) =
            (task::spawn(payments.slot()), task::spawn(payments.slot()));
        assert!(waiting.poll().is_pending() && leaving.poll().is_pending());
        for _ in 0..3 {
            assert!(payments.slot_now().is_err());
        }
        advance(2 * SECOND).await;
        drop(leaving);
        drop(held);
        let held = waiting.await.unwrap();
        assert!(reports.slot_now(5).is_err() && reports.slot_now(0).is_err());
        let large = reports.slot_now(3).unwrap();
        let _partition = customers.slot_now(&1).unwrap();
        assert!(customers.slot_now(&2).is_err());
        customers.close();
        assert!(customers.slot_now(&1).is_err());

        let series = series(&registry);
        for (name, value) in [
            ("bulkhead_usage{bulkhead=\"tenants\"}", 2.0),
            ("bulkhead_limit{bulkhead=\"tenants\"}", 2.0),
            ("bulkhead_queue_limit{bulkhead=\"tenants\"}", 20.0),
            ("bulkhead_requests_total{bulkhead=\"tenants\",result=\"total_saturated\"}", 1.0),
            ("bulkhead_competition_seconds_total{bulkhead=\"tenants\"}", 4.0),
            ("bulkhead_limit{bulkhead=\"payments\"}", 1.0),
            ("bulkhead_usage{bulkhead=\"reports\"}", 3.0),
            ("bulkhead_limit{bulkhead=\"reports\"}", 4.0),
            ("bulkhead_active_requests{bulkhead=\"reports\"}", 1.0),
            ("bulkhead_active_requests{bulkhead=\"customers\"}", 1.0),
            ("bulkhead_queued_requests{bulkhead=\"payments\"}", 0.0),
            ("bulkhead_queue_limit{bulkhead=\"payments\"}", 2.0),
            ("bulkhead_closed{bulkhead=\"customers\"}", 1.0),
            ("bulkhead_closed{bulkhead=\"payments\"}", 0.0),
            ("bulkhead_requests_total{bulkhead=\"payments\",result=\"admitted\"}", 2.0),
            ("bulkhead_requests_total{bulkhead=\"payments\",result=\"saturated\"}", 3.0),
            ("bulkhead_requests_total{bulkhead=\"payments\",result=\"wait_limit\"}", 1.0),
            ("bulkhead_requests_total{bulkhead=\"payments\",result=\"deadline\"}", 1.0),
            ("bulkhead_requests_total{bulkhead=\"payments\",result=\"cancelled\"}", 1.0),
            ("bulkhead_requests_total{bulkhead=\"reports\",result=\"oversized\"}", 1.0),
            ("bulkhead_requests_total{bulkhead=\"reports\",result=\"invalid_cost\"}", 1.0),
            ("bulkhead_requests_total{bulkhead=\"customers\",result=\"partition_limit\"}", 1.0),
            ("bulkhead_requests_total{bulkhead=\"customers\",result=\"closed\"}", 1.0),
            ("bulkhead_finished_total{bulkhead=\"payments\",end=\"completed\"}", 1.0),
            ("bulkhead_pressure_seconds_total{bulkhead=\"payments\"}", 4.0),
            ("bulkhead_partitions{bulkhead=\"customers\"}", 1.0),
            ("bulkhead_partitions_limit{bulkhead=\"customers\"}", 1.0),
            ("bulkhead_partition_events_total{bulkhead=\"customers\",event=\"created\"}", 1.0),
        ] {
            assert_eq!(series.get(name), Some(&value), "{name} in {series:#?}");
        }
        let waited = "bulkhead_request_time_in_queue_seconds{bulkhead=\"payments\"";
        for (result, bound, count) in
            [("admitted", 1.0, 0.0), ("admitted", 2.5, 1.0), ("cancelled", 2.5, 1.0)]
        {
            let name = format!("{waited},result=\"{result}\"}} le {bound}");
            assert_eq!(series.get(&name), Some(&count), "{name} in {series:#?}");
        }
        let partitioned = |name: &&String| name.contains("customers");
        let absent = series.keys().filter(partitioned).find(|name| name.contains("_usage"));
        assert_eq!(absent, None);
        drop((held, large, tenant));
    });
}

#[test]
fn the_results_of_a_load_add_up_to_what_arrived() {
    in_paused_time(async {
        let registry = BulkheadRegistry::new();
        let payments = Bulkhead::builder("payments").parallelism(2).waiting_room(2);
        let payments = registry.create(payments.wait_limit(ms(30))).unwrap();
        let mut running = Vec::new();
        for number in 0..500_u64 {
            let (payments, hold) = (payments.clone(), ms(number % 37));
            running.push(tokio::spawn(async move {
                let _ = payments.execute(tokio::time::sleep(hold)).await;
            }));
            if number % 7 == 0 {
                running[number as usize / 2].abort();
            }
            advance(ms(number % 11)).await;
        }
        let series = series(&registry);
        let sum = |name: &str| -> f64 {
            series.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, value)| value).sum()
        };
        let Some(RegistryStatus::Bulkhead(status)) = registry.statuses().pop() else {
            panic!("there is one bulkhead")
        };
        let decided = status.totals.arrived() - status.waiting as u64;
        assert_eq!(sum("bulkhead_requests_total"), decided as f64);
        assert_eq!(
            sum("bulkhead_finished_total"),
            (status.totals.admitted - status.in_flight as u64) as f64
        );
        let admitted =
            "bulkhead_request_time_in_queue_seconds{bulkhead=\"payments\",result=\"admitted\"}";
        let counted = series[&format!("{admitted} le inf")];
        assert_eq!(counted, status.totals.admitted_from_queue as f64);
    });
}

#[test]
fn promtool_finds_nothing_wrong_with_the_text() {
    in_paused_time(async {
        let registry = BulkheadRegistry::new();
        for label in
            ["payments", "\"quoted\"", "back\\slash", "two\nlines", "日本 🚢", "<b>bold</b>"]
        {
            let payments = registry.create(Bulkhead::builder(label).parallelism(1)).unwrap();
            drop(payments.slot_now().unwrap());
        }
        let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
        registry.create(customers.max_partitions(1)).unwrap();
        let text = text(&registry);
        promtool(&["check", "metrics"], docs(), &text);
        // Read back, every label is there.
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let labels: BTreeSet<_> =
            scrape.samples.iter().filter_map(|sample| sample.labels.get("bulkhead")).collect();
        assert_eq!(labels.len(), registry.len());
    });
}

#[test]
fn ten_thousand_labels_are_exported() {
    let registry = BulkheadRegistry::new();
    for number in 0..10_000 {
        let label = format!("customer \"{number}\"\n");
        registry.create(Bulkhead::builder(label).parallelism(1)).unwrap();
    }
    let text = text(&registry);
    let limits = text.lines().filter(|line| line.starts_with("bulkhead_limit{")).count();
    assert_eq!(limits, 10_000);
}

#[test]
fn the_generation_and_the_time_of_the_last_configuration_are_exported() {
    let config = bulklink::RegistryConfig::new();
    let registry = BulkheadRegistry::configure(config.clone()).build().unwrap();
    assert_eq!(series(&registry)["bulkhead_config_generation{}"], 1.0);
    registry.apply(registry.plan(&config).unwrap()).unwrap();
    let series = series(&registry);
    assert_eq!(series["bulkhead_config_generation{}"], 2.0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_secs_f64() - series["bulkhead_config_applied_timestamp_seconds{}"];
    assert!((0.0..60.0).contains(&age), "{age}");
}

#[test]
fn what_is_removed_is_exported_no_more() {
    in_paused_time(async {
        let registry = BulkheadRegistry::new();
        registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
        assert!(!series(&registry).is_empty());
        registry.remove("payments").await.unwrap();
        // Those of the registry itself remain.
        let left = series(&registry);
        let names: Vec<_> = left.keys().map(String::as_str).collect();
        let own = ["bulkhead_config_applied_timestamp_seconds{}", "bulkhead_config_generation{}"];
        assert_eq!(names, own);
    });
}

/// Returns the names of metrics in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("bulkhead_")).map(str::to_owned).collect()
}

#[test]
fn every_metric_in_the_alerts_and_in_the_dashboard_for_grafana_is_exported() {
    let exported = exported();
    assert_eq!(exported.len(), 22, "{exported:?}");
    for file in ["alerts.yml", "grafana.json"] {
        let text = fs::read_to_string(docs().join(file)).unwrap();
        let names = names_in(&text);
        assert!(names.len() >= 5, "{names:?}");
        let unknown: Vec<_> = names.difference(&exported).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {file}");
    }
    let grafana = fs::read_to_string(docs().join("grafana.json")).unwrap();
    let grafana: serde_json::Value = serde_json::from_str(&grafana).unwrap();
    assert!(grafana["panels"].as_array().unwrap().len() >= 8);
}

#[test]
fn promtool_accepts_the_alerts() {
    promtool(&["check", "rules", "alerts.yml"], docs(), "");
}

/// The time between two scrapes.
const SCRAPE: Duration = Duration::from_secs(15);

/// Plays a situation for half an hour, one call of `step` for each scrape, which takes the time until the next one.
/// Returns the series as `promtool` takes them.
async fn play(registry: &BulkheadRegistry, mut step: impl AsyncFnMut()) -> serde_json::Value {
    let mut values = BTreeMap::<String, String>::new();
    for _ in 0..120 {
        let start = tokio::time::Instant::now();
        step().await;
        advance(SCRAPE - start.elapsed()).await;
        for (name, value) in series(registry) {
            if !name.contains(" le ") {
                let values = values.entry(name).or_default();
                values.push_str(&format!("{value} "));
            }
        }
    }
    values.into_iter().map(|(series, values)| json!({"series": series, "values": values})).collect()
}

/// Asserts which alerts fire after half an hour of a situation.
#[track_caller]
fn assert_fires(series: &serde_json::Value, alert: &str, severity: Option<&str>) {
    let samples: Vec<_> = severity.iter().map(|severity| {
        let labels = format!(
            "ALERTS{{alertname=\"{alert}\",alertstate=\"firing\",bulkhead=\"payments\",severity=\"{severity}\"}}"
        );
        json!({"labels": labels, "value": 1})
    }).collect();
    let test = json!({
        "rule_files": [docs().join("alerts.yml")],
        "evaluation_interval": "15s",
        "tests": [{
            "interval": "15s",
            "input_series": series,
            "promql_expr_test": [{
                "expr": "ALERTS{alertstate=\"firing\"}",
                "eval_time": "29m",
                "exp_samples": samples,
            }],
        }],
    });
    let folder = tempfile::tempdir().unwrap();
    // JSON is YAML.
    fs::write(folder.path().join("test.yml"), test.to_string()).unwrap();
    promtool(&["test", "rules", "test.yml"], folder.path(), "");
}

/// Plays a situation with a bulkhead of one slot and one place to wait.
async fn played(step: impl AsyncFn(&Bulkhead, u32)) -> serde_json::Value {
    let registry = BulkheadRegistry::new();
    let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(1);
    let payments = registry.create(payments).unwrap();
    let mut number = 0;
    play(&registry, async || {
        number += 1;
        step(&payments, number).await;
    })
    .await
}

/// Lets `good` operations run and has `rejected` more turned away.
fn serve(payments: &Bulkhead, good: u32, rejected: u32) {
    (0..good).for_each(|_| drop(payments.slot_now().unwrap()));
    let _held = payments.slot_now().unwrap();
    (0..rejected).for_each(|_| assert!(payments.slot_now().is_err()));
}

#[test]
fn the_alert_for_rejections_fires_when_many_are_rejected_and_not_when_few_are() {
    in_paused_time(async {
        let many = played(async |payments, _| serve(payments, 90, 10)).await;
        assert_fires(&many, "BulkheadRejecting", Some("warning"));
        let few = played(async |payments, _| serve(payments, 98, 2)).await;
        assert_fires(&few, "BulkheadRejecting", None);
        let burst = async |payments: &Bulkhead, number| {
            serve(payments, 90, if (20..24).contains(&number) { 500 } else { 0 });
        };
        assert_fires(&played(burst).await, "BulkheadRejecting", None);
    });
}

/// Lets an operation wait for some of the time between two scrapes.
async fn wait_for(payments: &Bulkhead, time: Duration) {
    let held = payments.slot_now().unwrap();
    let mut waiting = task::spawn(payments.slot());
    assert!(waiting.poll().is_pending());
    advance(time).await;
    drop(held);
    drop(waiting.await.unwrap());
}

#[test]
fn the_alert_for_pressure_fires_when_somebody_waits_most_of_the_time() {
    in_paused_time(async {
        let pressed = played(async |payments, _| wait_for(payments, 12 * SECOND).await).await;
        assert_fires(&pressed, "BulkheadUnderPressure", Some("warning"));
        let relaxed = played(async |payments, _| wait_for(payments, 3 * SECOND).await).await;
        assert_fires(&relaxed, "BulkheadUnderPressure", None);
    });
}

/// Runs operations of which some are dropped while they run.
fn cut_short(payments: &Bulkhead, completed: u32, cut_short: u32) {
    (0..completed).for_each(|_| drop(payments.slot_now().unwrap()));
    for _ in 0..cut_short {
        let mut running = task::spawn(payments.execute(std::future::pending::<()>()));
        assert!(running.poll().is_pending());
    }
}

#[test]
fn the_alert_for_work_cut_short_fires_when_callers_leave() {
    in_paused_time(async {
        let impatient = played(async |payments, _| cut_short(payments, 15, 5)).await;
        assert_fires(&impatient, "BulkheadWorkCutShort", Some("warning"));
        let patient = played(async |payments, _| cut_short(payments, 95, 5)).await;
        assert_fires(&patient, "BulkheadWorkCutShort", None);
    });
}

#[test]
fn the_alert_for_slots_held_long_fires_when_nothing_ends() {
    in_paused_time(async {
        let held = std::cell::RefCell::new(None);
        let stuck = played(async |payments, number| {
            if number < 20 {
                serve(payments, 5, 0);
            } else if held.borrow().is_none() {
                *held.borrow_mut() = Some(payments.slot_now().unwrap());
            }
        });
        assert_fires(&stuck.await, "BulkheadSlotsHeldLong", Some("critical"));
        *held.borrow_mut() = None;
        // Operations of three minutes each are slow, and they end.
        let slow = played(async |payments, number| {
            if number % 12 == 1 {
                let former = held.borrow_mut().take();
                drop(former);
                *held.borrow_mut() = Some(payments.slot_now().unwrap());
            }
        });
        assert_fires(&slow.await, "BulkheadSlotsHeldLong", None);
    });
}

#[test]
fn the_alert_for_a_pause_fires_when_nobody_resumes() {
    in_paused_time(async {
        let forgotten = async |payments: &Bulkhead, number| {
            if number == 20 {
                payments.pause();
            }
        };
        assert_fires(&played(forgotten).await, "BulkheadPaused", Some("warning"));
        // Five minutes, ended shortly before the end.
        let short = async |payments: &Bulkhead, number| match number {
            90 => payments.pause(),
            110 => payments.resume(),
            _ => {}
        };
        assert_fires(&played(short).await, "BulkheadPaused", None);
    });
}

/// What one key cannot do, because its own parallelism is used up, is no matter of all keys.
#[test]
fn the_alerts_for_rejections_and_pressure_fire_for_a_capacity_that_keys_share() {
    in_paused_time(async {
        let [rejecting, pressed] = ["BulkheadRejecting", "BulkheadUnderPressure"];
        for (alert, keys, severity) in [
            (rejecting, 2, Some("warning")),
            (rejecting, 1, None),
            (pressed, 2, Some("warning")),
            (pressed, 1, None),
        ] {
            let registry = BulkheadRegistry::new();
            let payments = PartitionedBulkhead::<u32>::builder("payments").parallelism(1);
            let payments = payments.waiting_room(9).max_partitions(9).total_parallelism(2);
            let payments = registry.create(payments.total_waiting_room(2)).unwrap();
            let series = play(&registry, async || {
                let held: Vec<_> = (0..keys).map(|key| payments.slot_now(&key).unwrap()).collect();
                if alert == rejecting {
                    (0..5).for_each(|_| drop(payments.slot_now(&5)));
                } else {
                    // Another key competes for a slot. The same key waits for its own, while the other slot is free.
                    let key = if keys == 2 { 7 } else { 0 };
                    let mut waiting = task::spawn(payments.slot(&key));
                    assert!(waiting.poll().is_pending());
                    advance(12 * SECOND).await;
                }
                drop(held);
                (0..10).for_each(|_| drop(payments.slot_now(&5).unwrap()));
            });
            assert_fires(&series.await, alert, severity);
        }
    });
}

#[test]
fn the_alert_for_keys_fires_when_they_find_no_partition() {
    in_paused_time(async {
        for (turned_away, severity) in [(5, Some("warning")), (0, None)] {
            let registry = BulkheadRegistry::new();
            let payments = PartitionedBulkhead::<u32>::builder("payments").parallelism(1);
            let payments = registry.create(payments.max_partitions(2)).unwrap();
            let held = payments.slot_now(&0).unwrap();
            let series = play(&registry, async || {
                let second = payments.slot_now(&1).unwrap();
                for key in 0..turned_away {
                    assert!(payments.slot_now(&(2 + key)).is_err());
                }
                drop(second);
                (0..100).for_each(|_| drop(payments.slot_now(&1).unwrap()));
            });
            assert_fires(&series.await, "BulkheadKeysTurnedAway", severity);
            drop(held);
        }
    });
}
