//! The metrics of a bulkhead: their names, units and meaning, and how each is read from a status.
//!
//! It owns one vocabulary for all exports. It knows no exporter. Labels hold the label of a bulkhead and words from this
//! file, never a key.

use std::time::{Duration, SystemTime};

use crate::{
    core::gate::{histogram::Histogram, times::HoldTimes},
    observe::registry::{RegistrySnapshot, RegistryStatus},
};

/// The upper bounds of the buckets of all histograms where the exporter does not choose them, in seconds: those that OpenTelemetry recommends for durations of
/// requests. See <https://opentelemetry.io/docs/specs/semconv/http/http-metrics/>.
#[cfg(feature = "prometheus")]
pub(super) const BOUNDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The label that names the bulkhead.
pub(super) const BULKHEAD: &str = "bulkhead";

/// The metrics of the registry itself, which have no labels.
#[derive(Debug)]
pub(super) struct ConfigMetric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    read: fn(&RegistrySnapshot) -> u64,
}

impl ConfigMetric {
    pub(super) fn read(&self, snapshot: &RegistrySnapshot) -> u64 {
        (self.read)(snapshot)
    }
}

/// All of them are gauges.
pub(super) const CONFIG_METRICS: [ConfigMetric; 2] = [
    ConfigMetric {
        name: "bulkhead_config_generation",
        help: "How many configurations were applied, 0 if there is none",
        read: |snapshot| snapshot.config_generation,
    },
    ConfigMetric {
        name: "bulkhead_config_applied_timestamp_seconds",
        help: "When the last configuration was applied, in seconds since 1970, 0 if there is none",
        read: |snapshot| {
            let at = snapshot.config_applied_at.unwrap_or(SystemTime::UNIX_EPOCH);
            at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
        },
    },
];

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    /// The name, with the unit if it has one. A counter's without `_total`.
    pub(super) name: &'static str,
    /// What it says. Without a full stop, which exporters add.
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    /// The label it has beside that of the bulkhead.
    pub(super) label: Option<&'static str>,
    read: Read,
}

#[derive(Debug)]
enum Read {
    /// `None` where the metric does not apply.
    One(fn(&RegistryStatus) -> Option<usize>),
    Each(fn(&RegistryStatus, &mut dyn FnMut(&'static str, Value))),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// The value of a metric.
#[derive(Debug)]
pub(super) enum Value {
    Number(u64),
    Time(Duration),
    /// A distribution, and the sum of what is in it in seconds.
    Distribution(
        Histogram,
        #[cfg_attr(
            not(feature = "prometheus"),
            expect(dead_code, reason = "not every export has it")
        )]
        f64,
    ),
}

impl Metric {
    /// Passes the values of a status to `f`, each with the value of its own label, which is empty if it has none. There are
    /// none if the metric does not apply.
    pub(super) fn read(&self, status: &RegistryStatus, f: &mut dyn FnMut(&'static str, Value)) {
        match self.read {
            Read::One(read) => {
                if let Some(value) = read(status) {
                    f("", Value::Number(value as u64));
                }
            }
            Read::Each(read) => read(status, f),
        }
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    read: fn(&RegistryStatus) -> Option<usize>,
) -> Metric {
    Metric { name, help, kind: Kind::Gauge, label: None, read: Read::One(read) }
}

/// All metrics, in the order in which they are exported.
pub(super) const METRICS: &[Metric] = &[
    gauge(
        "bulkhead_limit",
        "Units that may be in use at once; of a partitioned bulkhead what its keys share",
        |status| {
            Some(match status {
                RegistryStatus::Bulkhead(status) => status.capacity,
                RegistryStatus::Partitioned(status) => status.total?.parallelism,
            })
        },
    ),
    gauge("bulkhead_usage", "Units in use of that limit", |status| {
        Some(match status {
            RegistryStatus::Bulkhead(status) => status.used,
            RegistryStatus::Partitioned(status) => status.total?.in_flight,
        })
    }),
    gauge("bulkhead_active_requests", "Operations running", |status| {
        Some(match status {
            RegistryStatus::Bulkhead(status) => status.in_flight,
            RegistryStatus::Partitioned(status) => status.in_flight,
        })
    }),
    gauge("bulkhead_queued_requests", "Operations waiting to be admitted", |status| {
        Some(match status {
            RegistryStatus::Bulkhead(status) => status.waiting,
            RegistryStatus::Partitioned(status) => status.waiting,
        })
    }),
    gauge(
        "bulkhead_queue_limit",
        "Operations that may wait; of a partitioned bulkhead for each key, or for all if they share a capacity",
        |status| {
            Some(match status {
                RegistryStatus::Bulkhead(status) => status.waiting_room,
                RegistryStatus::Partitioned(status) => {
                    status.total.map_or(status.waiting_room, |total| total.waiting_room)
                }
            })
        },
    ),
    gauge("bulkhead_closed", "1 if the bulkhead is closed, otherwise 0", |status| {
        Some(usize::from(status.is_closed()))
    }),
    gauge("bulkhead_paused", "1 if the bulkhead is paused, otherwise 0", |status| {
        Some(usize::from(status.is_paused()))
    }),
    Metric {
        name: "bulkhead_requests",
        help: "Operations by how their admission was decided",
        kind: Kind::Counter,
        label: Some("result"),
        read: Read::Each(|status, f| {
            status.totals().by_result().for_each(|(name, count)| {
                f(name, Value::Number(count));
            })
        }),
    },
    Metric {
        name: "bulkhead_finished",
        help: "Admitted operations by how they ended; cut_short if their callers left while they were running",
        kind: Kind::Counter,
        label: Some("end"),
        read: Read::Each(|status, f| {
            let totals = status.totals();
            f("completed", Value::Number(totals.completed()));
            f("cut_short", Value::Number(totals.cut_short));
            f("abandoned", Value::Number(totals.abandoned));
        }),
    },
    Metric {
        name: "bulkhead_request_time_in_queue_seconds",
        help: "How long operations waited that were admitted from the queue, and those that gave up",
        kind: Kind::Histogram,
        label: Some("result"),
        read: Read::Each(|status, f| {
            let (waits, patience, _) = times(status);
            let totals = status.totals();
            let (waited, given_up) = (totals.wait_time, totals.cancelled_wait_time);
            f("admitted", Value::Distribution(waits.clone(), waited.as_secs_f64()));
            f("cancelled", Value::Distribution(patience.clone(), given_up.as_secs_f64()));
        }),
    },
    Metric {
        name: "bulkhead_request_hold_time_seconds",
        help: "How long completed operations held their slots, estimated from a sample in which each operation counts for as many as it stands for",
        kind: Kind::Histogram,
        label: None,
        read: Read::Each(|status, f| {
            let (_, _, holds) = times(status);
            let mean = holds.mean().unwrap_or_default().as_secs_f64();
            let sum = mean * holds.histogram().count() as f64;
            f("", Value::Distribution(holds.histogram().clone(), sum));
        }),
    },
    Metric {
        name: "bulkhead_pressure_seconds",
        help: "Time during which operations were waiting, of a partitioned bulkhead added up over its keys",
        kind: Kind::Counter,
        label: None,
        read: Read::Each(|status, f| {
            let pressure = match status {
                RegistryStatus::Bulkhead(status) => status.pressure(status.taken_at),
                RegistryStatus::Partitioned(status) => status.pressure(),
            };
            f("", Value::Time(pressure));
        }),
    },
    Metric {
        name: "bulkhead_competition_seconds",
        help: "Time during which keys competed for the capacity that they share",
        kind: Kind::Counter,
        label: None,
        read: Read::Each(|status, f| {
            if let Some(total) = status.partitioned().and_then(|status| status.total) {
                f("", Value::Time(total.pressure));
            }
        }),
    },
    gauge("bulkhead_partitions", "Keys that have a partition", |status| {
        Some(status.partitioned()?.partitions)
    }),
    gauge("bulkhead_partitions_limit", "Keys that may have a partition", |status| {
        Some(status.partitioned()?.max_partitions)
    }),
    Metric {
        name: "bulkhead_partition_events",
        help: "Partitions that were created, evicted to make room or for being idle, or discarded",
        kind: Kind::Counter,
        label: Some("event"),
        read: Read::Each(|status, f| {
            let Some(status) = status.partitioned() else { return };
            f("created", Value::Number(status.created));
            f("evicted", Value::Number(status.evicted));
            f("discarded", Value::Number(status.discarded));
        }),
    },
];

/// The waits of those admitted and of those who gave up, and the holds.
fn times(status: &RegistryStatus) -> (&Histogram, &Histogram, &HoldTimes) {
    match status {
        RegistryStatus::Bulkhead(status) => (&status.waits, &status.patience, &status.holds),
        RegistryStatus::Partitioned(status) => (&status.waits, &status.patience, &status.holds),
    }
}
