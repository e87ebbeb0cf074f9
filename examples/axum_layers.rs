//! How do the modules of one axum server share bulkheads of all three kinds? They are created once, in a registry, and
//! each module applies them to its own routes by label.
//!
//! ```text
//! cargo run --example axum_layers
//! ```
//!
//! Output:
//!
//! ```text
//! three customers pay at once; two payments may run:
//!   200 OK
//!   200 OK
//!   503 Service Unavailable, retry after 1 s
//! ...
//! the registry reports:
//!   payments: 2 admitted, 1 rejected
//!   reports: 3 admitted, 1 rejected
//!   customers: 9 admitted, 1 rejected
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
            .route("/pay", post(work).layer(registry.layer("payments")?.per_request()))
            .route("/order", post(work))
            // `layer` would also apply the bulkhead to requests for unknown paths.
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
            // The same bulkhead as in `orders`, so a customer's limit covers both modules.
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

/// The work of every handler. It takes long enough for requests to overlap.
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

    println!("three customers pay at once; two payments may run:");
    let responses = send(&server, &[("/pay", 1), ("/pay", 2), ("/pay", 3)]).await?;
    assert_eq!(responses, ["200 OK", "200 OK", "503 Service Unavailable, retry after 1 s"]);

    println!("two reports of 8 units and one of 1 unit, with a capacity of 10:");
    let requests = [("/report/year", 1), ("/report/year", 2), ("/report/day", 3)];
    let responses = send(&server, &requests).await?;
    assert_eq!(responses, ["200 OK", "200 OK", "503 Service Unavailable, retry after 1 s"]);

    println!("customer 4 sends two requests to each module; three may run:");
    let paths = ["/order", "/order", "/report/day", "/report/day"];
    let responses = send(&server, &paths.map(|path| (path, 4))).await?;
    assert_eq!(responses[..3], ["200 OK"; 3]);
    assert_eq!(responses[3], "429 Too Many Requests, retry after 1 s");

    println!("the registry reports:");
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

/// Sends all requests at once, each a path and a customer. Returns the responses, sorted.
async fn send(server: &str, requests: &[(&str, u64)]) -> Result<Vec<String>, BoxError> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let mut in_flight = JoinSet::new();
    for (path, customer) in requests {
        let request = Request::post(format!("{server}{path}")).header("x-customer-id", *customer);
        in_flight.spawn(client.request(request.body(Empty::new())?));
    }
    let mut responses = Vec::new();
    for response in in_flight.join_all().await {
        let response = response?;
        responses.push(match response.headers().get(RETRY_AFTER) {
            Some(wait) => format!("{}, retry after {} s", response.status(), wait.to_str()?),
            None => response.status().to_string(),
        });
    }
    responses.sort();
    responses.iter().for_each(|response| println!("  {response}"));
    Ok(responses)
}
