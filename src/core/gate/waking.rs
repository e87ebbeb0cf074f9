//! How wakers are woken: with their panics caught, and without recursion of any depth.
//!
//! A waker may run its task on the spot. If that task gives its units back, the next waiter is woken from within the first
//! wake, and so on through the line: a stack of thousands of wakes. So wakes are nested up to a bound only, and what is
//! woken beyond it waits until the outermost wake on this thread has returned. Up to the bound nothing is delayed, so an
//! executor that waits inside of a wake for another one still makes progress. What runs on the spot is not within what the
//! thread is within.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::Waker,
};

use super::within::outside;
use crate::sync::did_panic;

/// How deep wakes are nested at most. Loom runs all of its threads on one, where their depths would mix, and no model has
/// wakers that nest.
const DEEPEST: u32 = if cfg!(all(test, bulklink_loom)) { HAS_DEFERRED } else { 16 };

/// In [`NESTING`]: something is deferred.
const HAS_DEFERRED: u32 = 1 << 31;

thread_local! {
    /// The number of wakes in progress on this thread, one inside the other, and `HAS_DEFERRED`. Apart from what is deferred
    /// because it has no destructor, so that it is cheap to use.
    static NESTING: Cell<u32> = const { Cell::new(0) };
    /// What is to be woken once the outermost wake has returned.
    static DEFERRED: RefCell<VecDeque<Waker>> = const { RefCell::new(VecDeque::new()) };
}

/// Wakes a waker and catches its panic. An uncaught panic would abort the process if this runs in a drop
/// during unwinding, and leave the remaining waiters asleep.
#[inline(never)]
pub(super) fn wake(waker: Waker) {
    if NESTING.get() & !HAS_DEFERRED >= DEEPEST {
        return defer(waker);
    }
    wake_nested(waker);
    if NESTING.get() == HAS_DEFERRED {
        wake_deferred();
    }
}

#[inline]
fn wake_nested(waker: Waker) {
    NESTING.set(NESTING.get() + 1);
    outside(|| did_panic(|| waker.wake()));
    NESTING.set(NESTING.get() - 1);
}

/// Leaves a waker to the outermost wake on this thread.
#[cold]
fn defer(waker: Waker) {
    let mut waker = Some(waker);
    let kept = DEFERRED.try_with(|deferred| deferred.borrow_mut().extend(waker.take()));
    match kept {
        Ok(()) => NESTING.set(NESTING.get() | HAS_DEFERRED),
        // In a thread's last moments there is nowhere to keep it.
        Err(_) => waker.into_iter().for_each(wake_nested),
    }
}

/// Wakes what was deferred, in order, until there is nothing left.
#[cold]
fn wake_deferred() {
    let next = || DEFERRED.try_with(|deferred| deferred.borrow_mut().pop_front()).ok().flatten();
    // Nested by one, so that these wakes leave what they defer to this loop.
    NESTING.set(1);
    while let Some(waker) = next() {
        wake_nested(waker);
    }
    NESTING.set(0);
}
