//! A hand-written gRPC service and its client. Messages are plain text.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use tokio::task::JoinHandle;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::tokio_stream::{self, Stream, StreamExt},
    server::NamedService,
    service::Routes,
    transport::{
        Channel, Endpoint,
        server::{Router, TcpIncoming},
    },
};
use tower::{Layer, Service};

use super::{must_come, socket_server::Work};

pub(crate) const SAY: &str = "/shop.Echo/Say";
const COUNT: &str = "/shop.Echo/Count";

#[derive(Clone, Copy)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.into())
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}

/// `Say` returns its message. `Count` streams the numbers up to its argument. Each answer is one piece of
/// work and waits until it may end.
#[derive(Clone)]
pub(crate) struct Echo(pub(crate) Work);

impl NamedService for Echo {
    const NAME: &'static str = "shop.Echo";
}

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let work = self.0.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Text);
            Ok(match request.uri().path() {
                SAY => {
                    grpc.unary(
                        tower::service_fn(move |message| say(work.clone(), message)),
                        request,
                    )
                    .await
                }
                COUNT => {
                    let count = tower::service_fn(move |last| count(work.clone(), last));
                    grpc.server_streaming(count, request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn say(work: Work, request: Request<String>) -> Result<Response<String>, Status> {
    work.run().await;
    Ok(Response::new(request.into_inner()))
}

async fn count(work: Work, request: Request<String>) -> Result<Response<Messages>, Status> {
    let last: u32 =
        request.into_inner().parse().map_err(|_| Status::invalid_argument("not a number"))?;
    let numbers = tokio_stream::iter(1..=last).then(move |number| {
        let work = work.clone();
        async move {
            work.run().await;
            Ok(number.to_string())
        }
    });
    Ok(Response::new(Box::pin(numbers)))
}

/// A tonic server on loopback. Dropping it stops the server.
pub(crate) struct GrpcServer {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl GrpcServer {
    pub(crate) async fn start<L, S, B>(router: Router<L>) -> Self
    where
        L: Layer<Routes, Service = S> + Send + 'static,
        S: Service<http::Request<Body>, Response = http::Response<B>, Future: Send>,
        S: Clone + Send + 'static,
        S::Error: Into<tower::BoxError> + Send,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let serve = async { router.serve_with_incoming(incoming).await.unwrap() };
        Self { address, task: tokio::spawn(serve) }
    }

    pub(crate) async fn connect(&self) -> EchoClient {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        EchoClient(tonic::client::Grpc::new(endpoint.connect().await.unwrap()))
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
pub(crate) struct EchoClient(tonic::client::Grpc<Channel>);

impl EchoClient {
    pub(crate) async fn say(mut self, request: Request<String>) -> Result<String, Status> {
        must_come(self.0.ready()).await.unwrap();
        let answer = self.0.unary(request, PathAndQuery::from_static(SAY), Text);
        must_come(answer).await.map(Response::into_inner)
    }

    pub(crate) async fn count(&mut self, to: u32) -> Result<Streaming<String>, Status> {
        must_come(self.0.ready()).await.unwrap();
        let request = Request::new(to.to_string());
        let path = PathAndQuery::from_static(COUNT);
        must_come(self.0.server_streaming(request, path, Text)).await.map(Response::into_inner)
    }
}

pub(crate) fn hello() -> Request<String> {
    Request::new("hello".to_owned())
}
