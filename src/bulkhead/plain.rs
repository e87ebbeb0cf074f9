//! `Bulkhead`: the plain compartment, in which every operation has a cost of 1.

use std::{future::Future, time::Duration};

use super::{
    builder::BulkheadBuilder,
    common::common_methods,
    compartment::Compartment,
    deadline::Deadline,
    error::ResizeError,
    execute::{Execute, Guarded},
    slot::{Admission, Slot},
};
use crate::{
    core::{MAX_UNITS, operation::handle::WaitPolicy, rejection::Rejection},
    sync::Arc,
};

/// A compartment with a bounded number of operations running and a bounded line waiting.
///
/// A handle is cheap to clone; every clone is the same bulkhead, from any thread and any runtime.
///
/// # Fairness
///
/// The line is strictly first in, first out. A slot that becomes free goes to the head of the line
/// before any newcomer can see it, and nobody is admitted past somebody who waits.
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
    /// The largest capacity, cost and waiting room there can be: 2^31 - 1.
    pub const MAX_CAPACITY: usize = MAX_UNITS as usize;

    /// A builder for a bulkhead with this name, which is trimmed and may not be empty.
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

    /// Waits for a slot if it must, for as long as the wait limit allows.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] if the bulkhead is closed, or was full with its waiting room full,
    /// or the wait limit passed.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with a timer, if it has to wait and there is a wait limit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line at once, and nothing is lost.
    #[inline]
    pub fn slot(&self) -> Admission {
        self.compartment.slot(1, WaitPolicy::UpToLimit)
    }

    /// Admits at once or rejects.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if there is no free slot, somebody waits for one, or the bulkhead is closed.
    #[inline]
    pub fn slot_now(&self) -> Result<Slot, Rejection> {
        self.compartment.slot_now(1)
    }

    /// As [`slot`](Self::slot), waiting for `limit` at most, or for the wait limit if that is shorter.
    #[inline]
    pub fn slot_within(&self, limit: Duration) -> Admission {
        self.compartment.slot(1, WaitPolicy::Within(limit))
    }

    /// As [`slot`](Self::slot), waiting until `deadline` at most. If that has passed, the operation is
    /// rejected even if a slot is free.
    #[inline]
    pub fn slot_before(&self, deadline: impl Into<Deadline>) -> Admission {
        self.compartment.slot(1, WaitPolicy::Before(deadline.into().instant()))
    }

    /// Runs `work` in a slot, waiting for one as [`slot`](Self::slot) does. `work` is not polled
    /// before it is admitted. The future borrows the bulkhead; to spawn it, move a clone into an `async`
    /// block.
    ///
    /// # Errors
    ///
    /// Resolves to a [`Rejection`] where [`slot`](Self::slot) would.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and gives its slot back.
    #[inline]
    pub fn execute<F: Future>(&self, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::UpToLimit, work))
    }

    /// As [`execute`](Self::execute), if a slot is free when it is first polled.
    #[inline]
    pub fn execute_now<F: Future>(&self, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::NoWait, work))
    }

    /// As [`execute`](Self::execute), waiting for `limit` at most. The work itself is not limited.
    #[inline]
    pub fn execute_within<F: Future>(&self, limit: Duration, work: F) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::Within(limit), work))
    }

    /// As [`execute`](Self::execute), waiting until `deadline` at most. The work itself is not limited.
    #[inline]
    pub fn execute_before<F: Future>(
        &self,
        deadline: impl Into<Deadline>,
        work: F,
    ) -> Execute<'_, F> {
        Execute::new(self.compartment.run(1, WaitPolicy::Before(deadline.into().instant()), work))
    }

    /// Makes a function of which every call runs in a slot. The function itself is not called before
    /// the call is admitted.
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

    /// Sets how many operations may run at once. Growing admits from the line, in order, before this
    /// returns. Shrinking leaves running work alone: nobody is admitted until enough of it has ended.
    ///
    /// # Errors
    ///
    /// [`ResizeError`] if `parallelism` is 0 or above [`MAX_CAPACITY`](Self::MAX_CAPACITY), or the
    /// bulkhead is closed. Nothing has changed then.
    pub fn resize(&self, parallelism: usize) -> Result<(), ResizeError> {
        self.compartment.resize("parallelism", parallelism)
    }

    /// How many operations may run at once, at this moment.
    #[must_use]
    pub fn parallelism(&self) -> usize {
        self.compartment.capacity()
    }
}

common_methods!(Bulkhead);
