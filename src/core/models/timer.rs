//! A timer without a clock, in the place of tokio's: it goes off when a model says so.

use std::task::Waker;

use tokio::time::Instant;

use super::alarm::Setting;
use crate::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
pub(super) struct Timer(Arc<Dial>);

#[derive(Debug)]
struct Dial {
    /// What comes of setting it.
    setting: Setting,
    /// Whom to wake, while it is set.
    bell: Mutex<Option<Waker>>,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self::of(Setting::Set)
    }

    pub(super) fn of(setting: Setting) -> Self {
        Self(Arc::new(Dial { setting, bell: Mutex::new(None) }))
    }

    pub(super) fn set(&mut self, _: Instant, bell: &Waker) -> Setting {
        if self.0.setting == Setting::Set {
            *self.0.bell.lock() = Some(bell.clone());
        }
        self.0.setting
    }

    /// Goes off, if it is set. Says whether it was.
    pub(super) fn go_off(&self) -> bool {
        let bell = self.0.bell.lock().take();
        let was_set = bell.is_some();
        if let Some(bell) = bell {
            bell.wake();
        }
        was_set
    }
}
