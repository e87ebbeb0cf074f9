//! Errors of the bulkhead in a stack of boxed errors.
//~ is no error that makes a `BulkheadError` an error
//~ in a stack of boxed errors, add `.into_box_error()` to the layer instead of `.into_error()`

use std::time::Duration;

use bulklink::{Bulkhead, BulkheadLayer};
use tower::{Layer, buffer::Buffer, timeout::Timeout};

async fn double(number: u64) -> Result<u64, String> {
    Ok(2 * number)
}

fn main() {
    let doubles = Bulkhead::builder("doubles").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&doubles).into_error();
    let service = Timeout::new(tower::service_fn(double), Duration::from_secs(1));
    let _ = Buffer::new(layer.layer(service), 5);
}
