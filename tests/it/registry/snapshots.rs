//! Snapshots of a registry, and all intervals between two of them at once.

use std::time::Duration;

use bulklink::{
    Bulkhead, BulkheadRegistry, FindingCode, PartitionedBulkhead, RegisteredInterval,
    WeightedBulkhead,
};
use tokio::time::advance;

fn labels(intervals: &[RegisteredInterval]) -> Vec<&str> {
    intervals.iter().map(RegisteredInterval::label).collect()
}

#[tokio::test(start_paused = true)]
async fn an_interval_has_every_bulkhead_of_any_kind() {
    let registry = BulkheadRegistry::new();
    let payments = registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    let reports = registry.create(WeightedBulkhead::builder("reports").capacity(9)).unwrap();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = registry.create(customers.max_partitions(9)).unwrap();
    drop((payments.slot_now(), reports.slot_now(3), customers.slot_now(&1)));
    let before = registry.snapshot();
    advance(Duration::from_secs(3)).await;
    drop((payments.slot_now(), reports.slot_now(3), customers.slot_now(&2)));
    let interval = registry.snapshot().since(&before);
    assert_eq!(labels(&interval.intervals), registry.labels());
    assert_eq!(interval.elapsed, Duration::from_secs(3));
    assert!(interval.removed.is_empty());
    for one in &interval.intervals {
        assert_eq!((one.totals().finished, one.elapsed()), (1, Duration::from_secs(3)));
        assert_eq!(interval.get(&format!(" {}\n", one.label())).unwrap(), one);
    }
    let RegisteredInterval::Partitioned(keys) = &interval.intervals[2] else { panic!() };
    assert_eq!((keys.created, keys.end.created), (1, 2));
    let reports = interval.capacity_reports();
    assert_eq!(reports.len(), 3);
    assert!(reports.iter().all(|report| report.findings.is_empty()), "{reports:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_bulkhead_counts_from_its_creation_and_one_that_is_gone_is_listed() {
    let registry = BulkheadRegistry::new();
    let orders = registry.create(Bulkhead::builder("orders").parallelism(1)).unwrap();
    registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    drop(orders.slot_now().unwrap());
    let before = registry.snapshot();
    advance(Duration::from_secs(1)).await;
    registry.remove(" orders ").await.unwrap();
    let again = registry.create(Bulkhead::builder("orders").parallelism(2)).unwrap();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = registry.create(customers.max_partitions(9)).unwrap();
    advance(Duration::from_secs(2)).await;
    (0..3).for_each(|_| drop(again.slot_now().unwrap()));
    drop(customers.slot_now(&1).unwrap());
    let interval = registry.snapshot().since(&before);
    assert_eq!(labels(&interval.intervals), ["payments", "orders", "customers"]);
    assert_eq!(interval.elapsed, Duration::from_secs(3));
    let RegisteredInterval::Bulkhead(new) = interval.get("orders").unwrap() else { panic!() };
    assert_eq!((new.totals.finished, new.elapsed), (3, Duration::from_secs(2)));
    assert_eq!((new.start.age, new.start.used, new.start.capacity), (Duration::ZERO, 0, 2));
    assert!(!new.start.totals.has_activity());
    assert_eq!(new.arrivals_per_second(), Some(1.5));
    let RegisteredInterval::Partitioned(new) = interval.get("customers").unwrap() else { panic!() };
    assert_eq!((new.totals.finished, new.created, new.start.partitions), (1, 1, 0));
    let [gone] = &interval.removed[..] else { panic!("{:?}", interval.removed) };
    assert_eq!((gone.label(), gone.instance()), ("orders", orders.status().instance));
    assert_eq!(gone.totals().finished, 1);
}

#[test]
fn snapshots_in_reverse_order_have_empty_intervals() {
    let registry = BulkheadRegistry::new();
    let payments = registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = registry.create(customers.max_partitions(9)).unwrap();
    let first = registry.snapshot();
    drop((payments.slot_now().unwrap(), customers.slot_now(&1).unwrap()));
    let second = registry.snapshot();
    let interval = first.since(&second);
    assert_eq!((interval.elapsed, interval.intervals.len()), (Duration::ZERO, 2));
    for one in &interval.intervals {
        assert!(!one.totals().has_activity() && one.elapsed().is_zero());
        assert!(one.capacity_report().findings.is_empty());
    }
    let mut changed = second.clone();
    if let bulklink::RegistryStatus::Bulkhead(status) = &mut changed.statuses[0] {
        status.totals.admitted = u64::MAX;
    }
    assert!(!registry.snapshot().since(&changed).intervals[0].totals().has_activity());
}

#[test]
fn labels_are_trimmed_wherever_they_are_passed() {
    let registry = BulkheadRegistry::new();
    registry.create(Bulkhead::builder(" payments\t").parallelism(1)).unwrap();
    for label in ["payments", "  payments", "payments\n"] {
        assert!(registry.contains(label));
        registry.get::<Bulkhead>(label).unwrap();
        assert!(registry.snapshot().get(label).is_some());
        let _layer = registry.layer(label).unwrap();
        let error = registry.get::<WeightedBulkhead>(label).unwrap_err();
        assert!(error.to_string().starts_with("\"payments\" is a"), "{error}");
    }
    let error = registry.get::<Bulkhead>(" orders ").unwrap_err();
    assert_eq!(error.to_string(), "no bulkhead is registered as \"orders\"");
}

#[test]
fn a_rejection_is_reported_in_its_interval_only() {
    let registry = BulkheadRegistry::new();
    let payments = registry.create(Bulkhead::builder("payments").parallelism(1)).unwrap();
    let start = registry.snapshot();
    let slot = payments.slot_now().unwrap();
    (0..19).for_each(|_| drop(payments.slot_now().unwrap_err()));
    drop(slot);
    let middle = registry.snapshot();
    let report = &middle.since(&start).capacity_reports()[0];
    assert!(report.finding(FindingCode::ElevatedRejectionRate).is_some());
    (0..20).for_each(|_| drop(payments.slot_now().unwrap()));
    let report = &registry.snapshot().since(&middle).capacity_reports()[0];
    assert!(report.findings.is_empty(), "{report:?}");
    assert!(registry.capacity_reports()[0].requires_attention(), "all time remembers");
}
