//! Keys are secret: no output shows one.

use std::{convert::Infallible, error::Error, fmt, str::FromStr, time::Duration};

use bulklink::{
    BulkheadError, BulkheadRegistry, HeaderKey, MissingKey, PartitionLimits, PartitionedBulkhead,
    PartitionedBulkheadLayer,
};
use http::{Request, Response};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, service_fn};

const SECRET: &str = "SECRET";

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key(u64);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SECRET}")
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SECRET}")
    }
}

impl FromStr for Key {
    type Err = Infallible;

    fn from_str(_: &str) -> Result<Self, Infallible> {
        Ok(Self(1))
    }
}

/// Everything that was formatted. Dropping it asserts that no text contains the secret.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn debug<T: fmt::Debug>(&mut self, value: &T) {
        self.0.push(format!("{value:?}"));
        self.0.push(format!("{value:#?}"));
    }

    fn error<E: Error>(&mut self, error: &E) {
        self.debug(error);
        self.0.push(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            self.0.push(format!("{error} {error:?}"));
            source = error.source();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        for text in &self.0 {
            assert!(!text.is_empty() && !text.contains(SECRET), "{text}");
        }
    }
}

fn builder() -> bulklink::PartitionedBulkheadBuilder<Key> {
    PartitionedBulkhead::builder("customers")
        .parallelism(1)
        .waiting_room(1)
        .wait_limit(Duration::from_secs(1))
        .max_partitions(2)
        .limits_for(|key: &Key| match key.0 {
            8 => PartitionLimits::new(0),
            9 => panic!("{key:?}"),
            _ => PartitionLimits::new(1).waiting_room(1),
        })
}

#[test]
fn the_test_key_prints_its_secret() {
    assert_eq!(format!("{} {:?}", Key(1), Key(1)), "SECRET SECRET");
}

#[tokio::test(start_paused = true)]
async fn the_direct_api_shows_no_key() {
    let mut shown = Shown::default();
    shown.debug(&builder());
    shown.error(&builder().parallelism(0).build().unwrap_err());
    let customers = builder().build().unwrap();
    let slot = customers.slot_now(&Key(1)).unwrap();
    let key = Key(1);
    let mut waiter = task::spawn(customers.slot(&key));
    assert_pending!(waiter.poll());
    let before = customers.status();
    shown.debug(&slot);
    shown.debug(&customers);
    shown.debug(&before);
    shown.debug(&customers.partition_status(&Key(1)).unwrap());
    shown.debug(&customers.status().since(&before).unwrap());
    shown.error(&before.since(&customers.status()).unwrap_err());
    shown.error(&customers.slot_now(&Key(1)).unwrap_err());
    shown.error(&customers.slot_within(Duration::ZERO, &Key(1)).await.unwrap_err());
    let now = tokio::time::Instant::now();
    shown.error(&customers.slot_before(now, &Key(1)).await.unwrap_err());
    shown.error(&customers.slot_now(&Key(8)).unwrap_err());
    shown.error(&customers.slot_now(&Key(9)).unwrap_err());
    let _second = customers.slot_now(&Key(2)).unwrap();
    shown.error(&customers.slot_now(&Key(3)).unwrap_err());
    shown.error(&customers.resize_partition(&Key(3), 1).unwrap_err());
    shown.error(&customers.resize_partition(&Key(1), 0).unwrap_err());
    shown.error(&customers.slot(&Key(3)).await.unwrap_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    shown.error(&tokio_test::assert_ready_err!(waiter.poll()));
    customers.close();
    shown.error(&customers.slot_now(&Key(1)).unwrap_err());
    shown.error(&customers.slot_now(&Key(4)).unwrap_err());
    shown.debug(&customers.status());
    assert!(shown.0.len() > 40);
}

#[test]
fn a_registry_shows_no_key() {
    let mut shown = Shown::default();
    let registry = BulkheadRegistry::new();
    let customers = registry.create(builder()).unwrap();
    let _slot = customers.slot_now(&Key(1)).unwrap();
    shown.debug(&registry);
    shown.debug(&registry.statuses());
    shown.debug(&registry.capacity_reports());
    shown.debug(&registry.labels());
    shown.error(&registry.create(builder()).unwrap_err());
    shown.error(&registry.create(builder().max_partitions(0)).unwrap_err());
    shown.error(&registry.get::<bulklink::Bulkhead>("customers").unwrap_err());
    shown.error(&registry.get::<PartitionedBulkhead<u8>>("customers").unwrap_err());
    shown.debug(&registry.partitioned_layer::<Key, _>("customers", key_of).unwrap());
    registry.close_all();
    shown.error(&registry.create(builder()).unwrap_err());
}

fn key_of(_: &Request<String>) -> Option<Key> {
    Some(Key(1))
}

async fn answer(_: Request<String>) -> Result<Response<String>, Infallible> {
    Ok(Response::default())
}

fn request() -> Request<String> {
    Request::builder().header("x-customer", "SECRET-header").body(String::new()).unwrap()
}

#[tokio::test]
async fn layers_show_no_key() {
    let mut shown = Shown::default();
    let customers = builder().build().unwrap();
    let fixed = PartitionedBulkheadLayer::fixed(&customers, Key(1));
    shown.debug(&fixed);
    let mut service = fixed.layer(service_fn(answer));
    std::future::poll_fn(|cx| Service::<Request<String>>::poll_ready(&mut service, cx))
        .await
        .unwrap();
    shown.debug(&service);
    let future = service.call(request());
    shown.debug(&future);
    drop(future);

    let layer = PartitionedBulkheadLayer::new(&customers, key_of);
    shown.debug(&layer);
    shown.debug(&layer.clone().missing_key(MissingKey::Use(Key(1))));
    shown.debug(&MissingKey::Use(Key(1)));
    let by_header = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    shown.debug(&by_header);
    let mut service = by_header.layer(service_fn(answer));
    shown.debug(&service.call(request()));

    let _slot = customers.slot_now(&Key(1)).unwrap();
    let mut service = layer.into_error().layer(service_fn(answer));
    let mut queued = Box::pin(service.call(request()));
    assert_pending!(task::spawn(queued.as_mut()).poll());
    shown.debug(&queued);
    shown.debug(&service);
    drop(queued);
    customers.close();
    let error = service.call(request()).await.unwrap_err();
    assert!(matches!(error, BulkheadError::Rejected(_)));
    shown.error(&error);
    let response = by_header_response(&customers).await;
    shown.debug(&response);
}

async fn by_header_response(customers: &PartitionedBulkhead<Key>) -> Response<String> {
    let layer = PartitionedBulkheadLayer::new(customers, HeaderKey::new("x-customer"));
    let Ok(response) = layer.layer(service_fn(answer)).call(request()).await;
    response
}
