//! The gate's side of a pool: what a section does if the gate shares a capacity with others.
//!
//! It owns the hand-overs between gates: the section of one gate admits from the lines of all, in the order that the pool
//! gives. It does not own that order, nor what a place is: see `core::pool`.
//!
//! The pool's lock is taken before that of a gate, by every section. The word of such a gate is slow for good, so that nothing
//! happens without the pool.

use tokio::time::Instant;

use crate::{
    core::{
        clock::{self, Nanos},
        gate::{
            Gate, NO_MEMBER, called_below, effects::Effects, lifecycle::Phase,
            records::SharedRecords, section::Section, shared_pool::Pool, word::Word,
        },
        pool::rules::{PoolLimits, PoolState, Rules, Share, Unseen},
        rejection::reason::RejectionReason,
    },
    sync::{MutexGuard, Ordering},
};

/// How many lazy states are kept for gates that need one.
const MAX_SPARE: usize = 64;

/// The pool of a section, if its gate is in one.
pub(super) enum PoolAccess<'a> {
    None,
    Locked(MutexGuard<'a, Pool>),
    /// By the section of another gate, which goes on serving the lines.
    Lent(&'a mut Pool),
}

impl<'a> PoolAccess<'a> {
    #[inline]
    pub(super) fn of(gate: &Gate, shared: Option<&'a SharedRecords>) -> Self {
        if gate.is_pooled() { Self::lock(shared) } else { Self::None }
    }

    #[cold]
    #[inline(never)]
    fn lock(shared: Option<&'a SharedRecords>) -> Self {
        let pool = shared.and_then(|shared| shared.pool.as_ref());
        pool.map_or(Self::None, |pool| Self::Locked(pool.lock()))
    }

    #[inline]
    pub(super) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether there is a seat in the whole, if the capacity is shared.
    #[inline]
    pub(super) fn has_seat(&self) -> bool {
        self.get().is_none_or(|pool| pool.rules.has_seat())
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&Pool> {
        match self {
            Self::None => None,
            Self::Locked(pool) => Some(pool),
            Self::Lent(pool) => Some(pool),
        }
    }

    #[inline]
    fn get_mut(&mut self) -> Option<&mut Pool> {
        match self {
            Self::None => None,
            Self::Locked(pool) => Some(pool),
            Self::Lent(pool) => Some(pool),
        }
    }
}

impl Section<'_> {
    /// Returns the pool and the number of the gate in it. A gate that nobody uses any more may have left it.
    #[inline]
    fn pooled(&mut self) -> Option<(&mut Pool, u32)> {
        let member = self.gate().member();
        let pool = self.pool.get_mut()?;
        member.map(|member| (pool, member))
    }

    /// Takes over what was admitted and released without this lock.
    #[inline]
    pub(super) fn take_over_from_pool(&mut self) {
        if self.pool.is_some() {
            self.take_over();
        }
    }

    #[cold]
    fn take_over(&mut self) {
        let Some((pool, member)) = self.pooled() else { return };
        let Unseen { held, most, admitted } = pool.rules.take_unseen(member);
        (self.used, self.in_flight) = (held, held);
        self.state.ceiling = held;
        self.state.admitted += admitted;
        self.state.counts.peak_used = self.state.counts.peak_used.max(most);
    }
}

impl Gate {
    /// Makes this gate, which nobody uses yet, a member of a pool.
    pub(in crate::core) fn become_member(&self, member: u32) {
        self.member.store(member, Ordering::Relaxed);
        self.word.store(Word::slow_bit(), Ordering::Release);
    }

    /// Whether this gate shares a capacity. Where it does not, nothing else of this module is done.
    #[inline]
    pub(crate) fn is_pooled(&self) -> bool {
        self.member.load(Ordering::Relaxed) != NO_MEMBER
    }

    /// Admits an operation if there is a seat and nothing to do but to count it.
    #[cold]
    pub(crate) fn admit_pooled(&self, shared: Option<&SharedRecords>) -> bool {
        match shared {
            Some(SharedRecords { pool: Some(pool), .. }) => {
                pool.lock().rules.admit_fast(self.member.load(Ordering::Relaxed))
            }
            _ => false,
        }
    }

    /// Releases an operation if there is nothing to do but to count it.
    #[cold]
    pub(super) fn release_pooled(&self, shared: Option<&SharedRecords>) -> bool {
        match shared {
            Some(SharedRecords { pool: Some(pool), .. }) => {
                pool.lock().release_fast(self.member.load(Ordering::Relaxed))
            }
            _ => false,
        }
    }

    /// Returns the number of this gate in its pool.
    #[inline]
    pub(in crate::core) fn member(&self) -> Option<u32> {
        Some(self.member.load(Ordering::Relaxed)).filter(|&member| member != NO_MEMBER)
    }

    /// Takes this gate, which nobody uses any more, out of its pool.
    pub(in crate::core) fn leave_pool(&self) -> Option<u32> {
        let member = self.member();
        self.member.store(NO_MEMBER, Ordering::Relaxed);
        member
    }
}

impl SharedRecords {
    /// Changes the limits of the pool, and hands over what is free then.
    ///
    /// What is left to do is added to `effects`, because the caller holds a lock of its own.
    pub(crate) fn set_pool_limits(&self, limits: PoolLimits, effects: &mut Effects) {
        self.change_pool(|rules| rules.set_limits(limits), effects);
    }

    /// Holds the seats of the pool back while its gates are paused one after another, and until all are resumed. Then they go
    /// to those whose turn it is, and not to those that were resumed first.
    ///
    /// What is left to do is added to `effects`, because the caller holds a lock of its own.
    pub(crate) fn hold_pool(&self, is_held: bool, effects: &mut Effects) {
        self.change_pool(|rules| rules.set_held(is_held), effects);
    }

    fn change_pool(&self, change: impl FnOnce(&mut Rules), effects: &mut Effects) {
        let Some(shared) = &self.pool else { return };
        let mut pool = shared.lock();
        let instant = clock::now();
        let now = Nanos::at(instant);
        pool.rules.clock(now);
        change(&mut pool.rules);
        serve(&mut pool, self, effects, NO_MEMBER, instant);
        wake_standing_elsewhere(&mut pool, self, effects, NO_MEMBER);
        if pool.rules.begins_pressure() {
            pool.rules.begin_pressure(now);
        }
        shared.publish(pool.rules.is_pressed());
    }
}

impl Section<'_> {
    /// Brings the time of the pool up to date. Every change comes after it.
    #[inline]
    pub(super) fn clock_pool(&mut self) {
        if self.pool.is_some() {
            self.clock_own_pool();
        }
    }

    #[cold]
    fn clock_own_pool(&mut self) {
        if self.pool.get().is_some_and(|pool| pool.rules.is_pressed()) {
            let now = self.nanos();
            if let Some(pool) = self.pool.get_mut() {
                pool.rules.clock(now);
            }
        }
    }

    /// Whether somebody more may wait: in the gate's own room, and in that of all.
    #[inline]
    pub(super) fn has_place(&self) -> bool {
        let has_place =
            |pool: &Pool| self.gate().member().is_none_or(|member| pool.rules.has_place(member));
        self.has_own_place() && self.pool.get().is_none_or(has_place)
    }

    #[inline]
    pub(super) fn has_own_place(&self) -> bool {
        self.state.waiting() < self.gate().room()
    }

    /// Whether nobody is admitted: the gate is paused, or all gates of its pool are about to be.
    #[inline]
    pub(super) fn is_paused(&self) -> bool {
        self.state.phase.is_paused() || self.pool.get().is_some_and(|pool| pool.rules.is_held())
    }

    /// Whether the pool is what an arrival is rejected for: the gate itself has a seat for it, or a place if it waits.
    #[inline]
    pub(super) fn is_saturated_in_pool(&self, waits_not: bool) -> bool {
        let has_own_seat = self.state.waiting() == 0 && self.free() > 0;
        self.pool.is_some() && (has_own_seat || (!waits_not && self.has_own_place()))
    }

    /// Returns the reason for a rejection by the pool.
    #[cold]
    pub(super) fn total_saturated(&self) -> RejectionReason {
        let (waiting, room) = (self.state.waiting(), self.gate().room());
        let pool = self.pool.get().expect("the capacity is shared");
        let PoolState { limits, used, waiting: all_waiting, .. } = pool.rules.state();
        let partition_room = self.gate().member().map_or(0, |member| pool.rules.places(member));
        RejectionReason::TotalSaturated {
            used: used as usize,
            capacity: limits.capacity as usize,
            waiting: all_waiting as usize,
            waiting_room: limits.room as usize,
            partition_waiting: waiting as usize,
            partition_room: partition_room.min(room) as usize,
        }
    }

    /// Lets the pool know of a change, if there is one. The gate is the member with this number.
    #[inline]
    pub(super) fn in_pool(&mut self, change: impl FnOnce(&mut Rules, u32)) {
        if self.pool.is_some() {
            self.in_own_pool(change);
        }
    }

    #[cold]
    fn in_own_pool(&mut self, change: impl FnOnce(&mut Rules, u32)) {
        if let Some((pool, member)) = self.pooled() {
            change(&mut pool.rules, member);
        }
    }

    /// The capacity of the gate or its share has changed.
    pub(super) fn change_in_pool(&mut self, share: Option<Share>) {
        let capacity = self.state.capacity;
        self.in_pool(|rules, member| {
            let share = share.unwrap_or(rules.share(member));
            rules.change(member, capacity, share);
        });
    }

    /// The gate was paused, or is so no more.
    pub(super) fn pause_in_pool(&mut self) {
        let is_paused = self.state.phase.is_paused();
        self.in_pool(|rules, member| rules.set_paused(member, is_paused));
    }

    /// Whether the pool knows another share than this one.
    pub(super) fn has_other_share(&mut self, share: Option<Share>) -> bool {
        let own = self.pooled().map(|(pool, member)| pool.rules.share(member));
        own.is_some() && share.is_some() && own != share
    }

    /// Takes the lazy state that another gate of the pool needs no more, if there is one: where many keys wait a little each,
    /// lines begin and end all the time.
    #[cold]
    pub(super) fn reuse_lazy(&mut self) {
        let next = called_below(self.gate().called.load(Ordering::Relaxed));
        let Some((pool, _)) = self.pooled() else { return };
        let Some(mut lazy) = pool.spare.pop() else { return };
        lazy.restart(next);
        self.state.lazy = Some(lazy);
    }

    /// Gives up the lazy state, which holds nothing.
    #[cold]
    pub(super) fn free_lazy(&mut self) {
        let Some(lazy) = self.state.lazy.take() else { return };
        match self.pooled() {
            Some((pool, _)) if pool.spare.len() < MAX_SPARE && lazy.line.is_small() => {
                pool.spare.push(lazy);
            }
            _ => self.effects.spare_lazy = Some(lazy),
        }
    }

    /// Admits from the lines of all gates in the pool, until there is no seat or nobody who could run.
    #[inline]
    pub(super) fn serve_pool(&mut self) {
        if self.pool.get().is_some_and(|pool| pool.rules.is_due()) {
            self.serve_due();
        }
    }

    #[cold]
    fn serve_due(&mut self) {
        let (member, shared) = (self.gate().member().unwrap_or(NO_MEMBER), self.shared());
        let now = self.now();
        loop {
            // The section that has lent its pool goes on.
            let PoolAccess::Locked(pool) = &mut self.pool else { return };
            let Some(shared) = shared else { return };
            if !serve(pool, shared, self.effects, member, now) {
                return;
            }
            pool.rules.hand_over(member);
            self.admit_head();
        }
    }

    /// Ends what this section has done to the pool.
    #[inline]
    pub(super) fn settle_pool(&mut self) {
        if self.pool.is_some() {
            self.settle_own_pool();
        }
    }

    #[cold]
    fn settle_own_pool(&mut self) {
        let is_open = self.state.phase == Phase::Open && !self.state.is_refused;
        self.in_own_pool(|rules, member| rules.set_open(member, is_open));
        self.settle_locked_pool();
    }

    fn settle_locked_pool(&mut self) {
        let (member, shared) = (self.gate().member().unwrap_or(NO_MEMBER), self.shared());
        let (PoolAccess::Locked(pool), Some(shared)) = (&mut self.pool, shared) else { return };
        if !pool.standing.is_empty() {
            let frees_places = wake_standing_elsewhere(pool, shared, self.effects, member);
            if frees_places && self.state.has_standing() {
                self.wake_standing();
            }
        }
        let PoolAccess::Locked(pool) = &mut self.pool else { return };
        if pool.rules.begins_pressure() {
            let now = self.nanos();
            if let Some(pool) = self.pool.get_mut() {
                pool.rules.begin_pressure(now);
            }
        }
        if let (Some(pool), Some(shared)) = (self.pool.get(), &shared.pool) {
            shared.publish(pool.rules.is_pressed());
        }
    }

    /// Somebody stands in front of this gate, or nobody does any more.
    pub(super) fn mark_standing(&mut self) {
        let stands = self.state.has_standing();
        let Some((pool, member)) = self.pooled() else { return };
        let at = pool.standing.iter().position(|&other| other == member);
        match (at, stands) {
            (None, true) => pool.standing.push(member),
            (Some(at), false) => drop(pool.standing.swap_remove(at)),
            _ => {}
        }
    }
}

/// Admits from the lines of all gates but `own`. Returns whether it is the turn of that one.
fn serve(
    pool: &mut Pool,
    shared: &SharedRecords,
    effects: &mut Effects,
    own: u32,
    now: Instant,
) -> bool {
    while let Some(member) = pool.rules.next() {
        if member == own {
            return true;
        }
        let Some(other) = pool.gate_of(member) else {
            debug_assert!(false, "a gate with waiters is alive");
            return false;
        };
        let access = PoolAccess::Lent(pool);
        let mut section = Section::enter_with(other.gate(), Some(shared), access, effects);
        section.set_now(Some(now));
        // Takes out whoever has waited too long: it may be the turn of another gate then.
        section.freeze();
        if let Some(pool) = section.pool.get_mut() {
            if pool.rules.next() == Some(member) {
                pool.rules.hand_over(member);
                section.admit_head();
            }
        }
        section.settle_changes();
    }
    false
}

/// Wakes those who stand in front of other gates than `own`, if there is a place for them. Returns whether it has freed
/// places of the whole, by taking out whoever has waited too long: then `own` is to ask again.
#[cold]
fn wake_standing_elsewhere(
    pool: &mut Pool,
    shared: &SharedRecords,
    effects: &mut Effects,
    own: u32,
) -> bool {
    let before = pool.rules.state().waiting;
    loop {
        let asked_with = pool.rules.state().waiting;
        ask_standing_elsewhere(pool, shared, effects, own);
        // Those asked first did not know of a place that was freed meanwhile.
        if pool.rules.state().waiting == asked_with {
            return asked_with < before;
        }
    }
}

fn ask_standing_elsewhere(
    pool: &mut Pool,
    shared: &SharedRecords,
    effects: &mut Effects,
    own: u32,
) {
    for member in pool.standing.clone() {
        if member == own {
            continue;
        }
        let Some(other) = pool.gate_of(member) else { continue };
        let access = PoolAccess::Lent(pool);
        let mut section = Section::enter_with(other.gate(), Some(shared), access, effects);
        // The end of a section wakes them.
        section.freeze();
        section.settle_changes();
    }
}
