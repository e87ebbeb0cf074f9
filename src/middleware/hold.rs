//! How long the slot of a request is held: the fourth type parameter of a layer.
//!
//! This module owns the response body that holds a slot until it ends.

use std::{
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::sealed::Sealed;
use crate::{
    bulkhead::{handle::OwnedHandle, slot::LentSlot},
    core::{
        clock,
        gate::{ending::Abandonment, within::Within},
        operation::{handle::GateHandle, permit::Permit},
    },
};

/// The slot of a running request; empty if the request bypassed the bulkhead or was not admitted.
///
/// Dropping it counts the request as cut short: its future was dropped, or has panicked, before there was a response.
#[derive(Debug)]
pub struct HeldSlot<K: KeptSlot = OwnSlot>(Option<K>);

/// A slot as a response future keeps it: its own, or one that the handler has clones of.
pub trait KeptSlot: Sealed + Sized {
    /// Gives it back as that of a request that was cut short.
    fn cut_short(self);

    /// Counts a response body that has held it and was dropped before its end.
    fn count_body_ended_early(&self);

    /// Runs code that is within this slot, as far as this thread is concerned.
    fn within<T>(&self, code: impl FnOnce() -> T) -> T;
}

/// A slot that nobody else has.
#[derive(Debug)]
pub struct OwnSlot(Permit<OwnedHandle>);

impl KeptSlot for OwnSlot {
    #[inline]
    fn cut_short(self) {
        self.0.cut_short();
    }

    fn count_body_ended_early(&self) {
        count_body_ended_early(&self.0);
    }

    #[inline]
    fn within<T>(&self, code: impl FnOnce() -> T) -> T {
        let _within = Within::of(self.0.handle().gate());
        code()
    }
}

impl KeptSlot for LentSlot {
    fn cut_short(self) {
        self.mark_cut_short();
    }

    fn count_body_ended_early(&self) {
        count_body_ended_early(self.permit());
    }

    fn within<T>(&self, code: impl FnOnce() -> T) -> T {
        let _within = Within::of(self.permit().handle().gate());
        code()
    }
}

fn count_body_ended_early(permit: &Permit<OwnedHandle>) {
    permit.handle().compartment().count_body_ended_early();
}

impl HeldSlot {
    #[inline]
    pub(super) fn new(permit: Option<Permit<OwnedHandle>>) -> Self {
        Self(permit.map(OwnSlot))
    }
}

impl<K: KeptSlot> HeldSlot<K> {
    pub(super) const EMPTY: Self = Self(None);

    /// The request has completed: takes the slot out, to be held further or dropped.
    #[inline]
    pub(super) fn complete(&mut self) -> Option<K> {
        self.0.take()
    }

    /// Runs code that is within the slot, if there is one.
    #[inline]
    pub(super) fn within<T>(&self, code: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(slot) => slot.within(code),
            None => code(),
        }
    }

    /// Takes the slot out of this one, which is no longer the one that ends with the request.
    #[inline]
    pub(super) fn pass_on(&mut self) -> Self {
        Self(self.0.take())
    }
}

impl<K: KeptSlot> Drop for HeldSlot<K> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.cut_short();
        }
    }
}

/// The slot of a request that has waited for it and has not been called yet.
///
/// Dropping it counts the admission as abandoned.
#[derive(Debug)]
pub(super) struct UnusedSlot {
    permit: Option<Permit<OwnedHandle>>,
    /// When the request joined the waiting line.
    queued_at: Instant,
}

impl UnusedSlot {
    pub(super) fn new(permit: Permit<OwnedHandle>, queued_at: Instant) -> Self {
        Self { permit: Some(permit), queued_at }
    }

    pub(super) fn cost(&self) -> u32 {
        self.permit.as_ref().map_or(0, Permit::cost)
    }

    pub(super) fn permit(&self) -> Option<&Permit<OwnedHandle>> {
        self.permit.as_ref()
    }

    pub(super) fn take(mut self) -> Option<Permit<OwnedHandle>> {
        self.permit.take()
    }
}

impl Drop for UnusedSlot {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let waited = Some(clock::elapsed(self.queued_at));
            permit.abandon(Abandonment { waited, by_deadline: false });
        }
    }
}

/// Decides how long the slot is held once the response is ready.
#[diagnostic::on_unimplemented(
    message = "a slot cannot be held by a `{Response}`",
    note = "`.hold_body()` is for services whose response is an `http::Response`"
)]
pub trait Hold<Response>: HoldMode {
    /// The response type of the layer's service.
    type Response;

    /// Whether it matters if a request has a response without a body: a HEAD request.
    const HOLDS_BODY: bool;

    /// Converts a response of the inner service, and stores the slot in it or gives the slot back. `to_head` says that it
    /// is the response to a HEAD request.
    fn hold(response: Response, held: HeldSlot<Self::Kept>, to_head: bool) -> Self::Response;
}

/// The options of how a slot is held: [`UntilResponse`] or [`UntilBodyEnd`], and [`Lending`] either.
pub trait HoldMode: Sealed {
    /// What a response future keeps.
    type Kept: KeptSlot;
    /// The same, until the body ends.
    type ToBodyEnd;
    /// The same, and lent to the handler.
    type Lending;
}

impl HoldMode for UntilResponse {
    type Kept = OwnSlot;
    type ToBodyEnd = UntilBodyEnd;
    type Lending = Lending<Self>;
}

impl HoldMode for UntilBodyEnd {
    type Kept = OwnSlot;
    type ToBodyEnd = Self;
    type Lending = Lending<Self>;
}

impl<H: HoldMode> HoldMode for Lending<H> {
    type Kept = LentSlot;
    type ToBodyEnd = Lending<H::ToBodyEnd>;
    type Lending = Self;
}

/// Decides whether the handler of a request gets its slot as well.
#[diagnostic::on_unimplemented(
    message = "a slot cannot be lent to the handler of a `{Request}`",
    note = "`.lend_slot()` is for services whose request is an `http::Request`"
)]
pub trait LendSlot<Request>: HoldMode {
    /// Puts the slot into the request, if it is lent, and returns it.
    fn lend(request: &mut Request, held: HeldSlot) -> HeldSlot<Self::Kept>;
}

impl<Request> LendSlot<Request> for UntilResponse {
    #[inline]
    fn lend(_: &mut Request, held: HeldSlot) -> HeldSlot {
        held
    }
}

impl<Request> LendSlot<Request> for UntilBodyEnd {
    #[inline]
    fn lend(_: &mut Request, held: HeldSlot) -> HeldSlot {
        held
    }
}

/// Holds the slot as `H` does, and for as long as the handler has a clone of it.
#[derive(Clone, Copy, Debug)]
pub struct Lending<H>(PhantomData<H>);

impl<Response> Hold<Response> for Lending<UntilResponse> {
    type Response = Response;

    const HOLDS_BODY: bool = false;

    fn hold(response: Response, mut held: HeldSlot<LentSlot>, _: bool) -> Response {
        drop(held.complete());
        response
    }
}

impl<B: Body> Hold<http::Response<B>> for Lending<UntilBodyEnd> {
    type Response = http::Response<HeldBody<B, LentSlot>>;

    const HOLDS_BODY: bool = true;

    fn hold(
        response: http::Response<B>,
        held: HeldSlot<LentSlot>,
        to_head: bool,
    ) -> Self::Response {
        hold_in_body(response, held, to_head)
    }
}

impl<B, H: HoldMode> LendSlot<http::Request<B>> for Lending<H> {
    fn lend(request: &mut http::Request<B>, mut held: HeldSlot) -> HeldSlot<LentSlot> {
        let Some(OwnSlot(permit)) = held.complete() else { return HeldSlot::EMPTY };
        let outer = request.extensions_mut().remove();
        let slot = LentSlot::new(permit, outer);
        request.extensions_mut().insert(slot.clone());
        HeldSlot(Some(slot))
    }
}

/// Gives the slot back as soon as the response is ready.
#[derive(Clone, Copy, Debug)]
pub struct UntilResponse;

impl<Response> Hold<Response> for UntilResponse {
    type Response = Response;

    const HOLDS_BODY: bool = false;

    #[inline]
    fn hold(response: Response, mut held: HeldSlot, _: bool) -> Response {
        drop(held.complete());
        response
    }
}

/// Gives the slot back when the response body has ended or is dropped.
#[derive(Clone, Copy, Debug)]
pub struct UntilBodyEnd;

impl<B: Body> Hold<http::Response<B>> for UntilBodyEnd {
    type Response = http::Response<HeldBody<B>>;

    const HOLDS_BODY: bool = true;

    fn hold(response: http::Response<B>, held: HeldSlot, to_head: bool) -> Self::Response {
        hold_in_body(response, held, to_head)
    }
}

fn hold_in_body<B: Body, K: KeptSlot>(
    response: http::Response<B>,
    mut held: HeldSlot<K>,
    to_head: bool,
) -> http::Response<HeldBody<B, K>> {
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let length = length.and_then(|length| length.parse().ok());
    response.map(|body| {
        let held = held.complete().filter(|_| !body.is_end_stream());
        // A client that asks for no body reads none.
        let remaining = if to_head { Some(0) } else { length.or(body.size_hint().exact()) };
        HeldBody { body, held, remaining }
    })
}

pin_project! {
    /// A response body that holds the slot of its request.
    ///
    /// The slot is given back after the last frame, after an error, or when the body is dropped.
    #[derive(Debug)]
    pub struct HeldBody<B, K: KeptSlot = OwnSlot> {
        // Declared first: the body is dropped before the slot is given back.
        #[pin]
        body: B,
        held: Option<K>,
        // Bytes that are still to be delivered, if the length of the body is known.
        remaining: Option<u64>,
    }

    impl<B, K: KeptSlot> PinnedDrop for HeldBody<B, K> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Whoever knows the length need not ask for the end.
            if let (Some(held), None | Some(1..)) = (this.held.as_ref(), *this.remaining) {
                held.count_body_ended_early();
            }
        }
    }
}

impl<B: Default, K: KeptSlot> Default for HeldBody<B, K> {
    fn default() -> Self {
        Self { body: B::default(), held: None, remaining: None }
    }
}

impl<B, K: KeptSlot> HeldBody<B, K> {
    /// Returns a reference to the inner body.
    pub fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B: Body, K: KeptSlot> Body for HeldBody<B, K> {
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
        if let (Some(remaining), Some(Ok(frame))) = (&mut *this.remaining, &frame) {
            let delivered = frame.data_ref().map_or(0, |data| data.remaining());
            *remaining = remaining.saturating_sub(delivered as u64);
        }
        if has_ended {
            drop(this.held.take());
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
