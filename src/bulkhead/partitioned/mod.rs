//! `PartitionedBulkhead`: a compartment for each key, created on first use.
//!
//! This file owns the public API, with `changes` for settings and limits, and `shutdown` for pausing, draining and closing. `map` finds, creates and evicts partitions. `shards` determines which
//! partition has been idle longest, `shard` holds some of the partitions, `index` finds them by key and
//! `idle_order` orders the idle ones. `parent` is what all partitions of one bulkhead share, and `partition_limits`
//! determines the limits of a key. What all keys share is in `core::pool`.

mod builder;
mod changes;
mod idle_order;
mod index;
mod map;
mod map_changes;
mod map_status;
#[cfg(all(test, bulklink_loom))]
mod models;
pub(crate) mod parent;
pub(crate) mod partition_limits;
mod reading;
mod shard;
mod shards;
mod shutdown;
mod visit;

use std::{fmt, future::Future, hash::Hash, time::Duration};

pub use builder::PartitionedBulkheadBuilder;
pub use partition_limits::PartitionLimits;

use self::{map::PartitionMap, parent::PartitionParent};
use super::{compartment::Compartment, deadline::Deadline, handle::OwnedHandle, slot::Slot};
use crate::{
    core::{
        limits::wait_policy::WaitPolicy,
        operation::{arrive::admit_now, run::Run, wait::Wait},
        pool::rules::MAX_TOTAL,
        rejection::Rejection,
    },
    sync::Arc,
};

/// A separate compartment for each key, such as a customer, a tenant or a host. A busy key cannot use the
/// slots of other keys.
///
/// A partition is created when its key is first used, and retained while it is in use. At most
/// `max_partitions` are retained. At that limit the partition that has been idle longest is evicted to make
/// room for a new key; an operation with a new key is rejected only if no partition is idle.
///
/// A key is held only while its partition is retained. Keys appear in no status, error or `Debug` output. `Hash` and `Eq` of a
/// key run under a lock of the bulkhead, so they must not use it: they would wait for themselves.
///
/// # One capacity for all keys
///
/// With [`total_parallelism`](PartitionedBulkheadBuilder::total_parallelism), all keys together may run only so many operations at
/// once. While they compete, each gets its fair share of it:
///
/// - Nobody waits who could run while a slot is free: a key alone may use all of them, up to its own parallelism.
/// - Within a key, operations are served strictly in the order of their arrival.
/// - Between keys, the time in which slots are held is shared, in proportion to their [weights](PartitionLimits::weight): a key with
///   requests of a minute gets as much of it as one with requests of milliseconds, and no more.
/// - A [guarantee](PartitionLimits::guaranteed) is met before anybody else is served. While it is not used, others may use it.
/// - In the [room](PartitionedBulkheadBuilder::total_waiting_room) of all, a key may take as many places as it leaves free, times its
///   weight. So a key that floods cannot fill it.
/// - Nothing is gained by many small or few large requests, by leaving while waiting, or by going and coming back.
///
/// Slots that are given to long work are not taken back. How many of them a key may have at most is its parallelism. A customer who
/// appears under several keys has a share for each: authenticate before you choose the key.
///
/// An operation that finds no place is rejected as [`TotalSaturated`](crate::RejectionReason::TotalSaturated).
///
/// ```
/// use bulklink::{PartitionLimits, PartitionedBulkhead};
///
/// let customers = PartitionedBulkhead::<String>::builder("customers")
///     .parallelism(8)
///     .max_partitions(1_000)
///     .total_parallelism(40)
///     .total_waiting_room(200)
///     .limits_for(|name| match name.as_str() {
///         "gold" => PartitionLimits::new(20).waiting_room(50).weight(4).guaranteed(2),
///         _ => PartitionLimits::new(8).waiting_room(50),
///     })
///     .build()?;
/// let slot = customers.slot_now(&"gold".to_owned())?;
/// let total = customers.status().total.expect("they share a capacity");
/// assert_eq!((total.in_flight, total.parallelism, total.guaranteed), (1, 40, 2));
/// # drop(slot);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Examples
///
/// ```
/// use bulklink::PartitionedBulkhead;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let customers = PartitionedBulkhead::<u64>::builder("customers")
///     .parallelism(1)
///     .max_partitions(1_000)
///     .build()?;
/// let seven = customers.slot(&7).await?;
/// assert!(customers.slot_now(&7).is_err());
/// assert!(customers.slot_now(&8).is_ok());
/// # drop(seven);
/// # Ok(())
/// # }
/// ```
pub struct PartitionedBulkhead<K> {
    map: Arc<PartitionMap<K>>,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionedBulkhead<K> {
    /// Returns a builder for a partitioned bulkhead with this label, which is trimmed and must not be empty.
    pub fn builder(label: impl AsRef<str>) -> PartitionedBulkheadBuilder<K> {
        PartitionedBulkheadBuilder::new(label.as_ref())
    }

    /// Waits for a slot in the partition of `key`, up to the wait limit.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] if neither a slot nor a place in the waiting room of the partition is free, if
    /// the wait limit passes, or if the bulkhead is closed. A new key is also rejected if all partitions are
    /// in use, or if `limits_for` panics or returns invalid limits for it.
    ///
    /// # Panics
    ///
    /// Panics if the operation has to wait, a wait limit is set, and the future is polled outside a tokio
    /// runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future removes the operation from the waiting line at once. No slot is lost.
    pub async fn slot(&self, key: &K) -> Result<Slot, Rejection> {
        self.wait(key, WaitPolicy::UpToLimit).await
    }

    /// Returns a slot in the partition of `key` if one can be taken without waiting.
    ///
    /// # Errors
    ///
    /// Returns a [`Rejection`] if the partition has no free slot, if another operation waits for one, or if
    /// the bulkhead is closed. A new key is also rejected if all partitions are in use, or if `limits_for`
    /// panics or returns invalid limits for it.
    pub fn slot_now(&self, key: &K) -> Result<Slot, Rejection> {
        let handle = self.enter(key, WaitPolicy::NoWait)?;
        admit_now(handle, 1, WaitPolicy::NoWait).map(Slot::new)
    }

    /// Waits up to `limit`, or up to the wait limit if that is shorter, for a slot in the partition of `key`.
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
    pub async fn slot_within(&self, limit: Duration, key: &K) -> Result<Slot, Rejection> {
        self.wait(key, WaitPolicy::Within(limit)).await
    }

    /// Waits until `deadline`, or up to the wait limit if that ends first, for a slot in the partition of `key`.
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
    pub async fn slot_before(
        &self,
        deadline: impl Into<Deadline>,
        key: &K,
    ) -> Result<Slot, Rejection> {
        self.wait(key, WaitPolicy::Before(deadline.into().instant())).await
    }

    /// Runs `work` in a slot of the partition of `key`, for which it waits as [`slot`](Self::slot) does.
    ///
    /// `work` is not polled before it is admitted. What it does when it is made, it does before: tokio's `sleep` starts its time
    /// then, so write `async { sleep(time).await }`.
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
    pub async fn execute<F: Future>(&self, key: &K, work: F) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::UpToLimit, work).await
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
    pub async fn execute_now<F: Future>(&self, key: &K, work: F) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::NoWait, work).await
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
    pub async fn execute_within<F: Future>(
        &self,
        limit: Duration,
        key: &K,
        work: F,
    ) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::Within(limit), work).await
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
    pub async fn execute_before<F: Future>(
        &self,
        deadline: impl Into<Deadline>,
        key: &K,
        work: F,
    ) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::Before(deadline.into().instant()), work).await
    }

    /// Removes every partition that has been idle for the idle timeout or longer. Returns how many.
    ///
    /// Each creation of a partition also removes a few of them.
    pub fn cleanup_idle(&self) -> usize {
        self.map.cleanup_idle()
    }

    /// Removes the partition of `key` if it is idle. Returns `true` if it was removed.
    pub fn discard(&self, key: &K) -> bool {
        self.map.discard(key)
    }

    /// Returns the partition of `key`, if there is one. Does not count as a use.
    pub(crate) fn peek(&self, key: &K) -> Option<Arc<Compartment>> {
        self.map.peek(key)
    }

    pub(crate) fn enter(&self, key: &K, policy: WaitPolicy) -> Result<OwnedHandle, Rejection> {
        self.map.enter(key, policy)
    }

    async fn wait(&self, key: &K, policy: WaitPolicy) -> Result<Slot, Rejection> {
        match self.enter(key, policy) {
            Ok(handle) => Wait::new(handle, 1, policy).await.map(Slot::new),
            Err(rejection) => spent(rejection).await,
        }
    }

    async fn run<F: Future>(
        &self,
        key: &K,
        policy: WaitPolicy,
        work: F,
    ) -> Result<F::Output, Rejection> {
        match self.enter(key, policy) {
            Ok(handle) => Run::new(handle, 1, policy, work).await,
            Err(rejection) => spent(rejection).await,
        }
    }
}

/// Lets other tasks run, if this one has no budget left. The rejection has been counted already.
async fn spent<T>(rejection: Rejection) -> Result<T, Rejection> {
    tokio::task::coop::consume_budget().await;
    Err(rejection)
}

impl<K> PartitionedBulkhead<K> {
    /// The largest `total_parallelism`.
    pub const MAX_TOTAL_PARALLELISM: usize = MAX_TOTAL as usize;

    pub(crate) fn parent(&self) -> &Arc<PartitionParent> {
        &self.map.parent
    }

    /// Returns the bulkhead's label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.parent().label
    }

    /// Returns how many operations may run at once in a partition, unless `limits_for` or `set_limits` specifies
    /// otherwise.
    #[must_use]
    pub fn parallelism(&self) -> usize {
        self.map.settings().usual.parallelism as usize
    }

    /// Returns how many operations may wait in a partition, unless `limits_for` or `set_limits` specifies
    /// otherwise.
    #[must_use]
    pub fn waiting_room(&self) -> usize {
        self.map.settings().usual.waiting_room as usize
    }

    /// Returns the longest time one operation may wait, or `None` if there is no limit.
    #[must_use]
    pub fn wait_limit(&self) -> Option<Duration> {
        self.parent().wait_limit().get()
    }

    /// Returns how many operations of all keys together may run at once, or `None` if the keys share no capacity.
    #[must_use]
    pub fn total_parallelism(&self) -> Option<usize> {
        self.map.settings().total.map(|total| total.capacity as usize)
    }

    /// Returns how many operations of all keys together may wait, or `None` if the keys share no capacity.
    #[must_use]
    pub fn total_waiting_room(&self) -> Option<usize> {
        self.map.settings().total.map(|total| total.room as usize)
    }

    /// Returns how many partitions may be retained.
    #[must_use]
    pub fn max_partitions(&self) -> usize {
        self.map.settings().max_partitions
    }

    /// Returns how long an idle partition is retained.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.map.settings().idle_timeout
    }
}

impl<K> Clone for PartitionedBulkhead<K> {
    fn clone(&self) -> Self {
        Self { map: self.map.clone() }
    }
}

impl<K> fmt::Debug for PartitionedBulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionedBulkhead")
            .field("label", &self.label())
            .field("parallelism", &self.parallelism())
            .field("waiting_room", &self.waiting_room())
            .field("wait_limit", &self.wait_limit())
            .field("max_partitions", &self.max_partitions())
            .field("idle_timeout", &self.idle_timeout())
            .finish_non_exhaustive()
    }
}
