//! Bulkheads without tower: slots, work that runs in one, and what a bulkhead tells of itself.
//!
//! ```text
//! cargo run --example without_tower
//! ```

use std::{error::Error, time::Duration};

use bulklink::{
    Bulkhead, Deadline, PartitionLimits, PartitionedBulkhead, RejectionReason, WeightedBulkhead,
};
use tokio::time::sleep;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    plain().await?;
    weighted().await?;
    partitioned().await?;
    Ok(())
}

/// So many operations at once.
async fn plain() -> Result<(), Box<dyn Error>> {
    println!("payments: 1 runs, 1 waits, for 2 s at most");
    let payments = Bulkhead::builder("payments")
        .parallelism(1)
        .waiting_room(1)
        .wait_limit(Duration::from_secs(2))
        .build()?;
    let before = payments.status();
    let subscription = payments.subscribe(|event| {
        println!("  {:?}: {} running, {} waiting", event.kind, event.in_flight, event.waiting);
    });

    // A slot is held until it is dropped.
    let slot = payments.slot().await?;
    let rejection = payments.slot_now().expect_err("the only slot is taken");
    println!("  {rejection}");
    assert!(matches!(rejection.reason(), RejectionReason::Saturated { used: 1, .. }));

    let soon = Deadline::after(Duration::from_millis(20));
    let rejection = payments.slot_before(soon).await.expect_err("the slot stays taken");
    println!("  {rejection}");
    assert!(matches!(rejection.reason(), RejectionReason::Deadline { .. }));
    drop(slot);

    // Or the bulkhead runs the work, once it is admitted.
    assert_eq!(payments.execute(pay(1)).await?, "order 1 is paid");

    // Or a function is guarded once and for all. The second call waits for the first.
    let pay = payments.guard(pay);
    let (one, other) = tokio::join!(pay(2), pay(3));
    assert_eq!((one?, other?), ("order 2 is paid".into(), "order 3 is paid".into()));
    drop(subscription);

    let interval = payments.status().since(&before)?;
    println!(
        "  since the start: {} finished, {} of them after a wait, {} rejected",
        interval.totals.finished,
        interval.totals.admitted_from_queue,
        interval.totals.rejected(),
    );
    assert_eq!((interval.totals.finished, interval.totals.rejected()), (4, 2));

    let report = payments.capacity_report();
    println!("  {}", report.summary());
    assert!(!report.requires_attention());

    payments.close_and_wait().await;
    assert_eq!(payments.slot_now().expect_err("closed").reason(), &RejectionReason::Closed);
    Ok(())
}

/// So many units at once, of which every operation needs its own number.
async fn weighted() -> Result<(), Box<dyn Error>> {
    println!("reports: 10 units");
    let reports = WeightedBulkhead::builder("reports").capacity(10).build()?;
    let slot = reports.slot(8).await?;
    println!("  8 of them are in use: {slot:?}");

    reports.execute_now(2, sleep(Duration::from_millis(1))).await?;
    for (cost, what) in [(3, "too much now"), (11, "too much ever")] {
        let rejection = reports.slot_now(cost).expect_err("too much");
        println!("  {what}: {rejection}");
    }

    let _rest = reports.slot_now(2)?;
    let report = reports.capacity_report();
    assert!(report.requires_attention());
    for finding in &report.findings {
        println!("  {}: {}; {}", finding.severity, finding.message, finding.recommendation);
    }
    Ok(())
}

/// So many operations at once for each key.
async fn partitioned() -> Result<(), Box<dyn Error>> {
    println!("customers: 1 operation for each, 2 for customer 7");
    let customers = PartitionedBulkhead::<u32>::builder("customers")
        .parallelism(1)
        .max_partitions(1_000)
        .limits_for(|customer| PartitionLimits::new(if *customer == 7 { 2 } else { 1 }))
        .build()?;

    let _slots = [customers.slot_now(&7)?, customers.slot_now(&7)?, customers.slot_now(&8)?];
    let rejection = customers.slot_now(&8).expect_err("one at a time");
    println!("  customer 8 is busy: {rejection}");
    customers.execute(&9, sleep(Duration::from_millis(1))).await?;

    let status = customers.status();
    println!("  {} customers are known, {} active", status.partitions, status.active_partitions);
    assert_eq!((status.partitions, status.active_partitions), (3, 2));
    Ok(())
}

async fn pay(order: u32) -> String {
    sleep(Duration::from_millis(20)).await;
    format!("order {order} is paid")
}
