//! The one door to locks, atomics and `Arc`: `parking_lot` and `std`, or loom's doubles of locks and
//! atomics when the models run (`--cfg bulklink_loom`, see `.ci/loom`).
//!
//! It owns no policy but two small ones: how numbers are given out, and how code of others is kept
//! from unwinding into ours. Nothing else in the crate names these types by another path.

#[cfg(not(all(test, bulklink_loom)))]
mod primitives {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
}

#[cfg(all(test, bulklink_loom))]
mod primitives {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    /// Loom's mutex with the signature of `parking_lot`'s, which knows no poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model that panics has failed already")
        }
    }
}

pub(crate) use primitives::*;
pub(crate) use std::sync::{Arc, Weak};

/// A number that nothing else in this process has.
pub(crate) fn unique_number() -> u64 {
    // `std`'s also in models, where an atomic cannot be static: it orders nothing.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Runs code of others and says whether it panicked. Its hook has reported the panic by then.
pub(crate) fn panics(code: impl FnOnce()) -> bool {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code));
    // A payload may panic in its own drop, so it has none.
    outcome.map_err(std::mem::forget).is_err()
}
