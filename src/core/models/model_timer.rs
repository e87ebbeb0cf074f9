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
    /// When to wake which waker, while the timer is armed.
    armed: Option<(Instant, Waker)>,
}

impl Timer {
    pub(in crate::core) fn new() -> Self {
        Self::returning(Arming::Armed)
    }

    /// Creates a timer whose `arm` returns `arming`.
    pub(in crate::core) fn returning(arming: Arming) -> Self {
        Self(Arc::new(Mutex::new(TimerState { arming, armed: None })))
    }

    pub(in crate::core) fn arm(&mut self, at: Instant, waker: &Waker) -> Arming {
        let mut state = self.0.lock();
        if state.arming == Arming::Armed {
            state.armed = Some((at, waker.clone()));
        }
        state.arming
    }

    /// Fires if the timer is armed. Returns whether it was.
    pub(in crate::core) fn fire(&self) -> bool {
        let armed = self.0.lock().armed.take();
        let was_armed = armed.is_some();
        if let Some((_, waker)) = armed {
            waker.wake();
        }
        was_armed
    }

    pub(in crate::core) fn is_armed(&self) -> bool {
        self.armed_for().is_some()
    }

    pub(in crate::core) fn armed_for(&self) -> Option<Instant> {
        self.0.lock().armed.as_ref().map(|&(at, _)| at)
    }

    /// Fires early and can never be armed again, like a timer whose runtime shuts down.
    pub(in crate::core) fn shut_down(&self) {
        self.0.lock().arming = Arming::RuntimeGone;
        self.fire();
    }
}
