//! A tonic server behind a bulkhead. Calls beyond its limits are rejected with UNAVAILABLE, which every gRPC
//! client understands, and a call whose deadline passes before it is admitted never runs.
//!
//! ```text
//! cargo run --example tonic_service
//! ```
//!
//! The method is hand-written, with empty messages, so that the example does not need protoc. With generated
//! code, use `.add_service(OrdersServer::new(..))` instead of `.add_routes(..)`.

use std::{error::Error, time::Duration};

use axum::{Router, extract, response::IntoResponse, routing::post};
use bulklink::{Bulkhead, BulkheadLayer, GrpcTimeout};
use hyper::http::uri::PathAndQuery;
use tokio::{net::TcpListener, time::sleep};
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

    let long_timeout = Duration::from_secs(60);
    let first = tokio::spawn(call(channel.clone(), long_timeout));
    while orders.status().in_flight < 1 {
        sleep(Duration::from_millis(5)).await;
    }
    let second = tokio::spawn(call(channel.clone(), Duration::from_millis(500)));
    while orders.status().waiting < 1 {
        sleep(Duration::from_millis(5)).await;
    }

    let status = call(channel.clone(), long_timeout).await.expect_err("one runs and one waits");
    println!("the third call: {:?}, {}", status.code(), status.message());
    assert_eq!(status.code(), Code::Unavailable);

    let status = second.await?.expect_err("its deadline has passed");
    println!("the second, with 500 ms: {:?}, {}", status.code(), status.message());
    assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "deadline"));

    first.await??;
    println!("the first: served");
    let totals = orders.status().totals;
    println!("admitted: {}, queued: {}", totals.admitted, totals.queued);
    assert_eq!((totals.admitted, totals.queued, totals.saturated), (1, 1, 1));
    Ok(())
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
