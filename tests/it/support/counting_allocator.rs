//! An allocator that counts, for each thread by itself: so tests beside one another do not disturb one
//! another's counts.

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

// SAFETY: every call is passed on to the system's allocator as it came. The counters allocate nothing:
// they are constants at first and have no drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Allocations made by this thread while `work` ran.
pub(crate) fn allocations<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = ALLOCATIONS.get();
    let output = work();
    (ALLOCATIONS.get() - before, output)
}

/// Bytes this thread has allocated less those it has freed.
pub(crate) fn live() -> i64 {
    LIVE.get()
}

/// Bytes that `work` has allocated on this thread and not freed, given that none of it went to or came
/// from other threads.
pub(crate) fn live_bytes<T>(work: impl FnOnce() -> T) -> (i64, T) {
    let before = LIVE.get();
    let output = work();
    (LIVE.get() - before, output)
}
