//! The timer of an alarm: tokio's `Sleep`, polled outside of any task. The loom models replace this module.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

use crate::{
    core::{clock, limits::alarm::Arming},
    sync::did_panic,
};

/// A timer that wakes a waker without a task to poll it.
#[derive(Debug)]
pub(in crate::core) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    /// Creates a timer that is not armed.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub(in crate::core) fn new() -> Self {
        Self(Box::pin(sleep_until(clock::now())))
    }

    /// Arms the timer to wake `waker` at `at`. It may wake it at once, before this returns.
    pub(in crate::core) fn arm(&mut self, at: Instant, waker: &Waker) -> Arming {
        if at <= clock::now() {
            return Arming::AlreadyDue;
        }
        let mut arming = Arming::RuntimeGone;
        // A timer whose runtime has no driver any more panics.
        did_panic(|| {
            self.0.as_mut().reset(at);
            // Elapsed before its time: its runtime is shutting down or has done so, and polling it would panic.
            if self.0.is_elapsed() && at > clock::now() {
                return;
            }
            // If this runs in a task that has used up its budget, a poll would yield instead of arming the
            // timer.
            let mut timer = unconstrained(self.0.as_mut());
            arming = match Pin::new(&mut timer).poll(&mut Context::from_waker(waker)) {
                Poll::Pending => Arming::Armed,
                Poll::Ready(()) => Arming::AlreadyDue,
            };
        });
        arming
    }
}
