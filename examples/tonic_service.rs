//! How does a tonic service reject calls beyond its limits, and never begin one whose caller has given up?
//!
//! ```text
//! cargo run --example tonic_service
//! ```
//!
//! Output:
//!
//! ```text
//! the third call, one runs and one waits: Unavailable, saturated, again after 1000 ms
//! the second, with 500 ms: DeadlineExceeded, deadline, after 400 ms in line
//! the first: served
//! the fourth, with 50 ms: DeadlineExceeded, deadline
//! ```
//!
//! The method is written by hand, with empty messages, so that the example does not need protoc. With generated
//! code, use `.add_service(OrdersServer::new(..))` instead of `.add_routes(..)`.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, extract, response::IntoResponse, routing::post};
use bulklink::{Bulkhead, BulkheadLayer, BulkheadStatus, GrpcTimeout};
use hyper::http::uri::PathAndQuery;
use tokio::{
    net::TcpListener,
    sync::Notify,
    time::{Instant, sleep},
};
use tonic::{
    Code, Request, Response, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::service_fn;

const PLACE_ORDER: &str = "/shop.Orders/Place";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let orders = Bulkhead::builder("orders").parallelism(1).waiting_room(1).build()?;
    // tonic's own timers end a call at its deadline, as CANCELLED. Answering a little before shows the client the truth:
    // DEADLINE_EXCEEDED.
    let reserve = Duration::from_millis(100);
    let layer = BulkheadLayer::new(&orders).deadline(GrpcTimeout).deadline_reserve(reserve);
    let routes = Router::new().route(PLACE_ORDER, post(handle));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().layer(layer).add_routes(routes.into());
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;

    let patient = Duration::from_secs(60);
    let first = tokio::spawn(call(channel.clone(), patient));
    until(&orders, |now| now.in_flight == 1).await;
    let (start, half) = (Instant::now(), Duration::from_millis(500));
    let second = tokio::spawn(call(channel.clone(), half));
    until(&orders, |now| now.waiting == 1).await;

    let status = call(channel.clone(), patient).await.expect_err("one runs and one waits");
    let again = status.metadata().get("grpc-retry-pushback-ms").ok_or("no time to try again")?;
    print!("the third call, one runs and one waits: {:?}, {}", status.code(), status.message());
    println!(", again after {} ms", again.to_str()?);
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "saturated"));

    let status = second.await?.expect_err("its deadline has passed");
    let waited = start.elapsed();
    print!("the second, with 500 ms: {:?}, {}", status.code(), status.message());
    println!(", after {} ms in line", waited.as_millis());
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "deadline"));
    assert!(waited >= half - reserve);

    first.await??;
    println!("the first: served");

    // A slot is free, but less time is left than is reserved: the call is not begun.
    let status = call(channel, reserve / 2).await.expect_err("there is too little time");
    println!("the fourth, with 50 ms: {:?}, {}", status.code(), status.message());
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let totals = orders.status().totals;
    assert_eq!((totals.admitted, totals.queued, totals.saturated), (1, 1, 1));
    assert_eq!((totals.expired_by_deadline, totals.expired_before_queue_by_deadline), (1, 1));
    Ok(())
}

/// Waits until the bulkhead is in this state.
async fn until(bulkhead: &Bulkhead, is_so: impl Fn(&BulkheadStatus) -> bool) {
    let changed = Arc::new(Notify::new());
    let notify = changed.clone();
    let _subscription = bulkhead.subscribe(move |_| notify.notify_one());
    while !is_so(&bulkhead.status()) {
        changed.notified().await;
    }
}

async fn call(channel: Channel, timeout: Duration) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(());
    request.set_timeout(timeout);
    client.unary(request, PathAndQuery::from_static(PLACE_ORDER), Empty).await?;
    Ok(())
}

async fn handle(request: extract::Request) -> impl IntoResponse {
    tonic::server::Grpc::new(Empty).unary(service_fn(place_order), request).await
}

async fn place_order(_: Request<()>) -> Result<Response<()>, Status> {
    sleep(Duration::from_secs(1)).await;
    Ok(Response::new(()))
}

/// The codec of `google.protobuf.Empty`, whose encoding has no bytes.
struct Empty;

impl Codec for Empty {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Empty {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Empty {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}
