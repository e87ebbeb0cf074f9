//! `Run`: work that is polled only once it is admitted.
//!
//! It owns the work and when it is dropped. It does not own admission, which is up to `Wait`.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::core::{
    limits::wait_policy::WaitPolicy,
    operation::{
        handle::{GateHandle, IntoOwnedHandle},
        permit::Permit,
        wait::Wait,
    },
    rejection::Rejection,
};

pin_project! {
    /// Runs work once it is admitted, and holds its units until the work is done.
    #[derive(Debug)]
    pub(crate) struct Run<H: GateHandle, F> {
        // Dropped before the units are returned, and never moved once it runs.
        #[pin]
        work: Option<F>,
        #[pin]
        stage: RunStage<H>,
    }

    impl<H: GateHandle, F> PinnedDrop for Run<H, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // A run that has resolved is done. Of one that panicked nobody knows until it is dropped.
            if let RunStageProj::Running { permit } = this.stage.as_mut().project() {
                // Also if the drop of the work panics, and after it.
                let _cut_short = CutShort(permit.take());
                this.work.set(None);
            }
        }
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = RunStageProj]
    enum RunStage<H: GateHandle> {
        Waiting { #[pin] wait: Wait<H> },
        Running { permit: Option<Permit<H>> },
        Done,
    }
}

impl<H: IntoOwnedHandle<Owned = H>, F> Run<H, F> {
    #[inline]
    pub(crate) fn new(handle: H, cost: usize, policy: WaitPolicy, work: F) -> Self {
        Self {
            work: Some(work),
            stage: RunStage::Waiting { wait: Wait::new(handle, cost, policy) },
        }
    }
}

impl<H: GateHandle, F> Run<H, F> {
    /// Returns the stage of the run, for `Debug`.
    pub(crate) fn stage(&self) -> &'static str {
        match &self.stage {
            RunStage::Waiting { wait } => wait.stage(),
            RunStage::Running { .. } => "running",
            RunStage::Done => "done",
        }
    }
}

impl<H: IntoOwnedHandle<Owned = H>, F: Future> Future for Run<H, F> {
    type Output = Result<F::Output, Rejection>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let RunStageProj::Waiting { wait } = this.stage.as_mut().project() {
            match ready!(wait.poll(cx)) {
                Ok(permit) => this.stage.set(RunStage::Running { permit: Some(permit.start()) }),
                Err(rejection) => {
                    // The work is dropped too, so that a poll after completion cannot run it without a slot.
                    this.work.set(None);
                    this.stage.set(RunStage::Done);
                    return Poll::Ready(Err(rejection));
                }
            }
        }
        let work = this.work.as_mut().as_pin_mut();
        let output = ready!(work.expect("polled after completion").poll(cx));
        this.work.set(None);
        this.stage.set(RunStage::Done);
        Poll::Ready(Ok(output))
    }
}

/// Returns the permit of work that was cut short when it is dropped.
struct CutShort<H: GateHandle>(Option<Permit<H>>);

impl<H: GateHandle> Drop for CutShort<H> {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.cut_short();
        }
    }
}
