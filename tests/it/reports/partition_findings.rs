//! The capacity report of a partitioned bulkhead: rates over all keys and the partitions, and nothing on how full a key is.

use std::{convert::Infallible, future::pending};

use bulklink::{
    CapacityReport, FindingCode,
    FindingCode::*,
    PartitionLimits, PartitionedBulkhead, PartitionedBulkheadLayer,
    Severity::{self, *},
};
use http::{Request, Response};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::customers;

fn found(report: &CapacityReport) -> Vec<(FindingCode, Severity)> {
    report.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

#[test]
fn keys_without_a_partition_from_twenty_decided_at_a_hundredth_and_at_a_fifth() {
    let found = |admitted, limited, invalid| {
        let customers = PartitionedBulkhead::builder("customers")
            .parallelism(1000)
            .max_partitions(1)
            .limits_for(|&key: &u64| PartitionLimits::new(if key == 9 { 0 } else { 1000 }))
            .build()
            .unwrap();
        (0..invalid).for_each(|_| drop(customers.slot_now(&9).unwrap_err()));
        let slots: Vec<_> = (0..admitted).map(|_| customers.slot_now(&1).unwrap()).collect();
        (0..limited).for_each(|_| drop(customers.slot_now(&2).unwrap_err()));
        drop(slots);
        found(&customers.capacity_report())
    };
    assert_eq!(found(1, 18, 0), [], "nineteen are too few");
    assert_eq!(found(100, 1, 0), [], "under a hundredth");
    assert_eq!(found(99, 1, 0), [(KeysTurnedAway, Warning)]);
    assert_eq!(found(99, 0, 1), [(KeysTurnedAway, Warning)]);
    assert_eq!(found(17, 2, 2), [(KeysTurnedAway, Warning)]);
    assert_eq!(found(16, 2, 2), [(KeysTurnedAway, Critical)]);
}

#[tokio::test]
async fn missing_keys_from_twenty_decided_at_a_twentieth_and_at_a_fifth() {
    let found = async |admitted, missing| {
        let customers = customers(1, 0, 5);
        (0..admitted).for_each(|_| drop(customers.slot_now(&1).unwrap()));
        let answer = service_fn(|_: Request<()>| async {
            Result::Ok::<_, Infallible>(Response::new(String::new()))
        });
        let layer = PartitionedBulkheadLayer::new(&customers, |_: &Request<()>| None::<u64>);
        for _ in 0..missing {
            layer.layer(answer).oneshot(Request::new(())).await.unwrap();
        }
        assert_eq!(customers.status().totals.missing_key, missing);
        found(&customers.capacity_report())
    };
    assert_eq!(found(0, 19).await, [], "nineteen are too few");
    assert_eq!(found(20, 1).await, [], "under a twentieth");
    assert_eq!(found(19, 1).await, [(KeysTurnedAway, Notice)]);
    assert_eq!(found(17, 4).await, [(KeysTurnedAway, Notice)]);
    assert_eq!(found(16, 4).await, [(KeysTurnedAway, Warning)]);
    assert_eq!(found(0, 20).await, [(KeysTurnedAway, Warning)]);
}

#[test]
fn partitions_are_full_if_as_many_as_may_be_are_in_use() {
    let customers = customers(1, 0, 2);
    let one = customers.slot_now(&1).unwrap();
    drop(customers.slot_now(&2).unwrap());
    assert_eq!(found(&customers.capacity_report()), [], "one is idle");
    let two = customers.slot_now(&2).unwrap();
    assert_eq!(found(&customers.capacity_report()), [(PartitionsFull, Warning)]);
    let start = customers.status();
    assert_eq!(
        found(&customers.status().since(&start).unwrap().capacity_report()),
        [(PartitionsFull, Warning)]
    );
    drop(two);
    assert_eq!(found(&customers.capacity_report()), []);
    customers.close();
    let report = customers.capacity_report();
    assert_eq!(found(&report), [(ClosedWithActiveWork, Notice)]);
    assert!(
        report.summary().starts_with("bulkhead \"customers\" is closed"),
        "{}",
        report.summary()
    );
    drop(one);
    let report = customers.capacity_report();
    assert_eq!(report.summary(), "bulkhead \"customers\" is drained: no findings");
}

#[test]
fn rejections_of_all_keys_are_judged_together_and_how_full_a_key_is_is_not() {
    let customers = customers(1, 1, 10);
    let before = customers.status();
    let slots = [customers.slot_now(&1).unwrap(), customers.slot_now(&2).unwrap()];
    let line = [1, 2].map(|key| {
        let customers = customers.clone();
        let mut waiter = task::spawn(async move { customers.slot(&key).await.unwrap() });
        assert_pending!(waiter.poll());
        waiter
    });
    for _ in 0..499 {
        customers.slot_now(&1).unwrap_err();
        customers.slot_now(&2).unwrap_err();
    }
    for report in
        [customers.capacity_report(), customers.status().since(&before).unwrap().capacity_report()]
    {
        assert_eq!(
            found(&report),
            [(UnboundedQueueWait, Notice), (ElevatedRejectionRate, Critical)]
        );
        assert!(report.findings[1].message.contains("998 of 1000"), "{}", report.summary());
        assert_eq!(report.pressure_share(), None);
    }
    // The key's own status has them.
    let own = customers.partition_status(&1).unwrap().capacity_report();
    assert_eq!(found(&own)[0], (WaitingRoomFull, Critical));
    drop((slots, line));
}

#[test]
fn work_that_is_cut_short_is_found_over_all_keys() {
    let customers = customers(1, 0, 10);
    for key in 0..20 {
        let mut run = task::spawn(customers.execute(&key, pending::<()>()));
        assert_pending!(run.poll());
    }
    assert_eq!(found(&customers.capacity_report()), [(WorkCutShort, Critical)]);
}
