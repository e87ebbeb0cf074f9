//! How does one slow route leave the others alone? Each route with a dependency has a bulkhead of its own.
//!
//! ```text
//! cargo run --example isolated_routes
//! ```
//!
//! Reports hang, and meanwhile every payment gets through. Output:
//!
//! ```text
//! reports: 2 run, 2 wait, 6 were rejected
//! payments: 100 of 100 got through
//! reports: the other 4 got theirs
//! ```

use std::sync::Arc;

use axum::{BoxError, Router, extract::State, http::StatusCode, routing::get};
use bulklink::{Bulkhead, BulkheadLayer, ConfigError};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// The database of the reports. It answers when it gets a permit.
type Database = Arc<Semaphore>;

fn app(database: Database) -> Result<(Router, Bulkhead), ConfigError> {
    let payments = Bulkhead::builder("payments").parallelism(10).waiting_room(50).build()?;
    let reports = Bulkhead::builder("reports").parallelism(2).waiting_room(2).build()?;
    let app = Router::new()
        .route("/pay", get(|| async { "paid" }).layer(BulkheadLayer::new(&payments).per_request()))
        .route("/report", get(report).layer(BulkheadLayer::new(&reports).per_request()))
        .with_state(database);
    Ok((app, reports))
}

async fn report(State(database): State<Database>) -> &'static str {
    database.acquire().await.expect("the database stays open").forget();
    "report"
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let database = Database::new(Semaphore::new(0));
    let (app, reports) = app(database.clone())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    let client = Client::builder(TokioExecutor::new()).build_http();

    // The database hangs while ten people ask for a report.
    let mut asking = JoinSet::new();
    for _ in 0..10 {
        asking.spawn(status(client.clone(), format!("{server}/report")));
    }
    for _ in 0..6 {
        let status = asking.join_next().await.expect("six are answered")??;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let now = reports.status();
    println!("reports: {} run, {} wait, 6 were rejected", now.in_flight, now.waiting);
    assert_eq!((now.in_flight, now.waiting, now.totals.rejected()), (2, 2, 6));

    for _ in 0..100 {
        let status = status(client.clone(), format!("{server}/pay")).await?;
        assert_eq!(status, StatusCode::OK);
    }
    println!("payments: 100 of 100 got through");

    // It recovers, and the other four get their reports.
    database.add_permits(4);
    while let Some(status) = asking.join_next().await {
        assert_eq!(status??, StatusCode::OK);
    }
    println!("reports: the other 4 got theirs");
    Ok(())
}

async fn status(
    client: Client<HttpConnector, Empty<Bytes>>,
    uri: String,
) -> Result<StatusCode, BoxError> {
    Ok(client.get(uri.parse()?).await?.status())
}
