//! Shutting down without losing work: on ctrl-c those who wait are told at once, what runs is
//! finished, and then the server stops. The example asks for it by itself once everybody is there.
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
    let app = Router::new().route("/report", get(report).layer(registry.layer("reports")?));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/report", listener.local_addr()?);
    let (ask, asked) = oneshot::channel();
    let shutdown = shutdown(registry, asked);
    let server = axum::serve(listener, app).with_graceful_shutdown(shutdown);
    let server = tokio::spawn(server.into_future());

    let clients = [(); 3].map(|()| tokio::spawn(fetch(url.clone())));
    while reports.status().waiting < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    println!("one report runs and two wait; asking for shutdown");
    ask.send(()).expect("the server is there");

    reports.wait_closed().await;
    server.await??;
    println!("the server has stopped");

    let mut answers = Vec::new();
    for client in clients {
        answers.push(client.await??);
    }
    answers.sort();
    println!("the answers: {answers:?}");
    let rejected = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(answers, [StatusCode::OK, rejected, rejected]);
    assert!(reports.status().is_drained());
    assert!(fetch(url).await.is_err(), "nobody listens any more");
    Ok(())
}

/// Ends when the server may stop. Until then it still answers: newcomers are told 503 and can go
/// elsewhere, instead of finding the port closed while the last reports are being finished.
async fn shutdown(registry: BulkheadRegistry, asked: oneshot::Receiver<()>) {
    tokio::select! {
        _ = signal::ctrl_c() => println!("ctrl-c"),
        _ = asked => {}
    }
    registry.close_and_wait().await;
    println!("nothing runs any more");
}

async fn report() -> &'static str {
    sleep(Duration::from_secs(1)).await;
    "a report\n"
}

async fn fetch(url: String) -> Result<StatusCode, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let status = client.get(url.parse()?).await?.status();
    println!("a client was answered {status}");
    Ok(status)
}
