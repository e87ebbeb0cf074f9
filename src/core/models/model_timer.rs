//! A timer without a clock that replaces tokio's in models: it fires when the model calls for it.

use std::task::Waker;

use tokio::time::Instant;

use crate::{
    core::limits::alarm::Arming,
    sync::{Arc, Mutex},
};

#[derive(Clone, Debug)]
pub(in crate::core) struct Timer(Arc<Mutex<TimerState>>);

#[derive(Debug)]
struct TimerState {
    /// What arming the timer returns.
    arming: Arming,
    /// The waker to wake, while the timer is armed.
    waker: Option<Waker>,
}

impl Timer {
    pub(in crate::core) fn new() -> Self {
        Self::returning(Arming::Armed)
    }

    /// Creates a timer whose `arm` returns `arming`.
    pub(in crate::core) fn returning(arming: Arming) -> Self {
        Self(Arc::new(Mutex::new(TimerState { arming, waker: None })))
    }

    pub(in crate::core) fn arm(&mut self, _: Instant, waker: &Waker) -> Arming {
        let mut state = self.0.lock();
        if state.arming == Arming::Armed {
            state.waker = Some(waker.clone());
        }
        state.arming
    }

    /// Fires if the timer is armed. Returns whether it was.
    pub(in crate::core) fn fire(&self) -> bool {
        let waker = self.0.lock().waker.take();
        let was_armed = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        was_armed
    }

    /// Fires early and can never be armed again, like a timer whose runtime shuts down.
    pub(in crate::core) fn shut_down(&self) {
        self.0.lock().arming = Arming::RuntimeGone;
        self.fire();
    }
}
