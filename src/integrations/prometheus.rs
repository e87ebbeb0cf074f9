//! Feature `prometheus`: the metrics of every bulkhead of a registry, for `prometheus-client`.
//!
//! It owns how metrics are encoded. Their names and meaning are in `metric`.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder, MetricEncoder,
        NoLabelSet,
    },
    metrics::MetricType,
};

use super::metric::{BOUNDS, BULKHEAD, CONFIG_METRICS, Kind, METRICS, Metric, Value};
use crate::{observe::registry::RegistryStatus, registry::BulkheadRegistry};

impl BulkheadRegistry {
    /// Returns the metrics of every bulkhead of this registry, to be registered with a registry of `prometheus-client`.
    ///
    /// See [`PrometheusCollector`].
    #[must_use]
    pub fn prometheus(&self) -> PrometheusCollector {
        PrometheusCollector { registry: self.clone() }
    }
}

/// The metrics of every bulkhead of a registry, as a collector for [`prometheus_client`].
///
/// Each scrape takes the status of every bulkhead once. Operations pay nothing. Bulkheads that are registered or removed
/// later are in the scrapes from then on, or no more.
///
/// All metrics but those of the configuration have the label `bulkhead`. No label holds a key.
///
/// | metric | type | what it says |
/// |---|---|---|
/// | `bulkhead_limit`, `bulkhead_usage` | gauge | units that may be in use, and that are; of partitioned bulkheads only if their keys share a capacity |
/// | `bulkhead_active_requests`, `bulkhead_queued_requests`, `bulkhead_queue_limit` | gauge | operations running, waiting, and that may wait |
/// | `bulkhead_closed`, `bulkhead_paused` | gauge | 1 if closed or paused |
/// | `bulkhead_config_generation`, `bulkhead_config_applied_timestamp_seconds` | gauge | how many configurations were applied, and when the last one was; without labels |
/// | `bulkhead_requests_total{result}` | counter | `admitted`, `saturated`, `total_saturated`, `wait_limit`, `deadline`, `closed`, `paused`, `cancelled`, `oversized`, `invalid_cost`, `partition_limit`, `key_refused`, `missing_key`, `invalid_limits`, `bypassed` or `nested` |
/// | `bulkhead_finished_total{end}` | counter | `completed`, `cut_short` or `abandoned` |
/// | `bulkhead_request_time_in_queue_seconds{result}` | histogram | waits of those `admitted` from the queue, and of those `cancelled` |
/// | `bulkhead_request_hold_time_seconds` | histogram | how long completed operations held their slots: an estimate, see [`HoldTimes`](crate::HoldTimes) |
/// | `bulkhead_pressure_seconds_total` | counter | time during which operations were waiting |
/// | `bulkhead_competition_seconds_total` | counter | time during which keys competed for the capacity that they share |
/// | `bulkhead_partitions`, `bulkhead_partitions_limit` | gauge | keys that have a partition, and that may |
/// | `bulkhead_partition_events_total{event}` | counter | `created`, `evicted` or `discarded` |
///
/// `docs/alerts.yml` has rules for Prometheus, and `docs/grafana.json` a dashboard for Grafana.
///
/// # Examples
///
/// ```
/// use bulklink::{Bulkhead, BulkheadRegistry};
/// use prometheus_client::{encoding::prometheus_text, registry::Registry};
///
/// let bulkheads = BulkheadRegistry::new();
/// let payments = bulkheads.create(Bulkhead::builder("payments").parallelism(10))?;
/// let mut metrics = Registry::default();
/// metrics.register_collector(Box::new(bulkheads.prometheus()));
///
/// drop(payments.slot_now()?);
/// let mut text = String::new();
/// prometheus_text::encode(&mut text, &metrics)?;
/// assert!(text.contains("bulkhead_requests_total{bulkhead=\"payments\",result=\"admitted\"} 1\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrometheusCollector {
    registry: BulkheadRegistry,
}

impl Collector for PrometheusCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = self.registry.snapshot();
        CONFIG_METRICS.iter().try_for_each(|metric| {
            let help = format!("{}.", metric.help);
            encoder
                .encode_descriptor(metric.name, &help, None, MetricType::Gauge)?
                .encode_gauge(&metric.read(&snapshot))
        })?;
        METRICS.iter().try_for_each(|metric| metric.encode(&mut encoder, &snapshot.statuses))
    }
}

impl Metric {
    fn encode(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        statuses: &[RegistryStatus],
    ) -> fmt::Result {
        let metric_type = match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
            Kind::Histogram => MetricType::Histogram,
        };
        // The help gets a full stop as those that the library registers itself.
        let help = format!("{}.", self.help);
        let mut encoder = encoder.encode_descriptor(self.name, &help, None, metric_type)?;
        let mut outcome = Ok(());
        for status in statuses {
            self.read(status, &mut |value_of_label, value| {
                let own = self.label.map(|name| (name, value_of_label));
                let labels = Labels { bulkhead: status.label(), own };
                outcome = outcome
                    .and_then(|()| encode(self.kind, &value, &mut encoder.encode_family(&labels)?));
            });
        }
        outcome
    }
}

fn encode(kind: Kind, value: &Value, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Number(count)) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(count, None)
        }
        (Kind::Counter, Value::Time(time)) => {
            encoder.encode_counter::<NoLabelSet, _, u64>(&time.as_secs_f64(), None)
        }
        (_, Value::Number(count)) => encoder.encode_gauge(count),
        (_, Value::Time(time)) => encoder.encode_gauge(&time.as_secs_f64()),
        (_, Value::Distribution(histogram, sum)) => {
            let below = histogram.counts_below(&BOUNDS.map(Duration::from_secs_f64));
            let mut before = 0;
            // The counts of single buckets, which the encoder adds up.
            let buckets = BOUNDS.iter().zip(below).map(|(&bound, below)| {
                let inside = below.saturating_sub(before);
                before = below;
                (bound, inside)
            });
            let buckets: Vec<_> = buckets.collect();
            encoder.encode_histogram::<NoLabelSet>(*sum, histogram.count(), &buckets, None)
        }
    }
}

/// The labels of one series.
#[derive(Debug)]
struct Labels<'a> {
    bulkhead: &'a str,
    own: Option<(&'static str, &'static str)>,
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels = [Some((BULKHEAD, self.bulkhead)), self.own];
        labels.into_iter().flatten().try_for_each(|(name, value)| {
            let mut label = encoder.encode_label();
            let mut key = label.encode_label_key()?;
            key.write_str(name)?;
            let mut encoder = key.encode_label_value()?;
            value.encode(&mut encoder)?;
            encoder.finish()
        })
    }
}
