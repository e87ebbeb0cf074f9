//! How does each customer get limits of its own, gold ones more, and all of them together no more than the service can do?
//!
//! ```text
//! cargo run --example gold_customers
//! ```
//!
//! A free customer floods the service. A gold customer comes later and is served before the flood, because one of the
//! four slots is guaranteed to gold, and gold has four times the weight. Output:
//!
//! ```text
//! the flood: 4 orders run, 10 wait, 16 of 30 are rejected with 429
//! served next: gold-7, gold-7, gold-7, free-1, free-1, free-1
//! the rest is served
//! ```
//!
//! `fair_customers` measures the same for seconds, with percentiles.

use axum::{
    BoxError, Router,
    extract::{Request, State},
    http::StatusCode,
    routing::post,
};
use bulklink::{
    ConfigError, HeaderKey, PartitionLimits, PartitionedBulkhead, PartitionedBulkheadLayer,
};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::{JoinSet, yield_now},
};

fn customers() -> Result<PartitionedBulkhead<String>, ConfigError> {
    PartitionedBulkhead::<String>::builder("customers")
        .parallelism(4)
        .waiting_room(10)
        .max_partitions(1_000)
        // All customers together.
        .total_parallelism(4)
        .total_waiting_room(50)
        .limits_for(|name| match name.starts_with("gold-") {
            true => PartitionLimits::new(4).waiting_room(20).weight(4).guaranteed(1),
            false => PartitionLimits::new(4).waiting_room(10),
        })
        .build()
}

/// Where the handler says whose order runs, and how it is told to end.
type Orders = mpsc::UnboundedSender<(String, oneshot::Sender<()>)>;

async fn order(State(orders): State<Orders>, request: Request) {
    let name = request.headers()["x-customer"].to_str().unwrap_or_default().to_owned();
    let (end, ended) = oneshot::channel();
    if orders.send((name, end)).is_ok() {
        let _ = ended.await;
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let customers = customers()?;
    let (sender, mut orders) = mpsc::unbounded_channel();
    // In a service, authenticate first and take the key from what that found: a header can be made up.
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    let app = Router::new().route("/order", post(order).layer(layer)).with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/order", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let send = |name: &str| -> Result<_, BoxError> {
        let request = hyper::Request::post(&url).header("x-customer", name).body(Empty::new())?;
        Ok(client.request(request))
    };

    let mut clients = JoinSet::new();
    for _ in 0..30 {
        clients.spawn(send("free-1")?);
    }
    for _ in 0..16 {
        let answer = clients.join_next().await.ok_or("fewer than 30 orders")???;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    }
    let status = customers.status();
    let (run, wait) = (status.in_flight, status.waiting);
    println!("the flood: {run} orders run, {wait} wait, 16 of 30 are rejected with 429");
    assert_eq!((run, wait), (4, 10));

    for _ in 0..3 {
        clients.spawn(send("gold-7")?);
    }
    while customers.status().waiting < 13 {
        yield_now().await;
    }

    // One order ends after the other. Whose is next?
    let mut running = Vec::new();
    while running.len() < 4 {
        running.extend(orders.recv().await);
    }
    let mut served = Vec::new();
    while served.len() < 6 {
        let (_, end) = running.remove(0);
        let _ = end.send(());
        let (name, end) = orders.recv().await.ok_or("the app is gone")?;
        served.push(name.clone());
        running.push((name, end));
    }
    println!("served next: {}", served.join(", "));
    assert_eq!(served[..3], ["gold-7"; 3], "all of gold comes before the flood");
    assert_eq!(served[3..], ["free-1"; 3]);

    // From now on each order ends as soon as it runs.
    drop(running);
    tokio::spawn(async move { while orders.recv().await.is_some() {} });
    while let Some(answer) = clients.join_next().await {
        assert_eq!(answer??.status(), StatusCode::OK);
    }
    println!("the rest is served");
    Ok(())
}
