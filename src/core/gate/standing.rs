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

impl Gate {
    /// Removes somebody who stands in front of the gate, if nobody has woken it yet.
    pub(crate) fn leave_standing(&self, ticket: Ticket, shared: Option<&SharedRecords>) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        let standing = section.state.lazy.as_mut().and_then(|lazy| lazy.standing.as_mut());
        if let Some(standing) = standing.filter(|standing| standing.is_waiting(ticket)) {
            let waker = standing.leave(ticket).waker;
            section.effects.retire(waker);
            // The word may be fast again.
            section.freeze();
        }
        section.settle();
        drop(section);
        effects.carry_out();
    }
}

impl Section<'_> {
    /// Lets somebody stand in front of the gate, to be woken by this waker. The word must be frozen.
    pub(super) fn stand(&mut self, cost: u32, waker: Waker) -> Ticket {
        debug_assert!(self.is_frozen(), "the word is not frozen");
        let waiter = Waiter { cost, since: Nanos::ZERO, end: End::NONE, waker: Some(waker) };
        // A list that was freed has had other numbers, so a ticket is never taken for a later one.
        let new = || Box::new(Line::new(unique_number() << 32));
        self.lazy().standing.get_or_insert_with(new).join(waiter)
    }

    /// Wakes all who stand in front of the gate, unless it is full for every one of them. Whoever is woken in vain stands there
    /// again, and is not woken for the same place again: it is too large for that.
    #[cold]
    pub(super) fn wake_standing(&mut self) {
        let standing = self.state.lazy.as_ref().and_then(|lazy| lazy.standing.as_ref());
        let smallest = match self.state.units() {
            Some(_) => standing.and_then(|standing| standing.smallest_cost()),
            None => Some(1),
        };
        // What has become too large for the capacity is to learn of its rejection.
        let capacity = self.state.capacity;
        let is_too_large = standing
            .and_then(|standing| standing.largest_cost())
            .is_some_and(|largest| largest > capacity);
        let has_place = is_too_large
            || self.state.waiting() < self.gate().room()
            || smallest.is_some_and(|smallest| self.fits(smallest));
        if !has_place && !self.state.phase.turns_away() && !self.state.is_refused {
            return;
        }
        let Some(standing) = self.state.lazy.as_mut().and_then(|lazy| lazy.standing.as_mut())
        else {
            return;
        };
        while let Some((_, waiter)) = standing.advance() {
            self.effects.wake(waiter.waker);
        }
    }
}
