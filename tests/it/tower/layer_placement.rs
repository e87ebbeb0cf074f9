//! Where layers can be placed. Most of this is shown by compiling.

use std::{convert::Infallible, rc::Rc};

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use bulklink::{
    AdmissionService, Bulkhead, BulkheadLayer, ContentLengthCost, Deadline, GrpcTimeout,
    WeightedBulkhead, WeightedBulkheadLayer,
};
use http::{Request, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

use crate::support::http_service::{Shop, shop};

fn payments() -> Bulkhead {
    Bulkhead::builder("payments").parallelism(1).build().unwrap()
}

fn reports() -> WeightedBulkhead {
    WeightedBulkhead::builder("reports").capacity(8).build().unwrap()
}

async fn ok() -> &'static str {
    "ok"
}

/// A router with the layer in every possible place.
macro_rules! in_every_place {
    ($layer:expr) => {{
        let method = get(ok).post(ok).layer($layer).route_layer($layer);
        let inner: Router = Router::new().route("/", method);
        let outer: Router = Router::new()
            .route("/plain", get(ok))
            .route_layer($layer)
            .nest("/inner", inner)
            .fallback(ok)
            .layer($layer)
            .layer(ServiceBuilder::new().layer($layer).layer($layer))
            .route_service("/service", $layer.layer(get(ok)));
        outer
    }};
}

async fn assert_served(app: Router) {
    for path in ["/plain", "/inner", "/service", "/elsewhere"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn any_layer_fits_anywhere_in_axum() {
    // Nested layers of one bulkhead need one of its slots each.
    let payments = Bulkhead::builder("payments").parallelism(9).build().unwrap();
    let reports = Bulkhead::MAX_CAPACITY;
    let reports = WeightedBulkhead::builder("reports").capacity(reports).build().unwrap();
    let by_path = |request: &Request<Body>| request.uri().path().len();
    let health = |request: &Request<Body>| request.uri().path() == "/health";
    let no_deadline = |_: &Request<Body>| None::<Deadline>;

    assert_served(in_every_place!(BulkheadLayer::new(&payments))).await;
    assert_served(in_every_place!(BulkheadLayer::new(&payments).per_request())).await;
    assert_served(in_every_place!(BulkheadLayer::new(&payments).deadline(GrpcTimeout))).await;
    assert_served(in_every_place!(BulkheadLayer::new(&payments).deadline(no_deadline))).await;
    assert_served(in_every_place!(BulkheadLayer::new(&payments).bypass(health))).await;
    assert_served(in_every_place!(WeightedBulkheadLayer::fixed(&reports, 4))).await;
    assert_served(in_every_place!(WeightedBulkheadLayer::new(&reports, by_path))).await;
    let by_length = ContentLengthCost::per(1 << 20);
    assert_served(in_every_place!(WeightedBulkheadLayer::new(&reports, by_length))).await;
    let status = payments.status();
    assert_eq!((status.used, reports.status().used), (0, 0));
    assert_eq!(status.totals.rejected() + reports.status().totals.rejected(), 0);
}

#[tokio::test]
async fn all_options_can_be_combined_in_axum() {
    let payments = payments();
    let layer = BulkheadLayer::new(&payments)
        .bypass(|request: &Request<Body>| request.uri().path() == "/health")
        .deadline(GrpcTimeout)
        .on_reject(|rejection, _| axum::response::Response::new(rejection.to_string().into()))
        .retry_after(std::time::Duration::from_secs(5));
    let _slot = payments.slot_now().unwrap();
    let app: Router = Router::new().route("/health", get(ok)).route("/pay", post(ok)).layer(layer);
    let health = Request::get("/health").body(Body::empty()).unwrap();
    assert_eq!(app.oneshot(health).await.unwrap().status(), StatusCode::OK);
    let status = payments.status();
    assert_eq!((status.used, status.totals.bypassed, status.totals.saturated), (1, 1, 0));
}

fn shareable<T: Send + Sync + Clone + Unpin + 'static>(_: &T) {}

fn sendable<T: Send>(_: &T) {}

#[test]
fn services_are_send_sync_and_clone_if_the_inner_service_is() {
    let request = || Request::new(());
    let mut plain = BulkheadLayer::new(&payments()).layer(shop());
    shareable(&plain);
    sendable(&plain.call(request()));
    let mut per_request = BulkheadLayer::new(&payments()).deadline(GrpcTimeout).layer(shop());
    shareable(&per_request);
    sendable(&per_request.call(request()));
    let mut fixed = WeightedBulkheadLayer::fixed(&reports(), 2).into_error().layer(shop());
    shareable(&fixed);
    sendable(&fixed.call(request()));
    let cost = WeightedBulkheadLayer::new(&reports(), ContentLengthCost::per(1));
    shareable(&cost);
    let mut by_request = cost.layer(shop());
    shareable(&by_request);
    sendable(&by_request.call(request()));
}

#[test]
fn the_inner_service_can_be_reached() {
    let mut service: AdmissionService<Shop, _, _, _, _> =
        BulkheadLayer::new(&payments()).layer(shop());
    let _: &Shop = service.get_ref();
    let _: &mut Shop = service.get_mut();
    let _: Shop = service.into_inner();
}

#[test]
fn taking_the_inner_service_gives_the_slot_back() {
    let payments = payments();
    let mut service = tower_test::mock::Spawn::new(BulkheadLayer::new(&payments).layer(shop()));
    tokio_test::assert_ready_ok!(service.poll_ready());
    assert_eq!(payments.status().used, 1);
    let _inner = service.into_inner().into_inner();
    assert_eq!((payments.status().used, payments.status().totals.abandoned), (0, 1));
}

#[test]
fn a_service_that_is_not_send_or_clone_works_on_one_thread() {
    struct Local(Rc<str>);

    impl Service<Rc<str>> for Local {
        type Response = Rc<str>;
        type Error = Rc<str>;
        type Future = std::pin::Pin<Box<dyn Future<Output = Result<Rc<str>, Rc<str>>>>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Rc<str>>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Rc<str>) -> Self::Future {
            let answer = format!("{} {request}", self.0).into();
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok(answer)
            })
        }
    }

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let builder = Bulkhead::builder("local").parallelism(1).waiting_room(9);
        let layer = BulkheadLayer::new(&builder.build().unwrap()).into_error();
        let name = Rc::<str>::from("hello");
        let tasks = ["one", "two", "three"].map(|request| {
            let service = layer.layer(Local(name.clone()));
            tokio::task::spawn_local(service.oneshot(request.into()))
        });
        for (task, answer) in tasks.into_iter().zip(["hello one", "hello two", "hello three"]) {
            assert_eq!(&*task.await.unwrap().unwrap(), answer);
        }
    });
}

#[test]
fn a_cloneable_service_that_is_not_send_works_per_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let builder = Bulkhead::builder("local").parallelism(1).waiting_room(1);
        let layer = BulkheadLayer::new(&builder.build().unwrap()).per_request().into_error();
        let count = Rc::new(std::cell::Cell::new(0));
        let counted = count.clone();
        let service = layer.layer(tower::service_fn(move |_: Rc<()>| {
            counted.set(counted.get() + 1);
            async { Ok::<_, Infallible>(()) }
        }));
        let one = tokio::task::spawn_local(service.clone().oneshot(Rc::new(())));
        let other = tokio::task::spawn_local(service.oneshot(Rc::new(())));
        one.await.unwrap().unwrap();
        other.await.unwrap().unwrap();
        assert_eq!(count.get(), 2);
    });
}
