//! Rejections with their reasons, and events.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::fields::{InSeconds, serialize_struct};
use crate::{
    core::{
        gate::effects::EventKind,
        rejection::{Rejection, reason::RejectionReason},
    },
    observe::event::{BulkheadEvent, PreviousSettings},
};

serialize_struct!(BulkheadEvent {
    text: label;
    plain: kind instance sequence capacity waiting_room used in_flight waiting is_paused is_draining
        is_closed cost from_queue affected_waiters previous_capacity previous;
    seconds: wait_limit waited;
    unix_ms: occurred_at;
});

serialize_struct!(PreviousSettings {
    plain: capacity waiting_room;
    seconds: wait_limit;
});

impl Serialize for EventKind {
    /// As its [`name`](Self::name).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The fields of a serialized [`Rejection`].
#[derive(Serialize)]
struct RejectionFields<'a> {
    label: &'a str,
    instance: u64,
    reason: &'a RejectionReason,
    message: String,
    retry_after_seconds: Option<f64>,
}

impl Serialize for Rejection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RejectionFields {
            label: self.label(),
            instance: self.instance(),
            reason: self.reason(),
            message: self.to_string(),
            retry_after_seconds: self.retry_after().in_seconds(),
        }
        .serialize(serializer)
    }
}

impl Serialize for RejectionReason {
    /// As a map of its [`name`](Self::name) and its numbers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name())?;
        match *self {
            Self::Saturated { cost, used, capacity, waiting, waiting_room } => {
                map.serialize_entry("cost", &cost)?;
                map.serialize_entry("used", &used)?;
                map.serialize_entry("capacity", &capacity)?;
                map.serialize_entry("waiting", &waiting)?;
                map.serialize_entry("waiting_room", &waiting_room)?;
            }
            Self::WaitLimit { waited, limit } => {
                map.serialize_entry("waited_seconds", &waited.in_seconds())?;
                map.serialize_entry("limit_seconds", &limit.in_seconds())?;
            }
            Self::Deadline { waited } => {
                map.serialize_entry("waited_seconds", &waited.in_seconds())?;
            }
            Self::CostExceedsCapacity { cost, capacity } => {
                map.serialize_entry("cost", &cost)?;
                map.serialize_entry("capacity", &capacity)?;
            }
            Self::TotalSaturated {
                used,
                capacity,
                waiting,
                waiting_room,
                partition_waiting,
                partition_room,
            } => {
                map.serialize_entry("used", &used)?;
                map.serialize_entry("capacity", &capacity)?;
                map.serialize_entry("waiting", &waiting)?;
                map.serialize_entry("waiting_room", &waiting_room)?;
                map.serialize_entry("partition_waiting", &partition_waiting)?;
                map.serialize_entry("partition_room", &partition_room)?;
            }
            Self::PartitionLimit { max_partitions, active_partitions } => {
                map.serialize_entry("max_partitions", &max_partitions)?;
                map.serialize_entry("active_partitions", &active_partitions)?;
            }
            Self::InvalidLimits { setting, value } => {
                map.serialize_entry("setting", setting)?;
                map.serialize_entry("value", &value)?;
            }
            Self::Closed
            | Self::Paused
            | Self::InvalidCost
            | Self::KeyRefused
            | Self::MissingKey
            | Self::LimitsPanicked => {}
        }
        map.end()
    }
}
