//! The situations of layers inside tower's own middleware.

pub(super) mod per_request;
pub(super) mod readiness;

use tower::{
    BoxError, Service, ServiceExt, balance::p2c::Balance, discover::ServiceList, load::Constant,
    util::BoxCloneService,
};
use tower_test::mock::Spawn;

use super::harness::{Mock, set_up};
use crate::tower::contracts::layer_kinds::{Guarded, LayerKind, Request, Response};

/// A handle with boxed errors, as tower's own middleware requires them.
type Boxed = BoxCloneService<Request, Response, BoxError>;

fn boxed(handle: Guarded<BoxError>) -> Boxed {
    BoxCloneService::new(handle.map_err(bulklink::BulkheadError::into_boxed))
}

/// A bulkhead, a handle to be placed inside middleware, and the mock behind it.
fn inside<K: LayerKind>(running: usize, waiting: usize) -> (K, Boxed, Mock) {
    let (kind, handle, mock) = set_up::<K>(running, waiting);
    (kind, boxed(handle.into_inner()), mock)
}

/// A balancer that prefers the first handle to the second as long as both are ready.
fn balance(
    preferred: Boxed,
    other: Boxed,
) -> Spawn<impl Service<Request, Response = Response, Error = BoxError>> {
    let handles = vec![Constant::new(preferred, 0), Constant::new(other, 1)];
    Spawn::new(Balance::new(ServiceList::new::<Request>(handles)))
}
