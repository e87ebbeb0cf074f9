//! `ResponseFuture`: the response of a call, and the wait for admission that may precede it.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    admit::Nested,
    hold::{HeldSlot, Hold, HoldMode, KeptSlot, LendSlot, UnusedSlot},
    reject::{Reject, RejectionResponder},
    sealed::Sealed,
};
use crate::{
    bulkhead::handle::OwnedHandle,
    core::{
        gate::within::Within,
        operation::{
            arrive::Entered,
            budget::{poll_spend, poll_spending},
            handle::GateHandle,
            permit::Permit,
            queued::Queued,
        },
        rejection::Rejection,
    },
};

pin_project! {
    /// The response future of an [`AdmissionService`](crate::AdmissionService).
    ///
    /// `S` is the inner service and `W` the wait for admission: [`Never`] if the service waits in readiness,
    /// [`PendingRequest`] if it waits per request. `R` and `H` are the type parameters of the layer.
    ///
    /// # Panics
    ///
    /// Panics if polled again after it has resolved, or if polled outside a tokio runtime with a timer while
    /// it waits with a limit or a deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the waiting line, or drops the inner future and gives the slot back.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Req, W, R, H>
    where
        S: Service<Req>,
        R: Reject<Req, S::Response, S::Error>,
        H: HoldMode,
    {
        #[pin]
        state: ResponseState<S::Future, W, Result<R::Response, R::Error>, H::Kept>,
        // Whether the request is a HEAD request, as far as it matters.
        to_head: bool,
        hold: PhantomData<fn() -> H>,
    }
}

pin_project! {
    #[project = ResponseStateProj]
    enum ResponseState<F, W, T, K: KeptSlot> {
        Waiting { #[pin] wait: W },
        // Declared first: the future is dropped before the slot is given back.
        Running { #[pin] future: F, held: HeldSlot<K> },
        // `owes_budget`: nothing has cost the task budget yet.
        Answered { answer: Option<T>, owes_budget: bool },
    }
}

impl<F, W, T, K: KeptSlot> ResponseState<F, W, T, K> {
    const ANSWERED: Self = Self::Answered { answer: None, owes_budget: false };
}

/// How the wait of a request ended.
#[derive(Debug)]
pub enum WaitOutcome<F, T, K: KeptSlot> {
    /// The inner service was called: its future, and the slot it runs in.
    Run(F, HeldSlot<K>),
    /// The request was rejected, or the inner service failed to become ready.
    Answer(T),
}

impl<S, Req, W, R, H> ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
    H: HoldMode,
{
    #[inline]
    pub(super) fn running(future: S::Future, held: HeldSlot<H::Kept>, to_head: bool) -> Self {
        Self { state: ResponseState::Running { future, held }, to_head, hold: PhantomData }
    }

    #[inline]
    pub(super) fn answered(answer: Result<R::Response, R::Error>, owes_budget: bool) -> Self {
        let state = ResponseState::Answered { answer: Some(answer), owes_budget };
        Self { state, to_head: false, hold: PhantomData }
    }

    #[inline]
    pub(super) fn waiting(wait: W, to_head: bool) -> Self {
        Self { state: ResponseState::Waiting { wait }, to_head, hold: PhantomData }
    }
}

impl<S, Req, W, R, H> Future for ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    W: PollWait<S, Req, R, H::Kept>,
    R: Reject<Req, S::Response, S::Error>,
    H: Hold<R::Response>,
{
    type Output = Result<H::Response, R::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, to_head) = (this.state, *this.to_head);
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
                    let answer = ready!(held.within(|| future.poll(cx)));
                    let answer = answer.map_err(R::map_inner_error);
                    let mut held = held.pass_on();
                    // Drop the inner future before its slot is given back.
                    state.set(ResponseState::ANSWERED);
                    return Poll::Ready(match answer {
                        Ok(response) => Ok(H::hold(R::map_response(response), held, to_head)),
                        // An error is an answer too.
                        Err(error) => {
                            drop(held.complete());
                            Err(error)
                        }
                    });
                }
                ResponseStateProj::Answered { answer, owes_budget } => {
                    if *owes_budget {
                        ready!(poll_spend(cx));
                    }
                    answer.take().expect("`ResponseFuture` polled after completion")
                }
            };
            state.set(ResponseState::ANSWERED);
            return Poll::Ready(answer.map(|response| H::hold(response, HeldSlot::EMPTY, to_head)));
        }
    }
}

impl<S, Req, W, R, H> fmt::Debug for ResponseFuture<S, Req, W, R, H>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
    H: HoldMode,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            ResponseState::Waiting { .. } => "waiting",
            ResponseState::Running { .. } => "running",
            ResponseState::Answered { answer: Some(_), .. } => "rejected",
            ResponseState::Answered { answer: None, .. } => "done",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}

/// The `WaitOutcome` of a request to `S`.
type WaitOutcomeOf<S, Req, R, K> = WaitOutcome<
    <S as Service<Req>>::Future,
    Result<
        <R as Reject<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Response,
        <R as Reject<Req, <S as Service<Req>>::Response, <S as Service<Req>>::Error>>::Error,
    >,
    K,
>;

/// The wait of a request for admission and for the inner service, polled by [`ResponseFuture`].
pub trait PollWait<S, Req, R, K>: Sealed
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
    K: KeptSlot,
{
    /// Polls until the inner service has been called, or the request has an answer without that.
    fn poll_wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WaitOutcomeOf<S, Req, R, K>>;
}

/// The wait of a service that waits in readiness: it is over before `call`, so this type has no values.
#[derive(Debug)]
pub enum Never {}

impl<S, Req, R, K> PollWait<S, Req, R, K> for Never
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
    K: KeptSlot,
{
    fn poll_wait(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<WaitOutcomeOf<S, Req, R, K>> {
        match *self {}
    }
}

pin_project! {
    /// A request that waits for admission and then for its own clone of the inner service.
    ///
    /// The inner service is not polled before the request is admitted.
    pub struct PendingRequest<S, Req, R, H> {
        inner: S,
        request: Option<Req>,
        // Declared after `inner` and `request`: both are dropped before the slot is given back.
        claim: Claim,
        // Whether an admission on arrival has cost the task budget.
        has_spent: bool,
        reject: RejectionResponder<R>,
        hold: PhantomData<fn() -> H>,
    }
}

/// What a request holds until its inner service is called.
pub(super) enum Claim {
    /// Nothing: it needs no slot, or has been called.
    None,
    /// The slot that was free on arrival.
    Slot(Permit<OwnedHandle>),
    /// The slot that it has waited for.
    Waited(UnusedSlot),
    /// A place in line.
    Queued(Queued<OwnedHandle>),
    /// Nothing, as long as it is within a slot of the same bulkhead.
    Nested(Box<Nested>),
}

impl Claim {
    /// What a request that has arrived holds.
    #[cold]
    pub(super) fn of(entered: Entered<OwnedHandle>) -> Self {
        match entered {
            Entered::Admitted(permit) => Self::Slot(permit),
            Entered::Queued(newly_queued) => Self::Queued(Queued::start_if_possible(newly_queued)),
            Entered::Standing(_) => unreachable!("it was not told to stand"),
        }
    }

    /// Lets a request that is not within a slot of the same bulkhead any more arrive like any other.
    #[cold]
    fn arrive_if_moved_out(&mut self, cx: &mut Context<'_>) -> Result<(), Rejection> {
        if !matches!(self, Self::Nested(nested) if !nested.is_within()) {
            return Ok(());
        }
        if let Self::Nested(nested) = mem::replace(self, Self::None) {
            *self = Self::of(nested.arrive(cx.waker())?);
        }
        Ok(())
    }

    /// Polls the wait of a request in line until it has ended.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        let Self::Queued(queued) = self else { return Poll::Ready(Ok(())) };
        let since = queued.since();
        let outcome = ready!(poll_spending(cx, |cx| queued.poll(cx)));
        *self = Self::None;
        Poll::Ready(outcome.map(|permit| *self = Self::Waited(UnusedSlot::new(permit, since))))
    }

    fn permit(&self) -> Option<&Permit<OwnedHandle>> {
        match self {
            Self::Slot(permit) => Some(permit),
            Self::Waited(slot) => slot.permit(),
            Self::None | Self::Queued(_) | Self::Nested(_) => None,
        }
    }

    /// Takes the slot for the call of the inner service.
    #[inline]
    fn take(&mut self) -> Option<Permit<OwnedHandle>> {
        match mem::replace(self, Self::None) {
            Self::Slot(permit) => Some(permit),
            other => other.take_other(),
        }
    }

    fn take_other(self) -> Option<Permit<OwnedHandle>> {
        match self {
            Self::Waited(slot) => slot.take(),
            Self::Nested(nested) => {
                nested.count();
                None
            }
            Self::None | Self::Slot(_) | Self::Queued(_) => None,
        }
    }
}

impl<S, Req, R, H> PendingRequest<S, Req, R, H> {
    #[inline]
    pub(super) fn new(inner: S, request: Req, reject: RejectionResponder<R>, claim: Claim) -> Self {
        let request = Some(request);
        Self { inner, request, claim, has_spent: false, reject, hold: PhantomData }
    }
}

impl<S, Req, R, H> PollWait<S, Req, R, H::Kept> for PendingRequest<S, Req, R, H>
where
    S: Service<Req>,
    R: Reject<Req, S::Response, S::Error>,
    H: LendSlot<Req>,
{
    fn poll_wait(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<WaitOutcomeOf<S, Req, R, H::Kept>> {
        const TAKEN: &str = "`ResponseFuture` polled after completion";
        let this = self.project();
        let claim = this.claim;
        if !matches!(claim, Claim::Slot(_)) {
            let arrival = claim.arrive_if_moved_out(cx);
            let admission = match arrival {
                Ok(()) => ready!(claim.poll_wait(cx)),
                Err(rejection) => Err(rejection),
            };
            if let Err(rejection) = admission {
                let request = this.request.take().expect(TAKEN);
                return Poll::Ready(WaitOutcome::Answer(this.reject.answer(rejection, request)));
            }
        }
        if matches!(claim, Claim::Slot(_)) && !*this.has_spent {
            *this.has_spent = true;
            ready!(poll_spend(cx));
        }
        let _within = claim.permit().map(|permit| Within::of(permit.handle().gate()));
        if let Err(error) = ready!(this.inner.poll_ready(cx)) {
            return Poll::Ready(WaitOutcome::Answer(Err(R::map_inner_error(error))));
        }
        let mut request = this.request.take().expect(TAKEN);
        let held = HeldSlot::new(claim.take().map(|permit| permit.start()));
        let held = H::lend(&mut request, held);
        Poll::Ready(WaitOutcome::Run(this.inner.call(request), held))
    }
}
