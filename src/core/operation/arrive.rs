//! Arriving at a gate, and holding what it has admitted.
//!
//! It owns the guard of the units, generic over what keeps the gate alive: a reference where an operation
//! runs in place, a counted handle where it may outlive its caller.

use std::{borrow::Borrow, task::Waker};

use crate::core::{
    MAX_UNITS,
    gate::arrival::{Arrival, Arrived, Expiry, Patience},
    limits::alarm::current_runtime,
    operation::{
        handle::{Ask, Home, Visit},
        wait::{Joined, Place},
    },
    rejection::Rejection,
};

/// Units in use; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Permit<H: Home> {
    home: H,
    stake: Stake,
}

/// A cost, and in its top bit, which no cost has, whether the work has begun. Two fields in one, because
/// a permit of two words travels in registers, and one of three through memory.
#[derive(Clone, Copy, Debug)]
struct Stake(u32);

impl Stake {
    const STARTED: u32 = MAX_UNITS + 1;

    #[inline]
    fn cost(self) -> u32 {
        self.0 & MAX_UNITS
    }

    #[inline]
    fn has_started(self) -> bool {
        self.0 & Self::STARTED != 0
    }
}

impl<H: Home> Permit<H> {
    /// Units that a gate has just admitted.
    #[inline]
    pub(in crate::core) fn new(home: H, cost: u32) -> Self {
        Self { home, stake: Stake(cost) }
    }

    /// The work begins: from now on the units count as released when they come back, not abandoned.
    #[inline]
    pub(crate) fn start(mut self) -> Self {
        self.stake.0 |= Stake::STARTED;
        self
    }

    pub(crate) fn home(&self) -> &H {
        &self.home
    }

    pub(crate) fn cost(&self) -> u32 {
        self.stake.cost()
    }
}

impl<H: Home> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.stake.has_started() {
            self.home.gate().release(self.stake.cost());
        } else {
            self.home.gate().abandon(self.stake.cost());
        }
    }
}

/// Where an operation stands after its arrival.
#[derive(Debug)]
pub(crate) enum Entry<H: Home> {
    Admitted(Permit<H>),
    Joined(Joined<H>),
}

/// Admits now or rejects.
#[inline]
pub(crate) fn admit_now<V: Visit>(
    visit: V,
    cost: usize,
    ask: Ask,
) -> Result<Permit<V::Stay>, Rejection> {
    admit_fast(visit, cost, ask).or_else(Undecided::admit_now)
}

/// Admits an operation if that takes no lock.
///
/// Apart from the rest of an arrival, because what that may come to is large: a permit that shared its
/// memory would be copied with it.
#[inline]
pub(crate) fn admit_fast<V: Visit>(
    visit: V,
    cost: usize,
    ask: Ask,
) -> Result<Permit<V::Stay>, Undecided<V>> {
    match take_fast(&visit, cost, &ask) {
        Ok(units) => Ok(Permit::new(visit.stay(), units)),
        Err(expired) => Err(Undecided { visit, cost, ask, expired }),
    }
}

/// Takes units if that takes no lock. If it does, says whether it is too late for any.
#[inline]
pub(in crate::core) fn take_fast(
    home: &impl Home,
    cost: usize,
    ask: &Ask,
) -> Result<u32, Option<Expiry>> {
    let expired = ask.expired();
    let units = u32::try_from(cost).unwrap_or(u32::MAX);
    if expired.is_none() && home.gate().admit_fast(units) { Ok(units) } else { Err(expired) }
}

/// An operation that the fast path did not admit, which says nothing yet.
#[derive(Debug)]
pub(crate) struct Undecided<V, A = Ask> {
    pub(in crate::core) visit: V,
    pub(in crate::core) cost: usize,
    /// How it asks, or a reference to that: where it lies in memory, a copy of it would be read before it has
    /// reached the cache.
    pub(in crate::core) ask: A,
    pub(in crate::core) expired: Option<Expiry>,
}

impl<V: Visit, A: Borrow<Ask>> Undecided<V, A> {
    /// Arrives at the gate. A waiter is woken through `waker`.
    // Part of its caller, which is cold: see `Gate::arrive`.
    #[inline(always)]
    pub(crate) fn arrive(self, waker: &Waker) -> Result<Entry<V::Stay>, Rejection> {
        let Self { visit, cost, ask, expired } = self;
        if !ask.borrow().waits() {
            return Self { visit, cost, ask, expired }.admit_now().map(Entry::Admitted);
        }
        let gate = visit.gate();
        // Where it looks as if there were something to wait for, and somewhere to wait.
        let mut prepare = gate.room() > 0 && !gate.seems_free(cost);
        loop {
            let patience = if prepare {
                // Whose limit is the gate's own need not keep it.
                let limit = match ask.borrow() {
                    Ask::Patiently => visit.wait_limit().and_then(|_| current_runtime()),
                    _ => None,
                };
                Patience::Prepared(Some(waker.clone()), limit)
            } else {
                Patience::Unprepared
            };
            match visit.gate().arrive(Arrival { cost, expired, patience }, visit.clerk()) {
                Arrived::Admitted => {
                    return Ok(Entry::Admitted(Permit::new(visit.stay(), cost as u32)));
                }
                Arrived::Refused(rejection) => return Err(rejection),
                Arrived::MustPrepare => prepare = true,
                Arrived::Waits { ticket, since, keeping } => {
                    let end = ask.borrow().end(since, visit.wait_limit());
                    let place = Place::new(visit.stay(), ticket);
                    return Ok(Entry::Joined(Joined { place, since, end, keeping }));
                }
            }
        }
    }

    #[cold]
    fn admit_now(self) -> Result<Permit<V::Stay>, Rejection> {
        let Self { visit, cost, expired, .. } = self;
        let arrival = Arrival { cost, expired, patience: Patience::None };
        match visit.gate().arrive(arrival, visit.clerk()) {
            Arrived::Admitted => Ok(Permit::new(visit.stay(), cost as u32)),
            Arrived::Refused(rejection) => Err(rejection),
            Arrived::MustPrepare | Arrived::Waits { .. } => {
                unreachable!("an operation that does not wait was queued")
            }
        }
    }
}
