//! Every customer has limits of its own, gold ones have more, and all of them share what the service can do.
//!
//! ```text
//! cargo run --example gold_customers
//! ```
//!
//! A free customer floods the service. A gold customer comes later and is served before the flood: one of the four slots
//! is guaranteed to gold, and it has four times the weight. `fair_customers` measures this for seconds, with percentiles.

use axum::{BoxError, Router, body::Body, extract::State, http::Request, routing::post};
use bulklink::{HeaderKey, PartitionLimits, PartitionedBulkhead, PartitionedBulkheadLayer};
use tokio::sync::mpsc;
use tower::ServiceExt;

/// What the handler works on: it says whose order came, and waits until the order is told to end.
type Work = mpsc::UnboundedSender<(String, tokio::sync::oneshot::Sender<()>)>;

fn customers() -> Result<PartitionedBulkhead<String>, bulklink::ConfigError> {
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

async fn order(State(work): State<Work>, request: Request<Body>) {
    let name = request.headers()["x-customer"].to_str().unwrap_or_default().to_owned();
    let (end, ended) = tokio::sync::oneshot::channel();
    if work.send((name, end)).is_ok() {
        let _ = ended.await;
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let customers = customers()?;
    let (work, mut orders) = mpsc::unbounded_channel();
    // In a service, authenticate first and take the key from what that found: a header can be made up.
    let layer = PartitionedBulkheadLayer::new(&customers, HeaderKey::new("x-customer"));
    let app = Router::new().route("/order", post(order)).with_state(work).layer(layer);
    let send = |name: &str| {
        let request = Request::post("/order").header("x-customer", name).body(Body::empty());
        tokio::spawn(app.clone().oneshot(request.expect("the request is valid")))
    };

    // 30 orders at once: four run, ten wait, and 16 are too many.
    let flood: Vec<_> = (0..30).map(|_| send("free-1")).collect();
    let mut running = Vec::new();
    while running.len() < 4 {
        running.extend(orders.recv().await);
    }
    while customers.partition_status(&"free-1".to_owned()).is_none_or(|it| it.totals.saturated < 16)
    {
        tokio::task::yield_now().await;
    }

    let gold: Vec<_> = (0..3).map(|_| send("gold-7")).collect();
    while customers.status().waiting < 13 {
        tokio::task::yield_now().await;
    }

    // One order ends after the other. Whose is next?
    let mut served = Vec::new();
    while served.len() < 6 {
        let (_, end) = running.remove(0);
        let _ = end.send(());
        let (name, end) = orders.recv().await.ok_or("the app is gone")?;
        served.push(name.clone());
        running.push((name, end));
    }
    println!("served next: {served:?}");
    assert_eq!(served[0], "gold-7", "the guarantee comes first");
    assert_eq!(served.iter().filter(|name| *name == "gold-7").count(), 3);

    // The rest.
    tokio::spawn(async move {
        drop(running);
        while orders.recv().await.is_some() {}
    });
    let mut rejected = 0;
    for answer in flood {
        rejected += usize::from(answer.await??.status() == 429);
    }
    for answer in gold {
        assert_eq!(answer.await??.status(), 200);
    }
    println!("the flood: {rejected} of 30 rejected with 429");
    assert_eq!(rejected, 16);
    Ok(())
}
