//! Bodies that were dropped before their end while they held a slot.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::ready,
    pin::Pin,
    task::{Context, Poll},
};

use bulklink::{Bulkhead, BulkheadLayer, PartitionedBulkhead, PartitionedBulkheadLayer};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt};

use crate::support::{bulkhead, checked_status};

/// A body of these frames, each of four bytes. It never knows that it has ended.
#[derive(Default)]
struct Frames {
    frames: VecDeque<Result<Frame<Bytes>, &'static str>>,
    length: Option<u64>,
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

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

fn data() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from_static(b"data")))
}

fn trailers() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::trailers(HeaderMap::new()))
}

/// Frames whose number of bytes is not known.
fn stream<const N: usize>(frames: [Result<Frame<Bytes>, &'static str>; N]) -> Response<Frames> {
    Response::new(Frames { frames: frames.into(), length: None })
}

/// The same, with this content-length.
fn sized<const N: usize>(
    length: &str,
    frames: [Result<Frame<Bytes>, &'static str>; N],
) -> Response<Frames> {
    let mut response = stream(frames);
    response.headers_mut().insert(CONTENT_LENGTH, length.parse().unwrap());
    response
}

/// Sends a request that is answered by `response`, through a layer that holds the slot. Reads so many frames of the body
/// and drops it. Returns how many bodies have ended early.
async fn ended_early<B>(method: Method, response: Response<B>, frames: usize) -> u64
where
    B: Body + Default + Unpin,
    B::Data: std::fmt::Debug,
{
    let downloads = bulkhead(1, 0);
    let response = respond(&downloads, method, response).await;
    assert_eq!(checked_status(&downloads).totals.bodies_ended_early, 0);
    let mut body = Box::pin(response.into_body());
    for _ in 0..frames {
        body.frame().await;
    }
    drop(body);
    let totals = checked_status(&downloads).totals;
    assert_eq!((totals.finished, totals.cut_short), (1, 0), "there was a response");
    totals.bodies_ended_early
}

async fn respond<B: Body + Default>(
    downloads: &Bulkhead,
    method: Method,
    response: Response<B>,
) -> Response<impl Body<Data = B::Data, Error = B::Error> + use<B>> {
    let mut response = Some(response);
    let inner = tower::service_fn(move |_: Request<()>| {
        ready(Ok::<_, Infallible>(response.take().unwrap()))
    });
    let service = BulkheadLayer::new(downloads).hold_body().layer(inner);
    let request = Request::builder().method(method).body(()).unwrap();
    service.oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_body_that_is_dropped_before_its_end_counts_once() {
    for frames in 0..=1 {
        assert_eq!(ended_early(Method::GET, stream([data(), data()]), frames).await, 1);
        assert_eq!(ended_early(Method::GET, sized("8", [data(), data()]), frames).await, 1);
        assert_eq!(ended_early(Method::POST, sized("8", [data(), data()]), frames).await, 1);
    }
    // It is not known that this was the last frame.
    assert_eq!(ended_early(Method::GET, stream([data(), data()]), 2).await, 1);
    assert_eq!(ended_early(Method::GET, stream([]), 0).await, 1);
    // Without its trailers.
    assert_eq!(ended_early(Method::GET, stream([data(), trailers()]), 1).await, 1);
    let unread = Response::new(Full::<Bytes>::from("all"));
    assert_eq!(ended_early(Method::GET, unread, 0).await, 1);
}

#[tokio::test]
async fn a_body_that_has_ended_in_any_way_does_not_count() {
    assert_eq!(ended_early(Method::GET, stream([data(), data()]), 3).await, 0, "the end");
    assert_eq!(ended_early(Method::GET, stream([data(), trailers()]), 2).await, 0, "trailers");
    assert_eq!(ended_early(Method::GET, stream([trailers()]), 1).await, 0, "only trailers");
    let broken = || stream([data(), Err("broken"), data()]);
    assert_eq!(ended_early(Method::GET, broken(), 2).await, 0, "an error");
    assert_eq!(ended_early(Method::GET, broken(), 1).await, 1, "before the error");
    let whole = Response::new(Full::<Bytes>::from("all"));
    assert_eq!(ended_early(Method::GET, whole, 1).await, 0, "a body that knows its end");
    assert_eq!(ended_early(Method::GET, Response::new(Empty::<Bytes>::new()), 0).await, 0);
    assert_eq!(ended_early(Method::GET, Response::new(Full::<Bytes>::default()), 0).await, 0);
}

#[tokio::test]
async fn a_body_whose_content_length_was_delivered_does_not_count_although_its_end_was_not_read() {
    assert_eq!(ended_early(Method::GET, sized("8", [data(), data()]), 2).await, 0);
    assert_eq!(ended_early(Method::GET, sized("0", []), 0).await, 0);
    assert_eq!(
        ended_early(Method::GET, sized("7", [data(), data()]), 2).await,
        0,
        "more than that"
    );
    assert_eq!(
        ended_early(Method::GET, sized("9", [data(), data()]), 2).await,
        1,
        "less than that"
    );
    let trailers = || sized("4", [data(), trailers()]);
    assert_eq!(ended_early(Method::GET, trailers(), 1).await, 0, "trailers are not content");
    // A length that is no number is none. The body's own size counts then.
    for length in ["", "many", "-1", "8.0", "18446744073709551616"] {
        assert_eq!(
            ended_early(Method::GET, sized(length, [data(), data()]), 2).await,
            1,
            "{length}"
        );
    }
    let known = |frames| {
        let body = Frames { frames: [data(), data()].into(), length: Some(8) };
        ended_early(Method::GET, Response::new(body), frames)
    };
    assert_eq!((known(2).await, known(1).await), (0, 1));
}

#[tokio::test]
async fn the_response_to_a_head_request_does_not_count() {
    for response in [sized("8", []), sized("8", [data(), data()]), stream([data()]), stream([])] {
        assert_eq!(ended_early(Method::HEAD, response, 0).await, 0);
    }
    // Per request too.
    let downloads = bulkhead(1, 0);
    for (method, expected) in [(Method::HEAD, 0), (Method::GET, 1)] {
        let inner = tower::service_fn(|_: Request<()>| {
            ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("all"))))
        });
        let service = BulkheadLayer::new(&downloads).per_request().hold_body().layer(inner);
        let request = Request::builder().method(method).body(()).unwrap();
        drop(service.oneshot(request).await.unwrap());
        assert_eq!(checked_status(&downloads).totals.bodies_ended_early, expected);
    }
}

#[tokio::test]
async fn a_body_that_holds_no_slot_does_not_count() {
    let inner = || {
        tower::service_fn(|_: Request<()>| {
            ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("all"))))
        })
    };
    let downloads = bulkhead(1, 0);
    let without = BulkheadLayer::new(&downloads).layer(inner());
    drop(without.oneshot(Request::new(())).await.unwrap());
    let layer = BulkheadLayer::new(&downloads).hold_body();
    let held = layer.layer(inner()).oneshot(Request::new(())).await.unwrap();
    let rejected = layer.layer(inner()).oneshot(Request::new(())).await.unwrap();
    assert_eq!(rejected.status(), 503);
    let bypass = layer.bypass(|_: &Request<()>| true).layer(inner());
    drop((rejected, bypass.oneshot(Request::new(())).await.unwrap()));
    assert_eq!(checked_status(&downloads).totals.bodies_ended_early, 0);
    drop(held);
    assert_eq!(checked_status(&downloads).totals.bodies_ended_early, 1);
}

#[tokio::test]
async fn a_body_of_a_partition_counts_in_that_partition() {
    let builder = PartitionedBulkhead::<u64>::builder("customers").parallelism(1);
    let customers = builder.max_partitions(2).build().unwrap();
    let _other = customers.slot_now(&8).unwrap();
    let inner = tower::service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("all"))))
    });
    let layer = PartitionedBulkheadLayer::fixed(&customers, 7).hold_body();
    drop(layer.layer(inner).oneshot(Request::new(())).await.unwrap());
    let early = |key| customers.partition_status(&key).unwrap().totals.bodies_ended_early;
    assert_eq!((early(7), early(8)), (1, 0));
    assert_eq!(customers.status().totals.bodies_ended_early, 1);
}
