//! Faults in the code of others, in every place where a bulkhead runs it: no unit is lost and no line
//! is wedged.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

mod bodies;
mod drops;
mod handlers;
mod keys;
mod runtimes;
mod services;
mod wakers;

/// A panic without its message, which would only be noise here.
fn fault() -> ! {
    resume_unwind(Box::new("fault"))
}

/// Whether there is a fault now.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if it is on.
    fn pass(&self) {
        if self.is_set() {
            fault();
        }
    }

    /// Fails once if it is on.
    fn pass_once(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            fault();
        }
    }
}
