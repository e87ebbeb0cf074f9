//! The one door to locks, atomics and `Arc`: `parking_lot` and `std`, or loom's doubles of locks and
//! atomics when the models run (`--cfg bulklink_loom`, see `.ci/loom`).
//!
//! It owns no policy but two small ones: how numbers are given out, and how code of others is kept
//! from unwinding into ours. Nothing else in the crate names these types by another path.

#[cfg(not(all(test, bulklink_loom)))]
mod primitives {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(all(test, bulklink_loom))]
mod primitives {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::Ordering;

    /// Loom's atomic, every access to which conflicts with every other.
    ///
    /// Loom leaves out orders that differ in accesses without conflict, and remembers one access to
    /// compare the next with. Where two threads load before one of them exchanges, it has forgotten the
    /// first load by then, and leaves out the order in which the exchange comes before it. The turn is
    /// an exchange that each access makes first: loads conflict too and none is forgotten. It is
    /// relaxed, so it orders no memory and keeps no load from an old value.
    #[derive(Debug)]
    pub(crate) struct AtomicU64 {
        turn: loom::sync::atomic::AtomicUsize,
        value: loom::sync::atomic::AtomicU64,
    }

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            let turn = loom::sync::atomic::AtomicUsize::new(0);
            Self { turn, value: loom::sync::atomic::AtomicU64::new(value) }
        }

        fn take_turn(&self) -> &loom::sync::atomic::AtomicU64 {
            self.turn.fetch_add(1, Ordering::Relaxed);
            &self.value
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.take_turn().load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.take_turn().store(value, order);
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.take_turn().fetch_add(value, order)
        }

        pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            self.take_turn().fetch_or(value, order)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            from: u64,
            to: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.take_turn().compare_exchange_weak(from, to, success, failure)
        }
    }

    /// Loom's mutex with the signature of `parking_lot`'s, which knows no poisoning.
    #[derive(Debug, Default)]
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

/// What models need besides: threads, locks and data that they explore, and `std`'s locks and
/// numbers for what a model writes down of itself.
#[cfg(all(test, bulklink_loom))]
pub(crate) mod models {
    pub(crate) use loom::{
        model::Builder,
        sync::{Condvar, Mutex, atomic::AtomicUsize as Datum},
        thread::{self, JoinHandle, ThreadId},
    };
    pub(crate) use std::sync::{
        Mutex as Ledger,
        atomic::{AtomicBool as Flag, AtomicUsize as Number},
    };
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
pub(crate) fn did_panic(code: impl FnOnce()) -> bool {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code));
    // A payload may panic in its own drop, so it has none.
    outcome.map_err(std::mem::forget).is_err()
}
