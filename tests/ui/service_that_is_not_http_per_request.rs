//! A service that is not HTTP, behind a layer that waits per request.
//~ this bulkhead layer cannot answer a rejected `u64` with a `u64`
//~ for a service that is not HTTP, add `.into_error()` to the layer

use bulklink::{WeightedBulkhead, WeightedBulkheadLayer};
use tower::{Layer, Service};

async fn double(number: u64) -> Result<u64, String> {
    Ok(2 * number)
}

fn serve(_: impl Service<u64>) {}

fn main() {
    let doubles = WeightedBulkhead::builder("doubles").capacity(1).build().unwrap();
    let layer = WeightedBulkheadLayer::new(&doubles, |_: &u64| 1);
    serve(layer.layer(tower::service_fn(double)));
}
