//! Around layers that wait in `poll_ready`, middleware can tell that the bulkhead is full.

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

pub(in crate::tower::contracts) fn buffer_outside<K: LayerKind>() {
    in_paused_time(async {
        let (kind, handle, mut mock) = inside::<K>(1, 4);
        let slot = kind.occupy();
        let mut buffer = Buffer::new(handle, 4);
        let mut first = task::spawn(buffer.ready().await.unwrap().call("first"));
        let mut second = task::spawn(buffer.ready().await.unwrap().call("second"));
        until(|| kind.counts().waiting > 0).await;
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        assert_eq!(
            kind.counts().now(),
            (1, 1),
            "the buffer waits in line once for all its requests"
        );

        drop(slot);
        for (request, response) in [("first", &mut first), ("second", &mut second)] {
            let (reached, reply) = mock.next_request().await.unwrap();
            assert_eq!(reached, request, "requests keep their order");
            reply.send_response(reached);
            until(|| response.is_woken() && response.poll().is_ready()).await;
        }

        drop(buffer);
        until(|| kind.counts().now() == (0, 0)).await;
        assert_eq!(kind.counts().totals.finished, 3, "a dropped buffer leaves nothing behind");
    });
}

pub(in crate::tower::contracts) fn load_shed_outside<K: LayerKind>() {
    let (kind, handle, mut mock) = inside::<K>(1, 1);
    let slot = kind.occupy();
    let mut shed = Spawn::new(LoadShed::new(handle));
    assert_ready_ok!(shed.poll_ready());
    let error = assert_ready_err!(task::spawn(shed.call("shed")).poll());
    assert!(error.is::<Overloaded>(), "instead of a wait: {error}");
    assert_eq!(kind.counts().now(), (1, 1), "but the handle keeps its place in line");

    drop(slot);
    assert_ready_ok!(shed.poll_ready());
    let mut response = task::spawn(shed.call("served"));
    answer(&mut mock);
    assert_ready_ok!(response.poll());
    drop(shed);

    let (kind, handle, _mock) = inside::<K>(1, 0);
    let _slot = kind.occupy();
    let mut shed = Spawn::new(LoadShed::new(handle));
    assert_ready_ok!(shed.poll_ready());
    let error = assert_ready_err!(task::spawn(shed.call("rejected")).poll());
    assert!(error.is::<bulklink::Rejection>(), "without room the bulkhead rejects: {error}");
}

pub(in crate::tower::contracts) fn timeout_outside<K: LayerKind>() {
    in_paused_time(async {
        let (kind, handle, mut mock) = inside::<K>(1, 1);
        let slot = kind.occupy();
        let mut handle = Spawn::new(Timeout::new(handle, Duration::from_millis(50)));
        assert_pending!(handle.poll_ready());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!handle.is_woken());
        assert_eq!(kind.counts().now(), (1, 1), "the timeout does not cover the wait in readiness");

        drop(slot);
        assert_ready_ok!(handle.poll_ready());
        let mut response = task::spawn(handle.call("slow"));
        assert_pending!(response.poll());
        tokio::time::advance(Duration::from_millis(51)).await;
        assert!(assert_ready_err!(response.poll()).is::<tower::timeout::error::Elapsed>());
        drop(response);
        assert_eq!(
            (kind.counts().now(), kind.counts().totals.finished),
            ((0, 0), 2),
            "the timeout covers the call"
        );
        let (_, reply) = assert_ready!(mock.poll_request()).unwrap();
        reply.send_response("too late");
    });
}

pub(in crate::tower::contracts) fn steer_and_balance<K: LayerKind>() {
    // A steer is ready when all its handles are: each of them holds a slot.
    let (kind, handle, mut mock) = inside::<K>(2, 1);
    let pick = |request: &Request, _: &[_]| usize::from(*request == "second");
    let mut steer = Spawn::new(Steer::new([handle.clone(), handle.clone()], pick));
    assert_ready_ok!(steer.poll_ready());
    assert_eq!(kind.counts().now(), (2, 0));
    let mut response = task::spawn(steer.call("second"));
    assert_eq!(kind.counts().now(), (2, 0), "the handle that was not called keeps its slot");
    assert_pending!(steer.poll_ready());
    assert_eq!(kind.counts().now(), (2, 1), "and the one that was called waits in line again");
    answer(&mut mock);
    assert_ready_ok!(response.poll());
    assert_ready_ok!(steer.poll_ready());
    drop(steer);
    assert_eq!((kind.counts().now(), kind.counts().totals.abandoned), ((0, 0), 2));

    // A balancer avoids the full bulkhead.
    let (full, preferred, mut untouched) = inside::<K>(1, 1);
    let (free, other, mut mock) = inside::<K>(1, 1);
    let slot = full.occupy();
    let mut balance = balance(preferred, other);
    assert_ready_ok!(balance.poll_ready());
    assert_eq!((full.counts().now(), free.counts().now()), ((1, 1), (1, 0)));
    let mut response = task::spawn(balance.call("order"));
    answer(&mut mock);
    assert_ready_ok!(response.poll());

    drop(slot);
    assert_ready_ok!(balance.poll_ready());
    let _response = balance.call("order");
    answer(&mut untouched);
    assert_untouched(&mut mock);
}
