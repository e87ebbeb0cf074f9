//! Response bodies that panic while they hold their request's slot.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bulklink::BulkheadLayer;
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, service_fn};

use super::Switch;
use crate::support::{assert_nothing_left, bulkhead, checked_status, panics};

/// An endless body that panics in the places whose switch is on.
#[derive(Clone, Default)]
struct Stream {
    frame: Switch,
    end: Switch,
    drop: Switch,
}

impl Body for Stream {
    type Data = &'static [u8];
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        self.frame.pass_once();
        Poll::Ready(Some(Ok(Frame::data(b"more"))))
    }

    fn is_end_stream(&self) -> bool {
        self.end.pass_once();
        false
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.drop.pass_once();
    }
}

#[test]
fn a_body_that_panics_releases_its_slot_once_it_is_dropped() {
    for place in 0..4 {
        let payments = bulkhead(1, 1);
        let body = Stream::default();
        let switch = [&body.frame, &body.end, &body.drop, &body.end][place].clone();
        let inner = service_fn(move |_: Request<()>| {
            let body = body.clone();
            async move { Ok::<_, Infallible>(Response::new(body)) }
        });
        let layer = BulkheadLayer::new(&payments).hold_body();
        let mut service = layer.layer(inner);
        assert!(task::spawn(()).enter(|cx, _| service.poll_ready(cx).is_ready()));
        let mut response = task::spawn(Box::pin(service.call(Request::new(()))));
        let mut waiter = task::spawn(payments.slot());
        assert_pending!(waiter.poll());
        // The last switch fails before there is a response.
        switch.set(place == 3);
        let mut body = None;
        let panicked = panics(|| body = Some(response.poll().map(Result::unwrap)));
        assert_eq!(panicked, place == 3);
        if let Some(Poll::Ready(response)) = body {
            let mut body = Box::pin(response.into_body());
            switch.set(true);
            let polled = panics(|| {
                let mut cx = Context::from_waker(std::task::Waker::noop());
                body.as_mut().poll_frame(&mut cx).is_ready()
            });
            assert_eq!(polled, place < 2);
            assert!(!waiter.is_woken(), "the body still holds the slot");
            assert_eq!(panics(move || drop(body)), place == 2);
        }
        drop(response);
        assert!(waiter.is_woken(), "place {place}");
        drop(waiter);
        let totals = checked_status(&payments).totals;
        assert_eq!((totals.finished, totals.abandoned), (1, 1));
        assert_nothing_left(&payments);
    }
}
