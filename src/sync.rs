//! Locks, atomics and `Arc` for the whole crate: `parking_lot` and `std`, or loom's versions of the
//! locks and atomics when the models run (`--cfg bulklink_loom`, see `.ci/loom`).
//!
//! It also owns two small helpers: unique numbers, and a guard that stops a panic in foreign code from
//! unwinding into the crate. No other module names these types by another path.

#[cfg(not(all(test, bulklink_loom)))]
mod primitives {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

#[cfg(all(test, bulklink_loom))]
mod primitives {
    pub(crate) use loom::sync::MutexGuard;
    pub(crate) use loom::sync::atomic::Ordering;

    /// Loom's atomic, changed so that every access conflicts with every other.
    ///
    /// Loom skips schedules that differ only in the order of accesses without a conflict, and remembers
    /// a single access to compare the next one with. If two threads load before one of them exchanges,
    /// loom has forgotten the first load by then and skips the schedule in which the exchange comes
    /// before it. Here each access first adds to `conflict`, so loads conflict too and none is forgotten.
    /// The addition is relaxed: it orders no memory, and a load may still return an old value.
    #[derive(Debug)]
    pub(crate) struct AtomicU64 {
        conflict: loom::sync::atomic::AtomicUsize,
        value: loom::sync::atomic::AtomicU64,
    }

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            let conflict = loom::sync::atomic::AtomicUsize::new(0);
            Self { conflict, value: loom::sync::atomic::AtomicU64::new(value) }
        }

        fn conflicting(&self) -> &loom::sync::atomic::AtomicU64 {
            self.conflict.fetch_add(1, Ordering::Relaxed);
            &self.value
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.conflicting().load(order)
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.conflicting().store(value, order);
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.conflicting().fetch_add(value, order)
        }

        pub(crate) fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.conflicting().fetch_sub(value, order)
        }

        pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            self.conflicting().fetch_or(value, order)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            from: u64,
            to: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.conflicting().compare_exchange_weak(from, to, success, failure)
        }
    }

    /// Loom's mutex with the signature of `parking_lot`'s, which has no poisoning.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a panic has already failed the model")
        }
    }
}

/// What only models need: loom's threads, locks and atomics, which are explored, and `std`'s locks and
/// atomics, which are not, for the bookkeeping of the models themselves.
#[cfg(all(test, bulklink_loom))]
pub(crate) mod models {
    pub(crate) use loom::{
        model::Builder,
        sync::{Condvar, Mutex, atomic::AtomicUsize as LoomUsize},
        thread::{self, JoinHandle, ThreadId},
    };
    pub(crate) use std::sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool as StdBool, AtomicUsize as StdUsize},
    };
}

pub(crate) use primitives::*;
pub(crate) use std::sync::{Arc, OnceLock, Weak};

use std::any::Any;

/// Atomics that decide nothing or are ordered by a lock, so the models do not explore their accesses.
pub(crate) use std::sync::atomic::{
    AtomicBool as UnexploredBool, AtomicU32 as UnexploredU32, AtomicU64 as UnexploredU64,
};

/// Returns a number that is unique in this process.
pub(crate) fn unique_number() -> u64 {
    // `std`'s atomic in models too: a loom atomic cannot be static, and this one orders no memory.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Runs foreign code and returns whether it panicked. The panic hook has reported the panic by then.
#[inline]
pub(crate) fn did_panic(code: impl FnOnce()) -> bool {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code));
    outcome.map_err(drop_payload).is_err()
}

/// Drops what foreign code panicked with. That drop is foreign too and may panic in turn. What is left then is forgotten:
/// otherwise this might never end.
#[cold]
#[inline(never)]
fn drop_payload(payload: Box<dyn Any + Send>) {
    let drop = std::panic::AssertUnwindSafe(|| drop(payload));
    if let Err(payload) = std::panic::catch_unwind(drop) {
        std::mem::forget(payload);
    }
}
