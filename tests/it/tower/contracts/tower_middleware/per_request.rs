//! Around layers that wait per request, middleware sees a service that is always ready, and the wait as part of
//! the call.

use std::time::Duration;

use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task};
use tower::{
    Service, ServiceExt, buffer::Buffer, load_shed::LoadShed, steer::Steer, timeout::Timeout,
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
        until(|| kind.counts().now() == (1, 2)).await;
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        drop(buffer);
        assert_eq!(kind.counts().now(), (1, 2), "every request waits in line for itself");

        drop(slot);
        for (request, response) in [("first", &mut first), ("second", &mut second)] {
            until(|| response.is_woken() && response.poll().is_pending()).await;
            assert_eq!(answer(&mut mock), request);
            until(|| response.is_woken() && response.poll().is_ready()).await;
        }
        assert_eq!((kind.counts().now(), kind.counts().totals.finished), ((0, 0), 3));
    });
}

pub(in crate::tower::contracts) fn load_shed_outside<K: LayerKind>() {
    let (kind, handle, mut mock) = inside::<K>(1, 1);
    let slot = kind.occupy();
    let mut shed = Spawn::new(LoadShed::new(handle));
    assert_ready_ok!(shed.poll_ready());
    let mut response = task::spawn(shed.call("waits"));
    assert_pending!(response.poll());
    assert_ready_ok!(shed.poll_ready());
    let error = assert_ready_err!(task::spawn(shed.call("rejected")).poll());
    assert!(
        error.is::<bulklink::Rejection>(),
        "the bulkhead rejects, the middleware sheds nothing: {error}"
    );
    assert_eq!(kind.counts().now(), (1, 1));

    drop(slot);
    assert_pending!(response.poll());
    answer(&mut mock);
    assert_ready_ok!(response.poll());
}

pub(in crate::tower::contracts) fn timeout_outside<K: LayerKind>() {
    in_paused_time(async {
        let (kind, handle, mut mock) = inside::<K>(1, 1);
        let slot = kind.occupy();
        let mut handle = Spawn::new(Timeout::new(handle, Duration::from_millis(50)));
        let mut response = task::spawn(handle.call("waits too long"));
        assert_pending!(response.poll());
        tokio::time::advance(Duration::from_millis(51)).await;
        assert!(assert_ready_err!(response.poll()).is::<tower::timeout::error::Elapsed>());
        drop(response);
        assert_eq!(
            (kind.counts().now(), kind.counts().totals.cancelled),
            ((1, 0), 1),
            "the timeout covers the wait"
        );
        assert_untouched(&mut mock);

        drop(slot);
        let mut response = task::spawn(handle.call("runs too long"));
        assert_pending!(response.poll());
        tokio::time::advance(Duration::from_millis(51)).await;
        assert_ready_err!(response.poll());
        drop(response);
        assert_eq!(
            (kind.counts().now(), kind.counts().totals.finished),
            ((0, 0), 2),
            "and the call as well"
        );
    });
}

pub(in crate::tower::contracts) fn steer_and_balance<K: LayerKind>() {
    // A steer over any number of handles holds nothing.
    let (kind, handle, mut mock) = inside::<K>(1, 1);
    let pick = |request: &Request, _: &[_]| usize::from(*request == "second");
    let mut steer = Spawn::new(Steer::new([handle.clone(), handle.clone(), handle], pick));
    assert_ready_ok!(steer.poll_ready());
    assert_eq!(kind.counts().now(), (0, 0));
    let mut first = task::spawn(steer.call("first"));
    assert_ready_ok!(steer.poll_ready());
    let mut second = task::spawn(steer.call("second"));
    assert_eq!(kind.counts().now(), (1, 1));
    for response in [&mut first, &mut second] {
        assert_pending!(response.poll());
        answer(&mut mock);
        assert_ready_ok!(response.poll());
    }

    // A balancer sees two ready handles and takes the one it prefers, full or not.
    let (full, preferred, _mock) = inside::<K>(1, 1);
    let (free, other, mut untouched) = inside::<K>(1, 1);
    let _slot = full.occupy();
    let mut balance = balance(preferred, other);
    assert_ready_ok!(balance.poll_ready());
    assert_eq!((full.counts().now(), free.counts().now()), ((1, 0), (0, 0)));
    let mut response = task::spawn(balance.call("order"));
    assert_pending!(response.poll());
    assert_eq!((full.counts().now(), free.counts().now()), ((1, 1), (0, 0)));
    assert_untouched(&mut untouched);
}
