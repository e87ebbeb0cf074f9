//! Helpers for the situations: a mock behind a layer, and services that panic.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio_test::assert_ready;
use tower::{BoxError, Service};
use tower_test::mock::{Handle, Spawn, pair};

use crate::tower::contracts::layer_kinds::{Guarded, LayerKind, Request, Response};

pub(super) type Mock = Handle<Request, Response>;

/// A bulkhead for `running` operations at once and `waiting` in line, a handle of its layer over a mock, and
/// the mock.
pub(super) fn set_up<K: LayerKind>(
    running: usize,
    waiting: usize,
) -> (K, Spawn<Guarded<BoxError>>, Mock) {
    let kind = K::new(running, waiting);
    let (inner, mock) = pair();
    let handle = Spawn::new(kind.over(inner));
    (kind, handle, mock)
}

/// Answers the request that has reached the mock, and returns it.
pub(super) fn answer(mock: &mut Mock) -> Request {
    let (request, response) = assert_ready!(mock.poll_request()).unwrap();
    response.send_response(request);
    request
}

/// Asserts that no request has reached the mock.
pub(super) fn assert_untouched(mock: &mut Mock) {
    assert!(!matches!(mock.poll_request(), Poll::Ready(Some(_))), "a request reached the mock");
}

/// Yields to the other tasks of this thread until `reached` returns true.
pub(super) async fn until(mut reached: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if reached() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the state was not reached");
}

/// Where a service panics.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Panics {
    Readiness,
    Call,
    Future,
}

/// A service that panics at that point.
#[derive(Clone)]
pub(super) struct Panicking(pub(super) Panics);

impl Service<Request> for Panicking {
    type Response = Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(self.0 != Panics::Readiness, "readiness panics");
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(self.0 != Panics::Call, "the call panics");
        Box::pin(async { panic!("the future panics") })
    }
}
