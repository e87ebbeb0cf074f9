//! How do uploads share memory by their size, and what does a client hear whose upload never fits? Here 64 MiB are
//! uploaded at once, and answers are JSON.
//!
//! ```text
//! cargo run --example weighted_uploads
//! ```
//!
//! Output:
//!
//! ```text
//! 3 MiB: 200 OK, 3145728 bytes stored
//! 100 MiB: HTTP/1.1 413 Payload Too Large, {"at_most_mib":64,"error":"upload refused","retry_after":null}
//! 5 MiB: waits while 64 MiB are in use
//! 5 MiB: 200 OK
//! ```

use std::{net::SocketAddr, sync::Arc};

use axum::{
    BoxError, Json, Router, body::Bytes, extract::DefaultBodyLimit, response::IntoResponse,
    routing::post,
};
use bulklink::{
    ConfigError, ContentLengthCost, EventKind, RejectionReason, WeightedBulkhead,
    WeightedBulkheadLayer,
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

const MIB: usize = 1 << 20;

fn app() -> Result<(Router, WeightedBulkhead), ConfigError> {
    let uploads = WeightedBulkhead::builder("uploads").capacity(64).waiting_room(20).build()?;
    // A unit is a MiB. Whoever does not say how long the body is pays for the longest one that is read.
    let cost = ContentLengthCost::per(MIB as u64).without_length(32);
    let layer = WeightedBulkheadLayer::new(&uploads, cost).on_reject(|rejection, _request| {
        let (most, seconds) = match rejection.reason() {
            RejectionReason::CostExceedsCapacity { capacity, .. } => (Some(*capacity), None),
            _ => (None, rejection.retry_after().map(|after| after.as_secs())),
        };
        let body =
            json!({ "error": "upload refused", "at_most_mib": most, "retry_after": seconds });
        (rejection.status(), Json(body)).into_response()
    });
    let app = Router::new()
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
        .layer(DefaultBodyLimit::max(32 * MIB))
        .layer(layer);
    Ok((app, uploads))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (app, uploads) = app()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let uri = format!("http://{address}/upload");
    tokio::spawn(async { axum::serve(listener, app).await });
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let upload = async |mib: usize| -> Result<(StatusCode, Bytes), BoxError> {
        let body = Full::new(Bytes::from(vec![0; mib * MIB]));
        let answer = client.request(Request::post(&uri).body(body)?).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    };

    let (status, body) = upload(3).await?;
    println!("3 MiB: {status}, {} bytes stored", String::from_utf8_lossy(&body));
    assert_eq!((status, &*body), (StatusCode::OK, b"3145728".as_slice()));
    assert_eq!(uploads.status().totals.admitted_units, 3);

    // More than all of the capacity. It is refused by its length: the client has sent nothing of the body yet.
    let (status, body) = announce(address, 100 * MIB).await?;
    println!("100 MiB: {status}, {body}");
    assert_eq!(status, "HTTP/1.1 413 Payload Too Large");
    assert_eq!((&body["at_most_mib"], &body["retry_after"]), (&json!(64), &Value::Null));

    // All of it is in use by others: the upload waits in line.
    let others = uploads.slot(64).await?;
    let queued = Arc::new(Notify::new());
    let notify = queued.clone();
    let _subscription = uploads.subscribe(move |event| {
        if event.kind == EventKind::Queued {
            notify.notify_one();
        }
    });
    let (answer, ()) = tokio::join!(upload(5), async {
        queued.notified().await;
        println!("5 MiB: waits while {} MiB are in use", uploads.status().used);
        drop(others);
    });
    let (status, _) = answer?;
    println!("5 MiB: {status}");
    assert_eq!(status, StatusCode::OK);
    Ok(())
}

/// Sends the head of a request, as a client does that expects to be told to continue. Returns the status line and the body.
async fn announce(server: SocketAddr, length: usize) -> Result<(String, Value), BoxError> {
    let mut stream = TcpStream::connect(server).await?;
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(body)?))
}
