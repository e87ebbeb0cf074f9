//! The one door to locks, atomics and `Arc`: `parking_lot` and `std`, or loom's doubles of locks and
//! atomics when the models run (`--cfg bulklink_loom`, see `.ci/loom`).
//!
//! It owns no policy. Nothing else in the crate names these types by another path.

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
