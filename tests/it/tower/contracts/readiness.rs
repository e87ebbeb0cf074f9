//! The situations of layers that wait in `poll_ready`: a ready handle holds its slot.

use bulklink::RejectionReason;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower_test::mock::Spawn;

use super::harness::{Panicking, Panics, answer, assert_untouched, set_up};
pub(super) use super::tower_middleware::readiness::*;
use crate::{
    support::assert_panics,
    tower::contracts::layer_kinds::{LayerKind, echo},
};

pub(super) fn ready_then_call<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    assert_ready_ok!(handle.poll_ready());
    assert_ready_ok!(handle.poll_ready());
    assert_eq!(kind.counts().now(), (1, 0), "a ready handle holds one slot");

    let mut response = task::spawn(handle.call("order"));
    assert_pending!(response.poll());
    assert_eq!(kind.counts().now(), (1, 0), "a running request holds the slot of its handle");

    assert_eq!(answer(&mut mock), "order");
    assert!(response.is_woken());
    assert_eq!(assert_ready_ok!(response.poll()), "order");
    assert_eq!(
        kind.counts().now(),
        (0, 0),
        "the slot is back before the response future is dropped"
    );
    let totals = kind.counts().totals;
    assert_eq!((totals.admitted, totals.finished, totals.abandoned), (1, 1, 0));
}

pub(super) fn ready_then_drop<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    assert_ready_ok!(handle.poll_ready());
    let mut next = handle.clone();
    assert_pending!(next.poll_ready());

    drop(handle);
    assert!(next.is_woken(), "the slot goes to the next in line at once");
    assert_eq!(kind.counts().now(), (1, 0));
    assert_eq!(kind.counts().totals.abandoned, 1);
    assert_ready_ok!(next.poll_ready());
    drop(next);
    assert_eq!((kind.counts().now(), kind.counts().totals.abandoned), ((0, 0), 2));
    assert_untouched(&mut mock);
}

pub(super) fn clone_of_a_ready_handle<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 2);
    assert_ready_ok!(handle.poll_ready());
    let mut queued = handle.clone();
    assert_eq!(kind.counts().now(), (1, 0), "a clone starts without a slot");
    assert_pending!(queued.poll_ready());

    let second_queued = queued.clone();
    assert_eq!(kind.counts().now(), (1, 1), "a clone starts without a place in line");
    drop((queued, second_queued));
    assert_eq!((kind.counts().now(), kind.counts().totals.cancelled), ((1, 0), 1));

    let mut response = task::spawn(handle.call("order"));
    answer(&mut mock);
    assert_ready_ok!(response.poll());
    assert_eq!(kind.counts().now(), (0, 0), "the original kept its slot");
}

pub(super) fn call_without_ready<K: LayerKind>() {
    let kind = K::new(1, 1);
    let mut handle = Spawn::new(kind.over(echo()));
    let running = handle.call("admitted now");
    assert_eq!(kind.counts().now(), (1, 0), "it is admitted in the call itself");

    let error = assert_ready_err!(task::spawn(handle.call("no slot")).poll());
    let reason = error.rejection().unwrap().reason();
    assert!(matches!(reason, RejectionReason::Saturated { waiting: 0, .. }), "{reason:?}");
    assert_eq!(kind.counts().now(), (1, 0), "it does not wait, although there is room");
    assert_eq!(assert_ready_ok!(task::spawn(running).poll()), "admitted now");

    // A handle that is still in line gives up its place for an immediate answer.
    let slot = kind.occupy();
    assert_pending!(handle.poll_ready());
    assert_ready_err!(task::spawn(handle.call("not its turn")).poll());
    assert_eq!((kind.counts().now(), kind.counts().totals.cancelled), ((1, 0), 1));

    // A handle that has been admitted, polled since or not, keeps its slot for the call.
    assert_pending!(handle.poll_ready());
    drop(slot);
    assert_ready_ok!(task::spawn(handle.call("its turn")).poll());
    assert_eq!((kind.counts().now(), kind.counts().totals.finished), ((0, 0), 3));
    assert_eq!(kind.counts().totals.abandoned, 0);
}

pub(super) fn inner_pending<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    mock.allow(0);
    assert_pending!(handle.poll_ready());
    assert_pending!(handle.poll_ready());
    assert_eq!(
        kind.counts().now(),
        (1, 0),
        "it keeps its one slot while the inner service gets ready"
    );

    mock.allow(1);
    assert!(handle.is_woken());
    assert_ready_ok!(handle.poll_ready());
    assert_eq!((kind.counts().now(), kind.counts().totals.admitted), ((1, 0), 1));

    mock.allow(0);
    let mut second = handle.clone();
    drop(handle);
    assert_pending!(second.poll_ready());
    drop(second);
    assert_eq!((kind.counts().now(), kind.counts().totals.abandoned), ((0, 0), 2));
}

pub(super) fn inner_readiness_error<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 1);
    mock.send_error("out of order");
    let error = assert_ready_err!(handle.poll_ready());
    assert!(error.rejection().is_none());
    assert_eq!(error.into_boxed().to_string(), "out of order");
    assert_eq!(kind.counts().now(), (0, 0), "a failed handle holds nothing");
    assert_eq!(kind.counts().totals.abandoned, 1);
}

pub(super) fn inner_call_error<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 0);
    assert_ready_ok!(handle.poll_ready());
    let mut response = task::spawn(handle.call("order"));
    assert_ready!(mock.poll_request()).unwrap().1.send_error("sold out");
    let error = assert_ready_err!(response.poll());
    assert_eq!(error.into_boxed().to_string(), "sold out");
    assert_eq!((kind.counts().now(), kind.counts().totals.finished), ((0, 0), 1));
}

pub(super) fn inner_panic<K: LayerKind>() {
    let kind = K::new(1, 1);
    let handle = |at| Spawn::new(kind.over(Panicking(at)));

    let mut ready = handle(Panics::Readiness);
    assert_panics(|| ready.poll_ready());
    drop(ready);
    assert_eq!((kind.counts().now(), kind.counts().totals.abandoned), ((0, 0), 1));

    let mut called = handle(Panics::Call);
    assert_ready_ok!(called.poll_ready());
    assert_panics(|| called.call("order"));
    assert_eq!(
        (kind.counts().now(), kind.counts().totals.finished),
        ((0, 0), 1),
        "although the handle is alive"
    );

    let mut running = handle(Panics::Future);
    assert_ready_ok!(running.poll_ready());
    let mut response = task::spawn(running.call("order"));
    assert_panics(|| response.poll());
    drop(response);
    assert_eq!((kind.counts().now(), kind.counts().totals.finished), ((0, 0), 2));

    let mut next = Spawn::new(kind.over(echo()));
    assert_ready_ok!(next.poll_ready());
    assert_ready_ok!(task::spawn(next.call("the next one")).poll());
}

pub(super) fn drop_while_queued<K: LayerKind>() {
    let (kind, handle, _mock) = set_up::<K>(1, 3);
    let slot = kind.occupy();
    let [mut first, mut second, mut third] = [handle.clone(), handle.clone(), handle];
    for waiter in [&mut first, &mut second, &mut third] {
        assert_pending!(waiter.poll_ready());
    }
    drop(second);
    assert_eq!(kind.counts().now(), (1, 2), "it leaves the line at once");
    assert_eq!(kind.counts().totals.cancelled, 1);

    drop(slot);
    assert!(first.is_woken() && !third.is_woken());
    drop(first);
    assert_eq!(kind.counts().totals.abandoned, 1, "it was admitted before it was dropped");
    assert!(third.is_woken(), "its slot goes to the next in line");
    assert_ready_ok!(third.poll_ready());
}

pub(super) fn rejection_then_reuse<K: LayerKind>() {
    let (kind, mut handle, mut mock) = set_up::<K>(1, 0);
    let slot = kind.occupy();
    assert_ready_ok!(handle.poll_ready(), "a rejection does not fail readiness");
    let error = assert_ready_err!(task::spawn(handle.call("rejected")).poll());
    assert!(matches!(error.rejection().unwrap().reason(), RejectionReason::Saturated { .. }));

    assert_ready_ok!(handle.poll_ready());
    let clone = handle.clone();
    drop(slot);
    assert_ready_ok!(handle.poll_ready(), "polled again before the call, it tries again");
    assert_eq!(
        kind.counts().now(),
        (1, 0),
        "and is admitted; its clone has neither slot nor rejection"
    );
    drop(clone);

    let mut response = task::spawn(handle.call("served"));
    assert_eq!(answer(&mut mock), "served");
    assert_ready_ok!(response.poll());

    kind.close();
    assert_ready_ok!(handle.poll_ready());
    let error = assert_ready_err!(task::spawn(handle.call("too late")).poll());
    assert_eq!(error.rejection().unwrap().reason(), &RejectionReason::Closed);
    assert_untouched(&mut mock);
}
