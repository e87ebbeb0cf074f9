//! `Execute` and `Guarded`: work that runs once it is admitted and holds its slot until it is done.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::{
    compartment::Compartment,
    handle::{BorrowedHandle, OwnedHandle},
};
use crate::{
    core::{operation::run::Run, rejection::Rejection},
    sync::Arc,
};

pin_project! {
    /// A future that runs inside a bulkhead. Resolves to the output of the inner future, or to the
    /// [`Rejection`].
    ///
    /// The inner future is not polled before it is admitted, and is dropped before its slot is
    /// released.
    ///
    /// # Panics
    ///
    /// Panics if polled again after it has resolved, or if the operation has to wait with a limit and is
    /// polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the inner future and releases its slot or its place in the waiting line.
    #[must_use = "futures do nothing unless polled"]
    pub struct Execute<'a, F> {
        #[pin]
        run: Run<BorrowedHandle<'a>, F>,
    }
}

impl<'a, F> Execute<'a, F> {
    #[inline]
    pub(crate) fn new(run: Run<BorrowedHandle<'a>, F>) -> Self {
        Self { run }
    }
}

impl<F: Future> Future for Execute<'_, F> {
    type Output = Result<F::Output, Rejection>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().run.poll(cx)
    }
}

impl<F> fmt::Debug for Execute<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execute").field("stage", &self.run.stage()).finish_non_exhaustive()
    }
}

pin_project! {
    /// One call of a guarded function. Resolves to the output of the function's future, or to the
    /// [`Rejection`].
    ///
    /// The function is not called before the call is admitted.
    ///
    /// # Panics
    ///
    /// Panics if polled again after it has resolved, or if the operation has to wait with a limit and is
    /// polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the running future, if any, and releases its slot or its place in the waiting
    /// line.
    #[must_use = "futures do nothing unless polled"]
    pub struct Guarded<F, A, T> {
        #[pin]
        run: Run<OwnedHandle, Deferred<F, A, T>>,
    }
}

impl<F: Fn(A) -> T, A, T: Future> Guarded<F, A, T> {
    pub(crate) fn new(
        compartment: &Arc<Compartment>,
        cost: usize,
        function: Arc<F>,
        argument: A,
    ) -> Self {
        let call = Deferred::Before { function, argument: Some(argument) };
        Self { run: compartment.run_owned(cost, call) }
    }
}

impl<F: Fn(A) -> T, A, T: Future> Future for Guarded<F, A, T> {
    type Output = Result<T::Output, Rejection>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().run.poll(cx)
    }
}

impl<F, A, T> fmt::Debug for Guarded<F, A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("stage", &self.run.stage()).finish_non_exhaustive()
    }
}

pin_project! {
    /// A call that is deferred to the first poll.
    #[project = DeferredStage]
    enum Deferred<F, A, T> {
        Before { function: Arc<F>, argument: Option<A> },
        Called { #[pin] future: T },
    }
}

impl<F: Fn(A) -> T, A, T: Future> Future for Deferred<F, A, T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        loop {
            match self.as_mut().project() {
                DeferredStage::Called { future } => return future.poll(cx),
                DeferredStage::Before { function, argument } => {
                    let argument =
                        argument.take().expect("a function that panicked is not called again");
                    let future = function(argument);
                    self.set(Self::Called { future });
                }
            }
        }
    }
}
