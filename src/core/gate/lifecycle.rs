//! The life of a gate: open, paused, draining, closed and drained, and the waits for the last of these.
//!
//! It owns the phases, the changes between them and the lines of those who wait for one. What a phase means for an arrival
//! is in `admission_table`, and for the line in `section`.

use std::task::Waker;

use crate::{
    core::{
        clock::Nanos,
        gate::{
            CALLED_BY_CLOSE, Gate,
            arrival::WaiterState,
            effects::{Effects, EventKind},
            records::SharedRecords,
            section::Section,
        },
        limits::{LimitEnforcer, alarm_state::ToArm},
        line::{Line, Ticket, Waiter, ends::End},
    },
    sync::Ordering,
};

/// What a gate does with operations. A phase is followed by later ones only, but for a pause, which may end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    #[default]
    Open,
    /// Nobody is admitted. Operations may join the line, and their limits run on.
    Paused,
    /// Nobody may join the line. Once it is empty, the gate is closed.
    Draining,
    /// Nobody is admitted, and nobody waits.
    Closed,
    /// Closed, and nothing is in flight.
    Drained,
}

impl Phase {
    #[inline]
    pub(crate) fn is_paused(self) -> bool {
        self == Self::Paused
    }

    #[inline]
    pub(crate) fn is_draining(self) -> bool {
        self == Self::Draining
    }

    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self >= Self::Closed
    }

    /// Whether newcomers are rejected as closed.
    #[inline]
    pub(crate) fn turns_away(self) -> bool {
        self >= Self::Draining
    }
}

/// A phase that others may wait for. Once it is reached, it remains so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Milestone {
    /// Draining or closed.
    Closing,
    Drained,
}

impl Milestone {
    fn is_reached(self, phase: Phase) -> bool {
        match self {
            Self::Closing => phase.turns_away(),
            Self::Drained => phase == Phase::Drained,
        }
    }
}

/// Those who wait for the milestones, in a line for each.
#[derive(Debug)]
pub(in crate::core) struct MilestoneLines([Line; 2]);

impl MilestoneLines {
    fn new() -> Self {
        Self([Line::new(0), Line::new(0)])
    }

    fn of(&mut self, milestone: Milestone) -> &mut Line {
        &mut self.0[milestone as usize]
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|line| line.len() == 0)
    }
}

impl Gate {
    pub(crate) fn phase(&self) -> Phase {
        self.state.lock().phase
    }

    /// Pauses an open gate, or resumes a paused one.
    ///
    /// What is left to do is added to `effects`, because the caller may hold a lock of its own.
    pub(crate) fn set_paused(
        &self,
        paused: bool,
        shared: Option<&SharedRecords>,
        effects: &mut Effects,
    ) {
        let mut section = Section::enter_shared(self, shared, effects);
        match (section.state.phase, paused) {
            (Phase::Open, true) => {
                section.freeze();
                section.end_pressure();
                section.state.phase = Phase::Paused;
                section.pause_in_pool();
                section.record(EventKind::Paused, |_| {});
            }
            (Phase::Paused, false) => {
                section.freeze();
                section.end_pause();
                section.state.phase = Phase::Open;
                section.pause_in_pool();
                section.record(EventKind::Resumed, |_| {});
            }
            _ => return,
        }
        section.settle();
    }

    /// Turns newcomers away. The gate is closed once the line is empty.
    pub(crate) fn drain(&self, shared: Option<&SharedRecords>) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        if section.state.phase.turns_away() {
            return;
        }
        section.freeze();
        section.end_pause();
        section.state.phase = Phase::Draining;
        section.pause_in_pool();
        if let Some(shared) = shared {
            shared.undrained.add();
        }
        let affected = section.state.waiting();
        section.record(EventKind::Draining, |change| change.affected_waiters = affected);
        section.wake_milestone(Milestone::Closing);
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Closes the gate: rejects all waiters and all later arrivals. Admitted operations run on.
    pub(crate) fn close(&self, shared: Option<&SharedRecords>) {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        if section.state.phase.is_closed() {
            return;
        }
        section.freeze();
        section.become_closed();
        section.close_line();
        section.settle();
        drop(section);
        effects.carry_out();
    }

    /// Adds a waiter for a milestone. Returns `None` if it is reached already.
    pub(crate) fn join_milestone(&self, milestone: Milestone, waker: Waker) -> Option<Ticket> {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if milestone.is_reached(section.state.phase) {
            drop(section);
            drop(waker);
            return None;
        }
        let waiter = Waiter { cost: 0, since: Nanos::ZERO, end: End::NONE, waker: Some(waker) };
        Some(section.milestone_line(milestone).join(waiter))
    }

    /// Whether a milestone is reached. If not, `waker` is woken once it is.
    pub(crate) fn poll_milestone(
        &self,
        milestone: Milestone,
        ticket: Ticket,
        waker: &Waker,
    ) -> bool {
        let read_state = |section: &mut Section<'_>, _: &mut Option<ToArm>| match milestone
            .is_reached(section.state.phase)
        {
            true => WaiterState::Settled(()),
            false => WaiterState::Waiting(LimitEnforcer::Line),
        };
        let state = self.poll_with_waker(ticket, waker, None, read_state, |section| {
            section.milestone_line(milestone)
        });
        matches!(state, WaiterState::Settled(()))
    }

    /// Removes a waiter for a milestone, if it is still waiting.
    pub(crate) fn leave_milestone(&self, milestone: Milestone, ticket: Ticket) {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        if !milestone.is_reached(section.state.phase) {
            let waiter = section.milestone_line(milestone).leave(ticket);
            section.effects.retire(waiter.waker);
            section.tidy();
        }
        section.settle();
        drop(section);
        effects.carry_out();
    }
}

impl Section<'_> {
    /// Goes on to the phases that follow on their own.
    #[cold]
    pub(super) fn advance_phase(&mut self) {
        if self.state.phase.is_draining() && self.state.waiting() == 0 {
            self.become_closed();
        }
        if self.state.phase == Phase::Closed && self.in_flight() == 0 {
            self.state.phase = Phase::Drained;
            self.record(EventKind::Drained, |_| {});
            self.wake_milestone(Milestone::Drained);
        }
    }

    fn become_closed(&mut self) {
        let was_draining = self.state.phase.is_draining();
        self.state.phase = Phase::Closed;
        let affected = self.state.waiting();
        self.record(EventKind::Closed, |change| change.affected_waiters = affected);
        self.wake_milestone(Milestone::Closing);
        if let (true, Some(shared)) = (was_draining, self.shared()) {
            self.effects.tell(shared.drained_one());
        }
    }

    /// Begins the pressure that a pause has suspended.
    fn end_pause(&mut self) {
        if self.state.phase.is_paused() && self.state.waiting() > 0 {
            let (now, nanos) = (self.now(), self.nanos());
            self.lazy().pressed_since = Some(now);
            self.lazy().pace.begin(nanos);
        }
    }

    /// Rejects all waiters, in the order of the line. All earlier ones have been called already.
    fn close_line(&mut self) {
        let waiting = self.state.waiting();
        self.in_pool(|rules, member| rules.leave(member, waiting));
        let Some((first, mut waiter)) = self.advance() else { return };
        self.lazy().closed_from = Some(first);
        loop {
            self.state.cold().closed_while_waiting += 1;
            self.effects.wake(waiter.waker);
            let waited = self.nanos().since(waiter.since);
            self.record(EventKind::ClosedRejection, |change| {
                change.cost = Some(waiter.cost);
                change.from_queue = true;
                change.waited = Some(waited);
            });
            match self.advance() {
                Some((_, next)) => waiter = next,
                None => break,
            }
        }
        self.gate().called.store(CALLED_BY_CLOSE, Ordering::Release);
    }

    fn milestone_line(&mut self, milestone: Milestone) -> &mut Line {
        let lines = &mut self.lazy().milestones;
        lines.get_or_insert_with(|| Box::new(MilestoneLines::new())).of(milestone)
    }

    fn wake_milestone(&mut self, milestone: Milestone) {
        let Some(lines) = self.state.lazy.as_mut().and_then(|lazy| lazy.milestones.as_mut()) else {
            return;
        };
        while let Some((_, waiter)) = lines.of(milestone).advance() {
            self.effects.wake(waiter.waker);
        }
    }

    /// Takes out the lines of those who wait for milestones, if nobody does.
    pub(super) fn tidy_milestones(&mut self) {
        let Some(lazy) = &mut self.state.lazy else { return };
        if let Some(unused) = lazy.milestones.take_if(|lines| lines.is_empty()) {
            self.effects.free_milestones(unused);
        }
    }
}
