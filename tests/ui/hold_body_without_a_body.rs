//! Holding a slot until the end of a body, for a response that has none.
//~ a slot cannot be held by a `u64`
//~ `.hold_body()` is for services whose response is an `http::Response`

use bulklink::{Bulkhead, BulkheadLayer};
use tower::{Layer, Service};

async fn double(number: u64) -> Result<u64, String> {
    Ok(2 * number)
}

fn serve(_: impl Service<u64>) {}

fn main() {
    let doubles = Bulkhead::builder("doubles").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&doubles).into_error().hold_body();
    serve(layer.layer(tower::service_fn(double)));
}
