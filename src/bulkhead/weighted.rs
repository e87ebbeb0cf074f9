//! `WeightedBulkhead`: the compartment in which operations have costs.

use std::{future::Future, time::Duration};

use super::{
    builder::WeightedBulkheadBuilder,
    common::common_methods,
    compartment::Compartment,
    deadline::Deadline,
    error::ResizeError,
    execute::{Execute, Guarded},
    slot::{Admission, Slot},
};
use crate::{
    core::{operation::handle::WaitPolicy, rejection::Rejection},
    sync::Arc,
};

/// A compartment with a bounded number of units in use, of which every operation needs its own
/// number, and a bounded line of operations waiting.
///
/// # Fairness
///
/// The line is strictly first in, first out. A small operation never overtakes a large one: while the
/// head of the line does not fit, nobody is admitted, so that the large one is not starved. When a
/// large head leaves without being admitted, those behind it that fit now are admitted at once.
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
    /// A builder for a weighted bulkhead with this name, which is trimmed and may not be empty.
    pub fn builder(label: impl AsRef<str>) -> WeightedBulkheadBuilder {
        WeightedBulkheadBuilder::new(label.as_ref())
    }

    pub(crate) fn new(compartment: Arc<Compartment>) -> Self {
        Self { compartment }
    }

    pub(crate) fn compartment(&self) -> &Arc<Compartment> {
        &self.compartment
    }

    /// Waits for `cost` units if it must, for as long as the wait limit allows.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] if the cost is 0 or above the capacity, the bulkhead is closed, or
    /// was full with its waiting room full, or the wait limit passed.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with a timer, if it has to wait and there is a wait limit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line at once, and nothing is lost.
    #[inline]
    pub fn slot(&self, cost: usize) -> Admission {
        self.compartment.slot(cost, WaitPolicy::UpToLimit)
    }

    /// Admits at once or rejects.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the cost is 0 or above the capacity, too few units are free, somebody waits
    /// for them, or the bulkhead is closed.
    #[inline]
    pub fn slot_now(&self, cost: usize) -> Result<Slot, Rejection> {
        self.compartment.slot_now(cost)
    }

    /// As [`slot`](Self::slot), waiting for `limit` at most, or for the wait limit if that is shorter.
    #[inline]
    pub fn slot_within(&self, limit: Duration, cost: usize) -> Admission {
        self.compartment.slot(cost, WaitPolicy::Within(limit))
    }

    /// As [`slot`](Self::slot), waiting until `deadline` at most. If that has passed, the operation is
    /// rejected even if its units are free.
    #[inline]
    pub fn slot_before(&self, deadline: impl Into<Deadline>, cost: usize) -> Admission {
        self.compartment.slot(cost, WaitPolicy::Before(deadline.into().instant()))
    }

    /// Runs `work` in a slot of `cost` units, waiting for it as [`slot`](Self::slot) does. `work` is
    /// not polled before it is admitted. The future borrows the bulkhead; to spawn it, move a clone into
    /// an `async` block.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] where [`slot`](Self::slot) would.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and gives its units back.
    #[inline]
    pub fn execute<F: Future>(&self, cost: usize, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(cost, WaitPolicy::UpToLimit, work))
    }

    /// As [`execute`](Self::execute), if the units are free when it is first polled.
    #[inline]
    pub fn execute_now<F: Future>(&self, cost: usize, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(cost, WaitPolicy::NoWait, work))
    }

    /// As [`execute`](Self::execute), waiting for `limit` at most. The work itself is not limited.
    #[inline]
    pub fn execute_within<F: Future>(
        &self,
        limit: Duration,
        cost: usize,
        work: F,
    ) -> Execute<'_, F> {
        Execute::new(self.compartment.run(cost, WaitPolicy::Within(limit), work))
    }

    /// As [`execute`](Self::execute), waiting until `deadline` at most. The work itself is not limited.
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

    /// Makes a function of which every call runs in a slot of `cost` units. The function itself is not
    /// called before the call is admitted.
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

    /// Sets how many units may be in use at once. Growing admits from the line, in order, before this
    /// returns. Shrinking leaves running work alone: nobody is admitted until enough of it has ended.
    /// Shrinking looks at every waiter once.
    ///
    /// # Errors
    ///
    /// [`ResizeError`] if `capacity` is 0, above [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY)
    /// or below the largest cost in the line, or the bulkhead is closed. Nothing has changed then.
    pub fn resize(&self, capacity: usize) -> Result<(), ResizeError> {
        self.compartment.resize("capacity", capacity)
    }

    /// How many units may be in use at once, at this moment.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.compartment.capacity()
    }
}

common_methods!(WeightedBulkhead);
