//! A service that is not HTTP, behind a layer that answers rejections with HTTP responses.
//~ this bulkhead layer cannot answer a rejected `u64` with a `u64`
//~ rejections are answered with HTTP responses here
//~ for a service that is not HTTP, add `.into_error()` to the layer

use bulklink::{Bulkhead, BulkheadLayer};
use tower::{Layer, Service};

async fn double(number: u64) -> Result<u64, String> {
    Ok(2 * number)
}

fn serve(_: impl Service<u64>) {}

fn main() {
    let doubles = Bulkhead::builder("doubles").parallelism(1).build().unwrap();
    serve(BulkheadLayer::new(&doubles).layer(tower::service_fn(double)));
}
