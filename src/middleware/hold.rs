//! How long a request's slot is held: the fourth choice of a layer.
//!
//! It owns the body that carries a slot to its own end.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{bulkhead::compartment::OwnedHandle, core::operation::permit::Permit};

/// The slot of a request, or none if it was let past or rejected.
#[derive(Debug, Default)]
pub struct HeldSlot(pub(super) Option<Permit<OwnedHandle>>);

impl HeldSlot {
    pub(super) const NOTHING: Self = Self(None);
}

/// What becomes of the slot once there is a response.
#[diagnostic::on_unimplemented(
    message = "a slot cannot be held by a `{Response}`",
    note = "`.hold_body()` is for services whose response is an `http::Response`"
)]
pub trait Hold<Response> {
    /// The response as the layer's service gives it.
    type Response;

    /// Passes a response on, with or without the slot.
    fn hold(response: Response, held: HeldSlot) -> Self::Response;
}

/// The slot is given back as soon as there is a response.
#[derive(Clone, Copy, Debug)]
pub struct UntilResponse;

impl<Response> Hold<Response> for UntilResponse {
    type Response = Response;

    #[inline]
    fn hold(response: Response, held: HeldSlot) -> Response {
        drop(held);
        response
    }
}

/// The slot is given back when the response's body has ended or is dropped.
#[derive(Clone, Copy, Debug)]
pub struct UntilBodyEnd;

impl<B: Body> Hold<http::Response<B>> for UntilBodyEnd {
    type Response = http::Response<HeldBody<B>>;

    fn hold(response: http::Response<B>, held: HeldSlot) -> Self::Response {
        response.map(|body| {
            let held = if body.is_end_stream() { HeldSlot::NOTHING } else { held };
            HeldBody { body, held }
        })
    }
}

pin_project! {
    /// A response body that holds its request's slot until it has ended: after its last frame, with an
    /// error, or by being dropped.
    #[derive(Debug, Default)]
    pub struct HeldBody<B> {
        // Dropped before the slot is given back.
        #[pin]
        body: B,
        held: HeldSlot,
    }
}

impl<B> HeldBody<B> {
    /// The body.
    pub fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B: Body> Body for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let has_ended = match &frame {
            // Trailers come last, and whoever knows the end by its flag may not ask again.
            Some(Ok(frame)) => frame.is_trailers() || this.body.is_end_stream(),
            Some(Err(_)) | None => true,
        };
        if has_ended {
            drop(this.held.0.take());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
