//! A response body that does not implement `Default`, so a rejection cannot be answered with it.
//~ this bulkhead layer cannot answer a rejected `http::Request<()>` with a `Response<Page>`
//~ for an HTTP service whose response body has no `Default`, add `.own_body()` to the layer

use bulklink::{Bulkhead, BulkheadLayer};
use http::{Request, Response};
use tower::{Layer, Service};

struct Page(String);

async fn page(_: Request<()>) -> Result<Response<Page>, String> {
    Ok(Response::new(Page("hello".to_owned())))
}

fn serve(_: impl Service<Request<()>>) {}

fn main() {
    let pages = Bulkhead::builder("pages").parallelism(1).build().unwrap();
    let layer = BulkheadLayer::new(&pages);
    serve(layer.layer(tower::service_fn(page)));
}
