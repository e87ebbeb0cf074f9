//! tonic on a real socket: what its clients receive, and how long a stream holds its slot.

use bulklink::{
    Bulkhead, BulkheadLayer, GrpcTimeout, HeaderKey, HeaderTimeout, PartitionedBulkhead,
    PartitionedBulkheadLayer, WeightedBulkhead, WeightedBulkheadLayer,
};
use http::StatusCode;
use http_body::Body as _;
use tonic::{
    Code, Status,
    body::Body,
    service::{LayerExt, Routes},
    transport::Server as Tonic,
};

use crate::support::{
    grpc_service::{Echo, GrpcServer, SAY, hello},
    must_come,
    socket_server::{Client, Protocol, Server, Work, until},
};

fn bulkhead() -> Bulkhead {
    Bulkhead::builder("echo").parallelism(1).build().unwrap()
}

fn assert_rejected(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status}");
    assert_eq!(status.message(), reason, "the name of the reason, and nothing more");
}

const SATURATED: &str = "saturated";

#[tokio::test]
async fn a_full_bulkhead_is_unavailable() {
    let (echo, work) = (bulkhead(), Work::new());
    let layer = BulkheadLayer::new(&echo);
    let router = Tonic::builder().layer(layer).add_service(Echo(work.clone()));
    let server = GrpcServer::start(router).await;
    let client = server.connect().await;
    let running = tokio::spawn(client.clone().say(hello()));
    work.begun(1).await;

    let status = client.clone().say(hello()).await.unwrap_err();
    assert_rejected(&status, Code::Unavailable, SATURATED);
    work.end(1);
    assert_eq!(must_come(running).await.unwrap().unwrap(), "hello");
    assert_eq!((echo.status().used, echo.status().totals.finished), (0, 1));

    echo.close();
    let status = client.say(hello()).await.unwrap_err();
    assert_rejected(&status, Code::Unavailable, "closed");
}

#[tokio::test]
async fn a_cost_above_the_capacity_is_resource_exhausted() {
    let echo = WeightedBulkhead::builder("echo").capacity(8).build().unwrap();
    let by_header = |request: &http::Request<Body>| match request.headers().get("x-cost") {
        Some(cost) => cost.to_str().unwrap().parse().unwrap(),
        None => 1,
    };
    let work = Work::new();
    work.end(1);
    let layer = WeightedBulkheadLayer::new(&echo, by_header);
    let router = Tonic::builder().layer(layer).add_service(Echo(work));
    let client = GrpcServer::start(router).await;
    let client = client.connect().await;
    let mut expensive = hello();
    expensive.metadata_mut().insert("x-cost", "9".parse().unwrap());
    let status = client.clone().say(expensive).await.unwrap_err();
    assert_rejected(&status, Code::ResourceExhausted, "oversized");
    assert_eq!(client.say(hello()).await.unwrap(), "hello");
}

#[tokio::test]
async fn only_the_customer_over_its_share_is_resource_exhausted() {
    let builder = PartitionedBulkhead::<u64>::builder("echo").parallelism(1).max_partitions(9);
    let (echo, work) = (builder.build().unwrap(), Work::new());
    let layer = PartitionedBulkheadLayer::new(&echo, HeaderKey::new("x-customer"));
    let router = Tonic::builder().layer(layer).add_service(Echo(work.clone()));
    let server = GrpcServer::start(router).await;
    let client = server.connect().await;
    let of = |customer: &'static str| {
        let mut request = hello();
        request.metadata_mut().insert("x-customer", customer.parse().unwrap());
        client.clone().say(request)
    };
    let running = tokio::spawn(of("1"));
    work.begun(1).await;
    assert_rejected(&of("1").await.unwrap_err(), Code::ResourceExhausted, SATURATED);
    work.end(1);
    must_come(running).await.unwrap().unwrap();
    work.end(1);
    assert_eq!(of("2").await.unwrap(), "hello");
    let status = of("no number").await.unwrap_err();
    assert_rejected(&status, Code::InvalidArgument, "missing_key");
}

#[tokio::test]
async fn a_deadline_is_deadline_exceeded() {
    let (echo, work) = (bulkhead(), Work::new());
    let layer = BulkheadLayer::new(&echo).deadline(HeaderTimeout::millis("x-timeout-ms"));
    let router = Tonic::builder().layer(layer).add_service(Echo(work));
    let server = GrpcServer::start(router).await;
    let mut late = hello();
    late.metadata_mut().insert("x-timeout-ms", "0".parse().unwrap());
    let status = server.connect().await.say(late).await.unwrap_err();
    assert_rejected(&status, Code::DeadlineExceeded, "deadline");
}

/// tonic enforces `grpc-timeout` itself, on both sides, so this test uses neither its client nor its server.
#[tokio::test]
async fn a_grpc_timeout_in_line_is_answered_with_headers_only() {
    let echo = Bulkhead::builder("echo").parallelism(1).waiting_room(1).build().unwrap();
    let _slot = echo.slot_now().unwrap();
    let routes = Routes::new(Echo(Work::new())).into_axum_router();
    let layer = BulkheadLayer::new(&echo).deadline(GrpcTimeout);
    let server = Server::start(routes.layer(layer)).await;
    let mut client = server.connect(Protocol::Http2).await;
    let request = || http::Request::post(format!("http://localhost{SAY}"));
    let grpc = request().header("content-type", "application/grpc").header("grpc-timeout", "20m");
    let response = client.request(grpc.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "4");
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["grpc-message"], "deadline");
    assert!(response.body().is_end_stream(), "the response has headers only");
    let totals = echo.status().totals;
    assert_eq!((totals.queued, totals.expired), (1, 1));
}

#[tokio::test]
async fn one_service_of_a_server_can_be_layered_and_keeps_its_name() {
    let (echo, work) = (bulkhead(), Work::new());
    let service = BulkheadLayer::new(&echo).named_layer(Echo(work.clone()));
    let server = GrpcServer::start(Tonic::builder().add_service(service)).await;
    work.end(1);
    assert_eq!(server.connect().await.say(hello()).await.unwrap(), "hello");
    assert_eq!(echo.status().totals.finished, 1);

    // A raw client reaches a tonic server too. A request for an unknown method gives its slot back.
    let mut client = Client::connect(server.address, Protocol::Http2).await;
    let response = client.get("/shop.Echo/Nothing").await;
    assert_eq!(response.headers()["grpc-status"], "12");
    until(&echo, |status| status.totals.finished == 2).await;
}

#[tokio::test]
async fn with_hold_body_a_stream_holds_its_slot_to_the_end() {
    let (echo, work) = (bulkhead(), Work::new());
    let layer = BulkheadLayer::new(&echo).hold_body();
    let router = Tonic::builder().layer(layer).add_service(Echo(work.clone()));
    let server = GrpcServer::start(router).await;
    let mut client = server.connect().await;
    let mut numbers = client.count(3).await.unwrap();
    for number in ["1", "2", "3"] {
        assert_eq!(echo.status().used, 1);
        let status = client.count(1).await.unwrap_err();
        assert_rejected(&status, Code::Unavailable, SATURATED);
        work.end(1);
        assert_eq!(must_come(numbers.message()).await.unwrap().unwrap(), number);
    }
    assert_eq!(must_come(numbers.message()).await.unwrap(), None);
    until(&echo, |status| status.used == 0).await;

    let abandoned = client.count(3).await.unwrap();
    assert_eq!(echo.status().used, 1);
    drop(abandoned);
    until(&echo, |status| status.used == 0).await;
    assert_eq!(echo.status().totals.finished, 2);
}

#[tokio::test]
async fn without_hold_body_a_stream_gives_its_slot_back_when_it_begins() {
    let (echo, work) = (bulkhead(), Work::new());
    let layer = BulkheadLayer::new(&echo);
    let router = Tonic::builder().layer(layer).add_service(Echo(work.clone()));
    let server = GrpcServer::start(router).await;
    let mut client = server.connect().await;
    let mut numbers = client.count(1).await.unwrap();
    assert_eq!((echo.status().used, echo.status().totals.finished), (0, 1));
    work.end(1);
    assert_eq!(must_come(numbers.message()).await.unwrap().unwrap(), "1");
}
