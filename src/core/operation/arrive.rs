//! An operation's arrival: the fast path, and what follows where it does not admit.
//!
//! It owns no rule of admission: the gate decides.

use std::{borrow::Borrow, task::Waker};

use crate::core::{
    gate::arrival::{Arrival, ArrivalOutcome, WhenFull},
    limits::{Expiry, current_runtime},
    operation::{
        handle::{GateHandle, IntoOwnedHandle, WaitPolicy},
        permit::Permit,
        queued::{NewlyQueued, QueueEntry},
    },
    rejection::Rejection,
};

/// Where an operation stands after its arrival.
#[derive(Debug)]
pub(crate) enum Entered<H: GateHandle> {
    Admitted(Permit<H>),
    Queued(NewlyQueued<H>),
}

/// Admits now or rejects.
#[inline]
pub(crate) fn admit_now<V: IntoOwnedHandle>(
    handle: V,
    cost: usize,
    policy: WaitPolicy,
) -> Result<Permit<V::Owned>, Rejection> {
    admit_fast(handle, cost, policy).or_else(Undecided::admit_now)
}

/// Admits an operation if that takes no lock.
///
/// Apart from the rest of an arrival, because what that may come to is large: a permit that shared its
/// memory would be copied with it.
#[inline]
pub(crate) fn admit_fast<V: IntoOwnedHandle>(
    handle: V,
    cost: usize,
    policy: WaitPolicy,
) -> Result<Permit<V::Owned>, Undecided<V>> {
    match take_fast(&handle, cost, &policy) {
        Ok(units) => Ok(Permit::new(handle.into_owned(), units)),
        Err(expired) => Err(Undecided { handle, cost, policy, expired }),
    }
}

/// Takes units if that takes no lock. If it does, says whether it is too late for any.
#[inline]
pub(in crate::core) fn take_fast(
    handle: &impl GateHandle,
    cost: usize,
    policy: &WaitPolicy,
) -> Result<u32, Option<Expiry>> {
    let expired = policy.expired();
    let units = u32::try_from(cost).unwrap_or(u32::MAX);
    if expired.is_none() && handle.gate().admit_fast(units) { Ok(units) } else { Err(expired) }
}

/// An operation that the fast path did not admit, which says nothing yet.
#[derive(Debug)]
pub(crate) struct Undecided<V, A = WaitPolicy> {
    pub(in crate::core) handle: V,
    pub(in crate::core) cost: usize,
    /// How it asks, or a reference to that: where it lies in memory, a copy of it would be read before it has
    /// reached the cache.
    pub(in crate::core) policy: A,
    pub(in crate::core) expired: Option<Expiry>,
}

impl<V: IntoOwnedHandle, A: Borrow<WaitPolicy>> Undecided<V, A> {
    /// Arrives at the gate. A waiter is woken through `waker`.
    // Part of its caller, which is cold: see `Gate::arrive`.
    #[inline(always)]
    pub(crate) fn arrive(self, waker: &Waker) -> Result<Entered<V::Owned>, Rejection> {
        let Self { handle, cost, policy, expired } = self;
        if !policy.borrow().waits() {
            return Self { handle, cost, policy, expired }.admit_now().map(Entered::Admitted);
        }
        let gate = handle.gate();
        // Where it looks as if there were something to wait for, and somewhere to wait.
        let mut prepare = gate.room() > 0 && !gate.seems_free(cost);
        loop {
            let when_full = if prepare {
                // Whose limit is the gate's own need not keep it.
                let limit = match policy.borrow() {
                    WaitPolicy::UpToLimit => handle.wait_limit().and_then(|_| current_runtime()),
                    _ => None,
                };
                WhenFull::Join(Some(waker.clone()), limit)
            } else {
                WhenFull::AskForWaker
            };
            match handle.gate().arrive(Arrival { cost, expired, when_full }, handle.rejections()) {
                ArrivalOutcome::Admitted => {
                    return Ok(Entered::Admitted(Permit::new(handle.into_owned(), cost as u32)));
                }
                ArrivalOutcome::Rejected(rejection) => return Err(rejection),
                ArrivalOutcome::NeedsWaker => prepare = true,
                ArrivalOutcome::Queued { ticket, since, enforcer } => {
                    let end = policy.borrow().end(since, handle.wait_limit());
                    let entry = QueueEntry::new(handle.into_owned(), ticket);
                    return Ok(Entered::Queued(NewlyQueued { entry, since, end, enforcer }));
                }
            }
        }
    }

    #[cold]
    fn admit_now(self) -> Result<Permit<V::Owned>, Rejection> {
        let Self { handle, cost, expired, .. } = self;
        let arrival = Arrival { cost, expired, when_full: WhenFull::Reject };
        match handle.gate().arrive(arrival, handle.rejections()) {
            ArrivalOutcome::Admitted => Ok(Permit::new(handle.into_owned(), cost as u32)),
            ArrivalOutcome::Rejected(rejection) => Err(rejection),
            ArrivalOutcome::NeedsWaker | ArrivalOutcome::Queued { .. } => {
                unreachable!("an operation that does not wait was queued")
            }
        }
    }
}
