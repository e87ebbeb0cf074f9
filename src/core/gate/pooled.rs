//! The gate's side of a pool: what a section does if the gate shares a capacity with others.
//!
//! It owns the hand-overs between gates: the section of one gate admits from the lines of all, in the order that the pool
//! gives. It does not own that order, nor what a place is: see `core::pool`.
//!
//! The pool's lock is taken before that of a gate, by every section. The word of such a gate is slow for good, so that nothing
//! happens without the pool.

use crate::{
    core::{
        clock::{self, Nanos},
        gate::{
            Gate, NO_MEMBER, called_below,
            effects::Effects,
            lifecycle::Phase,
            records::SharedRecords,
            section::Section,
            shared_pool::{Pool, SharedPool},
            word::Word,
        },
        pool::rules::{NoPlace, PoolLimits, PoolState, Share, Unseen},
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
    pub(super) fn of(shared: Option<&'a SharedRecords>) -> Self {
        match shared {
            Some(SharedRecords { pool: Some(pool), .. }) => Self::lock(pool),
            _ => Self::None,
        }
    }

    #[cold]
    #[inline(never)]
    fn lock(pool: &'a SharedPool) -> Self {
        Self::Locked(pool.lock())
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

    /// Admits an operation if there is a seat and nothing to do but to count it.
    #[inline]
    pub(crate) fn admit_pooled(&self, shared: Option<&SharedRecords>) -> bool {
        match shared {
            Some(SharedRecords { pool: Some(pool), .. }) => {
                pool.lock().admit_fast(self.member.load(Ordering::Relaxed))
            }
            _ => false,
        }
    }

    /// Releases an operation if there is nothing to do but to count it.
    #[inline]
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

    /// Gives a partition its share of the pool. Returns whether that changes it.
    ///
    /// What is left to do is added to `effects`, because the caller holds a lock of its own.
    pub(crate) fn set_share(
        &self,
        share: Share,
        shared: Option<&SharedRecords>,
        effects: &mut Effects,
    ) -> bool {
        let mut section = Section::enter_shared(self, shared, effects);
        if section.pooled().is_none_or(|(pool, member)| pool.rules.share(member) == share) {
            return false;
        }
        section.freeze();
        section.change_in_pool(share);
        section.settle();
        true
    }
}

impl SharedRecords {
    /// Changes the limits of the pool, and hands over what is free then.
    ///
    /// What is left to do is added to `effects`, because the caller holds a lock of its own.
    pub(crate) fn set_pool_limits(&self, limits: PoolLimits, effects: &mut Effects) {
        let Some(shared) = &self.pool else { return };
        let mut pool = shared.lock();
        let now = Nanos::at(clock::now());
        pool.rules.clock(now);
        pool.rules.set_limits(limits);
        serve(&mut pool, self, effects, NO_MEMBER);
        wake_standing(&mut pool, self, effects, NO_MEMBER);
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
        self.has_own_place() && self.place_in_pool().is_ok()
    }

    #[inline]
    pub(super) fn has_own_place(&self) -> bool {
        self.state.waiting() < self.gate().room()
    }

    #[inline]
    fn place_in_pool(&self) -> Result<(), NoPlace> {
        match self.pool.get() {
            Some(pool) => self.gate().member().map_or(Ok(()), |member| pool.rules.place(member)),
            None => Ok(()),
        }
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

    /// A newcomer was admitted.
    #[inline]
    pub(super) fn admit_in_pool(&mut self) {
        if self.pool.is_some() {
            self.admit_in_pool_now();
        }
    }

    #[cold]
    fn admit_in_pool_now(&mut self) {
        if let Some((pool, member)) = self.pooled() {
            pool.rules.admit(member);
            pool.record_peaks();
        }
    }

    /// A newcomer has joined the line.
    #[inline]
    pub(super) fn join_in_pool(&mut self) {
        if self.pool.is_some() {
            self.join_in_pool_now();
        }
    }

    #[cold]
    fn join_in_pool_now(&mut self) {
        if let Some((pool, member)) = self.pooled() {
            pool.rules.join(member);
            pool.record_peaks();
        }
    }

    /// Some have left the line.
    #[inline]
    pub(super) fn leave_pool(&mut self, operations: u32) {
        if self.pool.is_some() {
            self.leave_pool_now(operations);
        }
    }

    #[cold]
    fn leave_pool_now(&mut self, operations: u32) {
        if let Some((pool, member)) = self.pooled() {
            pool.rules.leave(member, operations);
        }
    }

    /// An operation has ended.
    #[inline]
    pub(super) fn release_to_pool(&mut self) {
        if self.pool.is_some() {
            self.release_to_pool_now();
        }
    }

    #[cold]
    fn release_to_pool_now(&mut self) {
        if let Some((pool, member)) = self.pooled() {
            pool.rules.release(member);
        }
    }

    /// The capacity of the gate or its share has changed.
    pub(super) fn change_in_pool(&mut self, share: Share) {
        let capacity = self.state.capacity;
        if let Some((pool, member)) = self.pooled() {
            pool.rules.change(member, capacity, share);
        }
    }

    /// The gate was paused or resumed, or its capacity has changed.
    pub(super) fn update_in_pool(&mut self) {
        let is_paused = self.state.phase.is_paused();
        let Some((pool, member)) = self.pooled() else { return };
        pool.rules.set_paused(member, is_paused);
        let share = pool.rules.share(member);
        self.change_in_pool(share);
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
        loop {
            // The section that has lent its pool goes on.
            let PoolAccess::Locked(pool) = &mut self.pool else { return };
            let Some(shared) = shared else { return };
            if !serve(pool, shared, self.effects, member) {
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
        if let Some((pool, member)) = self.pooled() {
            pool.rules.set_open(member, is_open);
        }
        self.settle_locked_pool();
    }

    fn settle_locked_pool(&mut self) {
        let (member, shared) = (self.gate().member().unwrap_or(NO_MEMBER), self.shared());
        let (PoolAccess::Locked(pool), Some(shared)) = (&mut self.pool, shared) else { return };
        if !pool.standing.is_empty() {
            wake_standing(pool, shared, self.effects, member);
        }
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
fn serve(pool: &mut Pool, shared: &SharedRecords, effects: &mut Effects, own: u32) -> bool {
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

/// Wakes those who stand in front of other gates than `own`, if there is a place for them.
#[cold]
fn wake_standing(pool: &mut Pool, shared: &SharedRecords, effects: &mut Effects, own: u32) {
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
