//! Those who stand in front of a full gate: they take no place and have no claim, and are woken once it is full no more.
//!
//! It owns the list of them. Whether a gate is full is what the admission table says of a newcomer. While somebody stands there,
//! the word is slow: otherwise a release would not notice.

use std::task::Waker;

use crate::{
    core::{
        clock::Nanos,
        gate::{Gate, effects::Effects, records::SharedRecords, section::Section},
        line::{Line, Ticket, Waiter, ends::End},
    },
    sync::unique_number,
};

/// Those who stand in front of a gate, and bounds of what they cost: whether it is full for them is asked by every section.
#[derive(Debug)]
pub(in crate::core) struct StandingLine {
    line: Line,
    /// At most what the cheapest of them costs.
    pub(in crate::core) smallest: u32,
    /// At least what the dearest of them costs.
    pub(in crate::core) largest: u32,
}

impl StandingLine {
    fn new() -> Self {
        // A list that was freed has had other numbers, so a ticket is never taken for a later one.
        Self { line: Line::new(unique_number() << 32), smallest: u32::MAX, largest: 0 }
    }

    fn join(&mut self, cost: u32, waker: Waker) -> Ticket {
        self.smallest = self.smallest.min(cost);
        self.largest = self.largest.max(cost);
        self.line.join(Waiter { cost, since: Nanos::ZERO, end: End::NONE, waker: Some(waker) })
    }
}

impl Gate {
    /// Removes somebody who stands in front of the gate, if nobody has woken it yet.
    pub(crate) fn leave_standing(&self, ticket: Ticket, shared: Option<&SharedRecords>) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        if section.stands(ticket) {
            let standing = &mut section.lazy().standing;
            let waiter = standing.as_mut().map(|standing| standing.line.leave(ticket));
            let unused = standing.take_if(|standing| standing.line.len() == 0);
            section.effects.retire(waiter.and_then(|waiter| waiter.waker));
            section.effects.free_standing(unused);
            section.mark_standing();
            // The word may be fast again.
            section.freeze();
        }
        section.settle();
        drop(section);
        effects.carry_out();
    }
}

impl Section<'_> {
    /// Whether somebody stands in front of the gate, and has not been woken.
    fn stands(&self, ticket: Ticket) -> bool {
        let standing = self.state.lazy.as_ref().and_then(|lazy| lazy.standing.as_ref());
        standing.is_some_and(|standing| standing.line.is_waiting(ticket))
    }

    /// Lets somebody stand in front of the gate, to be woken by this waker. The word must be frozen.
    pub(super) fn stand(&mut self, cost: u32, waker: Waker) -> Ticket {
        debug_assert!(self.is_frozen(), "the word is not frozen");
        let standing = &mut self.lazy().standing;
        let ticket =
            standing.get_or_insert_with(|| Box::new(StandingLine::new())).join(cost, waker);
        self.mark_standing();
        ticket
    }

    /// Wakes all who stand in front of the gate, unless it is full for every one of them. Whoever is woken in vain stands there
    /// again, and is not woken for the same place again: it is too large for that.
    #[cold]
    pub(super) fn wake_standing(&mut self) {
        let standing = self.state.lazy.as_ref().and_then(|lazy| lazy.standing.as_ref());
        let Some(&StandingLine { smallest, largest, .. }) = standing.map(Box::as_ref) else {
            return;
        };
        let has_place = self.has_place() || self.fits(smallest);
        // What has become too large for the capacity is to learn of its rejection.
        let is_too_large = largest > self.state.capacity;
        let is_refused = self.state.phase.turns_away() || self.state.is_refused;
        if has_place || is_too_large || is_refused {
            let mut standing = self.lazy().standing.take();
            while let Some((_, waiter)) = standing.as_mut().and_then(|all| all.line.advance()) {
                self.effects.wake(waiter.waker);
            }
            self.effects.free_standing(standing);
            self.mark_standing();
        }
    }
}
