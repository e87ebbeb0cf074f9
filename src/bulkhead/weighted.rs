//! `WeightedBulkhead`: the bulkhead in which each operation has a cost.

use std::{future::Future, time::Duration};

use super::{
    builder::WeightedBulkheadBuilder,
    change::WeightedChange,
    common_methods::common_methods,
    compartment::Compartment,
    deadline::Deadline,
    error::ResizeError,
    execute::{Execute, Guarded},
    slot::{Admission, Slot},
};
use crate::{
    core::{limits::wait_policy::WaitPolicy, rejection::Rejection},
    sync::Arc,
};

/// A compartment with a bounded number of units in use and a bounded number of operations waiting. The
/// cost of an operation is the number of units it needs.
///
/// # Fairness
///
/// The waiting line is strictly first in, first out. A small operation never overtakes a large one: while
/// the first waiter does not fit, no operation is admitted, so that large operations are not starved. When
/// the first waiter leaves without being admitted, the waiters behind it that now fit are admitted at once.
///
/// # Examples
///
/// ```
/// use bulklink::WeightedBulkhead;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reports = WeightedBulkhead::builder("reports").capacity(10).waiting_room(20).build()?;
/// let year = reports.slot(8).await?;
/// let day = reports.slot_now(2)?;
/// assert_eq!(reports.status().used, 10);
/// assert!(reports.slot_now(1).is_err());
/// # drop((year, day));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WeightedBulkhead {
    compartment: Arc<Compartment>,
}

impl WeightedBulkhead {
    /// Returns a builder for a weighted bulkhead with this label, which is trimmed and must not be empty.
    pub fn builder(label: impl AsRef<str>) -> WeightedBulkheadBuilder {
        WeightedBulkheadBuilder::new(label.as_ref())
    }

    pub(crate) fn new(compartment: Arc<Compartment>) -> Self {
        Self { compartment }
    }

    pub(crate) fn compartment(&self) -> &Arc<Compartment> {
        &self.compartment
    }

    /// Waits for a slot of `cost` units, up to the wait limit.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] if `cost` is 0 or above the capacity, if the bulkhead is closed, if the
    /// operation would have to wait and the waiting room is full, or if the wait limit passes.
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
    pub fn slot(&self, cost: usize) -> Admission {
        self.compartment.slot(cost, WaitPolicy::UpToLimit)
    }

    /// Returns a slot of `cost` units if it can be taken without waiting.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] if `cost` is 0 or above the capacity, too few units are free, another
    /// operation waits for units, or the bulkhead is closed.
    #[inline]
    pub fn slot_now(&self, cost: usize) -> Result<Slot, Rejection> {
        self.compartment.slot_now(cost)
    }

    /// Waits up to `limit`, or up to the wait limit if that is shorter, for a slot of `cost` units.
    ///
    /// A `limit` of zero has already passed: the operation is rejected even if its units are free.
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
    pub fn slot_within(&self, limit: Duration, cost: usize) -> Admission {
        self.compartment.slot(cost, WaitPolicy::Within(limit))
    }

    /// Waits until `deadline`, or up to the wait limit if that ends first, for a slot of `cost` units.
    ///
    /// If `deadline` has already passed, the operation is rejected even if its units are free.
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
    pub fn slot_before(&self, deadline: impl Into<Deadline>, cost: usize) -> Admission {
        self.compartment.slot(cost, WaitPolicy::Before(deadline.into().instant()))
    }

    /// Runs `work` in a slot of `cost` units, for which it waits as [`slot`](Self::slot) does.
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
    /// Dropping the future drops `work` and releases its units.
    #[inline]
    pub fn execute<F: Future>(&self, cost: usize, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(cost, WaitPolicy::UpToLimit, work))
    }

    /// Runs `work` if a slot of `cost` units can be taken without waiting when the future is first polled.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] under the same conditions as [`slot_now`](Self::slot_now).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and releases its units.
    #[inline]
    pub fn execute_now<F: Future>(&self, cost: usize, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(cost, WaitPolicy::NoWait, work))
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
    /// Dropping the future drops `work` and releases its units.
    #[inline]
    pub fn execute_within<F: Future>(
        &self,
        limit: Duration,
        cost: usize,
        work: F,
    ) -> Execute<'_, F> {
        Execute::new(self.compartment.run(cost, WaitPolicy::Within(limit), work))
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
    /// Dropping the future drops `work` and releases its units.
    #[inline]
    pub fn execute_before<F: Future>(
        &self,
        deadline: impl Into<Deadline>,
        cost: usize,
        work: F,
    ) -> Execute<'_, F> {
        Execute::new(self.compartment.run(
            cost,
            WaitPolicy::Before(deadline.into().instant()),
            work,
        ))
    }

    /// Wraps `function` so that every call runs in a slot of `cost` units, for which it waits as
    /// [`slot`](Self::slot) does.
    ///
    /// `function` is not called before the call is admitted. See [`Guarded`] for the errors, panics and
    /// cancel safety of a call.
    pub fn guard<F, A, T>(
        &self,
        cost: usize,
        function: F,
    ) -> impl Fn(A) -> Guarded<F, A, T> + Clone + use<F, A, T>
    where
        F: Fn(A) -> T,
        T: Future,
    {
        let (compartment, function) = (self.compartment.clone(), Arc::new(function));
        move |argument| Guarded::new(&compartment, cost, function.clone(), argument)
    }

    /// Sets how many units may be in use at once.
    ///
    /// Growing admits waiters, in order, before this method returns. Shrinking does not affect running work:
    /// no operation is admitted until enough of it has finished. Shrinking visits every waiter once.
    ///
    /// # Errors
    ///
    /// Returns a [`ResizeError`], and changes nothing, if `capacity` is 0, above
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY) or below the largest cost of a waiter, or
    /// if the bulkhead is closed.
    pub fn resize(&self, capacity: usize) -> Result<(), ResizeError> {
        self.compartment.resize("capacity", capacity)
    }

    /// Changes any of the settings at once: capacity, waiting room and wait limit.
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
    /// Returns a [`ResizeError`] that names the setting and its value, and changes nothing, if the capacity or the wait
    /// limit is 0, if the capacity or the waiting room is above
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY), if the capacity is below the largest cost of a waiter, or
    /// if the bulkhead is closed.
    pub fn reconfigure(&self, change: WeightedChange) -> Result<(), ResizeError> {
        self.compartment.reconfigure("capacity", change.settings())
    }

    /// Returns the error of this change, if it were made now.
    pub(crate) fn check(&self, change: &WeightedChange) -> Result<(), ResizeError> {
        self.compartment.check("capacity", change.settings())
    }

    /// Returns how many units may currently be in use at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.compartment.capacity()
    }
}

common_methods!(WeightedBulkhead);
