//! Handles of services with a bulkhead layer, around an inner service that the driver controls.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use bulklink::{Deadline, HeldBody, Rejection};
use http::{Method, Request, Response};
use tower::Service;

/// A request, with its cost, its key and the outcome of its call.
pub(crate) type Req = Request<Spec>;

#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) cost: usize,
    pub(crate) key: Option<u8>,
    pub(crate) bypasses: bool,
    pub(crate) command: Command,
    pub(crate) to_head: bool,
}

/// Controls how the inner service responds, to polls of readiness or to one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command(Arc<AtomicU8>);

pub(crate) const WAIT: u8 = 0;
pub(crate) const END: u8 = 1;
pub(crate) const FAIL: u8 = 2;
pub(crate) const PANIC: u8 = 3;

impl Command {
    pub(crate) fn set(&self, command: u8) {
        self.0.store(command, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn poll(&self) -> Poll<Result<(), Failed>> {
        match self.get() {
            END => Poll::Ready(Ok(())),
            FAIL => Poll::Ready(Err(Failed)),
            PANIC => resume_unwind(Box::new(())),
            _ => Poll::Pending,
        }
    }
}

/// The error of the inner service.
#[derive(Debug)]
pub(crate) struct Failed;

/// The inner service. Its command decides readiness, and the command of each request its outcome.
#[derive(Clone, Default)]
pub(crate) struct Inner(pub(crate) Command);

impl Service<Req> for Inner {
    type Response = Response<String>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Failed>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.0.poll()
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let command = request.into_body().command;
        Box::pin(async move {
            std::future::poll_fn(|_| command.poll()).await?;
            Ok(Response::new(String::from("a body")))
        })
    }
}

/// The relevant parts of a response.
pub(crate) struct Answer {
    pub(crate) rejection: Option<Rejection>,
    /// The body, which may hold the slot after the response.
    pub(crate) body: Body,
}

/// A response body with or without a slot.
pub(crate) enum Body {
    Held(HeldBody<String>),
    Free,
}

pub(crate) trait IntoBody {
    fn into_body(self) -> Body;
}

impl IntoBody for String {
    fn into_body(self) -> Body {
        Body::Free
    }
}

impl IntoBody for HeldBody<String> {
    fn into_body(self) -> Body {
        Body::Held(self)
    }
}

pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Result<Answer, Failed>>>>;

/// A handle of any of the services, as a trait object.
pub(crate) trait Handle {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>>;

    fn call(&mut self, spec: Spec, deadline: Option<Deadline>) -> ResponseFuture;

    fn clone_boxed(&self) -> Box<dyn Handle>;
}

impl<S, B> Handle for S
where
    S: Service<Req, Response = Response<B>, Error = Failed> + Clone + 'static,
    S::Future: 'static,
    B: IntoBody + 'static,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Service::poll_ready(self, cx)
    }

    fn call(&mut self, spec: Spec, deadline: Option<Deadline>) -> ResponseFuture {
        let to_head = spec.to_head;
        let mut request = Request::new(spec);
        if to_head {
            *request.method_mut() = Method::HEAD;
        }
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(deadline);
        }
        let response = Service::call(self, request);
        Box::pin(async move {
            let (mut head, body) = response.await?.into_parts();
            Ok(Answer { rejection: head.extensions.remove(), body: body.into_body() })
        })
    }

    fn clone_boxed(&self) -> Box<dyn Handle> {
        Box::new(self.clone())
    }
}

/// Polls a future that may panic.
pub(crate) fn poll_caught<T>(poll: impl FnOnce() -> Poll<T>) -> Result<Poll<T>, ()> {
    catch_unwind(AssertUnwindSafe(poll)).map_err(drop)
}
