//! Faults in user code, in every place where a bulkhead runs it. No unit may be lost and no line may hang.

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
mod thread_ends;
mod wakers;

/// Panics without printing a message, which would be noise here.
fn fault() -> ! {
    resume_unwind(Box::new("fault"))
}

/// Whether user code fails.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if the switch is on.
    fn pass(&self) {
        if self.is_set() {
            fault();
        }
    }

    /// Fails if the switch is on, and turns it off.
    fn pass_once(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            fault();
        }
    }
}
