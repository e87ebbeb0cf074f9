//! Checks whether code panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `code` and returns whether it panicked.
pub(crate) fn panics<T>(code: impl FnOnce() -> T) -> bool {
    catch_unwind(AssertUnwindSafe(code)).is_err()
}

/// Asserts that `code` panics.
#[track_caller]
pub(crate) fn assert_panics<T>(code: impl FnOnce() -> T) {
    assert!(panics(code), "expected a panic");
}
