//! The wait for the drain of a gate.
//!
//! It owns the future. The gate owns the line of these waiters, and decides when it is drained.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::core::{gate::Gate, line::Ticket};

/// Resolves once the gate is closed and nothing is in flight.
#[derive(Debug)]
pub(crate) struct Drain<'a> {
    gate: &'a Gate,
    ticket: Option<Ticket>,
}

impl<'a> Drain<'a> {
    pub(crate) fn new(gate: &'a Gate) -> Self {
        Self { gate, ticket: None }
    }
}

impl Future for Drain<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let gate = this.gate;
        let is_drained = match this.ticket {
            Some(ticket) => gate.poll_drain(ticket, cx.waker()),
            None => {
                this.ticket = gate.join_drain(cx.waker().clone());
                this.ticket.is_none()
            }
        };
        if is_drained {
            this.ticket = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.gate.leave_drain(ticket);
        }
    }
}
