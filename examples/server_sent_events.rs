//! How is the number of open event streams limited? Each holds its slot until it ends or its client has gone.
//!
//! ```text
//! cargo run --example server_sent_events
//! ```
//!
//! Output:
//!
//! ```text
//! the first receives "data: tick"
//! the second receives "data: tick"
//! the third is rejected with 503 Service Unavailable
//! the first has disconnected, and its slot is free
//! the fourth receives "data: tick"
//! the second still receives "data: tick"
//! ```

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    BoxError, Router,
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::get,
};
use bulklink::{Bulkhead, BulkheadLayer, EventKind};
use http_body_util::{BodyExt, Empty};
use hyper::{
    Response,
    body::{Bytes, Incoming},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, sync::Notify, time::interval};
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let streams = Bulkhead::builder("streams").parallelism(2).build()?;
    // Without `hold_body`, the slot would be released as soon as the stream starts.
    let layer = BulkheadLayer::new(&streams).per_request().hold_body();
    let app = Router::new().route("/ticks", get(ticks).layer(layer));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/ticks", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let mut first = subscribe(&url).await?;
    let mut second = subscribe(&url).await?;
    println!("the first receives {:?}", next_event(&mut first).await?);
    println!("the second receives {:?}", next_event(&mut second).await?);
    assert_eq!(streams.status().in_flight, 2);

    let third = subscribe(&url).await?;
    println!("the third is rejected with {}", third.status());
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);

    let released = Arc::new(Notify::new());
    let notify = released.clone();
    let _subscription = streams.subscribe(move |event| {
        if event.kind == EventKind::Released {
            notify.notify_one();
        }
    });
    drop(first);
    released.notified().await;
    println!("the first has disconnected, and its slot is free");

    let mut fourth = subscribe(&url).await?;
    println!("the fourth receives {:?}", next_event(&mut fourth).await?);
    println!("the second still receives {:?}", next_event(&mut second).await?);
    let status = streams.status();
    assert_eq!((status.in_flight, status.totals.saturated), (2, 1));
    Ok(())
}

async fn ticks() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = IntervalStream::new(interval(Duration::from_millis(100)));
    Sse::new(ticks.map(|_| Ok(Event::default().data("tick"))))
}

/// Subscribes with a new client, so every subscriber has its own connection.
async fn subscribe(url: &str) -> Result<Response<Incoming>, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    Ok(client.get(url.parse()?).await?)
}

async fn next_event(response: &mut Response<Incoming>) -> Result<String, BoxError> {
    let frame = response.body_mut().frame().await.ok_or("the stream has ended")??;
    let data = frame.into_data().map_err(|_| "trailers")?;
    Ok(String::from_utf8_lossy(&data).trim().to_owned())
}
