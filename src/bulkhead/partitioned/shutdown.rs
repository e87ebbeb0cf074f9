//! Pausing, draining and closing a partitioned bulkhead: the public methods.
//!
//! How it reaches every partition is up to `map`.

use std::hash::Hash;

use super::PartitionedBulkhead;
use crate::core::gate::lifecycle::Phase;

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionedBulkhead<K> {
    /// Pauses the bulkhead: no operation is admitted in any partition until it is [resumed](Self::resume).
    ///
    /// Running work continues. Operations join the waiting line of their partition while there is a place, and their limits
    /// run on; one that does not wait or finds no place is rejected as
    /// [`Paused`](crate::RejectionReason::Paused). Paused time does not count as pressure. Does nothing if the bulkhead is
    /// paused, draining or closed.
    ///
    /// The partitions are paused one after another: once this method returns, no operation is admitted.
    pub fn pause(&self) {
        self.map.set_paused(true);
    }

    /// Ends a [pause](Self::pause): admits waiters, in order, before this method returns. Does nothing if the bulkhead is not
    /// paused.
    pub fn resume(&self) {
        self.map.set_paused(false);
    }

    /// Drains the bulkhead: rejects every later operation as [`Closed`](crate::RejectionReason::Closed), serves those in the
    /// waiting lines of all partitions, and closes the bulkhead once nobody waits.
    ///
    /// It ends a pause. Running work continues, and the limits of those who wait run on; [`close`](Self::close) rejects those
    /// who still wait. Draining cannot be undone; draining again, or what is closed, does nothing. Idle partitions and their
    /// keys are dropped at once, the others when their last operation ends.
    pub fn drain(&self) {
        self.map.drain();
    }

    /// Drains the bulkhead, and waits until nobody waits and no operation is running in any partition.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the bulkhead goes on draining. The method may be called again.
    pub async fn drain_and_wait(&self) {
        self.drain();
        self.wait_closed().await;
    }

    /// Waits until [`drain`](Self::drain) or [`close`](Self::close) is called, so that work without an end, such as a stream,
    /// can end itself.
    ///
    /// Any number of callers may wait.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the future may be dropped and the method called again.
    pub async fn closing(&self) {
        self.parent().closing().await;
    }

    /// Closes the bulkhead: rejects all waiters in all partitions, and every later operation.
    ///
    /// Once this method returns, no operation is admitted. Running work continues. Closing is final; closing
    /// again does nothing. Idle partitions and their keys are dropped at once, the others when their last operation ends.
    ///
    /// Takes up to a microsecond for each partition that is retained. No lock is held for longer than a few of them take.
    pub fn close(&self) {
        self.map.close();
    }

    /// Waits until the bulkhead is closed and no operation is running in any partition.
    ///
    /// Any number of callers may wait, and may start before the bulkhead is closed.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: the future may be dropped and the method called again.
    pub async fn wait_closed(&self) {
        self.parent().wait_closed().await;
        for shard in self.map.shards.all() {
            let mut visit = shard.visit();
            while let Some(partitions) = visit.partitions() {
                for partition in partitions {
                    partition.wait_closed().await;
                }
            }
        }
    }

    /// Closes the bulkhead and waits until no operation is running in any partition.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after its first poll, the bulkhead stays closed. The method may be called
    /// again.
    pub async fn close_and_wait(&self) {
        self.close();
        self.wait_closed().await;
    }

    /// Returns `true` if the bulkhead is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.map.phase().is_paused()
    }

    /// Returns `true` if the bulkhead is draining and somebody still waits. Once nobody does, it is closed.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.map.phase().is_draining()
    }

    /// Returns `true` if the bulkhead is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.map.phase().is_closed()
    }

    /// Returns `true` if newcomers are rejected because the bulkhead is draining or closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.map.phase().turns_away()
    }

    /// Returns `true` if the bulkhead admits newcomers.
    pub(crate) fn is_open(&self) -> bool {
        self.map.phase() == Phase::Open
    }
}
