//! `Execute` and `Guarded`: work that runs once it is admitted, and holds its slot until it is done.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::compartment::{BorrowedHandle, Compartment, OwnedHandle};
use crate::{
    core::{operation::run::Run, rejection::Rejection},
    sync::Arc,
};

pin_project! {
    /// A future that runs inside a bulkhead: resolves to its output, or to the [`Rejection`].
    ///
    /// The future within is not polled before it is admitted, and is dropped before its slot is
    /// given back.
    ///
    /// # Panics
    ///
    /// When polled again after it has resolved.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future within and gives everything back.
    #[must_use = "nothing runs until this is polled"]
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
    /// One call of a guarded function: resolves to the output of its future, or to the
    /// [`Rejection`].
    ///
    /// The function is not called before the call is admitted.
    ///
    /// # Panics
    ///
    /// When polled again after it has resolved.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops what runs and gives everything back.
    #[must_use = "nothing is called until this is polled"]
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
    /// A call that is made when it is first polled.
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
