//! Graceful shutdown: on ctrl-c, waiting requests are rejected at once, running requests finish, and then
//! the server stops. The example triggers the shutdown itself once all its clients run or wait.
//!
//! ```text
//! cargo run --example graceful_shutdown
//! ```

use std::time::Duration;

use axum::{BoxError, Router, http::StatusCode, routing::get};
use bulklink::{Bulkhead, BulkheadRegistry};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, signal, sync::oneshot, time::sleep};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = BulkheadRegistry::new();
    let reports = registry.create(Bulkhead::builder("reports").parallelism(1).waiting_room(2))?;
    let app =
        Router::new().route("/report", get(report).layer(registry.layer("reports")?.per_request()));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/report", listener.local_addr()?);
    let (trigger, triggered) = oneshot::channel();
    let shutdown = shutdown(registry, triggered);
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown);
    let server = tokio::spawn(server.into_future());

    let clients = [(); 3].map(|()| tokio::spawn(fetch(url.clone())));
    while reports.status().waiting < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    println!("one report runs and two wait; shutting down");
    trigger.send(()).expect("the server is running");

    reports.wait_closed().await;
    server.await??;
    println!("the server has stopped");

    let mut statuses = Vec::new();
    for client in clients {
        statuses.push(client.await??);
    }
    statuses.sort();
    println!("the responses: {statuses:?}");
    let rejected = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(statuses, [StatusCode::OK, rejected, rejected]);
    assert!(reports.status().is_drained());
    assert!(fetch(url).await.is_err(), "the port is closed");
    Ok(())
}

/// Completes when the server may stop. Until then the server still responds: new requests get 503 and can be
/// sent elsewhere, rather than finding the port closed while the last reports finish.
async fn shutdown(registry: BulkheadRegistry, triggered: oneshot::Receiver<()>) {
    tokio::select! {
        _ = signal::ctrl_c() => println!("ctrl-c"),
        _ = triggered => {}
    }
    registry.close_and_wait().await;
    println!("no request is running any more");
}

async fn report() -> &'static str {
    sleep(Duration::from_secs(1)).await;
    "a report\n"
}

async fn fetch(url: String) -> Result<StatusCode, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let status = client.get(url.parse()?).await?.status();
    println!("a client received {status}");
    Ok(status)
}
