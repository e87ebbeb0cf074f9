//! A key extractor for another type than the key of the bulkhead.
//~ expected `Option<u64>`, found `Option<String>`

use axum::{Router, body::Body, http::Request, routing::get};
use bulklink::{PartitionedBulkhead, PartitionedBulkheadLayer};

async fn handler() {}

fn main() {
    let customers = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = customers.max_partitions(9).build().unwrap();
    let name = |request: &Request<Body>| request.uri().query().map(str::to_owned);
    let layer = PartitionedBulkheadLayer::new(&customers, name);
    let _: Router = Router::new().route("/", get(handler)).layer(layer);
}
