//! `PartitionedBulkhead`: a compartment for each key, made on first use.
//!
//! This file owns the public face. `map` finds and makes partitions and decides which go, `shards` knows
//! which has been idle longest of all, `shard` keeps the books of some of them and `order` the order of
//! its idle ones; `parent` is what a partition knows of the whole, `limits` says what a key may have.

mod builder;
mod idle_order;
mod index;
pub(crate) mod limits;
mod map;
#[cfg(all(test, bulklink_loom))]
mod models;
pub(crate) mod parent;
mod shard;
mod shards;

use std::{fmt, future::Future, hash::Hash, time::Duration};

pub use builder::PartitionedBulkheadBuilder;
pub use limits::PartitionLimits;

use self::{map::PartitionMap, parent::PartitionParent};
use super::{compartment::OwnedHandle, deadline::Deadline, error::ResizeError, slot::Slot};
use crate::{
    core::{
        operation::{arrive::admit_now, handle::WaitPolicy, run::Run, wait::Wait},
        rejection::Rejection,
    },
    observe::{partitions::PartitionedStatus, status::BulkheadStatus},
    sync::Arc,
};

/// A compartment for each key: a customer, a tenant, a host. One busy key cannot use what belongs to
/// the others.
///
/// A partition is made when its key is first used, and retained while it is in use. At most
/// `max_partitions` are retained; at that limit the one that has been idle longest makes room for a
/// new key, and only if none is idle is the newcomer rejected.
///
/// Keys are held only while their partition is. They appear in no status, error or `Debug` output.
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
    /// A builder for a partitioned bulkhead with this name, which is trimmed and may not be empty.
    pub fn builder(label: impl AsRef<str>) -> PartitionedBulkheadBuilder<K> {
        PartitionedBulkheadBuilder::new(label.as_ref())
    }

    /// Waits for a slot in the partition of `key` if it must, for as long as the wait limit allows.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the partition is full with its waiting room full, the wait limit passed, the
    /// bulkhead is closed, or a new key needs a partition and all are in use.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with a timer, if it has to wait and there is a wait limit.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the line at once, and nothing is lost.
    pub async fn slot(&self, key: &K) -> Result<Slot, Rejection> {
        self.wait(key, WaitPolicy::UpToLimit).await
    }

    /// Admits at once or rejects.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if the partition has no free slot or somebody waits for one, the bulkhead is
    /// closed, or a new key needs a partition and all are in use.
    pub fn slot_now(&self, key: &K) -> Result<Slot, Rejection> {
        let handle = self.enter(key, WaitPolicy::NoWait)?;
        admit_now(handle, 1, WaitPolicy::NoWait).map(Slot::new)
    }

    /// As [`slot`](Self::slot), waiting for `limit` at most, or for the wait limit if that is shorter.
    pub async fn slot_within(&self, limit: Duration, key: &K) -> Result<Slot, Rejection> {
        self.wait(key, WaitPolicy::Within(limit)).await
    }

    /// As [`slot`](Self::slot), waiting until `deadline` at most. If that has passed, the operation is
    /// rejected even if a slot is free.
    pub async fn slot_before(
        &self,
        deadline: impl Into<Deadline>,
        key: &K,
    ) -> Result<Slot, Rejection> {
        self.wait(key, WaitPolicy::Before(deadline.into().instant())).await
    }

    /// Runs `work` in a slot of the partition of `key`, waiting for one as [`slot`](Self::slot) does.
    /// `work` is not polled before it is admitted.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] where [`slot`](Self::slot) would give one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work` and gives its slot back.
    pub async fn execute<F: Future>(&self, key: &K, work: F) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::UpToLimit, work).await
    }

    /// As [`execute`](Self::execute), if a slot is free when it is first polled.
    pub async fn execute_now<F: Future>(&self, key: &K, work: F) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::NoWait, work).await
    }

    /// As [`execute`](Self::execute), waiting for `limit` at most. The work itself is not limited.
    pub async fn execute_within<F: Future>(
        &self,
        limit: Duration,
        key: &K,
        work: F,
    ) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::Within(limit), work).await
    }

    /// As [`execute`](Self::execute), waiting until `deadline` at most. The work itself is not limited.
    pub async fn execute_before<F: Future>(
        &self,
        deadline: impl Into<Deadline>,
        key: &K,
        work: F,
    ) -> Result<F::Output, Rejection> {
        self.run(key, WaitPolicy::Before(deadline.into().instant()), work).await
    }

    /// All partitions together, those that are gone included. Looks at each partition, a few at a time.
    #[must_use]
    pub fn status(&self) -> PartitionedStatus {
        self.map.status()
    }

    /// One instant of the partition of `key`, if there is one. Does not count as a use of it.
    #[must_use]
    pub fn partition_status(&self, key: &K) -> Option<BulkheadStatus> {
        self.map.peek(key).map(|partition| partition.status())
    }

    /// Sets how many operations may run at once in the partition of `key`, for as long as that
    /// partition is retained.
    ///
    /// # Errors
    ///
    /// [`ResizeError`] if there is no partition of `key`, `parallelism` is 0 or above
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY), or the bulkhead is closed. Nothing
    /// has changed then.
    pub fn resize_partition(&self, key: &K, parallelism: usize) -> Result<(), ResizeError> {
        let handle = self.map.find(key);
        let handle = handle
            .ok_or_else(|| ResizeError::NoPartition { label: self.parent().label.clone() })?;
        handle.compartment().resize("parallelism", parallelism)
    }

    /// Removes every partition that has been idle for the idle timeout or longer, and says how many.
    /// Making partitions removes some of them as it goes.
    pub fn cleanup_idle(&self) -> usize {
        self.map.cleanup_idle()
    }

    /// Removes the partition of `key` if it is idle, and says whether it did.
    pub fn discard(&self, key: &K) -> bool {
        self.map.discard(key)
    }

    /// Rejects everybody who waits in any partition and everybody who comes from now on. Running work
    /// goes on. Final; closing again does nothing. Once this returns, nobody is admitted.
    pub fn close(&self) {
        self.map.close();
    }

    /// Waits until the bulkhead is closed and nothing runs in any partition. Any number may wait, also
    /// before anybody closes it.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again.
    pub async fn wait_closed(&self) {
        self.parent().wait_closed().await;
        for shard in 0..self.map.shards() {
            let mut blocks = 0..;
            while let Some(partitions) =
                blocks.next().and_then(|block| self.map.block(shard, block))
            {
                for partition in partitions {
                    partition.wait_closed().await;
                }
            }
        }
    }

    /// Closes the bulkhead and waits until nothing runs in any partition.
    ///
    /// # Cancel safety
    ///
    /// Once polled, dropping it leaves the bulkhead closed. May be called again.
    pub async fn close_and_wait(&self) {
        self.close();
        self.wait_closed().await;
    }

    /// Whether the bulkhead was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.map.is_closed()
    }

    pub(crate) fn enter(&self, key: &K, policy: WaitPolicy) -> Result<OwnedHandle, Rejection> {
        self.map.enter(key, policy)
    }

    async fn wait(&self, key: &K, policy: WaitPolicy) -> Result<Slot, Rejection> {
        let handle = self.enter(key, policy)?;
        Wait::new(handle, 1, policy).await.map(Slot::new)
    }

    async fn run<F: Future>(
        &self,
        key: &K,
        policy: WaitPolicy,
        work: F,
    ) -> Result<F::Output, Rejection> {
        let handle = self.enter(key, policy)?;
        Run::new(handle, 1, policy, work).await
    }
}

impl<K> PartitionedBulkhead<K> {
    pub(crate) fn parent(&self) -> &Arc<PartitionParent> {
        &self.map.parent
    }

    /// The bulkhead's name.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.parent().label
    }

    /// How many operations may run at once in a partition, where `limits_for` does not say otherwise.
    #[must_use]
    pub fn parallelism(&self) -> usize {
        self.map.limits().default.parallelism as usize
    }

    /// How many operations may wait in a partition, where `limits_for` does not say otherwise.
    #[must_use]
    pub fn waiting_room(&self) -> usize {
        self.map.limits().default.waiting_room as usize
    }

    /// The longest time one operation may wait.
    #[must_use]
    pub fn wait_limit(&self) -> Option<Duration> {
        self.parent().wait_limit
    }

    /// How many partitions may be retained.
    #[must_use]
    pub fn max_partitions(&self) -> usize {
        self.map.settings.max_partitions
    }

    /// How long a partition is retained idle.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.map.settings.idle_timeout
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
