//! The sizes of futures: they move through memory with whatever contains them.

use std::{convert::Infallible, future::ready};

use bulklink::BulkheadLayer;
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

use crate::support::bulkhead;

#[test]
fn futures_are_small() {
    // The span of a wait.
    let span = if cfg!(feature = "tracing") { 40 } else { 0 };
    let payments = bulkhead(1, 1);
    let slot = size_of_val(&payments.slot());
    assert!(slot <= 56 + span, "slot(): {slot}");
    let run = size_of_val(&payments.execute(ready(1_u8)));
    assert!(run <= 64 + span, "execute(): {run}");

    let shop = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
    let inner = size_of_val(&shop.clone().call(Request::new(())));
    let layer = BulkheadLayer::new(&payments);
    let response = size_of_val(&layer.layer(shop).call(Request::new(())));
    assert!(response <= inner + 24, "response: {response} around {inner}");
    let per_request = size_of_val(&layer.per_request().layer(shop).call(Request::new(())));
    let request = size_of::<Request<()>>();
    assert!(per_request <= inner.max(request) + 112 + span, "per request: {per_request}");
}
