//! How does a server stop without losing requests? It drains first: whoever runs or waits is served, streams end
//! themselves, and newcomers get 503 meanwhile. Then it stops.
//!
//! ```text
//! cargo run --example graceful_shutdown
//! ```
//!
//! Output:
//!
//! ```text
//! one report runs, two wait, and one stream is open: the drain begins
//! the readiness probe gets 503 Service Unavailable, a newcomer 503 Service Unavailable
//! a client that was there gets 200 OK: "a report"      (three times)
//! the stream has ended itself
//! the server has stopped
//! ```

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    BoxError, Extension, Router,
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::get,
};
use bulklink::{Bulkhead, BulkheadLayer, BulkheadRegistry, BulkheadStatus};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    net::TcpListener,
    signal,
    sync::{Notify, mpsc, oneshot},
    time::{interval, sleep, timeout},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = BulkheadRegistry::new();
    let reports = registry.create(Bulkhead::builder("reports").parallelism(1).waiting_room(2))?;
    let streams = registry.create(Bulkhead::builder("streams").parallelism(5))?;
    let bulkheads = registry.clone();
    let ready = async move || match bulkheads.is_draining() || bulkheads.is_closed() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    };
    let app = Router::new()
        .route("/report", get(report).layer(BulkheadLayer::new(&reports).per_request()))
        .route("/ticks", get(ticks).layer(BulkheadLayer::new(&streams).per_request().hold_body()))
        .route("/ready", get(ready))
        .layer(Extension(streams.clone()));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (trigger, triggered) = oneshot::channel();
    let server = axum::serve(listener, app);
    let server = server.with_graceful_shutdown(may_stop(registry.clone(), triggered));
    let server = tokio::spawn(server.into_future());

    let clients = [(); 3].map(|()| tokio::spawn(fetch(format!("{url}/report"))));
    let stream = tokio::spawn(fetch(format!("{url}/ticks")));
    until(&reports, |now| now.waiting == 2).await;
    until(&streams, |now| now.in_flight == 1).await;
    assert_eq!(fetch(format!("{url}/ready")).await?.0, StatusCode::OK);

    println!("one report runs, two wait, and one stream is open: the drain begins");
    trigger.send(()).expect("the server is running");
    reports.closing().await;
    let (probe, _) = fetch(format!("{url}/ready")).await?;
    let (newcomer, _) = fetch(format!("{url}/report")).await?;
    println!("the readiness probe gets {probe}, a newcomer {newcomer}");
    assert_eq!([probe, newcomer], [StatusCode::SERVICE_UNAVAILABLE; 2]);

    for client in clients {
        let (status, report) = client.await??;
        println!("a client that was there gets {status}: {report:?}");
        assert_eq!((status, &*report), (StatusCode::OK, "a report"));
    }
    let (status, ticks) = stream.await??;
    assert!(status == StatusCode::OK && ticks.ends_with("data: goodbye\n\n"));
    println!("the stream has ended itself");
    server.await??;
    println!("the server has stopped");
    assert!(reports.status().is_drained() && streams.status().is_drained());
    assert_eq!(streams.status().totals.bodies_ended_early, 0);
    assert!(fetch(url).await.is_err(), "the port is closed");
    Ok(())
}

/// Completes when the server may stop. Until then it still answers, so that newcomers are told to go elsewhere.
async fn may_stop(registry: BulkheadRegistry, triggered: oneshot::Receiver<()>) {
    // In a container the signal is SIGTERM: `signal::unix`. This program sends itself none, and uses a channel.
    tokio::select! {
        _ = signal::ctrl_c() => {}
        _ = triggered => {}
    }
    registry.drain_all();
    // Some requests may never end. Then whoever still waits is rejected, and what runs is left behind.
    if timeout(Duration::from_secs(10), registry.wait_closed()).await.is_err() {
        registry.close_all();
    }
}

async fn report() -> &'static str {
    sleep(Duration::from_millis(300)).await;
    "a report"
}

/// A stream without an end of its own. It holds its slot, so the drain waits for it: it has to end itself.
async fn ticks(
    Extension(streams): Extension<Bulkhead>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(100));
        let mut closing = std::pin::pin!(streams.closing());
        loop {
            tokio::select! {
                () = &mut closing => break,
                _ = ticks.tick() => if sender.send(Event::default().data("tick")).await.is_err() { return },
            }
        }
        // The client is told that this is the end, and does not take it for a fault.
        let _ = sender.send(Event::default().data("goodbye")).await;
    });
    Sse::new(ReceiverStream::new(receiver).map(Ok))
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

async fn fetch(url: String) -> Result<(StatusCode, String), BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse()?).await?;
    let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
    Ok((status, String::from_utf8(body.to_vec())?))
}
