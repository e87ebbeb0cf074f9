//! The findings on a capacity that all keys share.

use bulklink::{
    CapacityReport, FindingCode,
    FindingCode::{
        ElevatedRejectionRate, FrequentQueueing, GuaranteesExceedTotal, TotalFull,
        TotalRoomTooSmall, UnboundedQueueWait,
    },
    PartitionLimits, PartitionedBulkhead,
    Severity::{self, Critical, Notice, Warning},
};
use tokio::time::advance;

use crate::support::{ms, waiting};

fn found(report: &CapacityReport) -> Vec<(FindingCode, Severity)> {
    report.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

type Customers = PartitionedBulkhead<u64>;

fn shared(total: usize, room: usize) -> Customers {
    let builder = Customers::builder("customers").parallelism(99).max_partitions(99);
    let builder = builder.waiting_room(99).total_parallelism(total).total_waiting_room(room);
    builder.wait_limit(ms(60_000)).build().unwrap()
}

fn text(report: &CapacityReport, code: FindingCode) -> (&str, &str) {
    let finding = report.finding(code).unwrap();
    (&finding.message, &finding.recommendation)
}

#[tokio::test(start_paused = true)]
async fn all_slots_in_use_is_a_warning_if_anybody_waits_or_keys_competed_for_half_of_the_time() {
    let customers = shared(2, 99);
    let first = customers.slot_now(&1).unwrap();
    assert_eq!(found(&customers.capacity_report()), []);
    let second = customers.slot_now(&2).unwrap();
    let report = customers.capacity_report();
    assert_eq!(found(&report), [(TotalFull, Notice)]);
    let message = "2 of 2 slots in use over all keys, and nobody waits";
    assert_eq!(text(&report, TotalFull).0, message);
    let start = customers.status();
    advance(ms(501)).await;
    let waiter = waiting(customers.slot(&3));
    let report = customers.capacity_report();
    assert_eq!(found(&report), [(TotalFull, Warning)]);
    let message = "2 of 2 slots in use over all keys, and 1 operation of 1 key waiting";
    assert_eq!(text(&report, TotalFull).0, message);
    advance(ms(499)).await;
    let interval = customers.status().since(&start).unwrap();
    assert_eq!(interval.competed(), Some(ms(499)));
    assert_eq!(found(&interval.capacity_report()), [(TotalFull, Notice)]);
    advance(ms(3)).await;
    let interval = customers.status().since(&start).unwrap();
    assert_eq!(found(&interval.capacity_report()), [(TotalFull, Warning)]);
    customers.pause();
    assert!(customers.capacity_report().finding(TotalFull).is_none(), "the pause is the cause");
    customers.resume();
    drop((first, second, waiter));
    assert!(customers.capacity_report().finding(TotalFull).is_none());
}

#[test]
fn guarantees_of_retained_keys_above_the_total() {
    let limits = |_: &u64| PartitionLimits::new(9).guaranteed(2);
    let builder = Customers::builder("customers").parallelism(9).max_partitions(9);
    let builder = builder.total_parallelism(4).total_waiting_room(0).limits_for(limits);
    let customers = builder.build().unwrap();
    for key in 0..2 {
        drop(customers.slot_now(&key).unwrap());
    }
    assert_eq!(found(&customers.capacity_report()), []);
    drop(customers.slot_now(&2).unwrap());
    let report = customers.capacity_report();
    assert_eq!(found(&report), [(GuaranteesExceedTotal, Warning)]);
    let (message, recommendation) = text(&report, GuaranteesExceedTotal);
    assert_eq!(message, "keys are guaranteed 6 slots, and 4 may be in use in total");
    assert!(recommendation.ends_with("raise total_parallelism to 6"), "{recommendation}");
    assert!(customers.discard(&2));
    assert_eq!(customers.status().total.unwrap().guaranteed, 4);
    customers.resize_total(3).unwrap();
    assert_eq!(found(&customers.capacity_report()), [(GuaranteesExceedTotal, Warning)]);
    customers.close();
    assert_eq!(found(&customers.capacity_report()), []);
}

#[tokio::test(start_paused = true)]
async fn a_room_with_few_places_for_each_key_that_waits_and_rejections_of_a_hundredth_and_a_fifth()
{
    let check = async |room, admitted: u64, rejected: usize| {
        let customers = shared(1, room);
        for _ in 0..admitted {
            drop(customers.slot_now(&9).unwrap());
        }
        let slot = customers.slot_now(&9).unwrap();
        // Two keys wait at once, and leave no place.
        let one = waiting(customers.slot(&1));
        let two = waiting(customers.slot(&2));
        for _ in 0..rejected {
            assert!(customers.slot_now(&3).is_err());
        }
        let total = customers.status().total.unwrap();
        assert_eq!((total.waiting_keys, total.peak_waiting_keys), (2, 2));
        drop((one, two, slot));
        customers.capacity_report()
    };
    let found = async |room, admitted, rejected| {
        let mut found = found(&check(room, admitted, rejected).await);
        found.retain(|(code, _)| {
            !matches!(code, ElevatedRejectionRate | FrequentQueueing | UnboundedQueueWait)
        });
        found
    };
    // One more was admitted, and two were cancelled.
    assert_eq!(found(23, 15, 1).await, [], "nineteen are too few");
    assert_eq!(found(23, 97, 1).await, [], "under a hundredth");
    assert_eq!(found(23, 96, 1).await, [(TotalRoomTooSmall, Warning)]);
    assert_eq!(found(23, 14, 4).await, [(TotalRoomTooSmall, Warning)]);
    assert_eq!(found(23, 13, 4).await, [(TotalRoomTooSmall, Critical)]);
    assert_eq!(found(24, 13, 4).await, [], "there are twelve places for each");
    let report = check(23, 13, 4).await;
    let (message, recommendation) = text(&report, TotalRoomTooSmall);
    assert_eq!(
        message,
        "4 of 20 operations found no place (20.0 %) in a room of 23 for all keys, in which up to 2 keys waited at once"
    );
    assert!(recommendation.starts_with("raise total_waiting_room to 24,"), "{recommendation}");
    let report = check(23, 20, 8).await;
    let rejections = report.finding(ElevatedRejectionRate).unwrap();
    assert!(rejections.recommendation.contains("total_waiting_room"), "{rejections:?}");
}
