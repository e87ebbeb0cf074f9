//! Bursts into a bulkhead that is idle 98 % of the time, of which 1 in 20 operations is rejected.
//!
//! No capacity is short: the operations that are rejected would only have to wait for some milliseconds.

use bulklink::{BulkheadInterval, FindingCode::*, Severity::*};
use tokio::time::sleep;

use super::{
    SECOND, callers::lasting, cause, contains, never_advises, number_after, payments, silent,
};
use crate::support::ms;

/// Five minutes of bursts, one each second, of operations that take 20 ms.
async fn bursts(capacity: usize, room: usize, operations: usize) -> BulkheadInterval {
    let payments = payments(capacity, room, SECOND);
    let before = payments.status();
    for _ in 0..300 {
        for _ in 0..operations {
            let payments = payments.clone();
            tokio::spawn(async move { payments.execute(lasting(ms(20))).await });
        }
        sleep(SECOND).await;
    }
    payments.status().since(&before).unwrap()
}

#[tokio::test(start_paused = true)]
async fn bursts_need_a_waiting_room_of_a_size_and_no_capacity() {
    for (capacity, room) in [(19, 0), (13, 6)] {
        let interval = bursts(capacity, room, 20).await;
        assert_eq!(interval.totals.rejected_share(), Some(0.05));
        let report = interval.capacity_report();
        let finding = cause(&report, ElevatedRejectionRate, Warning);
        contains(&finding.message, &["300 of 6000 operations rejected (5.0 %): in bursts"]);
        contains(&finding.recommendation, &["operations to wait", "larger capacity is not needed"]);
        never_advises(&report, &["raise the capacity", "slow"]);
        // With the advised room, none is rejected.
        let advised = number_after(&finding.recommendation, "allow ");
        assert!((room + 1..=room + 300).contains(&advised), "{advised}");
        let interval = bursts(capacity, advised, 20).await;
        assert_eq!(interval.totals.rejected(), 0);
        silent(&interval.capacity_report());
    }
}

#[tokio::test(start_paused = true)]
async fn bursts_that_fit_cause_no_finding() {
    for (capacity, room) in [(20, 0), (14, 6)] {
        let report = bursts(capacity, room, 20).await.capacity_report();
        // A wait limit without a room is a setting, and no matter of load.
        super::silent_but(&report, &[LimitWithoutRoom]);
    }
}
