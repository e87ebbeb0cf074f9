//! A timer without a clock, in the place of tokio's: it goes off when a model says so.

use std::task::Waker;

use tokio::time::Instant;

use crate::{
    core::limits::alarm::Arming,
    sync::{Arc, Mutex},
};

#[derive(Clone, Debug)]
pub(in crate::core) struct Timer(Arc<Mutex<Dial>>);

#[derive(Debug)]
struct Dial {
    /// What comes of arming it.
    arming: Arming,
    /// Whom to wake, while it is set.
    waker: Option<Waker>,
}

impl Timer {
    pub(in crate::core) fn new() -> Self {
        Self::of(Arming::Armed)
    }

    pub(in crate::core) fn of(arming: Arming) -> Self {
        Self(Arc::new(Mutex::new(Dial { arming, waker: None })))
    }

    pub(in crate::core) fn arm(&mut self, _: Instant, waker: &Waker) -> Arming {
        let mut dial = self.0.lock();
        if dial.arming == Arming::Armed {
            dial.waker = Some(waker.clone());
        }
        dial.arming
    }

    /// Goes off, if it is set. Says whether it was.
    pub(in crate::core) fn go_off(&self) -> bool {
        let waker = self.0.lock().waker.take();
        let was_set = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        was_set
    }

    /// Goes off before its time and never again, as when its runtime is shut down.
    pub(in crate::core) fn die(&self) {
        self.0.lock().arming = Arming::RuntimeGone;
        self.go_off();
    }
}
