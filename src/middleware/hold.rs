//! How long the slot of a request is held: the fourth type parameter of a layer.
//!
//! This module owns the response body that holds a slot until it ends.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{bulkhead::compartment::OwnedHandle, core::operation::permit::Permit};

/// The slot of a request; empty if the request bypassed the bulkhead or was not admitted.
///
/// Dropping it gives the slot back.
#[derive(Debug, Default)]
pub struct HeldSlot(pub(super) Option<Permit<OwnedHandle>>);

impl HeldSlot {
    pub(super) const EMPTY: Self = Self(None);
}

/// Decides how long the slot is held once the response is ready.
#[diagnostic::on_unimplemented(
    message = "a slot cannot be held by a `{Response}`",
    note = "`.hold_body()` is for services whose response is an `http::Response`"
)]
pub trait Hold<Response> {
    /// The response type of the layer's service.
    type Response;

    /// Converts a response of the inner service, and stores the slot in it or gives the slot back.
    fn hold(response: Response, held: HeldSlot) -> Self::Response;
}

/// Gives the slot back as soon as the response is ready.
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

/// Gives the slot back when the response body has ended or is dropped.
#[derive(Clone, Copy, Debug)]
pub struct UntilBodyEnd;

impl<B: Body> Hold<http::Response<B>> for UntilBodyEnd {
    type Response = http::Response<HeldBody<B>>;

    fn hold(response: http::Response<B>, held: HeldSlot) -> Self::Response {
        response.map(|body| {
            let held = if body.is_end_stream() { HeldSlot::EMPTY } else { held };
            HeldBody { body, held }
        })
    }
}

pin_project! {
    /// A response body that holds the slot of its request.
    ///
    /// The slot is given back after the last frame, after an error, or when the body is dropped.
    #[derive(Debug, Default)]
    pub struct HeldBody<B> {
        // Declared first: the body is dropped before the slot is given back.
        #[pin]
        body: B,
        held: HeldSlot,
    }
}

impl<B> HeldBody<B> {
    /// Returns a reference to the inner body.
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
            // Trailers are the last frame, and a caller that checks `is_end_stream` may not poll again.
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
