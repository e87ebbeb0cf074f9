//! A minimal HTTP service without a socket.

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use http::{HeaderValue, Request, Response, request};
use tower::{Layer, Service, ServiceExt, util::ServiceFn};

/// A service that answers every request immediately with an empty response.
pub(crate) type Shop = ServiceFn<fn(Request<()>) -> Ready<Result<Response<()>, Infallible>>>;

pub(crate) fn shop() -> Shop {
    tower::service_fn(|_| ready(Ok(Response::new(()))))
}

/// A layer around [`Shop`] that answers rejections with HTTP responses.
pub(crate) trait WebLayer: Layer<Shop, Service: WebService> {}

impl<L: Layer<Shop, Service: WebService>> WebLayer for L {}

pub(crate) trait WebService:
    Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone
{
}

impl<S> WebService for S where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible> + Clone
{
}

/// Sends one request through `layer` and returns the response.
pub(crate) async fn answer(layer: &impl WebLayer, request: request::Builder) -> Response<()> {
    let request = request.body(()).unwrap();
    layer.layer(shop()).oneshot(request).await.unwrap_or_else(|never| match never {})
}

pub(crate) fn request() -> request::Builder {
    Request::post("/order")
}

pub(crate) fn with_header(name: &str, value: impl TryInto<HeaderValue>) -> request::Builder {
    let Ok(value) = value.try_into() else { panic!("not a header value") };
    request().header(name, value)
}
