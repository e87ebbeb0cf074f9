//! The metrics of every bulkhead through OpenTelemetry, with observable instruments: their callbacks take the statuses
//! whenever the reader collects, so that operations pay nothing.
//!
//! The names are those of `docs/alerts.yml` in OpenTelemetry's spelling. Waits and hold times are distributions, which an
//! observable instrument cannot report: take those from the feature `prometheus`, which a collector can scrape.
//!
//! ```text
//! cargo run --example opentelemetry
//! ```

use std::error::Error;

use bulklink::{Bulkhead, BulkheadRegistry, BulkheadStatus, PartitionedBulkhead, Totals};
use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider as _},
};
use opentelemetry_sdk::metrics::SdkMeterProvider;

fn main() -> Result<(), Box<dyn Error>> {
    let registry = BulkheadRegistry::new();
    let payments = Bulkhead::builder("payments").parallelism(2);
    let payments = registry.create(payments)?;
    let customers = PartitionedBulkhead::<&str>::builder("customers").parallelism(1);
    let customers = registry.create(customers.max_partitions(100))?;

    // Instead of this exporter, a service has one for its collector.
    let exporter = opentelemetry_stdout::MetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter).build();
    observe(&provider.meter("bulklink"), &registry);

    let _slots = [payments.slot_now()?, payments.slot_now()?];
    assert!(payments.slot_now().is_err());
    drop(customers.slot_now(&"ann")?);

    // Collects and exports once more before it ends.
    provider.shutdown()?;
    Ok(())
}

/// Reports every bulkhead of a registry, those included that are registered later.
fn observe(meter: &Meter, registry: &BulkheadRegistry) {
    gauge(meter, registry, "bulkhead.limit", "{unit}", |status| status.capacity);
    gauge(meter, registry, "bulkhead.usage", "{unit}", |status| status.used);
    gauge(meter, registry, "bulkhead.active_requests", "{request}", |status| status.in_flight);
    gauge(meter, registry, "bulkhead.queued_requests", "{request}", |status| status.waiting);
    gauge(meter, registry, "bulkhead.queue.limit", "{request}", |status| status.waiting_room);
    counter(meter, registry, "bulkhead.requests", "bulkhead.result", |totals| {
        totals.by_result().collect()
    });
    counter(meter, registry, "bulkhead.finished", "bulkhead.end", |totals| {
        vec![
            ("completed", totals.completed()),
            ("cut_short", totals.cut_short),
            ("abandoned", totals.abandoned),
        ]
    });
}

/// Reports a number of every plain and weighted bulkhead.
fn gauge(
    meter: &Meter,
    registry: &BulkheadRegistry,
    name: &'static str,
    unit: &'static str,
    read: fn(&BulkheadStatus) -> usize,
) {
    let registry = registry.clone();
    meter
        .u64_observable_gauge(name)
        .with_unit(unit)
        .with_callback(move |observer| {
            for status in registry.statuses() {
                let Some(status) = status.bulkhead() else { continue };
                let label = KeyValue::new("bulkhead", status.label.to_string());
                observer.observe(read(status) as u64, &[label]);
            }
        })
        .build();
}

/// Reports counts of every bulkhead, each with the value of one attribute.
fn counter(
    meter: &Meter,
    registry: &BulkheadRegistry,
    name: &'static str,
    attribute: &'static str,
    read: fn(&Totals) -> Vec<(&'static str, u64)>,
) {
    let registry = registry.clone();
    meter
        .u64_observable_counter(name)
        .with_unit("{request}")
        .with_callback(move |observer| {
            for status in registry.statuses() {
                for (value, count) in read(status.totals()) {
                    let label = KeyValue::new("bulkhead", status.label().to_owned());
                    observer.observe(count, &[label, KeyValue::new(attribute, value)]);
                }
            }
        })
        .build();
}
