//! Uploads take memory by their size: 64 MiB of them at once, and an answer in JSON for those that never fit.
//!
//! ```text
//! cargo run --example weighted_uploads
//! ```

use axum::{
    BoxError, Json, Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    routing::post,
};
use bulklink::{
    ConfigError, ContentLengthCost, RejectionReason, WeightedBulkhead, WeightedBulkheadLayer,
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

const MIB: usize = 1 << 20;

fn app() -> Result<(Router, WeightedBulkhead), ConfigError> {
    let uploads = WeightedBulkhead::builder("uploads").capacity(64).waiting_room(20).build()?;
    // A unit is a MiB. Whoever does not say how long the body is pays for the longest one that is read.
    let cost = ContentLengthCost::per(MIB as u64).without_length(32);
    let layer = WeightedBulkheadLayer::new(&uploads, cost).on_reject(|rejection, _request| {
        use axum::response::IntoResponse;
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
    let uri = format!("http://{}/upload", listener.local_addr()?);
    let server = app.clone();
    tokio::spawn(async { axum::serve(listener, server).await });
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

    // More than all of the capacity. It is refused by its length, before any of the body is read.
    let request = Request::post("/upload").header("content-length", 100 * MIB);
    let answer = app.oneshot(request.body(Body::empty())?).await?;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
    println!("100 MiB: 413, {body}");
    assert_eq!(body["at_most_mib"], 64);

    // All of it is in use by others: the upload waits in line.
    let others = uploads.slot(64).await?;
    let waiting = upload(5);
    let (answer, ()) = tokio::join!(waiting, async {
        while uploads.status().waiting < 1 {
            tokio::task::yield_now().await;
        }
        println!("5 MiB: waits while {} MiB are in use", uploads.status().used);
        drop(others);
    });
    let (status, _) = answer?;
    println!("5 MiB: {status}");
    assert_eq!(status, StatusCode::OK);
    Ok(())
}
