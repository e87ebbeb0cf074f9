//! Requests inside the same bulkhead: a layer on a router, and the same on a router nested in it.
//!
//! A request that has a slot and asks for another one of the same bulkhead would wait for itself. This module owns how a layer
//! finds out: while a request with a slot is polled, the thread knows the compartment of the slot. A request that is polled
//! within needs no second one. It does not reach through a task of its own, as `tokio::spawn` or a `Buffer` start one.

use std::{cell::Cell, ptr};

use crate::{
    bulkhead::{compartment::Compartment, handle::OwnedHandle},
    core::operation::permit::Permit,
};

/// How many compartments a thread knows, one within the other. Requests deeper than that take slots, as if they were not within.
const DEEPEST: usize = 8;

thread_local! {
    // Without a destructor, so that it is cheap to use and there until the end of the thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static COMPARTMENTS: [Cell<usize>; DEEPEST] = const { [const { Cell::new(0) }; DEEPEST] };
}

/// What is polled while this exists is within a slot of a compartment.
pub(super) struct Within {
    former_depth: usize,
}

impl Within {
    #[inline]
    pub(super) fn of(permit: &Permit<OwnedHandle>) -> Self {
        let compartment = permit.handle().compartment();
        let former_depth = DEPTH.get();
        if former_depth < DEEPEST {
            COMPARTMENTS.with(|compartments| compartments[former_depth].set(identity(compartment)));
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

/// Whether what this thread polls is within a slot of this compartment.
#[inline]
pub(super) fn is_within(compartment: &Compartment) -> bool {
    let depth = DEPTH.get();
    depth > 0 && is_among(compartment, depth)
}

#[cold]
fn is_among(compartment: &Compartment, depth: usize) -> bool {
    let identity = identity(compartment);
    COMPARTMENTS.with(|compartments| {
        compartments[..depth.min(DEEPEST)].iter().any(|within| within.get() == identity)
    })
}

/// The address, which is that of no other compartment while a slot keeps this one alive.
#[inline]
fn identity(compartment: &Compartment) -> usize {
    ptr::from_ref(compartment).addr()
}
