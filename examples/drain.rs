//! A drain before the server stops: those who wait are served, streams end themselves, and newcomers get 503 in the meantime.
//!
//! ```text
//! cargo run --example drain
//! ```

use std::{convert::Infallible, time::Duration};

use axum::{
    BoxError, Extension, Router,
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::get,
};
use bulklink::{Bulkhead, BulkheadLayer, BulkheadRegistry};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::{interval, sleep},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = BulkheadRegistry::new();
    let reports = registry.create(Bulkhead::builder("reports").parallelism(1).waiting_room(2))?;
    let streams = registry.create(Bulkhead::builder("streams").parallelism(5))?;
    let app = Router::new()
        .route("/report", get(report).layer(BulkheadLayer::new(&reports).per_request()))
        .route("/ticks", get(ticks).layer(BulkheadLayer::new(&streams).per_request().hold_body()))
        .layer(Extension(streams.clone()));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (trigger, triggered) = oneshot::channel();
    let server =
        axum::serve(listener, app).with_graceful_shutdown(stop(registry.clone(), triggered));
    let server = tokio::spawn(server.into_future());

    let clients = [(); 3].map(|()| tokio::spawn(fetch(format!("{url}/report"))));
    let stream = tokio::spawn(fetch(format!("{url}/ticks")));
    while reports.status().waiting < 2 || streams.status().in_flight < 1 {
        sleep(Duration::from_millis(5)).await;
    }
    println!("one report runs, two wait, one stream is open; draining");
    trigger.send(()).expect("the server is running");
    reports.closing().await;

    let (status, _) = fetch(format!("{url}/report")).await?;
    println!("a newcomer gets {status}");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
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
    Ok(())
}

/// Completes when the server may stop. Until then it still answers: newcomers get 503 and can be sent elsewhere, rather than
/// finding the port closed while the last requests are served.
async fn stop(registry: BulkheadRegistry, triggered: oneshot::Receiver<()>) {
    // A real server waits for a signal: see the example `graceful_shutdown`.
    let _ = triggered.await;
    registry.drain_all();
    // Some requests may never end. Those that still wait then are rejected, and those that run are left behind.
    if tokio::time::timeout(Duration::from_secs(10), registry.wait_closed()).await.is_err() {
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
                _ = ticks.tick() => {
                    if sender.send(Event::default().data("tick")).await.is_err() {
                        return;
                    }
                }
            }
        }
        // The client is told that this is the end, and does not take it for a fault.
        let _ = sender.send(Event::default().data("goodbye")).await;
    });
    Sse::new(ReceiverStream::new(receiver).map(Ok))
}

async fn fetch(url: String) -> Result<(StatusCode, String), BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.parse()?).await?;
    let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
    Ok((status, String::from_utf8(body.to_vec())?))
}
