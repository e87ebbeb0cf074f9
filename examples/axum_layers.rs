//! An axum server with the three kinds of bulkheads. They are made once, in a registry, and every
//! module layers its own routes with them by label.
//!
//! ```text
//! cargo run --example axum_layers
//! ```

use std::time::Duration;

use axum::{BoxError, Router};
use bulklink::{
    Bulkhead, BulkheadRegistry, PartitionedBulkhead, RegistryError, RegistryStatus,
    WeightedBulkhead,
};
use http_body_util::Empty;
use hyper::{Request, body::Bytes, header::RETRY_AFTER};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, task::JoinSet};

mod orders {
    use axum::{Router, routing::post};
    use bulklink::{BulkheadRegistry, HeaderKey, RegistryError};

    use super::work;

    pub(crate) fn routes(registry: &BulkheadRegistry) -> Result<Router, RegistryError> {
        let customer = HeaderKey::new("x-customer-id");
        Ok(Router::new()
            .route("/pay", post(work).layer(registry.layer("payments")?))
            .route("/order", post(work))
            // `layer` would put the answers to unknown paths behind the bulkhead as well.
            .route_layer(registry.partitioned_layer::<u64, _>("customers", customer)?))
    }
}

mod reports {
    use axum::{Router, extract::Request, routing::post};
    use bulklink::{BulkheadRegistry, HeaderKey, RegistryError};

    use super::work;

    pub(crate) fn routes(registry: &BulkheadRegistry) -> Result<Router, RegistryError> {
        let customer = HeaderKey::new("x-customer-id");
        Ok(Router::new()
            .route("/report/{period}", post(work))
            .route_layer(registry.weighted_layer("reports", cost)?)
            // The same bulkhead as in `orders`: a customer has one share of both.
            .route_layer(registry.partitioned_layer::<u64, _>("customers", customer)?))
    }

    fn cost(request: &Request) -> usize {
        if request.uri().path().ends_with("/year") { 8 } else { 1 }
    }
}

fn bulkheads() -> Result<BulkheadRegistry, RegistryError> {
    let registry = BulkheadRegistry::new();
    registry.create(Bulkhead::builder("payments").parallelism(2))?;
    registry.create(WeightedBulkhead::builder("reports").capacity(10))?;
    let customers = PartitionedBulkhead::<u64>::builder("customers");
    registry.create(customers.parallelism(3).max_partitions(1_000))?;
    Ok(registry)
}

/// Every handler's work: long enough for requests to meet.
async fn work() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = bulkheads()?;
    let app = Router::new().merge(orders::routes(&registry)?).merge(reports::routes(&registry)?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    println!("three customers pay at once, and two payments may run:");
    let answers = send(&server, &[("/pay", 1), ("/pay", 2), ("/pay", 3)]).await?;
    assert_eq!(answers, ["200 OK", "200 OK", "503 Service Unavailable, retry after 1 s"]);

    println!("two reports of 8 units and one of 1, and there are 10 units:");
    let requests = [("/report/year", 1), ("/report/year", 2), ("/report/day", 3)];
    let answers = send(&server, &requests).await?;
    assert_eq!(answers, ["200 OK", "200 OK", "503 Service Unavailable, retry after 1 s"]);

    println!("customer 4 sends four requests to both modules, and three may run:");
    let paths = ["/order", "/order", "/report/day", "/report/day"];
    let answers = send(&server, &paths.map(|path| (path, 4))).await?;
    assert_eq!(answers[..3], ["200 OK"; 3]);
    assert_eq!(answers[3], "429 Too Many Requests, retry after 1 s");

    println!("and what the registry says of it:");
    for status in registry.statuses() {
        let totals = match &status {
            RegistryStatus::Bulkhead(status) => &status.totals,
            RegistryStatus::Partitioned(status) => &status.totals,
            _ => continue,
        };
        let (admitted, rejected) = (totals.admitted, totals.rejected());
        println!("  {}: {admitted} admitted, {rejected} rejected", status.label());
        assert_eq!(rejected, 1);
    }
    Ok(())
}

/// Sends all requests, each a path and a customer, at once. Returns the answers, sorted.
async fn send(server: &str, requests: &[(&str, u64)]) -> Result<Vec<String>, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut sending = JoinSet::new();
    for (path, customer) in requests {
        let request = Request::post(format!("{server}{path}")).header("x-customer-id", *customer);
        sending.spawn(client.request(request.body(Empty::new())?));
    }
    let mut answers = Vec::new();
    for response in sending.join_all().await {
        let response = response?;
        answers.push(match response.headers().get(RETRY_AFTER) {
            Some(wait) => format!("{}, retry after {} s", response.status(), wait.to_str()?),
            None => response.status().to_string(),
        });
    }
    answers.sort();
    answers.iter().for_each(|answer| println!("  {answer}"));
    Ok(answers)
}
