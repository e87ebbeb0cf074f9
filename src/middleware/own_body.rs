//! Answers with a body of the layer's own: for services whose response body cannot be made out of nothing, and for answers that
//! say what has happened.

use std::{
    fmt::Write,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    reject::{Decorate, IntoResponse, Protocol, Reject},
    sealed::Sealed,
};
use crate::{bulkhead::deadline::Deadline, core::rejection::Rejection};

pin_project! {
    /// A response body of the inner service, or that of an answer to a rejected request.
    ///
    /// Answers have an empty body unless the layer [describes](crate::AdmissionLayer::describe) rejections.
    #[derive(Debug)]
    #[project = OwnBodyProj]
    pub struct OwnBody<B: Body> {
        #[pin]
        inner: Option<B>,
        answer: Option<B::Data>,
        length: u64,
    }
}

impl<B: Body> OwnBody<B> {
    fn inner(body: B) -> Self {
        Self { inner: Some(body), answer: None, length: 0 }
    }

    fn answer(text: String) -> Self
    where
        B::Data: From<Vec<u8>>,
    {
        let length = text.len() as u64;
        Self { inner: None, answer: Some(text.into_bytes().into()), length }
    }

    /// Returns a reference to the body of the inner service; `None` if the request was rejected.
    pub fn get_ref(&self) -> Option<&B> {
        self.inner.as_ref()
    }
}

/// An empty body.
impl<B: Body> Default for OwnBody<B> {
    fn default() -> Self {
        Self { inner: None, answer: None, length: 0 }
    }
}

impl<B: Body> Body for OwnBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(this.answer.take().map(|data| Ok(Frame::data(data)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().map_or(self.answer.is_none(), Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let remaining = if self.answer.is_some() { self.length } else { 0 };
        self.inner.as_ref().map_or(SizeHint::with_exact(remaining), Body::size_hint)
    }
}

/// Answers rejections as `R` does, with an [`OwnBody`].
#[derive(Clone, Copy, Debug)]
pub struct InOwnBody<R>(pub(super) R);

impl<Q, B, E, R> Reject<Request<Q>, Response<B>, E> for InOwnBody<R>
where
    B: Body,
    R: Reject<Request<Q>, Response<OwnBody<B>>, E, Response = Response<OwnBody<B>>>,
{
    type Response = Response<OwnBody<B>>;
    type Error = R::Error;

    fn deadline(&self, request: &Request<Q>) -> Option<Deadline> {
        self.0.deadline(request)
    }

    fn is_head(&self, request: &Request<Q>) -> bool {
        self.0.is_head(request)
    }

    fn reject(
        &self,
        rejection: Rejection,
        request: Request<Q>,
    ) -> Result<Self::Response, R::Error> {
        self.0.reject(rejection, request)
    }

    fn map_response(response: Response<B>) -> Self::Response {
        response.map(OwnBody::inner)
    }

    fn map_inner_error(error: E) -> R::Error {
        R::map_inner_error(error)
    }
}

/// Answers rejections as `R` does, with a description.
#[derive(Clone, Copy, Debug)]
pub struct Described<R>(pub(super) R);

impl<Q, B, E, R> Reject<Request<Q>, Response<B>, E> for Described<R>
where
    B: Body<Data: From<Vec<u8>>>,
    R: Reject<Request<()>, Response<()>, E, Response = Response<()>, Error = E>,
{
    type Response = Response<OwnBody<B>>;
    type Error = E;

    fn deadline(&self, request: &Request<Q>) -> Option<Deadline> {
        request.extensions().get().copied()
    }

    fn is_head(&self, request: &Request<Q>) -> bool {
        request.method() == Method::HEAD
    }

    fn reject(&self, rejection: Rejection, request: Request<Q>) -> Result<Self::Response, E> {
        let is_http = matches!(Protocol::of(&request), Protocol::Http);
        let mut answer = self.0.reject(rejection.clone(), request.map(drop))?;
        if !is_http {
            let message = percent_encoded(&rejection.to_string());
            answer.headers_mut().insert("grpc-message", message);
            return Ok(answer.map(|()| OwnBody::default()));
        }
        answer.headers_mut().insert(CONTENT_TYPE, PROBLEM);
        let problem = problem(&rejection, &answer);
        Ok(answer.map(|()| OwnBody::answer(problem)))
    }

    fn map_response(response: Response<B>) -> Self::Response {
        response.map(OwnBody::inner)
    }

    fn map_inner_error(error: E) -> E {
        error
    }
}

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Returns the problem details of an answer, by RFC 9457. They name no bulkhead, since they may go to strangers.
fn problem(rejection: &Rejection, answer: &Response<()>) -> String {
    let (status, reason) = (answer.status(), rejection.reason().name());
    let title = status.canonical_reason().unwrap_or(reason);
    // Neither the titles of statuses nor the names of reasons have anything to escape.
    let mut problem = format!(
        r#"{{"type":"about:blank","title":"{title}","status":{},"reason":"{reason}""#,
        status.as_u16()
    );
    if let Some(hint) = rejection.retry_after() {
        let _ = write!(problem, r#","retry_after_seconds":{}"#, hint.as_secs_f64());
    }
    problem.push('}');
    problem
}

/// Encodes a message as the [gRPC protocol] wants it.
///
/// [gRPC protocol]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses
fn percent_encoded(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte.into()),
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    HeaderValue::try_from(encoded).expect("it has nothing but printable ASCII")
}

/// How the options about answers change the third type parameter of a layer, in any order.
pub trait AnswerMode: Sealed {
    /// The same, decorated by `F`.
    type Decorated<F>;
    /// The same, with a body of the layer's own.
    type InOwnBody;
    /// The same, with a description.
    type Described;

    /// Sets what decorates the answers.
    fn decorated<F>(self, decorate: Decorate<F>) -> Self::Decorated<F>;

    /// Gives the answers a body of the layer's own.
    fn in_own_body(self) -> Self::InOwnBody;

    /// Describes the rejections.
    fn described(self) -> Self::Described;
}

impl AnswerMode for IntoResponse {
    type Decorated<F> = Decorate<F>;
    type InOwnBody = InOwnBody<Self>;
    type Described = Described<Self>;

    fn decorated<F>(self, decorate: Decorate<F>) -> Decorate<F> {
        decorate
    }

    fn in_own_body(self) -> InOwnBody<Self> {
        InOwnBody(self)
    }

    fn described(self) -> Described<Self> {
        Described(self)
    }
}

impl<D> AnswerMode for Decorate<D> {
    type Decorated<F> = Decorate<F>;
    type InOwnBody = InOwnBody<Self>;
    type Described = Described<Self>;

    fn decorated<F>(self, decorate: Decorate<F>) -> Decorate<F> {
        decorate
    }

    fn in_own_body(self) -> InOwnBody<Self> {
        InOwnBody(self)
    }

    fn described(self) -> Described<Self> {
        Described(self)
    }
}

impl<R: AnswerMode> AnswerMode for InOwnBody<R> {
    type Decorated<F> = InOwnBody<R::Decorated<F>>;
    type InOwnBody = Self;
    type Described = R::Described;

    fn decorated<F>(self, decorate: Decorate<F>) -> Self::Decorated<F> {
        InOwnBody(self.0.decorated(decorate))
    }

    fn in_own_body(self) -> Self {
        self
    }

    fn described(self) -> R::Described {
        self.0.described()
    }
}

impl<R: AnswerMode> AnswerMode for Described<R> {
    type Decorated<F> = Described<R::Decorated<F>>;
    type InOwnBody = Self;
    type Described = Self;

    fn decorated<F>(self, decorate: Decorate<F>) -> Self::Decorated<F> {
        Described(self.0.decorated(decorate))
    }

    fn in_own_body(self) -> Self {
        self
    }

    fn described(self) -> Self {
        self
    }
}
