//! The metrics, received by a recorder of the `metrics` crate.

use std::{collections::BTreeMap, time::Duration};

use bulklink::{Bulkhead, BulkheadRegistry, MetricsPublisher, PartitionedBulkhead};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::advance;
use tokio_test::task;

use crate::support::in_paused_time;

const SECOND: Duration = Duration::from_secs(1);

/// A recorder, and a publisher that publishes to it.
struct Publication {
    recorder: DebuggingRecorder,
    snapshotter: Snapshotter,
    publisher: MetricsPublisher,
    /// The recorder forgets counters and histograms once it is read, so they are added up here.
    values: BTreeMap<String, f64>,
}

impl Publication {
    fn new(registry: &BulkheadRegistry) -> Self {
        let recorder = DebuggingRecorder::new();
        let (snapshotter, publisher) = (recorder.snapshotter(), registry.metrics());
        Self { recorder, snapshotter, publisher, values: BTreeMap::new() }
    }

    /// Publishes and returns the value of each series, of a histogram the number of values.
    fn publish(&mut self) -> &BTreeMap<String, f64> {
        metrics::with_local_recorder(&self.recorder, || self.publisher.publish());
        for (key, _, description, value) in self.snapshotter.snapshot().into_vec() {
            assert!(description.is_some(), "{key:?} has no description");
            let key = key.key();
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let series = self.values.entry(format!("{} {}", key.name(), labels.join(" ")));
            let sum = series.or_default();
            match value {
                DebugValue::Counter(count) => *sum += count as f64,
                DebugValue::Gauge(value) => *sum = value.into_inner(),
                DebugValue::Histogram(values) => *sum += values.len() as f64,
            }
        }
        &self.values
    }
}

fn registry() -> (BulkheadRegistry, Bulkhead) {
    let registry = BulkheadRegistry::new();
    let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(1);
    let payments = registry.create(payments).unwrap();
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    registry.create(customers.max_partitions(7)).unwrap();
    (registry, payments)
}

/// Lets one operation wait for a time, while another one is rejected.
async fn wait_for(payments: &Bulkhead, time: Duration) {
    let held = payments.slot_now().unwrap();
    let mut waiting = task::spawn(payments.slot());
    assert!(waiting.poll().is_pending());
    assert!(payments.slot_now().is_err());
    advance(time).await;
    drop(held);
    drop(waiting.await.unwrap());
}

#[test]
fn every_publication_adds_what_has_happened_since_the_last_one() {
    in_paused_time(async {
        let (registry, payments) = registry();
        let mut publication = Publication::new(&registry);
        for round in 1..=3 {
            wait_for(&payments, SECOND * 5 / 2).await;
            let slot = payments.slot_now().unwrap();
            let values = publication.publish().clone();
            let times = f64::from(round);
            for (series, value) in [
                ("bulkhead_limit bulkhead=payments", 1.0),
                ("bulkhead_usage bulkhead=payments", 1.0),
                ("bulkhead_requests_total bulkhead=payments result=admitted", 3.0 * times),
                ("bulkhead_requests_total bulkhead=payments result=saturated", times),
                ("bulkhead_finished_total bulkhead=payments end=completed", 3.0 * times - 1.0),
                ("bulkhead_pressure_seconds_total bulkhead=payments", (2.5 * times).floor()),
                ("bulkhead_request_time_in_queue_seconds bulkhead=payments result=admitted", times),
                ("bulkhead_partitions_limit bulkhead=customers", 7.0),
            ] {
                assert_eq!(values.get(series), Some(&value), "{series} in {values:#?}");
            }
            drop(slot);
            assert_eq!(publication.publish()["bulkhead_usage bulkhead=payments"], 0.0);
        }
    });
}

#[test]
fn a_bulkhead_that_takes_the_label_of_another_one_counts_on() {
    in_paused_time(async {
        let (registry, payments) = registry();
        let mut publication = Publication::new(&registry);
        (0..5).for_each(|_| drop(payments.slot_now().unwrap()));
        publication.publish();
        registry.remove("payments").await.unwrap();
        let admitted = "bulkhead_requests_total bulkhead=payments result=admitted";
        assert_eq!(publication.publish()["bulkhead_limit bulkhead=payments"], 0.0);
        let payments = registry.create(Bulkhead::builder("payments").parallelism(4)).unwrap();
        (0..2).for_each(|_| drop(payments.slot_now().unwrap()));
        let values = publication.publish();
        assert_eq!((values[admitted], values["bulkhead_limit bulkhead=payments"]), (7.0, 4.0));
    });
}

#[test]
fn what_is_published_without_a_recorder_is_lost_and_the_descriptions_are_not() {
    in_paused_time(async {
        let (registry, payments) = registry();
        let mut publication = Publication::new(&registry);
        (0..5).for_each(|_| drop(payments.slot_now().unwrap()));
        publication.publisher.publish();
        (0..2).for_each(|_| drop(payments.slot_now().unwrap()));
        let admitted = "bulkhead_requests_total bulkhead=payments result=admitted";
        // Asserts that each metric has a description.
        assert_eq!(publication.publish()[admitted], 2.0);
    });
}
