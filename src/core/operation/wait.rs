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
            Ok(Entered::Admitted(permit)) => Poll::Ready(Ok(permit)),
            Err(rejection) => Poll::Ready(Err(rejection)),
            Ok(Entered::Queued(newly_queued)) => {
                self.set(Self::Queued { queued: Queued::start(newly_queued) });
                Poll::Pending
            }
        }
    }
}

impl<H: GateHandle> Wait<H> {
    /// Returns the stage of the wait, for `Debug`.
    pub(crate) fn stage(&self) -> &'static str {
        match self {
            Self::Before { handle: Some(_), .. } => "not arrived",
            Self::Before { handle: None, .. } => "done",
            Self::Queued { queued } if queued.is_waiting() => "queued",
            Self::Queued { .. } => "done",
        }
    }
}

impl<H: IntoOwnedHandle<Owned = H>> Future for Wait<H> {
    type Output = Result<Permit<H>, Rejection>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (handle, cost, policy) = match self.as_mut().project() {
            WaitStage::Queued { queued } => return queued.poll(cx),
            WaitStage::Before { handle, cost, policy } => (handle, *cost, policy),
        };
        match take_fast(handle.as_ref().expect(FINISHED), cost, policy) {
            Ok(units) => Poll::Ready(Ok(Permit::new(handle.take().expect(FINISHED), units))),
            Err(expired) => self.arrive(expired, cx),
        }
    }
}
