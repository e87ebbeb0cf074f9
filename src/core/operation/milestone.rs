//! The wait for a milestone in the life of a gate.
//!
//! It owns the future. The gate owns the lines of these waiters, and decides when a milestone is reached.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::core::{
    gate::{Gate, lifecycle::Milestone},
    line::Ticket,
};

/// Resolves once the gate has reached a milestone.
#[derive(Debug)]
pub(crate) struct Reached<'a> {
    gate: &'a Gate,
    milestone: Milestone,
    ticket: Option<Ticket>,
}

impl<'a> Reached<'a> {
    /// Waits until the gate is closed and nothing is in flight.
    pub(crate) fn drained(gate: &'a Gate) -> Self {
        Self { gate, milestone: Milestone::Drained, ticket: None }
    }

    /// Waits until the gate is draining or closed.
    pub(crate) fn closing(gate: &'a Gate) -> Self {
        Self { gate, milestone: Milestone::Closing, ticket: None }
    }
}

impl Future for Reached<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { gate, milestone, ref mut ticket } = *self;
        let is_reached = match ticket {
            Some(ticket) => gate.poll_milestone(milestone, *ticket, cx.waker()),
            None => {
                *ticket = gate.join_milestone(milestone, cx.waker().clone());
                ticket.is_none()
            }
        };
        if is_reached {
            *ticket = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Reached<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.gate.leave_milestone(self.milestone, ticket);
        }
    }
}
