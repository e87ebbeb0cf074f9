//! `Slot` and `Admission`: admitted work, and the future that waits for it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use super::handle::OwnedHandle;
use crate::{
    core::{
        operation::{permit::Permit, wait::Wait},
        rejection::Rejection,
    },
    sync::{Arc, Ordering, UnexploredBool},
};

/// A guard for admitted work. Its units are in use while it lives and are released when it is dropped.
///
/// A slot is owned. It may be moved into a task, stored, or sent to another thread or runtime, and it
/// may outlive the handle it came from.
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
#[must_use = "dropping a slot releases its units immediately"]
pub struct Slot {
    permit: Permit<OwnedHandle>,
}

impl Slot {
    #[inline]
    pub(crate) fn new(permit: Permit<OwnedHandle>) -> Self {
        Self { permit: permit.start() }
    }
}

impl Slot {
    /// Shares this slot: its units are in use until the last clone of the returned one is dropped.
    ///
    /// For work that outlives the future it was started from, such as a blocking job whose caller may leave. This
    /// allocates once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bulklink::Bulkhead;
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let reports = Bulkhead::builder("reports").parallelism(1).build()?;
    /// let slot = reports.slot().await?.share();
    /// let job = tokio::task::spawn_blocking({
    ///     let slot = slot.clone();
    ///     move || {
    ///         // Work that goes on even if nobody waits for it any more.
    ///         drop(slot);
    ///     }
    /// });
    /// drop(slot);
    /// job.await?;
    /// assert_eq!(reports.status().in_flight, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn share(self) -> LentSlot {
        LentSlot::new(self.permit, None)
    }
}

/// A shared [`Slot`]: its units are in use until the last clone is dropped.
///
/// A clone is cheap, and may be sent to another thread or runtime. It comes from [`Slot::share`], or from a layer with
/// [`lend_slot`](crate::AdmissionLayer::lend_slot) in the extensions of a request.
#[derive(Clone)]
#[must_use = "dropping the last clone of a slot releases its units immediately"]
pub struct LentSlot(Arc<Lent>);

/// What the clones of a lent slot share.
struct Lent {
    /// Taken by the drop.
    permit: Option<Permit<OwnedHandle>>,
    /// Whether the request that it belongs to was dropped or has panicked before it had a response.
    is_cut_short: UnexploredBool,
    /// The slot that an outer layer has lent to the same request.
    _outer: Option<LentSlot>,
}

impl LentSlot {
    pub(crate) fn new(permit: Permit<OwnedHandle>, outer: Option<LentSlot>) -> Self {
        let is_cut_short = UnexploredBool::new(false);
        Self(Arc::new(Lent { permit: Some(permit), is_cut_short, _outer: outer }))
    }

    /// Once the last clone is dropped, the operation counts as cut short.
    pub(crate) fn mark_cut_short(&self) {
        self.0.is_cut_short.store(true, Ordering::Relaxed);
    }

    pub(crate) fn permit(&self) -> &Permit<OwnedHandle> {
        self.0.permit.as_ref().expect("taken by the drop only")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let permit = self.permit.take();
        // The drop of the last clone happens after what the others did.
        if self.is_cut_short.load(Ordering::Relaxed) {
            permit.into_iter().for_each(Permit::cut_short);
        }
    }
}

impl fmt::Debug for LentSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("LentSlot", self.permit(), f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug("Slot", &self.permit, f)
    }
}

fn debug(name: &str, permit: &Permit<OwnedHandle>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("label", permit.handle().compartment().label())
        .field("cost", &permit.cost())
        .finish()
}

pin_project! {
    /// A future that waits for a [`Slot`]. Resolves to the slot, or to the [`Rejection`].
    ///
    /// The operation arrives at the bulkhead at the first poll and not before.
    ///
    /// # Panics
    ///
    /// Panics if polled again after it has resolved, or if the operation has to wait with a limit and is
    /// polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping it removes the operation from the waiting line at once, at any position. If the operation
    /// has already been admitted but the future has not yet been polled since, its units go to the next
    /// waiter, and it counts as abandoned.
    #[must_use = "futures do nothing unless polled"]
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
