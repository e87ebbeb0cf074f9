//! Statuses, intervals, and the totals, peaks and distributions in them.

use serde::{Serialize, Serializer};

use super::fields::{InSeconds, serialize_struct};
use crate::{
    core::gate::{
        counts::{Peaks, Totals},
        histogram::{Bucket, Histogram},
        times::HoldTimes,
    },
    observe::{
        interval::BulkheadInterval,
        partitions::{PartitionedInterval, PartitionedStatus, TotalStatus},
        registry::{RegisteredInterval, RegistryInterval, RegistrySnapshot, RegistryStatus},
        status::BulkheadStatus,
    },
};

serialize_struct!(BulkheadStatus {
    text: label;
    plain: instance sequence capacity used in_flight waiting waiting_units waiting_room is_paused
        is_draining is_closed totals peaks waits patience holds;
    seconds: wait_limit age;
    unix_ms: taken_at under_pressure_since;
    derived(this):
        "kind" => "bulkhead";
        "is_drained" => this.is_drained();
        "pressure_seconds" => this.pressure(this.taken_at).in_seconds();
});

serialize_struct!(PartitionedStatus {
    text: label;
    plain: instance sequence parallelism waiting_room total max_partitions overrides partitions active_partitions
        in_flight waiting is_paused is_draining is_closed created evicted discarded peak_partitions totals
        partitions_under_pressure waits patience holds;
    seconds: wait_limit idle_timeout age current_pressure;
    unix_ms: taken_at;
    derived(this):
        "kind" => "partitioned";
        "is_drained" => this.is_drained();
        "pressure_seconds" => this.pressure().in_seconds();
});

serialize_struct!(TotalStatus {
    plain: parallelism waiting_room in_flight waiting waiting_keys guaranteed peak_in_flight peak_waiting
        peak_waiting_keys;
    seconds: pressure;
});

serialize_struct!(Totals {
    plain: admitted admitted_units admitted_from_queue admitted_from_queue_units abandoned
        abandoned_units abandoned_by_deadline queued queued_units saturated total_saturated expired
        expired_by_deadline expired_before_queue expired_before_queue_by_deadline cancelled
        closed_before_queue closed_while_waiting paused oversized invalid_cost partition_limited
        invalid_limits key_refused missing_key bypassed nested finished finished_units cut_short cut_short_units
        bodies_ended_early handler_panics;
    seconds: wait_time cancelled_wait_time expired_wait_time pressure_time;
    derived(this):
        "arrived" => this.arrived();
        "rejected" => this.rejected();
        "completed" => this.completed();
});

serialize_struct!(Peaks {
    plain: used in_flight waiting waiting_units;
    seconds: wait;
});

serialize_struct!(BulkheadInterval {
    plain: start end totals waits patience holds;
    seconds: elapsed;
    derived(this):
        "kind" => "bulkhead";
        "arrivals_per_second" => this.arrivals_per_second();
        "admissions_per_second" => this.admissions_per_second();
        "completions_per_second" => this.completions_per_second();
        "rejections_per_second" => this.rejections_per_second();
        "utilization" => this.utilization();
        "demand" => this.demand();
        "drain_rate" => this.drain_rate();
        "pressure_seconds" => this.pressure().in_seconds();
});

serialize_struct!(PartitionedInterval {
    plain: start end totals created evicted discarded waits patience holds;
    seconds: elapsed;
    derived(this):
        "kind" => "partitioned";
        "competed_seconds" => this.competed().in_seconds();
        "arrivals_per_second" => this.arrivals_per_second();
        "admissions_per_second" => this.admissions_per_second();
        "completions_per_second" => this.completions_per_second();
        "rejections_per_second" => this.rejections_per_second();
        "pressure_seconds" => this.pressure().in_seconds();
});

serialize_struct!(RegistrySnapshot {
    plain: statuses config_generation;
    unix_ms: taken_at config_applied_at;
});

serialize_struct!(RegistryInterval {
    plain: intervals removed;
    seconds: elapsed;
});

impl Serialize for RegistryStatus {
    /// As the status itself, whose field `kind` says which one it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bulkhead(status) => status.serialize(serializer),
            Self::Partitioned(status) => status.serialize(serializer),
        }
    }
}

impl Serialize for RegisteredInterval {
    /// As the interval itself, whose field `kind` says which one it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bulkhead(interval) => interval.serialize(serializer),
            Self::Partitioned(interval) => interval.serialize(serializer),
        }
    }
}

serialize_struct!(Bucket {
    plain: count;
    seconds: from to;
});

/// The fields of a serialized [`Histogram`].
#[derive(Serialize)]
struct HistogramFields {
    count: u64,
    p50_seconds: Option<f64>,
    p90_seconds: Option<f64>,
    p99_seconds: Option<f64>,
    buckets: Vec<Bucket>,
}

impl Serialize for Histogram {
    /// As its buckets that are not empty, with the most common quantiles.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let quantile = |q| self.quantile(q).in_seconds();
        HistogramFields {
            count: self.count(),
            p50_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
            p99_seconds: quantile(0.99),
            buckets: self.buckets().collect(),
        }
        .serialize(serializer)
    }
}

/// The fields of serialized [`HoldTimes`].
#[derive(Serialize)]
struct HoldFields<'a> {
    timed: u64,
    mean_seconds: Option<f64>,
    mean_unit_seconds: Option<f64>,
    unit_seconds: f64,
    variability: Option<f64>,
    histogram: &'a Histogram,
}

impl Serialize for HoldTimes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        HoldFields {
            timed: self.timed(),
            mean_seconds: self.mean().in_seconds(),
            mean_unit_seconds: self.mean_unit_seconds(),
            unit_seconds: self.unit_seconds(),
            variability: self.variability(),
            histogram: self.histogram(),
        }
        .serialize(serializer)
    }
}
