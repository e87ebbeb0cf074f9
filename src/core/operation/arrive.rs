//! The arrival of an operation: the fast path, and the slow path if that does not admit.
//!
//! It owns the order of these steps. It does not own any rule of admission: the gate decides.

use std::{borrow::Borrow, task::Waker};

use crate::core::{
    gate::{
        arrival::{Arrival, ArrivalOutcome, WhenFull},
        trace,
    },
    limits::{Expiry, current_runtime, wait_policy::WaitPolicy},
    line::Ticket,
    operation::{
        handle::{GateHandle, IntoOwnedHandle},
        permit::Permit,
        queued::{NewlyQueued, QueueEntry},
    },
    rejection::Rejection,
};

/// The state of an operation after its arrival, unless it was rejected.
#[derive(Debug)]
pub(crate) enum Entered<H: GateHandle> {
    Admitted(Permit<H>),
    Queued(NewlyQueued<H>),
    /// It has not arrived, and stands in front of the full gate.
    Standing(Standing<H>),
}

/// Admits an operation at once or rejects it.
#[inline(always)]
pub(crate) fn admit_now<V: IntoOwnedHandle>(
    handle: V,
    cost: usize,
    policy: WaitPolicy,
) -> Result<Permit<V::Owned>, Rejection> {
    admit_fast(handle, cost, policy).or_else(Undecided::admit_now)
}

/// Admits an operation if no lock is needed for it.
///
/// Separate from the rest of an arrival, whose outcome is large: a permit inside that outcome would be copied
/// with it.
#[inline(always)]
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

/// Takes units if no lock is needed for it. Otherwise returns the limit that has passed already, if any.
#[inline(always)]
pub(in crate::core) fn take_fast(
    handle: &impl GateHandle,
    cost: usize,
    policy: &WaitPolicy,
) -> Result<u32, Option<Expiry>> {
    let expired = policy.expired();
    let units = u32::try_from(cost).unwrap_or(u32::MAX);
    if expired.is_none() && handle.gate().admit_fast(units) { Ok(units) } else { Err(expired) }
}

/// An operation that the fast path did not admit. The slow path has yet to decide.
#[derive(Debug)]
pub(crate) struct Undecided<V, A = WaitPolicy> {
    pub(in crate::core) handle: V,
    pub(in crate::core) cost: usize,
    /// The policy, or a reference to one that is in memory already: a copy would be read back before its
    /// stores have reached the cache.
    pub(in crate::core) policy: A,
    pub(in crate::core) expired: Option<Expiry>,
}

/// An operation that has not arrived. It is woken once the gate is full no more, and arrives then. Dropping it leaves.
#[derive(Debug)]
pub(crate) struct Standing<H: GateHandle> {
    handle: H,
    ticket: Ticket,
}

impl<H: GateHandle> Drop for Standing<H> {
    fn drop(&mut self) {
        self.handle.gate().leave_standing(self.ticket, self.handle.shared());
    }
}

impl<V> Undecided<V> {
    /// An operation that does not try the fast path.
    pub(crate) fn new(handle: V, cost: usize, policy: WaitPolicy) -> Self {
        let expired = policy.expired();
        Self { handle, cost, policy, expired }
    }
}

impl<V: IntoOwnedHandle, A: Borrow<WaitPolicy>> Undecided<V, A> {
    /// Arrives at the gate. If it has to wait, it is woken through `waker`.
    // Inlined into its caller, which is cold: see `Gate::arrive`.
    #[inline(always)]
    pub(crate) fn arrive(self, waker: &Waker) -> Result<Entered<V::Owned>, Rejection> {
        self.arrive_or_stand(waker, false)
    }

    /// The same. If `stands`, it does not arrive at a full gate, and is woken through `waker` when there may be a place.
    #[inline(always)]
    pub(crate) fn arrive_or_stand(
        self,
        waker: &Waker,
        stands: bool,
    ) -> Result<Entered<V::Owned>, Rejection> {
        let Self { handle, cost, policy, expired } = self;
        if !policy.borrow().waits() {
            return Self { handle, cost, policy, expired }.admit_now().map(Entered::Admitted);
        }
        let gate = handle.gate();
        if gate.is_pooled() && expired.is_none() && gate.admit_pooled(handle.shared()) {
            return Ok(Entered::Admitted(Permit::new(handle.into_owned(), 1)));
        }
        // Clones the waker ahead of time if the operation seems to have to wait and there is a waiting room.
        let mut prepare = (gate.room() > 0 || stands) && !gate.seems_free(cost);
        loop {
            let when_full = if prepare {
                let has_limit = policy.borrow().has_limit() || handle.wait_limit().is_set();
                let runtime = if has_limit { current_runtime() } else { None };
                WhenFull::Join(Some(waker.clone()), runtime)
            } else {
                WhenFull::AskForWaker
            };
            let arrival = Arrival { cost, policy: policy.borrow(), expired, when_full, stands };
            match handle.gate().arrive(arrival, handle.shared()) {
                ArrivalOutcome::Admitted => {
                    return Ok(Entered::Admitted(Permit::new(handle.into_owned(), cost as u32)));
                }
                ArrivalOutcome::Rejected(rejection) => return Err(trace::rejected(rejection)),
                ArrivalOutcome::NeedsWaker => prepare = true,
                ArrivalOutcome::Standing(ticket) => {
                    return Ok(Entered::Standing(Standing { handle: handle.into_owned(), ticket }));
                }
                ArrivalOutcome::Queued { ticket, since, enforcer } => {
                    let entry = QueueEntry::new(handle.into_owned(), ticket, since);
                    return Ok(Entered::Queued(NewlyQueued { entry, enforcer }));
                }
            }
        }
    }

    #[cold]
    fn admit_now(self) -> Result<Permit<V::Owned>, Rejection> {
        let Self { handle, cost, policy, expired } = self;
        let gate = handle.gate();
        if gate.is_pooled() && expired.is_none() && gate.admit_pooled(handle.shared()) {
            return Ok(Permit::new(handle.into_owned(), 1));
        }
        let when_full = WhenFull::Reject;
        let arrival = Arrival { cost, policy: policy.borrow(), expired, when_full, stands: false };
        match handle.gate().arrive(arrival, handle.shared()) {
            ArrivalOutcome::Admitted => Ok(Permit::new(handle.into_owned(), cost as u32)),
            ArrivalOutcome::Rejected(rejection) => Err(trace::rejected(rejection)),
            ArrivalOutcome::NeedsWaker
            | ArrivalOutcome::Standing(_)
            | ArrivalOutcome::Queued { .. } => {
                unreachable!("an operation that does not wait was queued")
            }
        }
    }
}
