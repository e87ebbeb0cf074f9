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
    hold::{Held, Hold},
    reject::{Reject, Rejecter},
};
use crate::{
    bulkhead::compartment::Tenant,
    core::operation::{arrive::Entry, wait::Queued},
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
        state: State<S::Future, W, Result<S::Response, R::Error>>,
        hold: PhantomData<fn() -> H>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, W, T> {
        Waiting { #[pin] wait: W },
        // The future is dropped before the slot is given back.
        Running { #[pin] future: F, held: Held },
        Answered { answer: Option<T> },
    }
}

/// How a wait ends: with a call in its slot, or with an answer in its stead.
#[derive(Debug)]
pub enum Turn<F, T> {
    /// The request is running.
    Run(F, Held),
    /// There is an answer without the request having run.
    Answer(T),
}

impl<S, Req, W, R, H> ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    #[inline]
    pub(super) fn running(future: S::Future, held: Held) -> Self {
        Self { state: State::Running { future, held }, hold: PhantomData }
    }

    #[inline]
    pub(super) fn answered(answer: Result<S::Response, R::Error>) -> Self {
        Self { state: State::Answered { answer: Some(answer) }, hold: PhantomData }
    }

    #[inline]
    pub(super) fn waiting(wait: W) -> Self {
        Self { state: State::Waiting { wait }, hold: PhantomData }
    }
}

impl<S, Req, W, R, H> Future for ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    W: PollTurn<S, Req, R>,
    R: Reject<Req, S::Response, S::Error>,
    H: Hold<S::Response>,
{
    type Output = Result<H::Response, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let answer = match state.as_mut().project() {
                StateProj::Waiting { wait } => match ready!(wait.poll_turn(cx)) {
                    Turn::Answer(answer) => answer,
                    Turn::Run(future, held) => {
                        state.set(State::Running { future, held });
                        continue;
                    }
                },
                StateProj::Running { future, held } => {
                    let answer = ready!(future.poll(cx)).map_err(R::inner);
                    let held = Held(held.0.take());
                    // What has ended goes before its slot does.
                    state.set(State::Answered { answer: None });
                    return Poll::Ready(answer.map(|response| H::hold(response, held)));
                }
                StateProj::Answered { answer } => {
                    answer.take().expect("`ResponseFuture` polled after completion")
                }
            };
            state.set(State::Answered { answer: None });
            return Poll::Ready(answer.map(|response| H::hold(response, Held::NOTHING)));
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
            State::Waiting { .. } => "waiting",
            State::Running { .. } => "running",
            State::Answered { answer: Some(_) } => "rejected",
            State::Answered { answer: None } => "done",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}

/// How the wait for a call of `S` ends.
type TurnOf<S, Req, R> = Turn<
    <S as Service<Req>>::Future,
    Result<
        <S as Service<Req>>::Response,
        <R as Reject<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Error,
    >,
>;

/// A wait with the request in hand.
pub trait PollTurn<S, Req, R>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    /// Waits for the turn of the request.
    fn poll_turn(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TurnOf<S, Req, R>>;
}

/// The wait of those who have waited before: there is none.
#[derive(Debug)]
pub enum Never {}

impl<S, Req, R> PollTurn<S, Req, R> for Never
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    fn poll_turn(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TurnOf<S, Req, R>> {
        match *self {}
    }
}

pin_project! {
    /// A request that waits with its own inner service, which it touches only after admission.
    pub struct Parked<S, Req, R> {
        #[pin]
        queued: Option<Queued<Tenant>>,
        inner: S,
        request: Option<Req>,
        // Dropped last: the slot is not given back before what it was for.
        held: Held,
        reject: Rejecter<R>,
    }
}

impl<S, Req, R> Parked<S, Req, R> {
    /// Parks a request that was admitted or queued, or with no entry was let past.
    pub(super) fn new(
        inner: S,
        request: Req,
        reject: Rejecter<R>,
        entry: Option<Entry<Tenant>>,
    ) -> Self {
        let (queued, permit) = match entry {
            Some(Entry::Joined(joined)) => (Some(joined.into()), None),
            Some(Entry::Admitted(permit)) => (None, Some(permit)),
            None => (None, None),
        };
        Self { queued, held: Held(permit), inner, request: Some(request), reject }
    }
}

impl<S, Req, R> PollTurn<S, Req, R> for Parked<S, Req, R>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
{
    fn poll_turn(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TurnOf<S, Req, R>> {
        const TAKEN: &str = "`ResponseFuture` polled after completion";
        let mut this = self.project();
        if let Some(queued) = this.queued.as_mut().as_pin_mut() {
            let outcome = ready!(queued.poll(cx));
            this.queued.set(None);
            match outcome {
                Ok(permit) => *this.held = Held(Some(permit)),
                Err(rejection) => {
                    let request = this.request.take().expect(TAKEN);
                    return Poll::Ready(Turn::Answer(this.reject.answer(rejection, request)));
                }
            }
        }
        if let Err(error) = ready!(this.inner.poll_ready(cx)) {
            return Poll::Ready(Turn::Answer(Err(R::inner(error))));
        }
        let request = this.request.take().expect(TAKEN);
        let held = Held(this.held.0.take().map(|permit| permit.start()));
        Poll::Ready(Turn::Run(this.inner.call(request), held))
    }
}
