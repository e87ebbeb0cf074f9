//! Bulkheads without tower: slots, guarded work, events, status and reports.
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

/// A limit on the number of concurrent operations.
async fn plain() -> Result<(), Box<dyn Error>> {
    println!("payments: 1 may run, 1 may wait, for up to 2 s");
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

    let deadline = Deadline::after(Duration::from_millis(20));
    let rejection = payments.slot_before(deadline).await.expect_err("the slot is still taken");
    println!("  {rejection}");
    assert!(matches!(rejection.reason(), RejectionReason::Deadline { .. }));
    drop(slot);

    // `execute` runs the work once it is admitted.
    assert_eq!(payments.execute(pay(1)).await?, "order 1 is paid");

    // `guard` wraps a function, so that every call needs a slot. Here the second call waits for the first.
    let pay = payments.guard(pay);
    let (second, third) = tokio::join!(pay(2), pay(3));
    assert_eq!((second?, third?), ("order 2 is paid".into(), "order 3 is paid".into()));
    drop(subscription);

    let interval = payments.status().since(&before)?;
    println!(
        "  since the start: {} finished, {} of them after waiting, {} rejected",
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

/// A limit on the number of units in use. Each operation has its own cost.
async fn weighted() -> Result<(), Box<dyn Error>> {
    println!("reports: a capacity of 10 units");
    let reports = WeightedBulkhead::builder("reports").capacity(10).build()?;
    let slot = reports.slot(8).await?;
    println!("  8 of them are in use: {slot:?}");

    reports.execute_now(2, sleep(Duration::from_millis(1))).await?;
    for (cost, problem) in [(3, "more than is free"), (11, "more than the capacity")] {
        let rejection = reports.slot_now(cost).expect_err("the cost is too high");
        println!("  {problem}: {rejection}");
    }

    let _rest = reports.slot_now(2)?;
    let report = reports.capacity_report();
    assert!(report.requires_attention());
    for finding in &report.findings {
        println!("  {}: {}; {}", finding.severity, finding.message, finding.recommendation);
    }
    Ok(())
}

/// A limit on the number of concurrent operations for each key.
async fn partitioned() -> Result<(), Box<dyn Error>> {
    println!("customers: 1 operation each, 2 for customer 7");
    let customers = PartitionedBulkhead::<u32>::builder("customers")
        .parallelism(1)
        .max_partitions(1_000)
        .limits_for(|customer| PartitionLimits::new(if *customer == 7 { 2 } else { 1 }))
        .build()?;

    let _slots = [customers.slot_now(&7)?, customers.slot_now(&7)?, customers.slot_now(&8)?];
    let rejection = customers.slot_now(&8).expect_err("the customer's only slot is taken");
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
