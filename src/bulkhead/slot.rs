//! `Slot` and `Admission`: admitted work, and the wait for it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::compartment::OwnedHandle;
use crate::core::{
    operation::{permit::Permit, wait::Wait},
    rejection::Rejection,
};

/// Admitted work: while it lives its units are in use, and dropping it gives them back.
///
/// A slot is owned. It may be moved into a task, stored, or sent to another thread or runtime, and
/// outlives the handle it came from.
///
/// # Examples
///
/// ```
/// # let payments = bulklink::Bulkhead::builder("payments").parallelism(1).build()?;
/// let slot = payments.slot_now()?;
/// assert_eq!(payments.status().in_flight, 1);
/// drop(slot);
/// assert_eq!(payments.status().in_flight, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a slot that is dropped at once protects nothing"]
pub struct Slot {
    permit: Permit<OwnedHandle>,
}

impl Slot {
    #[inline]
    pub(crate) fn new(permit: Permit<OwnedHandle>) -> Self {
        Self { permit: permit.start() }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("label", self.permit.handle().compartment().label())
            .field("cost", &self.permit.cost())
            .finish()
    }
}

pin_project! {
    /// The wait for a [`Slot`]: resolves to it, or to the [`Rejection`].
    ///
    /// The operation arrives when this is first polled, and not before.
    ///
    /// # Panics
    ///
    /// When polled again after it has resolved.
    ///
    /// # Cancel safety
    ///
    /// Dropping it leaves the line at once, from wherever it stands in it. If it had been admitted
    /// without being told yet, its units go to the next in line, and it counts as abandoned.
    #[must_use = "nobody arrives until this is polled"]
    pub struct Admission {
        #[pin]
        wait: Wait<OwnedHandle>,
    }
}

impl Admission {
    #[inline]
    pub(crate) fn new(wait: Wait<OwnedHandle>) -> Self {
        Self { wait }
    }
}

impl Future for Admission {
    type Output = Result<Slot, Rejection>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().wait.poll(cx).map_ok(Slot::new)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("stage", &self.wait.stage()).finish_non_exhaustive()
    }
}
