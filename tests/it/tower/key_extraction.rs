//! Keys read from requests: valid, malformed and missing ones. No output shows a key.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
};

use bulklink::{
    ExtensionKey, HeaderKey, MissingKey, PartitionedBulkhead, PartitionedBulkheadLayer, Rejection,
    RejectionReason,
};
use http::{HeaderValue, Request, StatusCode, request};
use tokio_test::{assert_pending, assert_ready_ok, task};
use tower::{Layer, Service};
use tower_test::mock::Spawn;

use crate::support::{
    assert_panics,
    http_service::{WebLayer, answer, request, shop, with_header},
};

fn customers<K>() -> PartitionedBulkhead<K>
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
{
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(2);
    builder.build().unwrap()
}

async fn assert_missing(layer: &impl WebLayer, request: request::Builder) {
    let response = answer(layer, request).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason(), &RejectionReason::MissingKey);
    assert_eq!(rejection.label(), "customers");
}

/// Requests without a valid key, where keys are numbers of at most 5 digits.
fn without_key() -> Vec<request::Builder> {
    let values: [&[u8]; 7] = [b"", b"gold", b"-1", b"1 2", b"123456", b"\xff\xfe", b"\xc3\xbc"];
    let with = |value| with_header("x-customer", HeaderValue::from_bytes(value).unwrap());
    std::iter::once(request()).chain(values.into_iter().map(with)).collect()
}

#[tokio::test]
async fn a_header_is_parsed_into_a_key_of_any_type() {
    let customers = customers::<u32>();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("X-Customer").max_len(5));
    let _one = customers.slot_now(&1).unwrap();
    let status_of =
        async |value: &str| answer(&layer, with_header("x-customer", value)).await.status();
    assert_eq!(status_of("1").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        status_of("00001").await,
        StatusCode::TOO_MANY_REQUESTS,
        "the key counts, not its text"
    );
    assert_eq!(status_of("2").await, StatusCode::OK);
    assert_eq!(customers.status().totals.saturated, 2);

    let twice = with_header("x-customer", "2").header("x-customer", "1");
    assert_eq!(answer(&layer, twice).await.status(), StatusCode::OK, "the first one counts");
}

#[tokio::test]
async fn a_request_without_a_key_is_rejected() {
    let customers = customers::<u32>();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer").max_len(5));
    for request in without_key() {
        assert_missing(&layer, request).await;
    }
    let layer = layer.missing_key(MissingKey::Bypass).missing_key(MissingKey::Reject);
    assert_missing(&layer, request()).await;
    let status = customers.status();
    assert_eq!((status.partitions, status.totals.bypassed, status.totals.admitted), (0, 0, 0));
}

#[tokio::test]
async fn a_header_that_is_empty_or_too_long_is_a_missing_key() {
    let customers = customers::<String>();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    let (longest, too_long) = ("k".repeat(256), "k".repeat(257));
    let response = answer(&layer, with_header("x-customer", longest)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_missing(&layer, with_header("x-customer", too_long)).await;
    assert_missing(&layer, with_header("x-customer", "")).await;
}

#[tokio::test]
async fn a_request_without_a_key_may_bypass_the_bulkhead() {
    let customers = customers::<u32>();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer").max_len(5));
    let layer = layer.missing_key(MissingKey::Bypass);
    let requests = without_key();
    let count = requests.len() as u64;
    for request in requests {
        assert_eq!(answer(&layer, request).await.status(), StatusCode::OK);
    }
    let status = customers.status();
    assert_eq!((status.partitions, status.totals.bypassed, status.totals.admitted), (0, count, 0));
    assert_eq!(answer(&layer, with_header("x-customer", "7")).await.status(), StatusCode::OK);
    assert_eq!(customers.status().totals.bypassed, count);
}

#[tokio::test]
async fn requests_without_a_key_may_share_one() {
    let customers = customers::<u32>();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer").max_len(5));
    let layer = layer.missing_key(MissingKey::Use(0));
    let slot = customers.slot_now(&0).unwrap();
    for request in without_key() {
        assert_eq!(answer(&layer, request).await.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    drop(slot);
    assert_eq!(answer(&layer, request()).await.status(), StatusCode::OK);
    assert_eq!(customers.status().partitions, 1);
}

#[tokio::test]
async fn an_extension_is_a_key() {
    #[derive(Clone)]
    struct Tenant(u32);

    impl From<Tenant> for u64 {
        fn from(tenant: Tenant) -> Self {
            tenant.0.into()
        }
    }

    let customers = customers::<u64>();
    let layer = PartitionedBulkheadLayer::new(&customers, ExtensionKey::<Tenant>::new());
    let _slot = customers.slot_now(&7).unwrap();
    let of = |id| request().extension(Tenant(id));
    assert_eq!(answer(&layer, of(7)).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer(&layer, of(8)).await.status(), StatusCode::OK);
    assert_missing(&layer, request()).await;
    let of_another_type = request().extension(7_u64);
    assert_missing(&layer, of_another_type).await;

    let by_itself = PartitionedBulkheadLayer::new(&customers, ExtensionKey::<u64>::new());
    let itself = request().extension(7_u64);
    assert_eq!(answer(&by_itself, itself).await.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_closure_extracts_a_key_from_a_request_that_is_not_http() {
    let customers = customers::<String>();
    let key = |order: &(String, u32)| Some(order.0.clone()).filter(|name| !name.is_empty());
    let layer = PartitionedBulkheadLayer::new(&customers, key).into_error();
    let mut service =
        layer.layer(tower::service_fn(async |order: (String, u32)| Ok::<_, ()>(order.1)));
    assert_eq!(service.call(("ann".into(), 3)).await.unwrap(), 3);
    let error = service.call((String::new(), 3)).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().reason(), &RejectionReason::MissingKey);
}

#[test]
fn an_extractor_or_a_parser_that_panics_leaks_nothing() {
    #[derive(Clone, Hash, PartialEq, Eq)]
    struct Fragile;

    impl FromStr for Fragile {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            if text == "panic" { panic!("not this one") } else { Ok(Self) }
        }
    }

    let customers = customers::<Fragile>();
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    let mut service = layer.layer(shop());
    let mut call = |value| {
        let request = with_header("x-customer", value).body(()).unwrap();
        catch_unwind(AssertUnwindSafe(|| service.call(request)))
    };
    assert!(call("panic").is_err());
    assert!(!customers.status().totals.has_activity());
    assert_ready_ok!(task::spawn(call("fine").unwrap()).poll());

    let customers = self::customers::<u32>();
    let key = |request: &Request<()>| (request.uri().path() == "/order").then(|| panic!("whose?"));
    let mut service = PartitionedBulkheadLayer::new(&customers, key).layer(shop());
    let request = request().body(()).unwrap();
    assert_panics(|| service.call(request));
    let status = customers.status();
    assert_eq!((status.in_flight, status.waiting, status.active_partitions), (0, 0, 0));
}

#[test]
fn a_handle_with_a_fixed_key_keeps_its_partition_only_while_it_holds_a_slot() {
    let customers = customers::<&str>();
    let handle = |key| Spawn::new(PartitionedBulkheadLayer::fixed(&customers, key).layer(shop()));
    let (mut ann, mut bob, mut cid) = (handle("ann"), handle("bob"), handle("cid"));
    assert_ready_ok!(ann.poll_ready());
    assert_ready_ok!(bob.poll_ready());
    assert_eq!(customers.status().active_partitions, 2);

    assert_ready_ok!(cid.poll_ready(), "no partition is left, which the call will report");
    let request = || request().body(()).unwrap();
    let response = assert_ready_ok!(task::spawn(cid.call(request())).poll());
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert!(matches!(rejection.reason(), RejectionReason::PartitionLimit { .. }));

    assert_ready_ok!(task::spawn(ann.call(request())).poll());
    assert_eq!(customers.status().active_partitions, 1);
    assert_ready_ok!(cid.poll_ready());
    let status = customers.status();
    assert_eq!((status.partitions, status.evicted, status.totals.partition_limited), (2, 1, 1));
    assert_ready_ok!(ann.poll_ready());
    assert_ready_ok!(task::spawn(cid.call(request())).poll());
    assert_ready_ok!(ann.poll_ready());
    assert!(customers.partition_status(&"ann").is_some());
}

#[test]
fn a_waiter_keeps_its_partition() {
    let builder = PartitionedBulkhead::builder("customers").parallelism(1).max_partitions(1);
    let customers = builder.waiting_room(1).build().unwrap();
    let layer = PartitionedBulkheadLayer::fixed(&customers, "ann");
    let (mut running, mut waiting) =
        (Spawn::new(layer.layer(shop())), Spawn::new(layer.layer(shop())));
    assert_ready_ok!(running.poll_ready());
    assert_pending!(waiting.poll_ready());
    assert!(customers.slot_now(&"bob").is_err());
    drop(running);
    assert!(waiting.is_woken());
    assert!(customers.slot_now(&"bob").is_err());
    drop(waiting);
    assert!(customers.slot_now(&"bob").is_ok());
}

#[tokio::test]
async fn no_output_shows_a_key() {
    const SECRET: &str = "sesame";
    let customers = customers::<String>();
    let _slot = customers.slot_now(&SECRET.to_owned()).unwrap();
    let by_header = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    let by_header = by_header.missing_key(MissingKey::Use(SECRET.to_owned()));
    let fixed = PartitionedBulkheadLayer::fixed(&customers, SECRET.to_owned());
    let mut ready = Spawn::new(fixed.layer(()));
    for shown in [format!("{by_header:?}"), format!("{fixed:?}"), format!("{:?}", ready.get_mut())]
    {
        assert!(!shown.contains(SECRET), "{shown}");
    }
    for content_type in ["text/plain", "application/grpc"] {
        let request = with_header("x-customer", SECRET).header("content-type", content_type);
        let response = answer(&by_header, request).await;
        let rejection = response.extensions().get::<Rejection>().unwrap();
        let shown = format!("{:?} {rejection} {rejection:?}", response.headers());
        assert!(shown.contains("customers") && !shown.contains(SECRET), "{shown}");
    }
}
