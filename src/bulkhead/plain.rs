//! `Bulkhead`: the plain bulkhead, in which every operation has a cost of 1.

use std::{future::Future, time::Duration};

use super::{
    builder::BulkheadBuilder,
    change::Change,
    common_methods::common_methods,
    compartment::Compartment,
    deadline::Deadline,
    error::ResizeError,
    execute::{Execute, Guarded},
    slot::{Admission, Slot},
};
use crate::{
    core::{MAX_UNITS, limits::wait_policy::WaitPolicy, rejection::Rejection},
    sync::Arc,
};

/// A compartment with a bounded number of operations running and a bounded number waiting.
///
/// A handle is cheap to clone. All clones share one bulkhead and may be used from any thread and any
/// runtime.
///
/// # Fairness
///
/// The waiting line is strictly first in, first out. A released slot goes to the first waiter before any
/// new operation can take it, and no operation overtakes a waiter.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use bulklink::Bulkhead;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let payments = Bulkhead::builder("payments")
///     .parallelism(10)
///     .waiting_room(50)
///     .wait_limit(Duration::from_secs(2))
///     .build()?;
///
/// let answer = payments.execute(async { "paid" }).await?;
/// assert_eq!(answer, "paid");
///
/// let slot = payments.slot().await?;
/// assert_eq!(payments.status().in_flight, 1);
/// drop(slot);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bulkhead {
    compartment: Arc<Compartment>,
}

impl Bulkhead {
    /// The maximum capacity, cost and waiting room: 2^31 - 1.
    pub const MAX_CAPACITY: usize = MAX_UNITS as usize;

    /// Returns a builder for a bulkhead with this label, which is trimmed and must not be empty.
    pub fn builder(label: impl AsRef<str>) -> BulkheadBuilder {
        BulkheadBuilder::new(label.as_ref())
    }

    pub(super) fn new(compartment: Arc<Compartment>) -> Self {
        Self { compartment }
    }

    #[inline]
    pub(crate) fn compartment(&self) -> &Arc<Compartment> {
        &self.compartment
    }

    /// Waits for a slot, up to the wait limit.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] if the bulkhead is closed, if neither a slot nor a place in the waiting
    /// room is free, or if the wait limit passes.
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait, a wait limit is set, and the future is polled outside a tokio
    /// runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future removes the operation from the waiting line at once. No slot is lost.
    #[inline]
    pub fn slot(&self) -> Admission {
        self.compartment.slot(1, WaitPolicy::UpToLimit)
    }

    /// Returns a slot if one can be taken without waiting.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] if no slot is free, another operation waits for one, or the bulkhead is
    /// closed.
    #[inline]
    pub fn slot_now(&self) -> Result<Slot, Rejection> {
        self.compartment.slot_now(1)
    }

    /// Waits up to `limit`, or up to the wait limit if that is shorter, for a slot.
    ///
    /// A `limit` of zero has already passed: the operation is rejected even if a slot is free.
    ///
    /// # Errors
    ///
    /// As [`slot`](Self::slot), and if `limit` passes.
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait and the future is polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future removes the operation from the waiting line at once. No slot is lost.
    #[inline]
    pub fn slot_within(&self, limit: Duration) -> Admission {
        self.compartment.slot(1, WaitPolicy::Within(limit))
    }

    /// Waits until `deadline`, or up to the wait limit if that ends first, for a slot.
    ///
    /// If `deadline` has already passed, the operation is rejected even if a slot is free.
    ///
    /// # Errors
    ///
    /// As [`slot`](Self::slot), and if `deadline` passes.
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait and the future is polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future removes the operation from the waiting line at once. No slot is lost.
    #[inline]
    pub fn slot_before(&self, deadline: impl Into<Deadline>) -> Admission {
        self.compartment.slot(1, WaitPolicy::Before(deadline.into().instant()))
    }

    /// Runs `work` in a slot, for which it waits as [`slot`](Self::slot) does.
    ///
    /// `work` is not polled before it is admitted. What it does when it is made, it does before: tokio's `sleep` starts its time
    /// then, so write `async { sleep(time).await }`.
    ///
    /// The future borrows the bulkhead; to spawn it, move a
    /// clone into an `async` block.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] under the same conditions as [`slot`](Self::slot).
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait, a wait limit is set, and the future is polled outside a tokio
    /// runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and releases its slot.
    #[inline]
    pub fn execute<F: Future>(&self, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::UpToLimit, work))
    }

    /// Runs `work` if a slot can be taken without waiting when the future is first polled.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] under the same conditions as [`slot_now`](Self::slot_now).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and releases its slot.
    #[inline]
    pub fn execute_now<F: Future>(&self, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::NoWait, work))
    }

    /// Runs `work` as [`execute`](Self::execute) does, but waits for at most `limit`. The limit does not apply
    /// to the work itself.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] under the same conditions as [`slot_within`](Self::slot_within).
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait and the future is polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and releases its slot.
    #[inline]
    pub fn execute_within<F: Future>(&self, limit: Duration, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::Within(limit), work))
    }

    /// Runs `work` as [`execute`](Self::execute) does, but waits until `deadline` at most. The deadline does
    /// not apply to the work itself.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] under the same conditions as [`slot_before`](Self::slot_before).
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait and the future is polled outside a tokio runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and releases its slot.
    #[inline]
    pub fn execute_before<F: Future>(
        &self,
        deadline: impl Into<Deadline>,
        work: F,
    ) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::Before(deadline.into().instant()), work))
    }

    /// Wraps `function` so that every call runs in a slot, for which it waits as [`slot`](Self::slot) does.
    ///
    /// `function` is not called before the call is admitted. See [`Guarded`] for the errors, panics and
    /// cancel safety of a call.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let payments = bulklink::Bulkhead::builder("payments").parallelism(1).build()?;
    /// async fn send(order: u32) -> String {
    ///     format!("order {order} sent")
    /// }
    /// let guarded = payments.guard(send);
    /// assert_eq!(guarded(7).await?, "order 7 sent");
    /// # Ok(())
    /// # }
    /// ```
    pub fn guard<F, A, T>(
        &self,
        function: F,
    ) -> impl Fn(A) -> Guarded<F, A, T> + Clone + use<F, A, T>
    where
        F: Fn(A) -> T,
        T: Future,
    {
        let (compartment, function) = (self.compartment.clone(), Arc::new(function));
        move |argument| Guarded::new(&compartment, 1, function.clone(), argument)
    }

    /// Sets how many operations may run at once.
    ///
    /// Growing admits waiters, in order, before this method returns. Shrinking does not affect running work:
    /// no operation is admitted until enough of it has finished.
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`], and changes nothing, if `parallelism` is 0 or above
    /// [`MAX_CAPACITY`](Self::MAX_CAPACITY), or if the bulkhead is closed.
    pub fn resize(&self, parallelism: usize) -> Result<(), ResizeError> {
        self.compartment.resize("parallelism", parallelism)
    }

    /// Changes any of the settings at once: parallelism, waiting room and wait limit.
    ///
    /// All of them change at the same instant, or none does. Growing admits waiters, in order, before this method returns.
    /// Shrinking does not affect running work, and a waiting room that is smaller than the line rejects no waiter: no
    /// operation is admitted, or joins the line, until there is a place. A new wait limit holds for operations that join the
    /// line from now on. The subscribers get one [`Reconfigured`] event, and none if nothing differs.
    ///
    /// [`Reconfigured`]: crate::EventKind::Reconfigured
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`] that names the setting and its value, and changes nothing, if the parallelism or the wait
    /// limit is 0, if the parallelism or the waiting room is above [`MAX_CAPACITY`](Self::MAX_CAPACITY), or if the
    /// bulkhead is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::{Bulkhead, Change};
    ///
    /// let payments = Bulkhead::builder("payments").parallelism(10).build()?;
    /// payments.reconfigure(Change::new().parallelism(20).waiting_room(100))?;
    /// payments.reconfigure(Change::new().no_wait_limit())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconfigure(&self, change: Change) -> Result<(), ResizeError> {
        self.compartment.reconfigure("parallelism", change.settings())
    }

    /// Returns the error of this change, if it were made now.
    pub(crate) fn check(&self, change: &Change) -> Result<(), ResizeError> {
        self.compartment.check("parallelism", change.settings())
    }

    /// Returns how many operations may currently run at once.
    #[must_use]
    pub fn parallelism(&self) -> usize {
        self.compartment.capacity()
    }
}

common_methods!(Bulkhead);
