//! The names that metrics and logs use: they are stable.

use std::{collections::BTreeSet, time::Duration};

use bulklink::{
    Bulkhead, Deadline, EventKind, HeaderKey, PartitionLimits, PartitionedBulkhead,
    PartitionedBulkheadLayer, Rejection, RejectionReason, WeightedBulkhead,
};
use http::Request;
use tower::{Layer, ServiceExt};

use crate::support::{full, http_service::shop};

#[test]
fn names_of_event_kinds() {
    let names = [
        (EventKind::Admitted, "admitted"),
        (EventKind::Queued, "queued"),
        (EventKind::Saturated, "saturated"),
        (EventKind::Expired, "expired"),
        (EventKind::Cancelled, "cancelled"),
        (EventKind::Abandoned, "abandoned"),
        (EventKind::Released, "released"),
        (EventKind::Resized, "resized"),
        (EventKind::Reconfigured, "reconfigured"),
        (EventKind::Paused, "paused"),
        (EventKind::Resumed, "resumed"),
        (EventKind::Draining, "draining"),
        (EventKind::Closed, "closed"),
        (EventKind::ClosedRejection, "closed_rejection"),
        (EventKind::PausedRejection, "paused_rejection"),
        (EventKind::Drained, "drained"),
    ];
    for (kind, name) in names {
        assert_eq!(kind.name(), name);
    }
}

#[tokio::test]
async fn names_of_rejection_reasons() {
    let (payments, _slot) = full(0);
    let closed = Bulkhead::builder("closed").parallelism(1).build().unwrap();
    closed.close();
    let paused = Bulkhead::builder("paused").parallelism(1).build().unwrap();
    paused.pause();
    let reports = WeightedBulkhead::builder("reports").capacity(1).build().unwrap();
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(1);
    let customers = builder
        .limits_for(|&key: &u64| match key {
            0 => PartitionLimits::new(0),
            1 => std::panic::resume_unwind(Box::new(())),
            4 => PartitionLimits::refused(),
            _ => PartitionLimits::new(1),
        })
        .build()
        .unwrap();
    let _used = customers.slot_now(&2).unwrap();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    let Ok(response) = layer.layer(shop()).oneshot(Request::new(())).await;
    let missing = response.extensions().get::<Rejection>().unwrap();
    let expected = [
        (payments.slot_now().unwrap_err(), "saturated"),
        (payments.slot_within(Duration::ZERO).await.unwrap_err(), "wait_limit"),
        (payments.slot_before(Deadline::after(Duration::ZERO)).await.unwrap_err(), "deadline"),
        (closed.slot_now().unwrap_err(), "closed"),
        (paused.slot_now().unwrap_err(), "paused"),
        (reports.slot_now(2).unwrap_err(), "oversized"),
        (reports.slot_now(0).unwrap_err(), "invalid_cost"),
        (customers.slot_now(&3).unwrap_err(), "partition_limit"),
        (missing.clone(), "missing_key"),
        (customers.slot_now(&4).unwrap_err(), "key_refused"),
        (customers.slot_now(&0).unwrap_err(), "invalid_limits"),
    ];
    for (rejection, name) in &expected {
        assert_eq!(rejection.reason().name(), *name);
    }
    let names: BTreeSet<_> = expected.iter().map(|(_, name)| name).collect();
    assert_eq!(names.len(), expected.len(), "each reason has a name of its own");
    // Both are the fault of `limits_for`.
    let panicked = customers.slot_now(&1).unwrap_err();
    assert_eq!(*panicked.reason(), RejectionReason::LimitsPanicked);
    assert_eq!(panicked.reason().name(), "invalid_limits");
}
