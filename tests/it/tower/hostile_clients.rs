//! A server on sockets and clients that disconnect, reset, send slowly and read slowly: afterwards nothing is in use, nothing
//! waits, and the heap is where it was.
//!
//! `BULKLINK_HOSTILE_REQUESTS` sets how many requests there are.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::post,
};
use bulklink::{Bulkhead, BulkheadLayer, Totals};
use http::{Method, Request};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinSet, yield_now},
};

use crate::support::{
    Random, assert_nothing_left, checked_status,
    counting_allocator::live,
    socket_server::{Client, Protocol, Server, until},
};

const PARALLELISM: usize = 4;

/// Reads what it is sent, and answers in pieces.
async fn echo(
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    body: Body,
) -> Result<Body, http::StatusCode> {
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    let running = Running(running);
    let bytes = body.collect().await.map_err(|_| http::StatusCode::BAD_REQUEST)?.to_bytes();
    for _ in 0..20 {
        yield_now().await;
    }
    let pieces = (0..1_024).map(move |_| {
        let _until_the_last = &running;
        Ok::<_, io::Error>(Bytes::from(vec![bytes.len() as u8; 4_096]))
    });
    Ok(Body::from_stream(tokio_stream::iter(pieces)))
}

fn server(uploads: &Bulkhead, most: &Arc<AtomicUsize>) -> Router {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), most.clone());
    let handler = move |body| echo(running.clone(), most.clone(), body);
    let layer = BulkheadLayer::new(uploads).per_request().hold_body().describe();
    Router::new().route("/", post(handler)).layer(layer)
}

const HEAD: &str = "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a client does over plain HTTP/1.1. Whatever fails is the server's right.
async fn raw(address: SocketAddr, behaviour: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    match behaviour {
        // Half a head, and gone.
        0 => stream.write_all(&HEAD.as_bytes()[..20]).await?,
        // A request without its body, and gone.
        1 => stream.write_all(HEAD.as_bytes()).await?,
        // A body in single bytes, and a reset in the middle of it.
        2 => {
            stream.write_all(HEAD.as_bytes()).await?;
            for byte in b"5\r\nhel" {
                stream.write_all(&[*byte]).await?;
                yield_now().await;
            }
            stream.set_zero_linger()?;
        }
        // A body in single bytes, and an answer that is read in single bytes and not to its end.
        3 => {
            stream.write_all(HEAD.as_bytes()).await?;
            for byte in b"5\r\nhello\r\n0\r\n\r\n" {
                stream.write_all(&[*byte]).await?;
                yield_now().await;
            }
            for _ in 0..100 {
                stream.read_u8().await?;
                yield_now().await;
            }
        }
        // What is no HTTP.
        4 => {
            stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").await?;
            stream.read_to_end(&mut Vec::new()).await?;
        }
        // A complete exchange on a connection that is reset afterwards.
        _ => {
            stream.write_all(HEAD.as_bytes()).await?;
            stream.write_all(b"0\r\n\r\n").await?;
            stream.read_u8().await?;
            stream.set_zero_linger()?;
        }
    }
    Ok(())
}

/// What a client does with a library: it sends a request until it is served, or gives it up.
async fn polite(address: SocketAddr, protocol: Protocol, gives_up: bool) {
    loop {
        let mut client = Client::connect(address, protocol).await;
        let mut request = Request::new(Body::from("hello"));
        *request.method_mut() = Method::POST;
        let answer = client.request(request);
        if gives_up {
            // Some polls later, wherever it is then.
            let mut answer = std::pin::pin!(answer);
            for _ in 0..20 {
                let now = futures_now(answer.as_mut()).await;
                if now {
                    break;
                }
            }
            return;
        }
        let answer = answer.await;
        let is_served = answer.status().is_success();
        let _ = answer.into_body().collect().await;
        if is_served {
            return;
        }
    }
}

/// Polls once. Returns whether it is ready.
async fn futures_now<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    let is_ready =
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready()));
    let is_ready = is_ready.await;
    yield_now().await;
    is_ready
}

async fn round(address: SocketAddr, random: &mut Random, requests: usize) {
    let mut clients = JoinSet::new();
    for _ in 0..requests {
        match random.below(10) {
            6 => clients.spawn(polite(address, Protocol::Http1, false)),
            7 => clients.spawn(polite(address, Protocol::Http2, false)),
            8 => clients.spawn(polite(address, Protocol::Http1, true)),
            9 => clients.spawn(polite(address, Protocol::Http2, true)),
            behaviour => clients.spawn(async move { drop(raw(address, behaviour).await) }),
        };
        if clients.len() >= 16 {
            clients.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

#[tokio::test]
async fn clients_without_manners_leave_nothing_behind() {
    let requests = std::env::var("BULKLINK_HOSTILE_REQUESTS").ok();
    let requests = requests.map_or(1_500, |requests| requests.parse().unwrap());
    let uploads = Bulkhead::builder("uploads").parallelism(PARALLELISM).waiting_room(8);
    let uploads = uploads.wait_limit(Duration::from_millis(20)).build().unwrap();
    let most = Arc::new(AtomicUsize::new(0));
    let server = Server::start(server(&uploads, &most)).await;
    let mut random = Random::new(4711);
    let mut heap = Vec::new();
    for _ in 0..3 {
        round(server.address(), &mut random, requests / 3).await;
        until(&uploads, |status| status.in_flight == 0 && status.waiting == 0).await;
        // The connections end after their last requests.
        for _ in 0..1_000 {
            yield_now().await;
        }
        heap.push(live());
    }
    let status = checked_status(&uploads);
    assert!(most.load(Ordering::SeqCst) <= PARALLELISM && status.peaks.in_flight <= PARALLELISM);
    assert!(status.totals.finished > requests as u64 / 10, "{:?}", status.totals);
    let Totals { cut_short, bodies_ended_early, expired, saturated, .. } = status.totals;
    let seen = [cut_short, bodies_ended_early, expired + saturated];
    assert!(seen.iter().all(|&seen| seen > 0), "{seen:?}");
    assert_nothing_left(&uploads);
    // Buffers that grow with the most connections at once are there after the first round.
    assert!(heap[2] - heap[1] < 64 * 1024, "{heap:?}");
}
