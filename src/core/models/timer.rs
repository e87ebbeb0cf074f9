//! A timer without a clock, in the place of tokio's: it goes off when a model says so.

use std::task::Waker;

use tokio::time::Instant;

use crate::{
    core::limits::alarm::Setting,
    sync::{Arc, Mutex},
};

#[derive(Clone, Debug)]
pub(in crate::core) struct Timer(Arc<Mutex<Dial>>);

#[derive(Debug)]
struct Dial {
    /// What comes of setting it.
    setting: Setting,
    /// Whom to wake, while it is set.
    bell: Option<Waker>,
}

impl Timer {
    pub(in crate::core) fn new() -> Self {
        Self::of(Setting::Set)
    }

    pub(in crate::core) fn of(setting: Setting) -> Self {
        Self(Arc::new(Mutex::new(Dial { setting, bell: None })))
    }

    pub(in crate::core) fn set(&mut self, _: Instant, bell: &Waker) -> Setting {
        let mut dial = self.0.lock();
        if dial.setting == Setting::Set {
            dial.bell = Some(bell.clone());
        }
        dial.setting
    }

    /// Goes off, if it is set. Says whether it was.
    pub(in crate::core) fn go_off(&self) -> bool {
        let bell = self.0.lock().bell.take();
        let was_set = bell.is_some();
        if let Some(bell) = bell {
            bell.wake();
        }
        was_set
    }

    /// Goes off before its time and never again, as when its runtime is shut down.
    pub(in crate::core) fn die(&self) {
        self.0.lock().setting = Setting::Dead;
        self.go_off();
    }
}
