//! `hold_body`: a slot is held as long as the body of the response, frame by frame.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::ready,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bulklink::{Bulkhead, BulkheadLayer};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};

/// A body of these frames. When dropped, it can record the units in use at a bulkhead.
#[derive(Default)]
struct Frames {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    on_drop: Option<(Bulkhead, Arc<AtomicUsize>)>,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(self.frames.pop_front())
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        if let Some((bulkhead, used)) = &self.on_drop {
            used.store(bulkhead.status().used, Ordering::SeqCst);
        }
    }
}

fn data() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from_static(b"data")))
}

fn trailers() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::trailers(HeaderMap::new()))
}

fn downloads() -> Bulkhead {
    Bulkhead::builder("downloads").parallelism(1).build().unwrap()
}

/// The response with this body, through a layer that holds the slot.
async fn response<B: Body + Default>(
    downloads: &Bulkhead,
    body: B,
) -> Response<impl Body<Data = B::Data, Error = B::Error> + use<B>> {
    let mut body = Some(body);
    let mut service =
        BulkheadLayer::new(downloads).hold_body().layer(tower::service_fn(move |_: Request<()>| {
            ready(Ok::<_, Infallible>(Response::new(body.take().unwrap())))
        }));
    service.ready().await.unwrap().call(Request::new(())).await.unwrap()
}

/// The number of polls for a frame after which the slot has been given back.
async fn frames_with_slot(
    frames: impl Into<VecDeque<Result<Frame<Bytes>, &'static str>>>,
) -> usize {
    let downloads = downloads();
    let body = Frames { frames: frames.into(), on_drop: None };
    let mut body = Box::pin(response(&downloads, body).await.into_body());
    let mut frames = 0;
    while downloads.status().used == 1 {
        body.frame().await;
        frames += 1;
    }
    assert_eq!((downloads.status().used, downloads.status().totals.finished), (0, 1));
    frames
}

#[tokio::test]
async fn the_slot_is_held_until_the_body_ends_in_any_way() {
    assert_eq!(frames_with_slot([data(), data()]).await, 3, "the end itself");
    assert_eq!(frames_with_slot([data(), trailers()]).await, 2, "trailers");
    assert_eq!(frames_with_slot([trailers()]).await, 1, "nothing but trailers");
    assert_eq!(frames_with_slot([data(), Err("broken"), data()]).await, 2, "an error");
    assert_eq!(frames_with_slot([]).await, 1, "an end that takes one more poll");
}

#[tokio::test]
async fn a_body_that_reports_its_end_gives_the_slot_back_with_its_last_frame() {
    let downloads = downloads();
    let mut body = response(&downloads, Full::new(Bytes::from_static(b"all"))).await.into_body();
    assert_eq!(downloads.status().used, 1);
    assert!(!body.is_end_stream());
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream());
    assert_eq!(downloads.status().used, 0, "a reader that knows the end does not poll again");

    let _body = response(&downloads, Full::new(Bytes::new())).await;
    assert_eq!(downloads.status().used, 0, "an empty body has ended from the start");
}

#[tokio::test]
async fn a_dropped_body_gives_the_slot_back_after_its_own_drop() {
    let downloads = downloads();
    let frames = VecDeque::from([data(), data()]);
    let used = Arc::new(AtomicUsize::new(0));
    let body = Frames { frames, on_drop: Some((downloads.clone(), used.clone())) };
    let mut body = Box::pin(response(&downloads, body).await.into_body());
    body.frame().await.unwrap().unwrap();
    assert_eq!(downloads.status().used, 1);
    drop(body);
    assert_eq!(used.load(Ordering::SeqCst), 1, "the body is dropped before its slot is given back");
    assert_eq!((downloads.status().used, downloads.status().totals.finished), (0, 1));

    drop(response(&downloads, Frames::default()).await);
    assert_eq!((downloads.status().used, downloads.status().totals.finished), (0, 2));
}

#[tokio::test]
async fn the_size_hint_and_the_end_of_a_body_are_passed_through() {
    #[derive(Default)]
    struct Sized;

    impl Body for Sized {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(4_711)
        }
    }

    let downloads = downloads();
    let response = response(&downloads, Sized).await;
    assert_eq!(response.body().size_hint().exact(), Some(4_711));
    assert!(!response.body().is_end_stream());
    assert_eq!(downloads.status().used, 1);
}

#[tokio::test]
async fn rejected_and_bypassed_requests_hold_nothing() {
    let downloads = downloads();
    let layer = BulkheadLayer::new(&downloads).hold_body();
    let layer = layer.bypass(|request: &Request<()>| request.uri().path() == "/health");
    let body =
        |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("all"))));
    let service = layer.layer(tower::service_fn(body));
    let get = |path| service.clone().oneshot(Request::get(path).body(()).unwrap());

    let held = get("/file").await.unwrap();
    let rejected = get("/file").await.unwrap();
    assert_eq!(rejected.status(), 503);
    assert!(rejected.body().is_end_stream());
    let bypassed = get("/health").await.unwrap();
    assert_eq!(bypassed.status(), 200);
    drop((rejected, bypassed));
    assert_eq!((downloads.status().used, downloads.status().totals.bypassed), (1, 1));
    drop(held);
    assert_eq!((downloads.status().used, downloads.status().totals.finished), (0, 1));
}

#[tokio::test]
async fn a_failed_response_gives_the_slot_back() {
    let downloads = downloads();
    let broken = |_: Request<()>| ready(Err::<Response<Full<Bytes>>, _>("broken"));
    let service = BulkheadLayer::new(&downloads).hold_body().layer(tower::service_fn(broken));
    assert_eq!(service.oneshot(Request::new(())).await.err(), Some("broken"));
    assert_eq!((downloads.status().used, downloads.status().totals.finished), (0, 1));
}
