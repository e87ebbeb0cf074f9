//! A cost closure that returns something other than units.
//~ expected `usize`, found `u64`

use axum::{Router, body::Body, http::Request, routing::get};
use bulklink::{WeightedBulkhead, WeightedBulkheadLayer};

async fn handler() {}

fn main() {
    let reports = WeightedBulkhead::builder("reports").capacity(9).build().unwrap();
    let layer = WeightedBulkheadLayer::new(&reports, |request: &Request<Body>| {
        request.headers().len() as u64
    });
    let _: Router = Router::new().route("/", get(handler)).layer(layer);
}
