//! Customized rejections: other responses, other retry hints, and errors.

use std::{
    convert::Infallible,
    error::Error,
    future::ready,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bulklink::{Bulkhead, BulkheadError, BulkheadLayer, Rejection, RejectionReason};
use http::{Request, Response, StatusCode, header::RETRY_AFTER};
use tower::{BoxError, Layer, Service, ServiceExt};

use crate::support::{
    full,
    http_service::{answer, request, shop},
};

struct Body(Arc<AtomicBool>);

impl Drop for Body {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_closure_receives_the_rejection_and_the_request_without_its_body() {
    let (payments, _slot) = full(0);
    let body_is_dropped = Arc::new(AtomicBool::new(false));
    let is_dropped = body_is_dropped.clone();
    let layer = BulkheadLayer::new(&payments).on_reject(move |rejection, request: Request<()>| {
        assert!(is_dropped.load(Ordering::SeqCst), "the body is dropped before the closure runs");
        let who = request.extensions().get::<&str>().unwrap();
        let agent = request.headers()["user-agent"].to_str().unwrap();
        let body = format!("{} {} {agent} {who}", request.method(), request.uri());
        Response::builder().status(418).header("label", rejection.label()).body(body).unwrap()
    });
    let kitchen = |_: Request<Body>| ready(Ok::<_, Infallible>(Response::new(String::new())));
    for per_request in [false, true] {
        body_is_dropped.store(false, Ordering::SeqCst);
        let request = Request::put("/tea").header("user-agent", "kettle").extension("me");
        let request = request.body(Body(body_is_dropped.clone())).unwrap();
        let inner = tower::service_fn(kitchen);
        let response = if per_request {
            layer.clone().per_request().layer(inner).oneshot(request).await.unwrap()
        } else {
            layer.layer(inner).oneshot(request).await.unwrap()
        };
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(response.headers()["label"], "payments");
        assert_eq!(response.body(), "PUT /tea kettle me");
    }
}

#[tokio::test]
async fn the_last_on_reject_or_into_error_counts() {
    let (payments, _slot) = full(0);
    let with = |status: u16| {
        move |_: Rejection, _: Request<()>| Response::builder().status(status).body(()).unwrap()
    };
    let layer =
        BulkheadLayer::new(&payments).on_reject(with(501)).into_error().on_reject(with(502));
    assert_eq!(answer(&layer, request()).await.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn the_retry_hint_is_sent_in_whole_seconds_rounded_up() {
    let (payments, _slot) = full(0);
    for (hint, sent) in [(0, "0"), (1, "1"), (999, "1"), (1_000, "1"), (1_001, "2"), (90_000, "90")]
    {
        let hint = Duration::from_millis(hint);
        let layer = BulkheadLayer::new(&payments).retry_after(Duration::MAX).retry_after(hint);
        let response = answer(&layer, request()).await;
        assert_eq!(response.headers()[RETRY_AFTER], sent);
        let rejection = response.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.retry_after(), Some(hint), "the rejection keeps the fraction");
    }
}

#[tokio::test]
async fn the_retry_hint_reaches_closures_and_errors_unless_the_bulkhead_is_closed() {
    let (payments, _slot) = full(0);
    let hint = Duration::from_secs(7);
    let layer = BulkheadLayer::new(&payments).retry_after(hint);
    let mapped = layer.clone().on_reject(move |rejection, _| {
        assert_eq!(rejection.retry_after(), Some(hint));
        Response::builder().status(429).body(()).unwrap()
    });
    assert_eq!(answer(&mapped, request()).await.status(), StatusCode::TOO_MANY_REQUESTS);

    let request = || request().body(()).unwrap();
    let error = layer.clone().into_error().layer(shop()).oneshot(request()).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().retry_after(), Some(hint));

    payments.close();
    let error = layer.into_error().layer(shop()).oneshot(request()).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().reason(), &RejectionReason::Closed);
    assert_eq!(error.rejection().unwrap().retry_after(), None);
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).collect()
}

#[tokio::test]
async fn an_error_has_the_rejection_in_its_chain() {
    let (payments, _slot) = full(0);
    let inner = tower::service_fn(|request: u64| ready(Ok::<_, io::Error>(request)));
    let error =
        BulkheadLayer::new(&payments).into_error().layer(inner).oneshot(1).await.unwrap_err();
    let chain = sources(&error);
    let rejection = chain.iter().find_map(|error| error.downcast_ref::<Rejection>()).unwrap();
    assert_eq!((rejection.label(), chain.len()), ("payments", 2));
    assert!(matches!(error, BulkheadError::Rejected(_)));
    let reason = "saturated: cost 1 with 1 of 1 units in use and 0 of 0 waiting";
    assert_eq!(error.to_string(), format!("request rejected by bulkhead \"payments\": {reason}"));
    assert_eq!(Rejection::find_in(&error), Some(rejection));
}

#[tokio::test]
async fn an_error_of_the_inner_service_is_its_source_unchanged() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let inner = |_: u64| ready(Err::<u64, _>(io::Error::new(io::ErrorKind::BrokenPipe, "pipe")));
    let service = BulkheadLayer::new(&payments).into_error().layer(tower::service_fn(inner));
    let error = service.oneshot(1).await.unwrap_err();
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::BrokenPipe);
    assert!(error.rejection().is_none());
    assert!(matches!(error, BulkheadError::Inner(_)));
}

#[tokio::test]
async fn without_into_error_the_error_is_that_of_the_inner_service() {
    #[derive(Debug, PartialEq)]
    struct Broken;

    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let broken = |_: Request<()>| ready(Err::<Response<()>, _>(Broken));
    let layer = BulkheadLayer::new(&payments);
    let request = || request().body(()).unwrap();
    let in_readiness = layer.layer(tower::service_fn(broken));
    assert_eq!(in_readiness.oneshot(request()).await.unwrap_err(), Broken);
    let per_request = layer.per_request().layer(tower::service_fn(broken));
    assert_eq!(per_request.oneshot(request()).await.unwrap_err(), Broken);
}

#[tokio::test]
async fn boxed_errors_pass_through_towers_own_middleware() {
    let (payments, _slot) = full(0);
    let inner = tower::service_fn(|request: u64| ready(Ok::<_, BoxError>(request)));
    let service = BulkheadLayer::new(&payments).into_error().layer(inner);
    let mut buffer = tower::buffer::Buffer::new(service.map_err(BulkheadError::into_boxed), 1);
    let error = buffer.ready().await.unwrap().call(1).await.unwrap_err();
    let chain = sources(&*error);
    assert!(chain.iter().any(|error| error.is::<Rejection>()), "{chain:?}");
}

#[tokio::test]
async fn a_layer_with_boxed_errors_fits_into_a_stack_of_towers_own_in_a_spawned_task() {
    let (payments, _slot) = full(0);
    let inner = tower::service_fn(|request: u64| ready(Ok::<_, io::Error>(request)));
    let stack = tower::ServiceBuilder::new()
        .buffer(4)
        .timeout(Duration::from_secs(1))
        .layer(BulkheadLayer::new(&payments).into_box_error())
        .service(inner);
    let error = tokio::spawn(stack.oneshot(1)).await.unwrap().unwrap_err();
    let rejection = Rejection::find_in(&*error).unwrap();
    assert_eq!(rejection.label(), "payments");
}

#[tokio::test]
async fn errors_of_the_inner_service_are_boxed_as_they_are() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let inner = |_: u64| ready(Err::<u64, _>(io::Error::new(io::ErrorKind::BrokenPipe, "pipe")));
    let service = BulkheadLayer::new(&payments).into_box_error().layer(tower::service_fn(inner));
    let error = service.oneshot(1).await.unwrap_err();
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::BrokenPipe);
    assert!(Rejection::find_in(&*error).is_none());
    let boxed = |_: u64| ready(Err::<u64, BoxError>("broken".into()));
    let service = BulkheadLayer::new(&payments).into_box_error().layer(tower::service_fn(boxed));
    assert_eq!(service.oneshot(1).await.unwrap_err().to_string(), "broken");
}

#[tokio::test]
async fn an_answer_is_decorated_in_either_protocol() {
    let (payments, _slot) = full(0);
    let layer =
        BulkheadLayer::new(&payments).decorate(|rejection, request: &Request<()>, answer| {
            let reason = http::HeaderValue::from_static(rejection.reason().name());
            answer.headers_mut().insert("x-rejection", reason);
            if request.uri() == "/order" && answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            }
        });
    let response = answer(&layer, request()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["x-rejection"], "saturated");
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    let response = answer(&layer, request().header("content-type", "application/grpc")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-rejection"], "saturated");
    assert_eq!(response.headers()["grpc-status"], "14");
    assert!(response.extensions().get::<Rejection>().is_some());
    let free = Bulkhead::builder("free").parallelism(1).build().unwrap();
    let undisturbed = BulkheadLayer::new(&free).decorate(|_, _, _| panic!("nothing is rejected"));
    assert_eq!(answer(&undisturbed, request()).await.status(), StatusCode::OK);
}

#[test]
fn a_rejection_is_found_however_deep_it_is_wrapped() {
    #[derive(Debug)]
    struct Wrapped(BoxError);
    impl std::fmt::Display for Wrapped {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("wrapped")
        }
    }
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }
    let (payments, _slot) = full(0);
    let rejection = payments.slot_now().unwrap_err();
    let error = Wrapped(Wrapped(rejection.clone().into()).into());
    assert_eq!(Rejection::find_in(&error), Some(&rejection));
    assert_eq!(Rejection::find_in(&rejection), Some(&rejection));
    assert_eq!(Rejection::find_in(&io::Error::other("something else")), None);
    assert_eq!(Rejection::find_in(&io::Error::from(io::ErrorKind::NotFound)), None);
    let inside = io::Error::other(rejection.clone());
    assert_eq!(Rejection::find_in(&inside), Some(&rejection));
    let deep = io::Error::other(BulkheadError::Inner(io::Error::other(rejection.clone())));
    assert_eq!(Rejection::find_in(&deep), Some(&rejection));
}

#[tokio::test]
async fn the_largest_retry_hint_is_sent_as_the_largest_number_of_seconds() {
    let (payments, _slot) = full(0);
    let layer = BulkheadLayer::new(&payments).retry_after(Duration::MAX);
    let response = answer(&layer, request()).await;
    assert_eq!(response.headers()[RETRY_AFTER], u64::MAX.to_string());
}
