//! Feature `metrics`: the metrics of every bulkhead of a registry, for whatever recorder the `metrics` crate has.
//!
//! It owns the differences between two publications. Names and meaning of the metrics are in `metric`.

use std::{collections::HashMap, time::Duration};

use metrics::{Key, Label, Level, Metadata, Recorder, Unit};

use super::metric::{BULKHEAD, CONFIG_METRICS, Kind, METRICS, Metric, Value};
use crate::{observe::registry::RegistryStatus, registry::BulkheadRegistry};

impl BulkheadRegistry {
    /// Returns a publisher of the metrics of every bulkhead of this registry, for the recorder of the `metrics` crate.
    ///
    /// See [`MetricsPublisher`].
    #[must_use]
    pub fn metrics(&self) -> MetricsPublisher {
        MetricsPublisher { registry: self.clone(), published: HashMap::new() }
    }
}

/// Publishes the metrics of every bulkhead of a registry to the recorder of the [`metrics`] crate.
///
/// They are the metrics of feature `prometheus`, with the same names and labels: counters end in `_total`. Call
/// [`publish`](Self::publish) before each scrape, or every few seconds. It takes the status of every bulkhead once; operations
/// pay nothing.
///
/// Install the recorder first. Counters are published as differences, so use one publisher only. Counters of this crate are whole numbers, so
/// `bulkhead_pressure_seconds_total` is in whole seconds. A histogram gets the middle of the bucket that a duration fell
/// into, which is at most 7 % away from it.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, BulkheadRegistry};
///
/// let bulkheads = BulkheadRegistry::new();
/// bulkheads.create(Bulkhead::builder("payments").parallelism(10))?;
/// let mut publisher = bulkheads.metrics();
/// publisher.publish();
/// # Ok::<(), bulklink::RegistryError>(())
/// ```
#[derive(Debug)]
pub struct MetricsPublisher {
    registry: BulkheadRegistry,
    /// What was published last, by instance.
    published: HashMap<u64, RegistryStatus>,
}

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

impl MetricsPublisher {
    /// Publishes what every bulkhead is doing now, and what has happened since the last call.
    ///
    /// The gauges of bulkheads that are gone are set to 0. If no recorder is installed, what has happened since the last call
    /// is lost, as everything that the `metrics` crate is given before there is one.
    pub fn publish(&mut self) {
        metrics::with_recorder(|recorder| {
            // Each time, because the recorder may be another one than before.
            METRICS.iter().for_each(|metric| describe(metric, recorder));
            let snapshot = self.registry.snapshot();
            for metric in CONFIG_METRICS {
                recorder.describe_gauge(metric.name.into(), None, metric.help.into());
                let gauge = recorder.register_gauge(&Key::from_static_name(metric.name), &METADATA);
                gauge.set(metric.read(&snapshot) as f64);
            }
            let statuses = snapshot.statuses;
            let mut published = HashMap::with_capacity(statuses.len());
            let mut gone = std::mem::take(&mut self.published);
            let before: Vec<_> =
                statuses.iter().map(|status| gone.remove(&status.instance())).collect();
            for status in gone.values() {
                METRICS.iter().for_each(|metric| clear(metric, status, recorder));
            }
            for (status, before) in statuses.into_iter().zip(before) {
                for metric in METRICS {
                    publish(metric, &status, before.as_ref(), recorder);
                }
                published.insert(status.instance(), status);
            }
            self.published = published;
        });
    }
}

/// The name in the `metrics` crate, which is that in Prometheus.
fn name(metric: &Metric) -> String {
    match metric.kind {
        Kind::Counter => format!("{}_total", metric.name),
        Kind::Gauge | Kind::Histogram => metric.name.into(),
    }
}

fn describe(metric: &Metric, recorder: &dyn Recorder) {
    let (name, help) = (name(metric).into(), metric.help.into());
    let unit = Some(if metric.name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count });
    match metric.kind {
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
    }
}

fn key(metric: &Metric, status: &RegistryStatus, value_of_label: &'static str) -> Key {
    let bulkhead = Label::new(BULKHEAD, status.label().to_owned());
    let own = metric.label.map(|name| Label::from_static_parts(name, value_of_label));
    Key::from_parts(name(metric), [bulkhead].into_iter().chain(own).collect::<Vec<_>>())
}

fn publish(
    metric: &Metric,
    status: &RegistryStatus,
    before: Option<&RegistryStatus>,
    recorder: &dyn Recorder,
) {
    let mut former = Vec::new();
    if let Some(before) = before {
        metric.read(before, &mut |_, value| former.push(value));
    }
    // The values of a metric come in the same order each time.
    let mut former = former.into_iter();
    metric.read(status, &mut |value_of_label, value| {
        let (key, former) = (key(metric, status, value_of_label), former.next());
        match (metric.kind, value) {
            (Kind::Histogram, Value::Distribution(now, _)) => {
                let since = match &former {
                    Some(Value::Distribution(before, _)) => now.since(before),
                    _ => Some(now),
                };
                let histogram = recorder.register_histogram(&key, &METADATA);
                for (seconds, count) in since.iter().flat_map(|since| since.middles()) {
                    histogram.record_many(seconds, count as usize);
                }
            }
            (Kind::Counter, value) => {
                let risen = whole(&value).saturating_sub(former.as_ref().map_or(0, whole));
                recorder.register_counter(&key, &METADATA).increment(risen);
            }
            (_, value) => recorder.register_gauge(&key, &METADATA).set(whole(&value) as f64),
        }
    });
}

/// Sets the gauges of a bulkhead to 0.
fn clear(metric: &Metric, status: &RegistryStatus, recorder: &dyn Recorder) {
    if metric.kind == Kind::Gauge {
        metric.read(status, &mut |value_of_label, _| {
            recorder.register_gauge(&key(metric, status, value_of_label), &METADATA).set(0.0);
        });
    }
}

/// Returns a value as a whole number, a time in seconds.
fn whole(value: &Value) -> u64 {
    match value {
        Value::Number(count) => *count,
        Value::Time(time) => Duration::as_secs(time),
        Value::Distribution(histogram, _) => histogram.count(),
    }
}
