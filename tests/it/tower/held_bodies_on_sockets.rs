//! `hold_body` on real sockets: a slot is held as long as the body of the response.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body, routing::get};
use bulklink::{Bulkhead, BulkheadLayer};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tonic::codegen::tokio_stream;

use crate::support::{
    must_come,
    socket_server::{Protocol, Server, on_both_protocols, until},
};

on_both_protocols! {
    a_slow_reader_keeps_its_slot
    a_reader_that_disconnects_gives_its_slot_back
    readers_that_read_to_the_end_end_no_body_early
    without_hold_body_a_slow_reader_holds_nothing
}

const FRAME: usize = 1 << 16;

/// More than all buffers between the handler and its client can hold.
const FRAMES: usize = 1_000;

/// A route that streams a large file, and the number of frames that it has sent.
fn download() -> (Router, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let handler = || async move {
        let frames = (0..FRAMES).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from_static(&[0; FRAME]))
        });
        Body::from_stream(tokio_stream::iter(frames))
    };
    (Router::new().route("/file", get(handler)), sent)
}

fn downloads() -> Bulkhead {
    Bulkhead::builder("downloads").parallelism(1).build().unwrap()
}

async fn a_slow_reader_keeps_its_slot(protocol: Protocol) {
    let downloads = downloads();
    let (app, sent) = download();
    let server = Server::start(app.layer(BulkheadLayer::new(&downloads).hold_body())).await;
    let mut slow = server.connect(protocol).await;
    let mut response = slow.get("/file").await;
    assert_eq!(response.status(), StatusCode::OK);
    must_come(response.body_mut().frame()).await.unwrap().unwrap();

    let rejected = server.connect(protocol).await.get("/file").await;
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(downloads.status().used, 1);
    assert!(sent.load(Ordering::SeqCst) < FRAMES, "the reader is behind");

    must_come(response.into_body().collect()).await.unwrap();
    until(&downloads, |status| status.used == 0).await;
    assert_eq!(sent.load(Ordering::SeqCst), FRAMES);
    let totals = downloads.status().totals;
    assert_eq!((totals.finished, totals.cut_short, totals.bodies_ended_early), (1, 0, 0));
}

async fn a_reader_that_disconnects_gives_its_slot_back(protocol: Protocol) {
    let downloads = downloads();
    let (app, sent) = download();
    let server = Server::start(app.layer(BulkheadLayer::new(&downloads).hold_body())).await;
    let mut client = server.connect(protocol).await;
    let response = client.get("/file").await;
    assert_eq!(downloads.status().used, 1);
    drop((response, client));
    until(&downloads, |status| status.used == 0).await;
    assert!(sent.load(Ordering::SeqCst) < FRAMES);
    let totals = downloads.status().totals;
    assert_eq!((totals.finished, totals.cut_short, totals.bodies_ended_early), (1, 0, 1));
}

/// One connection for several requests: with a content-length, without one, and without a body.
async fn readers_that_read_to_the_end_end_no_body_early(protocol: Protocol) {
    let downloads = downloads();
    let (app, _) = download();
    let app = app.route("/text", get(async || "x".repeat(3 * FRAME)));
    let app = app.route("/empty", get(async || StatusCode::NO_CONTENT));
    let server = Server::start(app.layer(BulkheadLayer::new(&downloads).hold_body())).await;
    let mut client = server.connect(protocol).await;
    let requests = [
        (Method::GET, "/text"),
        (Method::GET, "/file"),
        (Method::GET, "/empty"),
        (Method::HEAD, "/text"),
    ];
    let mut finished = 0;
    for _ in 0..3 {
        for (method, path) in requests.clone() {
            let response = client.send(method, path).await;
            assert!(response.status().is_success());
            must_come(response.into_body().collect()).await.unwrap();
            finished += 1;
            until(&downloads, |status| status.totals.finished == finished).await;
        }
    }
    drop(client);
    let totals = downloads.status().totals;
    assert_eq!((totals.completed(), totals.bodies_ended_early), (12, 0));
}

async fn without_hold_body_a_slow_reader_holds_nothing(protocol: Protocol) {
    let downloads = downloads();
    let (app, sent) = download();
    let server = Server::start(app.layer(BulkheadLayer::new(&downloads))).await;
    let mut slow = server.connect(protocol).await;
    let _response = slow.get("/file").await;
    assert_eq!((downloads.status().used, downloads.status().totals.finished), (0, 1));
    assert!(sent.load(Ordering::SeqCst) < FRAMES);
}
