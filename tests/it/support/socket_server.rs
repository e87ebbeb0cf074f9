//! A server and clients on real sockets, and handlers that run until they may end.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, body::Body};
use bulklink::{Bulkhead, BulkheadStatus};
use http::{Method, Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinHandle,
};

use super::must_come;

/// An axum server on loopback. Dropping it stops the server.
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, task: tokio::spawn(async { axum::serve(listener, app).await.unwrap() }) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn connect(&self, protocol: Protocol) -> Client {
        Client::connect(self.address, protocol).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A client with one connection. Dropping it disconnects.
pub(crate) struct Client {
    sender: Sender,
    connection: JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, protocol: Protocol) -> Self {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                let connection = tokio::spawn(async { drop(connection.await) });
                Self { sender: Sender::Http1(sender), connection }
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), stream).await.unwrap();
                let connection = tokio::spawn(async { drop(connection.await) });
                Self { sender: Sender::Http2(sender), connection }
            }
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response<Incoming> {
        self.send(Method::GET, path).await
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str) -> Response<Incoming> {
        let request = Request::builder().method(method).uri(format!("http://localhost{path}"));
        self.request(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn request(&mut self, request: Request<Body>) -> Response<Incoming> {
        let response = async {
            match &mut self.sender {
                Sender::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
            }
        };
        must_come(response).await.unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// The work of handlers, which report that they have begun and run until they may end.
#[derive(Clone)]
pub(crate) struct Work(Arc<WorkState>);

struct WorkState {
    begun: Semaphore,
    ends: Semaphore,
    running: AtomicUsize,
    peak: AtomicUsize,
}

impl Work {
    pub(crate) fn new() -> Self {
        let (running, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (begun, ends) = (Semaphore::new(0), Semaphore::new(0));
        Self(Arc::new(WorkState { begun, ends, running, peak }))
    }

    /// Runs one handler until `end` lets it finish.
    pub(crate) async fn run(self) -> &'static str {
        let running = Running::start(&self.0);
        self.0.ends.acquire().await.unwrap().forget();
        drop(running);
        "done"
    }

    /// Waits until `handlers` more handlers have begun.
    pub(crate) async fn begun(&self, handlers: u32) {
        must_come(self.0.begun.acquire_many(handlers)).await.unwrap().forget();
    }

    /// Lets `handlers` handlers finish, now or later.
    pub(crate) fn end(&self, handlers: usize) {
        self.0.ends.add_permits(handlers);
    }

    /// Returns the maximum number of handlers that ran at once, by their own count.
    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }
}

struct Running<'a>(&'a WorkState);

impl<'a> Running<'a> {
    fn start(state: &'a WorkState) -> Self {
        let running = state.running.fetch_add(1, Ordering::SeqCst) + 1;
        state.peak.fetch_max(running, Ordering::SeqCst);
        state.begun.add_permits(1);
        Self(state)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits until `reached` returns true for the status of the bulkhead. Checks it after every event.
pub(crate) async fn until(bulkhead: &Bulkhead, reached: impl Fn(&BulkheadStatus) -> bool) {
    let changed = Arc::new(Notify::new());
    let notify = changed.clone();
    let _subscription = bulkhead.subscribe(move |_| notify.notify_one());
    must_come(async {
        while !reached(&bulkhead.status()) {
            changed.notified().await;
        }
    })
    .await;
}

/// Defines one test per function and protocol: `http1::name` and `http2::name`.
macro_rules! on_both_protocols {
    ($($name:ident)*) => {
        mod http1 {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(crate::support::socket_server::Protocol::Http1).await;
                }
            )*
        }
        mod http2 {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(crate::support::socket_server::Protocol::Http2).await;
                }
            )*
        }
    };
}
pub(crate) use on_both_protocols;
