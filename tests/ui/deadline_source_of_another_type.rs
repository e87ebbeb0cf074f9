//! A deadline source that returns a duration.
//~ does not provide a deadline for a `
//~ a deadline source is `GrpcTimeout`, `HeaderTimeout` or `DeadlineExtension` for HTTP requests, or a closure

use axum::{Router, body::Body, http::Request, routing::get};
use bulklink::{Bulkhead, BulkheadLayer};
use std::time::Duration;

async fn handler() {}

fn main() {
    let payments = Bulkhead::builder("payments").parallelism(1).build().unwrap();
    let hurry = |_: &Request<Body>| Some(Duration::from_millis(50));
    let layer = BulkheadLayer::new(&payments).deadline(hurry);
    let _: Router = Router::new().route("/", get(handler)).layer(layer);
}
