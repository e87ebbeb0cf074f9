//! A clock for models.

use std::time::Duration;

use tokio::runtime::{self, Runtime};

use super::explore;
use crate::sync::Arc;

/// A clock that stands still until a model advances it.
pub(super) struct PausedClock(Arc<Runtime>);

impl PausedClock {
    /// Explores `model` like [`explore`], with this clock in place of the system's.
    pub(super) fn explore(preemptions: usize, model: impl Fn(&Self) + Send + Sync + 'static) {
        let mut builder = runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build();
        let clock = Self(Arc::new(runtime.expect("a runtime")));
        let runtime = clock.0.clone();
        // All threads of a model run on this one.
        let _entered = runtime.enter();
        explore(preemptions, move || model(&clock));
    }

    pub(super) fn advance(&self, by: Duration) {
        self.0.block_on(tokio::time::advance(by));
    }
}
