//! An allocator that counts per thread, so that tests running in parallel do not disturb each other's
//! counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn count(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    LIVE.set(LIVE.get() + bytes);
}

// SAFETY: every call is forwarded unchanged to the system allocator. Updating a counter does not allocate:
// its initial value is a constant and it has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Returns the number of allocations this thread made while `work` ran, and the output of `work`.
pub(crate) fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let output = work();
    (ALLOCATIONS.get() - before, output)
}

/// Returns the bytes this thread has allocated minus those it has freed.
pub(crate) fn live() -> i64 {
    LIVE.get()
}

/// Returns the bytes that `work` allocated on this thread minus those it freed, and the output of `work`.
/// This is the memory `work` still holds only if none of it was allocated or freed by another thread.
pub(crate) fn live_bytes<T>(work: impl FnOnce() -> T) -> (i64, T) {
    let before = LIVE.get();
    let output = work();
    (LIVE.get() - before, output)
}
