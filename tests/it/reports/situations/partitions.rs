//! A partitioned bulkhead rejects 998 of 1,000 operations: one key sends them all, or each comes with a key of its own.

use bulklink::{FindingCode::*, PartitionedBulkhead, Severity::*};

use super::{
    MINUTE, SECOND,
    callers::{Callers, lasting},
    cause, contains, never_advises, silent,
};
use crate::support::ms;

fn customers(max_partitions: usize) -> PartitionedBulkhead<usize> {
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).waiting_room(1);
    builder.wait_limit(SECOND).max_partitions(max_partitions).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_key_that_sends_too_much_is_not_a_matter_of_capacity() {
    let customers = customers(100);
    let before = customers.status();
    let slot = customers.slot_now(&7).unwrap();
    let waiter = tokio::spawn({
        let customers = customers.clone();
        async move { customers.execute(&7, lasting(ms(100))).await }
    });
    tokio::task::yield_now().await;
    (0..998).for_each(|_| drop(customers.slot_now(&7).unwrap_err()));
    drop(slot);
    waiter.await.unwrap().unwrap();
    let status = customers.status();
    assert_eq!((status.totals.arrived(), status.totals.rejected()), (1000, 998));
    for report in [status.capacity_report(), status.since(&before).unwrap().capacity_report()] {
        let finding = cause(&report, ElevatedRejectionRate, Critical);
        contains(&finding.message, &["998 of 1000 operations rejected (99.8 %)"]);
        contains(&finding.recommendation, &["busiest keys", "limits of its own"]);
        never_advises(&report, &["raise the capacity", "allow more", "partitions"]);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_without_a_partition_need_more_partitions_and_no_capacity() {
    let customers = customers(2);
    let before = customers.status();
    let slots = [customers.slot_now(&0).unwrap(), customers.slot_now(&1).unwrap()];
    (2..1000).for_each(|key| drop(customers.slot_now(&key).unwrap_err()));
    let status = customers.status();
    for report in [status.capacity_report(), status.since(&before).unwrap().capacity_report()] {
        let finding = cause(&report, KeysTurnedAway, Critical);
        contains(&finding.message, &["998 (99.8 %) found all partitions in use"]);
        contains(&finding.recommendation, &["allow more than 2 partitions", "so many keys"]);
        never_advises(&report, &["capacity", "slow", "busiest keys"]);
    }
    drop(slots);
}

#[tokio::test(start_paused = true)]
async fn keys_that_send_what_their_limits_allow_cause_no_finding() {
    let customers = customers(100);
    let mut callers = Callers::new(20.0, ms(20));
    let call = |random: usize, work| {
        let customers = customers.clone();
        async move { customers.execute(&(random % 50), lasting(work)).await }
    };
    for _ in 0..3 {
        let before = customers.status();
        callers.run(MINUTE, call).await;
        silent(&customers.status().since(&before).unwrap().capacity_report());
    }
    silent(&customers.capacity_report());
}
