//! tokio's cooperative budget: an operation that is always ready still lets other tasks run now and then.
//!
//! It owns when the budget is asked. An operation arrives first, and asks afterwards, so that the order of arrival does not depend
//! on who has any budget left. What it got meanwhile it keeps. tokio's own semaphore does the same.

use std::task::{Context, Poll};

use tokio::task::coop;

/// Spends budget on a step that is complete. If none is left, it is pending once, and the task is woken at once.
#[inline(always)]
pub(crate) fn poll_spend(cx: &mut Context<'_>) -> Poll<()> {
    coop::poll_proceed(cx).map(|budget| budget.made_progress())
}

/// Spends budget on a poll, if it is ready. If none is left, it is not made, and the task is woken at once.
#[inline]
pub(crate) fn poll_spending<T>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    match coop::poll_proceed(cx) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(budget) => poll(cx).map(|output| {
            budget.made_progress();
            output
        }),
    }
}
