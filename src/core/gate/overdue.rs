//! Waiters whose limits have passed: they are taken out of the line, whether their tasks poll them or not.
//!
//! It owns the taking out and how a waiter learns its outcome. When that is done is up to the alarm of the line, to the timers
//! of waiters, and to every section that changes or shows the state: none of them finds a waiter in the line whose limit has
//! passed.

use crate::{
    core::{
        clock::Nanos,
        gate::{
            CALLED_BY_CLOSE, SOME_OVERDUE, called_below, counts::nanos, effects::EventKind,
            section::Section,
        },
        line::{Overdue, Ticket, Waiter},
        rejection::reason::RejectionReason,
    },
    sync::Ordering,
};

impl Section<'_> {
    /// Takes out the waiters whose limits have passed. Afterwards the section is as if it had begun without them.
    #[inline(always)]
    pub(in crate::core) fn look_for_overdue(&mut self) {
        if self.may_have_overdue() {
            self.freeze_without_overdue();
        }
    }

    #[cold]
    #[inline(never)]
    fn freeze_without_overdue(&mut self) {
        self.freeze();
    }

    /// Whether the limit of a waiter may have passed.
    #[inline(always)]
    pub(super) fn may_have_overdue(&mut self) -> bool {
        let Some(lazy) = &self.state.lazy else { return false };
        let not_before = lazy.line.no_end_before();
        not_before != Nanos::NEVER && not_before <= self.nanos()
    }

    /// Whether waiters were taken out that do not know yet.
    #[inline]
    pub(super) fn has_overdue(&self) -> bool {
        self.state.lazy.as_ref().is_some_and(|lazy| lazy.line.has_overdue())
    }

    #[cold]
    pub(super) fn take_out_overdue(&mut self) {
        let now = self.nanos();
        while let Some((waiter, overdue)) = self.lazy().line.take_overdue(now) {
            self.in_pool(|rules, member| rules.leave(member, 1));
            self.count_expired(waiter, overdue);
        }
        self.mark_overdue();
        // As if the alarm had come a moment before: whoever fits now is admitted, and an empty line presses nobody.
        self.serve_line();
        if self.state.waiting() == 0 {
            self.end_pressure();
        }
    }

    fn count_expired(&mut self, waiter: Waiter, overdue: Overdue) {
        let Overdue { waited, by_deadline, .. } = overdue;
        self.effects.wake(waiter.waker);
        self.state.counts.expired += 1;
        self.with_times(|times| times.add_expired(nanos(waited)));
        if by_deadline {
            self.state.cold().expired_by_deadline += 1;
        }
        self.record(EventKind::Expired, |change| {
            change.cost = Some(waiter.cost);
            change.from_queue = true;
            change.waited = Some(waited);
        });
    }

    /// Says in `called` whether there are waiters that were taken out and do not know yet.
    fn mark_overdue(&mut self) {
        let called = &self.gate().called;
        let before = called.load(Ordering::Relaxed);
        if before == CALLED_BY_CLOSE {
            return;
        }
        let marker = if self.has_overdue() { SOME_OVERDUE } else { 0 };
        called.store(called_below(before) | marker, Ordering::Release);
    }

    /// Whether a waiter is still in the line.
    pub(super) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.state.lazy.as_ref().is_some_and(|lazy| lazy.line.is_waiting(ticket))
    }

    /// Returns the outcome of a waiter, which asks for it only once: admitted, expired, or rejected by a close. `None` if it is
    /// still waiting.
    pub(in crate::core) fn take_outcome(
        &mut self,
        ticket: Ticket,
    ) -> Option<Result<(), RejectionReason>> {
        self.look_for_overdue();
        // A line that was freed had neither waiters nor any that were taken out.
        let Some(lazy) = &mut self.state.lazy else { return Some(Ok(())) };
        if lazy.line.is_waiting(ticket) {
            return None;
        }
        let closed_from = lazy.closed_from;
        if let Some(Overdue { waited, limit, by_deadline }) = lazy.line.collect_overdue(ticket) {
            self.mark_overdue();
            // The end of the section frees a line that is not in use any more.
            self.freeze();
            return Some(Err(match by_deadline {
                false => RejectionReason::WaitLimit { waited, limit },
                true => RejectionReason::Deadline { waited },
            }));
        }
        match closed_from {
            Some(first) if first <= ticket.number => Some(Err(RejectionReason::Closed)),
            _ => Some(Ok(())),
        }
    }
}
