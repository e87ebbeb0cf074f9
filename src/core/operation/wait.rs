//! `Wait`: an operation from before its arrival to its admission or rejection.
//!
//! It owns the future. It does not own the arrival (`arrive`) or the wait in the line (`queued`).

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::core::{
    limits::{Expiry, wait_policy::WaitPolicy},
    operation::{
        arrive::{Entered, Undecided, take_fast},
        budget::{poll_spend, poll_spending},
        handle::{GateHandle, IntoOwnedHandle},
        permit::Permit,
        queued::Queued,
    },
    rejection::Rejection,
};

const FINISHED: &str = "`Admission` polled after completion";

pin_project! {
    /// Resolves when the operation is admitted or rejected. The operation arrives when this is first polled.
    #[derive(Debug)]
    #[project = WaitStage]
    pub(crate) enum Wait<H: GateHandle> {
        Before { handle: Option<H>, cost: usize, policy: WaitPolicy },
        Queued { queued: Queued<H> },
        // It has arrived, and the task had no budget left to go on.
        Decided { outcome: Option<Result<Permit<H>, Rejection>> },
    }
}

impl<H: IntoOwnedHandle<Owned = H>> Wait<H> {
    #[inline]
    pub(crate) fn new(handle: H, cost: usize, policy: WaitPolicy) -> Self {
        Self::Before { handle: Some(handle), cost, policy }
    }

    #[cold]
    fn arrive(
        mut self: Pin<&mut Self>,
        expired: Option<Expiry>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        let WaitStage::Before { handle, cost, policy } = self.as_mut().project() else {
            unreachable!("an operation arrives only once");
        };
        let (handle, cost) = (handle.take().expect(FINISHED), *cost);
        match (Undecided { handle, cost, policy, expired }).arrive(cx.waker()) {
            Ok(Entered::Admitted(permit)) => self.decide(Ok(permit), cx),
            Err(rejection) => self.decide(Err(rejection), cx),
            Ok(Entered::Queued(newly_queued)) => {
                self.set(Self::Queued { queued: Queued::start(newly_queued) });
                Poll::Pending
            }
            Ok(Entered::Standing(_)) => unreachable!("it was not told to stand"),
        }
    }
}

impl<H: GateHandle> Wait<H> {
    /// Returns the outcome of the arrival, now or, without any budget left, in the next poll.
    #[inline(always)]
    fn decide(
        self: Pin<&mut Self>,
        outcome: Result<Permit<H>, Rejection>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        if poll_spend(cx).is_ready() { Poll::Ready(outcome) } else { self.keep(outcome) }
    }

    #[cold]
    #[inline(never)]
    fn keep(
        mut self: Pin<&mut Self>,
        outcome: Result<Permit<H>, Rejection>,
    ) -> Poll<Result<Permit<H>, Rejection>> {
        self.set(Self::Decided { outcome: Some(outcome) });
        Poll::Pending
    }

    /// Returns the stage of the wait, for `Debug`.
    pub(crate) fn stage(&self) -> &'static str {
        match self {
            Self::Before { handle: Some(_), .. } => "not arrived",
            Self::Before { handle: None, .. } => "done",
            Self::Queued { queued } if queued.is_waiting() => "queued",
            Self::Queued { .. } => "done",
            Self::Decided { outcome: Some(Ok(_)) } => "admitted",
            Self::Decided { outcome: Some(Err(_)) } => "rejected",
            Self::Decided { outcome: None } => "done",
        }
    }
}

impl<H: IntoOwnedHandle<Owned = H>> Future for Wait<H> {
    type Output = Result<Permit<H>, Rejection>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (handle, cost, policy) = match self.as_mut().project() {
            WaitStage::Queued { queued } => return poll_spending(cx, |cx| queued.poll(cx)),
            WaitStage::Decided { outcome } => return Poll::Ready(outcome.take().expect(FINISHED)),
            WaitStage::Before { handle, cost, policy } => (handle, *cost, policy),
        };
        match take_fast(handle.as_ref().expect(FINISHED), cost, policy) {
            Ok(units) => {
                let permit = Permit::new(handle.take().expect(FINISHED), units);
                self.decide(Ok(permit), cx)
            }
            Err(expired) => self.arrive(expired, cx),
        }
    }
}
