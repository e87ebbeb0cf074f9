//! Requests that were cut short: the response future was dropped or has panicked before there was a response.

use std::{
    future::{Future, pending},
    panic::resume_unwind,
    pin::Pin,
    task::{Context, Poll},
};

use bulklink::{Bulkhead, BulkheadLayer, Slot, Totals, WeightedBulkhead, WeightedBulkheadLayer};
use http::{Request, Response};
use tokio_test::{
    assert_pending, assert_ready,
    task::{self, Spawn},
};
use tower::{Layer, Service, ServiceExt};

use crate::support::{assert_nothing_left, bulkhead, checked_status, full, panics, weighted};

/// What the inner service does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Inner {
    Responds,
    Fails,
    Pends,
    PanicsInCall,
    PanicsInFuture,
    IsNotReady,
    PanicsInReadiness,
}

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Response<()>, &'static str>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        match self {
            Self::IsNotReady => Poll::Pending,
            Self::PanicsInReadiness => resume_unwind(Box::new(())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let inner = *self;
        if inner == Self::PanicsInCall {
            resume_unwind(Box::new(()));
        }
        Box::pin(async move {
            match inner {
                Self::Responds => Ok(Response::new(())),
                Self::Fails => Err("broken"),
                Self::PanicsInFuture => resume_unwind(Box::new(())),
                _ => pending().await,
            }
        })
    }
}

type Call = Spawn<Pin<Box<dyn Future<Output = Result<Response<()>, &'static str>>>>>;

/// Starts a request through the layer, which waits in readiness or per request.
type Start = fn(&Bulkhead, Inner) -> Call;

const BOTH: [Start; 2] = [
    |payments, inner| {
        let service = BulkheadLayer::new(payments).layer(inner);
        task::spawn(Box::pin(service.oneshot(Request::new(()))))
    },
    |payments, inner| {
        let service = BulkheadLayer::new(payments).per_request().layer(inner);
        task::spawn(Box::pin(service.oneshot(Request::new(()))))
    },
];

/// Operations that have finished, completed and were cut short.
fn ends(totals: &Totals) -> (u64, u64, u64) {
    (totals.finished, totals.completed(), totals.cut_short)
}

#[track_caller]
fn assert_ends(payments: &Bulkhead, expected: (u64, u64, u64)) {
    assert_eq!(ends(&checked_status(payments).totals), expected);
    assert_nothing_left(payments);
}

#[test]
fn a_response_and_an_error_of_the_inner_service_are_answers() {
    for start in BOTH {
        let payments = bulkhead(1, 0);
        let mut call = start(&payments, Inner::Responds);
        assert!(assert_ready!(call.poll()).is_ok());
        assert_eq!(ends(&checked_status(&payments).totals), (1, 1, 0), "before it is dropped");
        drop(call);
        assert_eq!(assert_ready!(start(&payments, Inner::Fails).poll()).unwrap_err(), "broken");
        assert_ends(&payments, (2, 2, 0));
    }
}

#[test]
fn a_response_future_that_is_dropped_while_it_runs_is_cut_short() {
    for start in BOTH {
        let payments = bulkhead(1, 0);
        let mut call = start(&payments, Inner::Pends);
        assert_pending!(call.poll());
        assert_eq!(checked_status(&payments).in_flight, 1);
        drop(call);
        assert_ends(&payments, (1, 0, 1));
    }
}

#[test]
fn a_response_future_or_a_call_that_panics_is_cut_short() {
    for start in BOTH {
        for inner in [Inner::PanicsInFuture, Inner::PanicsInCall] {
            let payments = bulkhead(1, 0);
            let mut call = start(&payments, inner);
            assert!(panics(|| call.poll()), "{inner:?}");
            drop(call);
            assert_ends(&payments, (1, 0, 1));
        }
    }
}

/// Starts a request behind the held slot, and lets it have the slot.
fn from_the_line(start: Start, inner: Inner) -> (Bulkhead, Call) {
    let (payments, slot) = full(1);
    let mut call = start(&payments, inner);
    assert_pending!(call.poll());
    drop(slot);
    (payments, call)
}

#[test]
fn a_request_that_has_waited_is_cut_short_like_any_other() {
    for start in BOTH {
        let (payments, mut call) = from_the_line(start, Inner::Pends);
        assert_pending!(call.poll());
        drop(call);
        assert_ends(&payments, (2, 1, 1));
        let (payments, mut call) = from_the_line(start, Inner::Fails);
        assert!(assert_ready!(call.poll()).is_err());
        assert_ends(&payments, (2, 2, 0));
    }
}

#[test]
fn a_request_that_has_not_reached_the_inner_service_is_not_cut_short() {
    for start in BOTH {
        // In line.
        let (payments, slot): (Bulkhead, Slot) = full(1);
        let mut call = start(&payments, Inner::Pends);
        assert_pending!(call.poll());
        drop((call, slot));
        assert_eq!(checked_status(&payments).totals.cancelled, 1);
        assert_ends(&payments, (1, 1, 0));
        // Admitted from the line, and not polled since.
        let (payments, call) = from_the_line(start, Inner::Pends);
        drop(call);
        assert_eq!(checked_status(&payments).totals.abandoned, 1);
        assert_ends(&payments, (1, 1, 0));
        // Admitted at once or from the line, but the inner service is not ready, or panics in readiness.
        let payments = bulkhead(1, 0);
        let mut call = start(&payments, Inner::IsNotReady);
        assert_pending!(call.poll());
        assert_eq!(checked_status(&payments).in_flight, 1);
        drop(call);
        let mut call = start(&payments, Inner::PanicsInReadiness);
        assert!(panics(|| call.poll()));
        drop(call);
        assert_eq!(checked_status(&payments).totals.abandoned, 2);
        assert_ends(&payments, (0, 0, 0));
        let (payments, mut call) = from_the_line(start, Inner::IsNotReady);
        assert_pending!(call.poll());
        drop(call);
        assert_eq!(checked_status(&payments).totals.abandoned, 1);
        assert_ends(&payments, (1, 1, 0));
    }
}

#[test]
fn a_ready_service_that_is_dropped_is_not_cut_short() {
    let payments = bulkhead(1, 0);
    let mut ready = task::spawn(BulkheadLayer::new(&payments).layer(Inner::Pends));
    let polled = ready.enter(|cx, service| service.get_mut().poll_ready(cx));
    assert!(polled.is_ready());
    drop(ready);
    assert_eq!(checked_status(&payments).totals.abandoned, 1);
    assert_ends(&payments, (0, 0, 0));
}

#[test]
fn units_of_a_weighted_layer() {
    let reports: WeightedBulkhead = weighted(10, 0);
    let fixed = WeightedBulkheadLayer::fixed(&reports, 4);
    let by_request = WeightedBulkheadLayer::new(&reports, |_: &Request<()>| 3);
    let mut in_readiness = task::spawn(fixed.layer(Inner::Pends).oneshot(Request::new(())));
    let mut per_request = task::spawn(by_request.layer(Inner::Pends).oneshot(Request::new(())));
    assert_pending!(in_readiness.poll());
    assert_pending!(per_request.poll());
    drop((in_readiness, per_request));
    let totals = reports.status().totals;
    assert_eq!((ends(&totals), totals.cut_short_units), ((2, 0, 2), 7));
}
