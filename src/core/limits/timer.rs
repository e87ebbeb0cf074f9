//! The timer of an alarm: tokio's, set outside of any task. The models have one of their own in its place.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep_until},
};

use crate::{core::limits::alarm::Arming, sync::did_panic};

#[derive(Debug)]
pub(in crate::core) struct Timer(Pin<Box<Sleep>>);

impl Timer {
    /// A timer that is not set.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with a timer.
    pub(in crate::core) fn new() -> Self {
        Self(Box::pin(sleep_until(Instant::now())))
    }

    /// Has it wake `waker` at this time, or at once and before this returns.
    pub(in crate::core) fn arm(&mut self, at: Instant, waker: &Waker) -> Arming {
        // It went off before its time: its runtime is being shut down, and to poll it would panic.
        if self.0.is_elapsed() && self.0.deadline() > Instant::now() {
            return Arming::RuntimeGone;
        }
        let mut arming = Arming::RuntimeGone;
        // A timer whose runtime is shut down panics.
        did_panic(|| {
            self.0.as_mut().reset(at);
            // Under its budget a task might be told to come back instead.
            let mut timer = unconstrained(self.0.as_mut());
            arming = match Pin::new(&mut timer).poll(&mut Context::from_waker(waker)) {
                Poll::Pending => Arming::Armed,
                Poll::Ready(()) => Arming::AlreadyDue,
            };
        });
        arming
    }
}
