//! Registration: which bulkheads a registry holds, under which labels, and how they are removed.

use bulklink::{
    Bulkhead, BulkheadBuilder, BulkheadRegistry, PartitionedBulkhead, PartitionedBulkheadBuilder,
    RegistryError, RegistryStatus, WeightedBulkhead, WeightedBulkheadBuilder,
};
use http::{Request, Response};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, service_fn};

type Customers = PartitionedBulkhead<u64>;

fn payments() -> BulkheadBuilder {
    Bulkhead::builder("payments").parallelism(1)
}

fn reports() -> WeightedBulkheadBuilder {
    WeightedBulkhead::builder("reports").capacity(10).waiting_room(1)
}

fn customers() -> PartitionedBulkheadBuilder<u64> {
    PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(10)
}

/// A registry with one bulkhead of each kind, not in alphabetical order.
fn registry() -> BulkheadRegistry {
    let registry = BulkheadRegistry::new();
    registry.create(reports()).unwrap();
    registry.create(payments()).unwrap();
    registry.create(customers()).unwrap();
    registry
}

fn labels(registry: &BulkheadRegistry) -> Vec<String> {
    registry.labels()
}

#[test]
fn every_kind_is_created_found_and_shared() {
    let registry = registry();
    let slot = registry.get::<Bulkhead>("payments").unwrap().slot_now().unwrap();
    assert!(registry.clone().get::<Bulkhead>("payments").unwrap().slot_now().is_err());
    let units = registry.get::<WeightedBulkhead>("reports").unwrap().slot_now(10).unwrap();
    assert!(registry.get::<WeightedBulkhead>("reports").unwrap().slot_now(1).is_err());
    let key = registry.get::<Customers>("customers").unwrap().slot_now(&1).unwrap();
    assert!(registry.get::<Customers>("customers").unwrap().slot_now(&1).is_err());
    assert_eq!((registry.len(), registry.is_empty()), (3, false));
    assert!(registry.contains("payments") && !registry.contains("payment"));
    assert!(!registry.is_closed());
    drop((slot, units, key));
}

#[test]
fn an_empty_registry_reports_that_it_is_empty() {
    let registry = BulkheadRegistry::default();
    assert_eq!((registry.len(), registry.is_empty(), registry.is_closed()), (0, true, false));
    assert!(registry.labels().is_empty() && registry.statuses().is_empty());
    assert!(registry.capacity_reports().is_empty() && !registry.contains(""));
}

#[test]
fn a_bulkhead_built_elsewhere_is_registered_under_its_own_label() {
    let registry = BulkheadRegistry::new();
    let own = reports().build().unwrap();
    registry.register(&own).unwrap();
    let _slot = own.slot_now(10).unwrap();
    let found = registry.get::<WeightedBulkhead>("reports").unwrap();
    assert_eq!(found.status().instance, own.status().instance);
    assert!(found.slot_now(1).is_err());
    let error = registry.register(&own).unwrap_err();
    assert_eq!(error.to_string(), "label \"reports\" is taken");
    assert_eq!(registry.len(), 1);
}

#[test]
fn a_label_is_unique_across_kinds() {
    let registry = registry();
    for label in ["payments", "reports", "customers", "  payments "] {
        let trimmed = label.trim();
        let errors = [
            registry.create(Bulkhead::builder(label).parallelism(1)).unwrap_err(),
            registry.create(WeightedBulkhead::builder(label).capacity(1)).unwrap_err(),
            registry
                .create(Customers::builder(label).parallelism(1).max_partitions(1))
                .unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, RegistryError::LabelTaken { .. }));
            assert_eq!(error.to_string(), format!("label \"{trimmed}\" is taken"));
        }
    }
    assert_eq!(registry.len(), 3);
    registry.create(Bulkhead::builder("Payments").parallelism(1)).unwrap();
}

#[test]
fn an_unknown_label_is_an_error_that_names_it() {
    let registry = registry();
    let errors = [
        registry.get::<Bulkhead>("orders").unwrap_err(),
        registry.get::<WeightedBulkhead>("orders").unwrap_err(),
        registry.get::<Customers>("orders").unwrap_err(),
        registry.layer("orders").unwrap_err(),
        registry.weighted_layer("orders", |_: &Request<()>| 1).unwrap_err(),
        registry.partitioned_layer::<u64, _>("orders", |_: &Request<()>| Some(1)).unwrap_err(),
        tokio_test::block_on(registry.remove("orders")).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, RegistryError::UnknownLabel { .. }));
        assert_eq!(error.to_string(), "no bulkhead is registered as \"orders\"");
    }
}

#[test]
fn another_kind_is_an_error_that_names_the_label_and_the_kinds() {
    let registry = registry();
    let message = |error: RegistryError| {
        assert!(matches!(error, RegistryError::WrongKind { .. }));
        error.to_string()
    };
    assert_eq!(
        message(registry.get::<WeightedBulkhead>("payments").unwrap_err()),
        "\"payments\" is a Bulkhead, not a WeightedBulkhead"
    );
    assert_eq!(
        message(registry.get::<Bulkhead>("reports").unwrap_err()),
        "\"reports\" is a WeightedBulkhead, not a Bulkhead"
    );
    assert_eq!(
        message(registry.layer("customers").unwrap_err()),
        "\"customers\" is a PartitionedBulkhead<u64>, not a Bulkhead"
    );
    let other_key = message(registry.get::<PartitionedBulkhead<String>>("customers").unwrap_err());
    assert!(other_key.starts_with("\"customers\" is a PartitionedBulkhead"), "{other_key}");
    message(registry.weighted_layer("payments", |_: &Request<()>| 1).unwrap_err());
    message(
        registry.partitioned_layer::<u64, _>("reports", |_: &Request<()>| Some(1)).unwrap_err(),
    );
}

#[test]
fn an_invalid_setting_is_an_error_that_names_it_and_takes_no_label() {
    let registry = BulkheadRegistry::new();
    let errors = [
        registry.create(payments().parallelism(0)).unwrap_err(),
        registry.create(WeightedBulkhead::builder("payments").capacity(0)).unwrap_err(),
        registry.create(Customers::builder("payments").parallelism(1)).unwrap_err(),
    ];
    for error in errors {
        let RegistryError::Config(config) = &error else { panic!("{error:?}") };
        assert!(config.to_string().contains("\"payments\""), "{config}");
        assert_eq!(error.to_string(), config.to_string());
    }
    assert!(registry.is_empty());
    registry.create(payments()).unwrap();
}

#[test]
fn a_closed_registry_accepts_no_bulkhead() {
    let registry = registry();
    registry.close_all();
    registry.close_all();
    assert!(registry.is_closed());
    let own = Bulkhead::builder("orders").parallelism(1).build().unwrap();
    let errors = [
        registry.create(Bulkhead::builder("orders").parallelism(1)).unwrap_err(),
        registry.create(WeightedBulkhead::builder("orders").capacity(1)).unwrap_err(),
        registry.register(&own).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, RegistryError::Closed { .. }));
        assert_eq!(error.to_string(), "the registry is closed and does not accept \"orders\"");
    }
    assert!(!own.is_closed(), "a refused bulkhead is left alone");
    assert_eq!(registry.len(), 3);
    assert!(registry.get::<Bulkhead>("payments").unwrap().is_closed());
}

#[test]
fn statuses_and_reports_come_in_the_order_of_creation() {
    let registry = registry();
    registry.create(Bulkhead::builder("archive").parallelism(1)).unwrap();
    assert_eq!(labels(&registry), ["reports", "payments", "customers", "archive"]);
    let statuses = registry.statuses();
    let order: Vec<_> = statuses.iter().map(RegistryStatus::label).collect();
    assert_eq!(order, labels(&registry));
    let [RegistryStatus::Bulkhead(reports), _, RegistryStatus::Partitioned(customers), _] =
        &statuses[..]
    else {
        panic!("{statuses:?}")
    };
    assert_eq!((reports.capacity, customers.max_partitions), (10, 10));
    let reports: Vec<_> =
        registry.capacity_reports().iter().map(|report| report.status.label().to_owned()).collect();
    assert_eq!(reports, labels(&registry), "no kind is left out");
}

#[tokio::test]
async fn an_idle_bulkhead_of_any_kind_is_removed_at_once() {
    let registry = registry();
    let customers = registry.get::<Customers>("customers").unwrap();
    for label in ["customers", "payments", "reports"] {
        registry.remove(label).await.unwrap();
        assert!(!registry.contains(label));
        let error = registry.remove(label).await.unwrap_err();
        assert!(matches!(error, RegistryError::UnknownLabel { .. }));
    }
    assert!(registry.is_empty() && customers.is_closed() && !registry.is_closed());
    registry.create(payments()).unwrap();
}

#[tokio::test]
async fn layers_of_a_registry_share_the_registered_bulkhead() {
    let registry = registry();
    let answer = || {
        service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        })
    };
    let mut plain = registry.layer("payments").unwrap().layer(answer());
    let mut other = registry.layer("payments").unwrap().layer(answer());
    let mut weighted =
        registry.weighted_layer("reports", |_: &Request<()>| 10).unwrap().layer(answer());
    let mut keyed = registry
        .partitioned_layer::<u64, _>("customers", |_: &Request<()>| Some(7))
        .unwrap()
        .layer(answer());
    let slots = (
        registry.get::<Bulkhead>("payments").unwrap().slot_now().unwrap(),
        registry.get::<WeightedBulkhead>("reports").unwrap().slot_now(1).unwrap(),
        registry.get::<Customers>("customers").unwrap().slot_now(&7).unwrap(),
    );
    assert_eq!(plain.call(Request::new(())).await.unwrap().status(), 503);
    assert_eq!(other.call(Request::new(())).await.unwrap().status(), 503);
    assert_eq!(keyed.call(Request::new(())).await.unwrap().status(), 429);
    let mut queued = task::spawn(weighted.call(Request::new(())));
    assert_pending!(queued.poll());
    drop(slots);
    assert!(queued.is_woken());
    assert_eq!(queued.await.unwrap().status(), 200);
    assert_eq!(plain.call(Request::new(())).await.unwrap().status(), 200);
}
