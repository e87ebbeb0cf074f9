//! The situations of layers that wait per request: a handle holds nothing, and a request is admitted or
//! queued in `call`.

use bulklink::RejectionReason;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower_test::mock::Spawn;

use super::harness::{Panicking, Panics, answer, assert_untouched, set_up};
pub(super) use super::tower_middleware::per_request::*;
use crate::{
    support::assert_panics,
    tower::contracts::layer_kinds::{LayerKind, echo},
};

pub(super) fn ready_then_call<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    assert_ready_ok!(handle.poll_ready());
    assert_eq!(kind.counts().now(), (0, 0), "a ready handle holds nothing");

    let mut first = task::spawn(handle.call("first"));
    let mut second = task::spawn(handle.call("second"));
    assert_eq!(kind.counts().now(), (1, 1), "each call is admitted or queued before any poll");
    assert_pending!(second.poll());
    assert_pending!(first.poll());
    assert_eq!(answer(&mut mock), "first", "the order of the calls counts, not that of the polls");
    assert_eq!(assert_ready_ok!(first.poll()), "first");

    assert!(second.is_woken());
    assert_untouched(&mut mock);
    assert_pending!(second.poll());
    assert_eq!(answer(&mut mock), "second");
    assert_eq!(assert_ready_ok!(second.poll()), "second");
    let totals = kind.counts().totals;
    assert_eq!(kind.counts().now(), (0, 0));
    assert_eq!((totals.admitted, totals.finished, totals.abandoned), (2, 2, 0));
}

pub(super) fn ready_then_drop<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    assert_ready_ok!(handle.poll_ready());
    drop(handle.clone());
    assert!(!kind.counts().totals.has_activity(), "there was nothing to give back");

    // A future dropped between its call and its first poll is a request that was admitted.
    drop(handle.call("never polled"));
    assert_eq!((kind.counts().now(), kind.counts().totals.abandoned), ((0, 0), 1));
    assert_untouched(&mut mock);
}

pub(super) fn clone_of_a_ready_handle<K: LayerKind>() {
    let (kind, mut handle, _mock) = set_up::<K>(1, 1);
    assert_ready_ok!(handle.poll_ready());
    let mut clone = handle.clone();
    let running = handle.call("of the original");
    let queued = clone.call("of the clone");
    assert_eq!(kind.counts().now(), (1, 1), "both handles share one bulkhead");
    drop((handle, clone));
    assert_eq!(kind.counts().now(), (1, 1), "requests do not depend on their handles");
    drop((running, queued));
}

pub(super) fn call_without_ready<K: LayerKind>() {
    let kind = K::new(1, 1);
    let mut handle = kind.over(echo());
    let mut first = task::spawn(tower::Service::call(&mut handle, "first"));
    let mut second = task::spawn(tower::Service::call(&mut handle, "second"));
    assert_eq!(kind.counts().now(), (1, 1), "a call does not depend on readiness");
    let error = assert_ready_err!(task::spawn(tower::Service::call(&mut handle, "third")).poll());
    assert!(matches!(error.rejection().unwrap().reason(), RejectionReason::Saturated { .. }));
    assert_ready_ok!(first.poll());
    assert_ready_ok!(second.poll());
}

pub(super) fn inner_pending<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    mock.allow(0);
    assert_ready_ok!(handle.poll_ready(), "the inner service is not polled before admission");
    let mut response = task::spawn(handle.call("first"));
    let mut queued = task::spawn(handle.call("second"));
    assert_pending!(response.poll());
    assert_pending!(queued.poll());
    assert_eq!(kind.counts().now(), (1, 1), "it keeps its slot while the inner service gets ready");

    mock.allow(1);
    assert!(response.is_woken());
    assert!(!queued.is_woken(), "a queued request does not wait for the inner service");
    assert_pending!(response.poll());
    assert_eq!(answer(&mut mock), "first");
    assert_ready_ok!(response.poll());

    assert!(queued.is_woken());
    assert_pending!(queued.poll());
    drop(queued);
    let totals = kind.counts().totals;
    assert_eq!((kind.counts().now(), totals.finished, totals.abandoned), ((0, 0), 1, 1));
}

pub(super) fn inner_readiness_error<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    mock.send_error("out of order");
    assert_ready_ok!(handle.poll_ready(), "the inner service is not polled before admission");
    let mut response = task::spawn(handle.call("first"));
    let mut next = task::spawn(handle.call("second"));
    let error = assert_ready_err!(response.poll());
    assert_eq!(error.into_boxed().to_string(), "out of order");
    assert_eq!(
        (kind.counts().now(), kind.counts().totals.abandoned),
        ((1, 0), 1),
        "its slot goes to the next request"
    );

    assert_pending!(next.poll());
    assert_eq!(answer(&mut mock), "second", "the handle still works");
    assert_ready_ok!(next.poll());
}

pub(super) fn inner_call_error<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 0);
    let mut response = task::spawn(handle.call("order"));
    assert_pending!(response.poll());
    assert_ready!(mock.poll_request()).unwrap().1.send_error("sold out");
    let error = assert_ready_err!(response.poll());
    assert_eq!(error.into_boxed().to_string(), "sold out");
    assert_eq!((kind.counts().now(), kind.counts().totals.finished), ((0, 0), 1));
}

pub(super) fn inner_panic<K: LayerKind>() {
    let kind = K::new(1, 1);
    for (count, at) in [Panics::Readiness, Panics::Call, Panics::Future].iter().enumerate() {
        let mut handle = Spawn::new(kind.over(Panicking(*at)));
        let mut response = task::spawn(handle.call("order"));
        assert_panics(|| response.poll());
        drop(response);
        assert_eq!(kind.counts().now(), (0, 0), "the request is gone although the handle is alive");
        let totals = kind.counts().totals;
        assert_eq!((totals.abandoned, totals.finished), (1, count as u64));
    }
    let mut next = Spawn::new(kind.over(echo()));
    assert_ready_ok!(task::spawn(next.call("the next one")).poll());
}

pub(super) fn drop_while_queued<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 3);
    let slot = kind.occupy();
    let [mut first, mut second, mut third] = ["1", "2", "3"].map(|it| task::spawn(handle.call(it)));
    assert_pending!(first.poll());
    assert_pending!(second.poll());
    drop(second);
    assert_eq!(kind.counts().now(), (1, 2), "it leaves the line at once");
    assert_eq!(kind.counts().totals.cancelled, 1);

    drop(slot);
    assert!(first.is_woken());
    drop(first);
    assert_eq!(kind.counts().totals.abandoned, 1, "it was admitted before it was dropped");
    assert_pending!(third.poll());
    assert_eq!(answer(&mut mock), "3", "its slot went to the next request, polled or not");
    assert_ready_ok!(third.poll());
}

pub(super) fn rejection_then_reuse<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 0);
    let slot = kind.occupy();
    let mut rejected = task::spawn(handle.call("rejected"));
    drop(slot);
    let error = assert_ready_err!(rejected.poll(), "the decision made in the call stands");
    assert!(matches!(error.rejection().unwrap().reason(), RejectionReason::Saturated { .. }));

    let mut response = task::spawn(handle.call("served"));
    assert_pending!(response.poll());
    assert_eq!(answer(&mut mock), "served");
    assert_ready_ok!(response.poll());

    kind.close();
    assert_ready_ok!(handle.poll_ready());
    let error = assert_ready_err!(task::spawn(handle.call("too late")).poll());
    assert_eq!(error.rejection().unwrap().reason(), &RejectionReason::Closed);
    assert_untouched(&mut mock);
}
