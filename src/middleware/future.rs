//! `ResponseFuture`: what a call resolves by, waiting or running.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    hold::{HeldSlot, Hold},
    reject::{Reject, Rejecter},
};
use crate::{
    bulkhead::compartment::OwnedHandle,
    core::operation::{arrive::Entered, queued::Queued},
};

pin_project! {
    /// The response of a service behind a bulkhead.
    ///
    /// # Panics
    ///
    /// When polled again after it has resolved.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the line or drops the inner future, and gives the slot back.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Req, W, R, H>
    where
        S: Service<Req>,
        R: Reject<Req, S::Response, S::Error>,
    {
        #[pin]
        state: ResponseState<S::Future, W, Result<S::Response, R::Error>>,
        hold: PhantomData<fn() -> H>,
    }
}

pin_project! {
    #[project = ResponseStateProj]
    enum ResponseState<F, W, T> {
        Waiting { #[pin] wait: W },
        // The future is dropped before the slot is given back.
        Running { #[pin] future: F, held: HeldSlot },
        Answered { answer: Option<T> },
    }
}

/// How a wait ends: with a call in its slot, or with an answer in its stead.
#[derive(Debug)]
pub enum WaitOutcome<F, T> {
    /// The request is running.
    Run(F, HeldSlot),
    /// There is an answer without the request having run.
    Answer(T),
}

impl<S, Req, W, R, H> ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    #[inline]
    pub(super) fn running(future: S::Future, held: HeldSlot) -> Self {
        Self { state: ResponseState::Running { future, held }, hold: PhantomData }
    }

    #[inline]
    pub(super) fn answered(answer: Result<S::Response, R::Error>) -> Self {
        Self { state: ResponseState::Answered { answer: Some(answer) }, hold: PhantomData }
    }

    #[inline]
    pub(super) fn waiting(wait: W) -> Self {
        Self { state: ResponseState::Waiting { wait }, hold: PhantomData }
    }
}

impl<S, Req, W, R, H> Future for ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    W: PollWait<S, Req, R>,
    R: Reject<Req, S::Response, S::Error>,
    H: Hold<S::Response>,
{
    type Output = Result<H::Response, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let answer = match state.as_mut().project() {
                ResponseStateProj::Waiting { wait } => match ready!(wait.poll_wait(cx)) {
                    WaitOutcome::Answer(answer) => answer,
                    WaitOutcome::Run(future, held) => {
                        state.set(ResponseState::Running { future, held });
                        continue;
                    }
                },
                ResponseStateProj::Running { future, held } => {
                    let answer = ready!(future.poll(cx)).map_err(R::inner);
                    let held = HeldSlot(held.0.take());
                    // What has ended goes before its slot does.
                    state.set(ResponseState::Answered { answer: None });
                    return Poll::Ready(answer.map(|response| H::hold(response, held)));
                }
                ResponseStateProj::Answered { answer } => {
                    answer.take().expect("`ResponseFuture` polled after completion")
                }
            };
            state.set(ResponseState::Answered { answer: None });
            return Poll::Ready(answer.map(|response| H::hold(response, HeldSlot::NOTHING)));
        }
    }
}

impl<S, Req, W, R, H> fmt::Debug for ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            ResponseState::Waiting { .. } => "waiting",
            ResponseState::Running { .. } => "running",
            ResponseState::Answered { answer: Some(_) } => "rejected",
            ResponseState::Answered { answer: None } => "done",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}

/// How the wait for a call of `S` ends.
type WaitOutcomeOf<S, Req, R> = WaitOutcome<
    <S as Service<Req>>::Future,
    Result<
        <S as Service<Req>>::Response,
        <R as Reject<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Error,
    >,
>;

/// A wait with the request in hand.
pub trait PollWait<S, Req, R>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    /// Waits for the turn of the request.
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WaitOutcomeOf<S, Req, R>>;
}

/// The wait of those who have waited before: there is none.
#[derive(Debug)]
pub enum Never {}

impl<S, Req, R> PollWait<S, Req, R> for Never
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    fn poll_wait(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<WaitOutcomeOf<S, Req, R>> {
        match *self {}
    }
}

pin_project! {
    /// A request that waits with its own inner service, which it touches only after admission.
    pub struct PendingRequest<S, Req, R> {
        #[pin]
        queued: Option<Queued<OwnedHandle>>,
        inner: S,
        request: Option<Req>,
        // Dropped last: the slot is not given back before what it was for.
        held: HeldSlot,
        reject: Rejecter<R>,
    }
}

impl<S, Req, R> PendingRequest<S, Req, R> {
    /// Parks a request that was admitted or queued, or with no entry was let past.
    pub(super) fn new(
        inner: S,
        request: Req,
        reject: Rejecter<R>,
        entry: Option<Entered<OwnedHandle>>,
    ) -> Self {
        let (queued, permit) = match entry {
            Some(Entered::Queued(newly_queued)) => (Some(newly_queued.into()), None),
            Some(Entered::Admitted(permit)) => (None, Some(permit)),
            None => (None, None),
        };
        Self { queued, held: HeldSlot(permit), inner, request: Some(request), reject }
    }
}

impl<S, Req, R> PollWait<S, Req, R> for PendingRequest<S, Req, R>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WaitOutcomeOf<S, Req, R>> {
        const TAKEN: &str = "`ResponseFuture` polled after completion";
        let mut this = self.project();
        if let Some(queued) = this.queued.as_mut().as_pin_mut() {
            let outcome = ready!(queued.poll(cx));
            this.queued.set(None);
            match outcome {
                Ok(permit) => *this.held = HeldSlot(Some(permit)),
                Err(rejection) => {
                    let request = this.request.take().expect(TAKEN);
                    return Poll::Ready(WaitOutcome::Answer(
                        this.reject.answer(rejection, request),
                    ));
                }
            }
        }
        if let Err(error) = ready!(this.inner.poll_ready(cx)) {
            return Poll::Ready(WaitOutcome::Answer(Err(R::inner(error))));
        }
        let request = this.request.take().expect(TAKEN);
        let held = HeldSlot(this.held.0.take().map(|permit| permit.start()));
        Poll::Ready(WaitOutcome::Run(this.inner.call(request), held))
    }
}
