//! `Rules`: who gets a seat of a pool, and who gets a place to wait for one.
//!
//! A pure state machine: readings of the clock come in, and it knows neither keys nor lines nor locks. Each public method is
//! one step, and the pool makes it under its lock.
//!
//! What is shared is *seat time*: the time that members have held seats while somebody waited who could have run. A member's
//! seat time, divided by its weight, is its level; the member with the lowest level comes first. That is start-time fair
//! queueing (Goyal, Vin and Cheng, 1996) with time that was really used in place of estimates, as in the fair scheduler of
//! Linux: a member with requests of a minute among members with requests of milliseconds gets its share of the seats and no
//! more. Nobody saves anything up: a member that comes to wait is put level with those who wait already.
//!
//! Invariants, after every step:
//!
//! 1. `used` is the sum of the held seats, and `waiting` that of those who wait.
//! 2. Nobody is admitted above the capacity of the pool or of a member.
//! 3. A member is in an order exactly if somebody waits in it and it could run: it is below its own parallelism and not
//!    paused. It is in the first order exactly if it also holds less than it is guaranteed.
//! 4. An order has members only if no seat is free, or all are held back.
//! 5. Pressure goes on exactly while an order has members.
//! 6. `waiting` is at most the room and what is guaranteed, unless the room has shrunk.
//! 7. While a member waits and could run, another one is admitted at most once with a rank above its own.

use super::{
    members::{Member, Members, Order},
    typical::Typical,
    wheel::{Links, Wheel},
};
use crate::core::clock::Nanos;

pub(crate) use super::{
    members::{MAX_WEIGHT, Share},
    state::{MAX_TOTAL, PoolLimits, PoolPeaks, PoolState, Unseen},
};

/// Nanoseconds per tick, the unit of seat time, as a power of two.
const TICK_BITS: u32 = 10;

/// How often the first member is looked at again if it has held seats since it was filed. Without another look, a member
/// with long requests would get one seat after the other before its level is noticed.
const LOOKS: usize = 4;

#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub(crate) struct Rules {
    pub(super) members: Members,
    limits: PoolLimits,
    /// The capacity, or none if all is held back.
    seats: u32,
    used: u32,
    waiting: u32,
    waiting_members: u32,
    guaranteed: u64,
    peaks: PoolPeaks,
    /// What a newcomer is put level with, in ticks. Only rises.
    level: u64,
    /// The time in which somebody waited who could have run, in nanoseconds.
    pressure: u64,
    /// When `pressure` was brought up to date. Means something while pressed.
    last: Nanos,
    is_pressed: bool,
    pub(super) typical: Typical,
    /// Those below their guarantee, and the others.
    pub(super) orders: [Wheel; 2],
}

impl Rules {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self {
            members: Members { all: Vec::new(), free: Vec::new() },
            limits,
            seats: limits.capacity,
            used: 0,
            waiting: 0,
            waiting_members: 0,
            guaranteed: 0,
            peaks: PoolPeaks::default(),
            level: 0,
            pressure: 0,
            last: Nanos::EARLIEST,
            is_pressed: false,
            typical: Typical::new(),
            orders: [Wheel::new(), Wheel::new()],
        }
    }

    pub(crate) fn state(&self) -> PoolState {
        PoolState {
            limits: self.limits,
            used: self.used,
            waiting: self.waiting,
            waiting_members: self.waiting_members,
            guaranteed: self.guaranteed,
            peaks: self.peaks,
        }
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.is_pressed
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.all.is_empty()
    }

    /// What a newcomer is put level with.
    pub(crate) fn level(&self) -> u64 {
        self.level
    }

    /// The time in which somebody waited who could have run, in nanoseconds, up to this time.
    pub(crate) fn pressure(&self, now: Nanos) -> u64 {
        let current = if self.is_pressed { now.nanos_since(self.last) } else { 0 };
        self.pressure.saturating_add(current)
    }

    /// The seat time of a member under pressure, in nanoseconds.
    pub(crate) fn seat_time(&mut self, member: u32) -> u64 {
        self.touch(member);
        self.members.all[member as usize].seat_time << TICK_BITS
    }

    pub(crate) fn share(&self, member: u32) -> Share {
        self.members.all[member as usize].share
    }

    /// Brings the pressure up to date. Called first in every step while [pressed](Self::is_pressed).
    #[inline]
    pub(crate) fn clock(&mut self, now: Nanos) {
        if self.is_pressed {
            self.pressure = self.pressure.saturating_add(now.nanos_since(self.last));
            self.last = self.last.max(now);
        }
    }

    /// Adds a member. If it was one before, `debt` is its level then.
    pub(crate) fn add(&mut self, parallelism: u32, share: Share, debt: Option<u64>) -> u32 {
        self.guaranteed += u64::from(share.guaranteed);
        let new = Member {
            base: debt.map_or(self.level, |debt| debt.max(self.level)),
            attained: 0,
            seen: self.ticks(),
            seat_time: 0,
            held: 0,
            waiting: 0,
            parallelism,
            share,
            is_paused: false,
            is_open: true,
            admitted: 0,
            most: 0,
            order: None,
            links: Links::UNLINKED,
        };
        match self.members.free.pop() {
            Some(number) => {
                self.members.all[number as usize] = new;
                number
            }
            None => {
                self.members.all.push(new);
                (self.members.all.len() - 1) as u32
            }
        }
    }

    /// Removes a member that holds nothing and in which nobody waits. Returns its level, if it is above that of a newcomer.
    pub(crate) fn remove(&mut self, member: u32) -> Option<u64> {
        self.touch(member);
        let gone = &self.members.all[member as usize];
        debug_assert!(gone.held == 0 && gone.waiting == 0 && gone.order.is_none());
        let settled = gone.settled();
        self.guaranteed -= u64::from(gone.share.guaranteed);
        self.members.free.push(member);
        if self.members.free.len() == self.members.all.len() {
            // What a burst has left behind.
            self.members = Members { all: Vec::new(), free: Vec::new() };
        }
        (settled > self.level).then_some(settled)
    }

    /// Whether a newcomer of any member would get a seat, as far as the pool is concerned.
    #[inline]
    pub(crate) fn has_seat(&self) -> bool {
        self.used < self.seats
    }

    /// Admits a newcomer: there is a seat, and its member has a free one too.
    #[inline]
    pub(crate) fn admit(&mut self, member: u32) {
        debug_assert!(self.has_seat(), "no seat is free");
        self.touch(member);
        let own = &mut self.members.all[member as usize];
        // As a newcomer: it saved nothing up while it had no use for a seat.
        if own.held == 0 && own.waiting == 0 && own.base < self.level && own.settled() < self.level
        {
            (own.base, own.attained) = (self.level, 0);
        }
        self.take_seat(member);
    }

    #[inline]
    fn take_seat(&mut self, member: u32) {
        self.members.all[member as usize].held += 1;
        self.used += 1;
        self.peaks.used = self.peaks.used.max(self.used);
    }

    /// Admits a newcomer of an open member in which nobody waits, if there is a seat.
    #[inline]
    pub(crate) fn admit_fast(&mut self, member: u32) -> bool {
        let has_seat = self.has_seat();
        let own = &mut self.members.all[member as usize];
        let is_free = own.is_open && own.waiting == 0 && own.held < own.parallelism;
        // The count is that of a word: before it is full, a section takes it over.
        if !has_seat || !is_free || own.admitted == u32::MAX {
            return false;
        }
        own.admitted += 1;
        own.most = own.most.max(own.held + 1);
        self.admit(member);
        true
    }

    /// Releases a seat of an open member in which nobody waits, if nobody else waits for it.
    #[inline]
    pub(crate) fn release_fast(&mut self, member: u32) -> bool {
        let own = &self.members.all[member as usize];
        if !own.is_open || own.waiting > 0 || self.is_pressed {
            return false;
        }
        self.release(member);
        true
    }

    /// Sets whether newcomers of a member are admitted.
    #[inline]
    pub(crate) fn set_open(&mut self, member: u32, is_open: bool) {
        self.members.all[member as usize].is_open = is_open;
    }

    /// Returns what a gate has not seen.
    pub(crate) fn take_unseen(&mut self, member: u32) -> Unseen {
        let own = &mut self.members.all[member as usize];
        let admitted = u64::from(std::mem::take(&mut own.admitted));
        Unseen { held: own.held, most: own.most, admitted }
    }

    /// Whether somebody more may wait in a member that has a place of its own.
    ///
    /// A member may have as many places as it leaves free, times its weight, so that no flood fills the room; and always as
    /// many as the guarantee that it does not use.
    pub(crate) fn has_place(&self, member: u32) -> bool {
        let Member { held, waiting, share, .. } = self.members.all[member as usize];
        let free = self.limits.room.saturating_sub(self.waiting);
        held + waiting < share.guaranteed
            || u64::from(waiting) < u64::from(share.weight) * u64::from(free)
    }

    /// How many may wait in a member at most, if the others do not change.
    pub(crate) fn places(&self, member: u32) -> u32 {
        let Member { held, share, .. } = self.members.all[member as usize];
        let free = u64::from(self.limits.room.saturating_sub(self.waiting));
        let by_share = u32::try_from(u64::from(share.weight) * free).unwrap_or(u32::MAX);
        by_share.max(share.guaranteed.saturating_sub(held))
    }

    /// Somebody joins the line of a member.
    pub(crate) fn join(&mut self, member: u32) {
        self.members.all[member as usize].waiting += 1;
        self.waiting += 1;
        if self.members.all[member as usize].waiting == 1 {
            self.waiting_members += 1;
            self.file(member, false);
        }
        let PoolPeaks { waiting, waiting_members, .. } = &mut self.peaks;
        *waiting = self.waiting.max(*waiting);
        *waiting_members = self.waiting_members.max(*waiting_members);
    }

    /// Some have left the line of a member.
    pub(crate) fn leave(&mut self, member: u32, operations: u32) {
        if operations == 0 {
            return;
        }
        self.members.all[member as usize].waiting -= operations;
        self.waiting -= operations;
        if self.members.all[member as usize].waiting == 0 {
            self.waiting_members -= 1;
            self.file(member, false);
        }
    }

    /// An admitted operation of a member has ended.
    #[inline]
    pub(crate) fn release(&mut self, member: u32) {
        self.touch(member);
        if self.is_pressed {
            self.typical.release(self.used, self.ticks());
        }
        self.used -= 1;
        self.members.all[member as usize].held -= 1;
        if self.members.all[member as usize].waiting > 0 {
            self.file(member, false);
        }
    }

    /// Changes what a member may hold, and its share.
    pub(crate) fn change(&mut self, member: u32, parallelism: u32, share: Share) {
        self.touch(member);
        let own = &mut self.members.all[member as usize];
        own.parallelism = parallelism;
        if own.share.weight != share.weight {
            own.base = own.settled();
            own.attained = 0;
        }
        self.guaranteed += u64::from(share.guaranteed);
        self.guaranteed -= u64::from(own.share.guaranteed);
        own.share = share;
        self.file(member, false);
    }

    /// Pauses a member, or resumes it.
    pub(crate) fn set_paused(&mut self, member: u32, is_paused: bool) {
        self.touch(member);
        self.members.all[member as usize].is_paused = is_paused;
        self.file(member, false);
    }

    pub(crate) fn set_limits(&mut self, limits: PoolLimits) {
        let is_held = self.is_held();
        self.limits = limits;
        self.set_held(is_held);
    }

    /// Holds all seats back that are free or become so, or does so no more.
    pub(crate) fn set_held(&mut self, is_held: bool) {
        self.seats = if is_held { 0 } else { self.limits.capacity };
    }

    pub(crate) fn is_held(&self) -> bool {
        self.seats == 0
    }

    /// Whether there is a seat and somebody for it.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        self.has_seat() && self.has_order()
    }

    /// Returns the member whose turn it is, if there is a seat for it.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<u32> {
        if !self.is_due() {
            return None;
        }
        self.first()
    }

    /// Hands a seat over to the member whose turn it is.
    pub(crate) fn hand_over(&mut self, member: u32) {
        debug_assert!(self.has_seat(), "no seat is free");
        let tag = self.members.all[member as usize].links.tag();
        self.touch(member);
        // The first may have been filed long ago, and those after it are no lower than its tag.
        let mut level = self.members.all[member as usize].settled().min(tag);
        if self.members.all[member as usize].order == Some(Order::Guaranteed) {
            // Not its first, for which the wheel would turn past those who come later.
            level = level.min(self.orders[Order::Rest as usize].bound());
        }
        self.level = self.level.max(level);
        let own = &mut self.members.all[member as usize];
        own.waiting -= 1;
        self.waiting -= 1;
        self.waiting_members -= u32::from(own.waiting == 0);
        // Turns go on where the clock stands still.
        own.attained += 1;
        own.seat_time += 1;
        self.take_seat(member);
        self.file(member, true);
    }

    /// Ends a step: whether pressure has begun, for which the time is needed.
    #[inline]
    pub(crate) fn begins_pressure(&mut self) -> bool {
        let is_pressed = self.has_order();
        if is_pressed == self.is_pressed {
            return false;
        }
        self.is_pressed = is_pressed;
        is_pressed
    }

    pub(crate) fn begin_pressure(&mut self, now: Nanos) {
        self.last = self.last.max(now);
    }

    #[inline]
    fn has_order(&self) -> bool {
        self.orders.iter().any(|order| !order.is_empty())
    }

    #[inline]
    fn ticks(&self) -> u64 {
        self.pressure >> TICK_BITS
    }

    /// Charges a member with the seats that it has held since it was looked at last.
    #[inline]
    pub(super) fn touch(&mut self, member: u32) {
        let ticks = self.ticks();
        let own = &mut self.members.all[member as usize];
        let seats = u64::from(own.held) * (ticks - own.seen);
        own.attained += seats;
        own.seat_time += seats;
        own.seen = ticks;
    }

    /// Puts a member where it belongs. `has_run` puts it behind its equals.
    fn file(&mut self, member: u32, has_run: bool) {
        let own = &self.members.all[member as usize];
        let (from, to) = (own.order, own.order());
        if to.is_some() {
            self.touch(member);
        }
        let own = &mut self.members.all[member as usize];
        if from.is_none() && to.is_some() {
            // It enters: it has no claim on what it has not used.
            own.base += self.level.saturating_sub(own.settled());
        }
        own.order = to;
        let rank = own.rank(self.typical.ticks());
        let stays = from == to && !has_run;
        if let Some(from) = from.filter(|_| !stays) {
            self.orders[from as usize].remove(&mut self.members, member);
        }
        match to {
            Some(to) if stays => {
                self.orders[to as usize].update(&mut self.members, member, rank, self.level);
            }
            Some(to) => {
                self.orders[to as usize].insert(&mut self.members, member, rank, self.level);
            }
            None => {}
        }
    }

    /// Returns the first member. It may have held seats since it was filed, so it is looked at again.
    fn first(&mut self) -> Option<u32> {
        let order = match self.orders[Order::Guaranteed as usize].is_empty() {
            true => Order::Rest,
            false => Order::Guaranteed,
        };
        for _ in 0..LOOKS {
            let wheel = &mut self.orders[order as usize];
            let (member, tag) = wheel.first(&mut self.members)?;
            self.touch(member);
            let rank = self.members.all[member as usize].rank(self.typical.ticks());
            let wheel = &mut self.orders[order as usize];
            if rank <= tag || wheel.len() == 1 {
                return Some(member);
            }
            wheel.update(&mut self.members, member, rank, self.level);
        }
        self.orders[order as usize].first(&mut self.members).map(|(member, _)| member)
    }
}
