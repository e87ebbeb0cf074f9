//! Waiting in `poll_ready` is what these know how to deal with: they see a full bulkhead.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{
    Service, ServiceExt, buffer::Buffer, load_shed::LoadShed, load_shed::error::Overloaded,
    steer::Steer, timeout::Timeout,
};
use tower_test::mock::Spawn;

use super::{balance, inside};
use crate::{
    support::in_paused_time,
    tower::{
        contracts::harness::{answer, assert_untouched, until},
        contracts::layer_kinds::{LayerKind, Request},
    },
};

pub(in crate::tower::contracts) fn buffer_outside<R: LayerKind>() {
    in_paused_time(async {
        let (row, handle, mut mock) = inside::<R>(1, 4);
        let slot = row.occupy();
        let mut buffer = Buffer::new(handle, 4);
        let mut first = task::spawn(buffer.ready().await.unwrap().call("first"));
        let mut second = task::spawn(buffer.ready().await.unwrap().call("second"));
        until(|| row.seen().waiting > 0).await;
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        assert_eq!(
            row.seen().now(),
            (1, 1),
            "the buffer stands in line once, for all its requests"
        );

        drop(slot);
        for (request, response) in [("first", &mut first), ("second", &mut second)] {
            let (reached, reply) = mock.next_request().await.unwrap();
            assert_eq!(reached, request, "requests keep their order");
            reply.send_response(reached);
            until(|| response.is_woken() && response.poll().is_ready()).await;
        }

        drop(buffer);
        until(|| row.seen().now() == (0, 0)).await;
        assert_eq!(row.seen().totals.finished, 3, "and nothing is left behind by a dropped buffer");
    });
}

pub(in crate::tower::contracts) fn load_shed_outside<R: LayerKind>() {
    let (row, handle, mut mock) = inside::<R>(1, 1);
    let slot = row.occupy();
    let mut shed = Spawn::new(LoadShed::new(handle));
    assert_ready_ok!(shed.poll_ready());
    let error = assert_ready_err!(task::spawn(shed.call("shed")).poll());
    assert!(error.is::<Overloaded>(), "instead of a wait: {error}");
    assert_eq!(row.seen().now(), (1, 1), "but the handle keeps its place in line");

    drop(slot);
    assert_ready_ok!(shed.poll_ready());
    let mut response = task::spawn(shed.call("served"));
    answer(&mut mock);
    assert_ready_ok!(response.poll());
    drop(shed);

    let (row, handle, _mock) = inside::<R>(1, 0);
    let _slot = row.occupy();
    let mut shed = Spawn::new(LoadShed::new(handle));
    assert_ready_ok!(shed.poll_ready());
    let error = assert_ready_err!(task::spawn(shed.call("rejected")).poll());
    assert!(error.is::<bulklink::Rejection>(), "without room the bulkhead answers: {error}");
}

pub(in crate::tower::contracts) fn timeout_outside<R: LayerKind>() {
    in_paused_time(async {
        let (row, handle, mut mock) = inside::<R>(1, 1);
        let slot = row.occupy();
        let mut handle = Spawn::new(Timeout::new(handle, Duration::from_millis(50)));
        assert_pending!(handle.poll_ready());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!handle.is_woken());
        assert_eq!(row.seen().now(), (1, 1), "it does not time the wait in readiness");

        drop(slot);
        assert_ready_ok!(handle.poll_ready());
        let mut response = task::spawn(handle.call("slow"));
        assert_pending!(response.poll());
        tokio::time::advance(Duration::from_millis(51)).await;
        assert!(assert_ready_err!(response.poll()).is::<tower::timeout::error::Elapsed>());
        drop(response);
        assert_eq!(
            (row.seen().now(), row.seen().totals.finished),
            ((0, 0), 2),
            "it times the call"
        );
        let (_, reply) = assert_ready!(mock.poll_request()).unwrap();
        reply.send_response("too late for anybody");
    });
}

pub(in crate::tower::contracts) fn steer_and_balance<R: LayerKind>() {
    // A steer is ready when all its handles are: each of them holds a slot.
    let (row, handle, mut mock) = inside::<R>(2, 1);
    let pick = |request: &Request, _: &[_]| usize::from(*request == "second");
    let mut steer = Spawn::new(Steer::new([handle.clone(), handle.clone()], pick));
    assert_ready_ok!(steer.poll_ready());
    assert_eq!(row.seen().now(), (2, 0));
    let mut response = task::spawn(steer.call("second"));
    assert_eq!(row.seen().now(), (2, 0), "the handle not called keeps its slot");
    assert_pending!(steer.poll_ready());
    assert_eq!(row.seen().now(), (2, 1), "and the one called stands in line again");
    answer(&mut mock);
    assert_ready_ok!(response.poll());
    assert_ready_ok!(steer.poll_ready());
    drop(steer);
    assert_eq!((row.seen().now(), row.seen().totals.abandoned), ((0, 0), 2));

    // A balancer goes round the full bulkhead.
    let (full, preferred, mut untouched) = inside::<R>(1, 1);
    let (free, other, mut mock) = inside::<R>(1, 1);
    let slot = full.occupy();
    let mut balance = balance(preferred, other);
    assert_ready_ok!(balance.poll_ready());
    assert_eq!((full.seen().now(), free.seen().now()), ((1, 1), (1, 0)));
    let mut response = task::spawn(balance.call("order"));
    answer(&mut mock);
    assert_ready_ok!(response.poll());

    drop(slot);
    assert_ready_ok!(balance.poll_ready());
    let _response = balance.call("order");
    answer(&mut untouched);
    assert_untouched(&mut mock);
}
