//! Answers with a body: for inner bodies without a default, and with a description of the rejection.

use std::convert::Infallible;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    routing::get,
};
use bulklink::{Bulkhead, BulkheadLayer, OwnBody, PartitionedBulkhead, PartitionedBulkheadLayer};
use http::{HeaderValue, Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::trace::TraceLayer;

use crate::support::{
    bulkhead, checked_status, full, must_come,
    socket_server::{Protocol, Server},
};

/// A body without a default.
type Plain = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

fn paid() -> Plain {
    Full::new(Bytes::from("paid")).boxed_unsync()
}

async fn shop(_: Request<Body>) -> Result<Response<Plain>, Infallible> {
    Ok(Response::new(paid()))
}

fn request() -> Request<Body> {
    Request::new(Body::empty())
}

async fn text<B: http_body::Body<Data = Bytes>>(response: Response<B>) -> String
where
    B::Error: std::fmt::Debug,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_body_without_a_default_is_answered_with_one_of_the_layer() {
    for room in [0, 1] {
        let (payments, slot) = full(room);
        let waiter = (room > 0).then(|| crate::support::waiting(payments.slot()));
        let layer = BulkheadLayer::new(&payments).own_body();
        let rejected = layer.layer(service_fn(shop)).oneshot(request()).await.unwrap();
        assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(rejected.body().is_end_stream() && rejected.body().get_ref().is_none());
        assert_eq!(
            (rejected.body().size_hint().exact(), text(rejected).await),
            (Some(0), "".into())
        );
        drop((waiter, slot));
        let served = layer.per_request().layer(service_fn(shop)).oneshot(request()).await.unwrap();
        assert_eq!(served.body().size_hint().exact(), Some(4));
        assert!(served.body().get_ref().is_some());
        assert_eq!(text(served).await, "paid");
    }
}

#[tokio::test]
async fn it_goes_with_every_option_in_any_order() {
    let payments = bulkhead(1, 0);
    let insert = |_: &bulklink::Rejection, _: &Request<()>, answer: &mut Response<()>| {
        answer.headers_mut().insert("x-shop", HeaderValue::from_static("1"));
    };
    let layer = || BulkheadLayer::new(&payments);
    let one = layer().own_body().hold_body().decorate(insert).describe().per_request();
    let two = layer().per_request().describe().decorate(insert).own_body().hold_body();
    let held = one.layer(service_fn(shop)).oneshot(request()).await.unwrap();
    assert_eq!(checked_status(&payments).in_flight, 1, "the body holds it");
    for answer in [
        one.layer(service_fn(shop)).oneshot(request()).await.unwrap(),
        two.layer(service_fn(shop)).oneshot(request()).await.unwrap(),
    ] {
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-shop"]),
            (503, &"1".parse().unwrap())
        );
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(text(answer).await.contains(r#""reason":"saturated""#));
    }
    assert_eq!(text(held).await, "paid");
    assert_eq!(checked_status(&payments).in_flight, 0);
    let lent = layer().describe().hold_body().lend_slot().per_request();
    let served = lent.layer(service_fn(shop)).oneshot(request()).await.unwrap();
    assert_eq!(text(served).await, "paid");
}

#[tokio::test]
async fn a_trace_below_the_bulkhead_fits() {
    let (payments, _slot) = full(0);
    let stack = ServiceBuilder::new()
        .layer(BulkheadLayer::new(&payments).per_request().own_body())
        .layer(TraceLayer::new_for_http())
        .service(service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(String::from("paid")))
        }));
    assert_eq!(stack.oneshot(request()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn clients_on_sockets_read_the_description() {
    let (payments, _slot) = full(0);
    let customers: PartitionedBulkhead<u64> = crate::support::customers(1, 0, 9);
    let _busy = customers.slot_now(&1).unwrap();
    let closed = Bulkhead::builder("closed").parallelism(1).build().unwrap();
    closed.close();
    let route = |layer| get(async || "paid").layer(layer);
    let describing = |bulkhead| BulkheadLayer::new(bulkhead).per_request().describe();
    let app = Router::new()
        .route("/full", route(describing(&payments)))
        .route("/closed", route(describing(&closed)))
        .route(
            "/customer",
            get(async || "paid").layer(
                PartitionedBulkheadLayer::fixed(&customers, 1)
                    .retry_after(std::time::Duration::from_millis(1_500))
                    .describe(),
            ),
        );
    let server = Server::start(app).await;
    let expected = [
        (
            "/full",
            r#"{"type":"about:blank","title":"Service Unavailable","status":503,"reason":"saturated","retry_after_seconds":1}"#,
        ),
        (
            "/closed",
            r#"{"type":"about:blank","title":"Service Unavailable","status":503,"reason":"closed"}"#,
        ),
        (
            "/customer",
            r#"{"type":"about:blank","title":"Too Many Requests","status":429,"reason":"saturated","retry_after_seconds":1.5}"#,
        ),
    ];
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let mut client = server.connect(protocol).await;
        for (path, problem) in expected {
            let answer = must_come(client.get(path)).await;
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
            if protocol == Protocol::Http1 {
                assert_eq!(answer.headers()["content-length"], problem.len().to_string());
            }
            let body = must_come(answer.into_body().collect()).await.unwrap().to_bytes();
            assert_eq!(body, problem, "{path}");
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(json["status"].is_u64());
            let answer = must_come(client.send(Method::HEAD, path)).await;
            let body = must_come(answer.into_body().collect()).await.unwrap().to_bytes();
            assert!(body.is_empty());
        }
    }
}

#[tokio::test]
async fn a_grpc_client_reads_the_whole_message() {
    let payments = Bulkhead::builder("payments 100 %, größer").parallelism(1).build().unwrap();
    let _slot = payments.slot_now().unwrap();
    let layer = BulkheadLayer::new(&payments).describe();
    let mut request = request();
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let answer = layer.layer(service_fn(shop)).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/grpc");
    let message = answer.headers()["grpc-message"].to_str().unwrap();
    assert!(
        message.starts_with("bulkhead \"payments 100 %25, gr%C3%B6%C3%9Fer\" rejected"),
        "{message}"
    );
    let body = to_bytes(Body::new(answer.into_body()), 10).await.unwrap();
    assert!(body.is_empty());
}

#[tokio::test]
async fn what_is_in_the_body_is_what_was_decorated() {
    let (payments, _slot) = full(0);
    let layer = BulkheadLayer::new(&payments).describe().decorate(|_, _, answer| {
        *answer.status_mut() = StatusCode::from_u16(529).unwrap();
    });
    let mut service = layer.layer(service_fn(shop));
    let answer: Response<OwnBody<Plain>> =
        service.ready().await.unwrap().call(request()).await.unwrap();
    let problem = text(answer).await;
    assert!(problem.contains(r#""title":"saturated","status":529"#), "{problem}");
}
