//! Requests inside the same bulkhead: a layer on a router, and the same on a router nested in it.
//!
//! A request that has a slot and asks for another one of the same gate would wait for itself. This module owns how a layer
//! finds out: while a request with a slot is polled, the thread knows the gate of the slot. A request that is polled within
//! needs no second one. It does not reach through a task of its own, as `tokio::spawn` or a `Buffer` start one, and not
//! through a waker of this crate that runs its task on the spot.

use std::{cell::Cell, ptr};

use super::Gate;

/// How many gates a thread knows, one within the other. Requests deeper than that take slots, as if they were not within.
const DEEPEST: usize = 8;

thread_local! {
    // Without a destructor, so that it is cheap to use and there until the end of the thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static GATES: [Cell<usize>; DEEPEST] = const { [const { Cell::new(0) }; DEEPEST] };
}

/// What is polled while this exists is within a slot of a gate, or within none.
pub(crate) struct Within {
    former_depth: usize,
}

impl Within {
    #[inline]
    pub(crate) fn of(gate: &Gate) -> Self {
        let former_depth = DEPTH.get();
        if former_depth < DEEPEST {
            GATES.with(|gates| gates[former_depth].set(identity(gate)));
        }
        DEPTH.set(former_depth + 1);
        Self { former_depth }
    }
}

impl Drop for Within {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(self.former_depth);
    }
}

/// Runs code of somebody else, which is within nothing that this thread is within.
///
/// What that code enters and leaves overwrites the gates that this thread knows, so they are put back as well.
#[inline]
pub(super) fn outside<T>(code: impl FnOnce() -> T) -> T {
    if DEPTH.get() == 0 { code() } else { outside_of_some(code) }
}

#[cold]
fn outside_of_some<T>(code: impl FnOnce() -> T) -> T {
    let gates = GATES.with(|gates| gates.each_ref().map(Cell::get));
    // Put back by its drop, also if the code panics.
    let _former = Within { former_depth: DEPTH.replace(0) };
    let result = code();
    GATES.with(|now| now.iter().zip(gates).for_each(|(now, former)| now.set(former)));
    result
}

/// Whether what this thread polls is within a slot of this gate.
#[inline]
pub(crate) fn is_within(gate: &Gate) -> bool {
    let depth = DEPTH.get();
    depth > 0 && is_among(gate, depth)
}

#[cold]
fn is_among(gate: &Gate, depth: usize) -> bool {
    let identity = identity(gate);
    GATES.with(|gates| gates[..depth.min(DEEPEST)].iter().any(|within| within.get() == identity))
}

/// The address, which is that of no other gate while a slot keeps this one alive.
#[inline]
fn identity(gate: &Gate) -> usize {
    ptr::from_ref(gate).addr()
}
