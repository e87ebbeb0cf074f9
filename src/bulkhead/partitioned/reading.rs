//! What can be read of a partitioned bulkhead: its status, and its partitions one by one.

use std::hash::Hash;

use super::PartitionedBulkhead;
use crate::observe::{
    partitions::{PartitionGauges, PartitionShare, PartitionedStatus},
    report::CapacityReport,
    status::BulkheadStatus,
};

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionedBulkhead<K> {
    /// Returns a status of all partitions together, including removed ones.
    ///
    /// Reads every partition, a few at a time, which takes 0.1 to 0.3 microseconds for each that is retained: 0.3 seconds for a
    /// million. [`gauges`](Self::gauges) does not.
    #[must_use]
    pub fn status(&self) -> PartitionedStatus {
        self.map.status()
    }

    /// Assesses everything since the bulkhead was created, over all keys, and the current state of its partitions.
    ///
    /// For what happened of late, see
    /// [`PartitionedInterval::capacity_report`](crate::PartitionedInterval::capacity_report).
    #[must_use]
    pub fn capacity_report(&self) -> CapacityReport {
        self.status().capacity_report()
    }

    /// Returns a snapshot of the partition of `key` at one instant, or `None` if there is no such partition.
    ///
    /// This does not count as a use of the partition.
    #[must_use]
    pub fn partition_status(&self, key: &K) -> Option<BulkheadStatus> {
        self.map.peek(key).map(|partition| partition.status())
    }

    /// Returns what the partition of `key` competes with for the shared capacity, and how much of it it got; `None` if there is
    /// no such partition, or the keys share no capacity.
    ///
    /// This does not count as a use of the partition.
    #[must_use]
    pub fn partition_share(&self, key: &K) -> Option<PartitionShare> {
        let (share, seat_time) = self.map.peek(key)?.share()?;
        let (weight, guaranteed) = (share.weight as usize, share.guaranteed as usize);
        Some(PartitionShare { weight, guaranteed, seat_time })
    }

    /// Returns up to `n` partitions with their keys: those with the most operations running and waiting first, and of equals
    /// those with the most arrivals.
    ///
    /// Reads every partition, a block at a time: the statuses are of instants of their own. Keys appear in no other
    /// output of the crate; what the caller does with these is up to the caller.
    ///
    /// # Examples
    ///
    /// ```
    /// use bulklink::PartitionedBulkhead;
    ///
    /// let customers = PartitionedBulkhead::<&str>::builder("customers")
    ///     .parallelism(3)
    ///     .max_partitions(1_000)
    ///     .build()?;
    /// let slots = [customers.slot_now(&"ann")?, customers.slot_now(&"ann")?, customers.slot_now(&"bob")?];
    /// let busiest = customers.busiest(1);
    /// assert_eq!((busiest[0].0, busiest[0].1.in_flight), ("ann", 2));
    /// # drop(slots);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn busiest(&self, n: usize) -> Vec<(K, BulkheadStatus)> {
        let rank =
            |status: &BulkheadStatus| (status.in_flight + status.waiting, status.totals.arrived());
        let mut busiest: Vec<(K, BulkheadStatus)> = Vec::new();
        self.for_each_partition(|key, status| {
            // Sorted, so that most of many partitions cost one comparison.
            let least = busiest.last().map(|(_, least)| rank(least));
            if busiest.len() >= n && least >= Some(rank(&status)) || n == 0 {
                return;
            }
            let at = busiest.partition_point(|(_, other)| rank(other) >= rank(&status));
            busiest.insert(at, (key.clone(), status));
            busiest.truncate(n);
        });
        busiest
    }

    /// Calls `f` with the key and the status of every partition.
    ///
    /// `f` runs under no lock and may use the bulkhead. The `Clone` of a key runs under a lock of the bulkhead, a few at a time, and
    /// must not use it. Each status is of an instant of its own. Partitions that are created or
    /// removed meanwhile may be left out. This does not count as a use.
    pub fn for_each_partition(&self, mut f: impl FnMut(&K, BulkheadStatus)) {
        for shard in self.map.shards.all() {
            let mut visit = shard.visit();
            while let Some(partitions) = visit.keys_and_partitions() {
                for (key, partition) in partitions {
                    f(&key, partition.status());
                }
            }
        }
    }

    /// Returns how many partitions there are, how many of them are in use, and the capacity that all keys share, without
    /// reading the partitions: it takes microseconds, however many there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # use bulklink::PartitionedBulkhead;
    /// let customers = PartitionedBulkhead::builder("customers").parallelism(3).max_partitions(1_000).build()?;
    /// drop(customers.slot_now(&"ann")?);
    /// let slot = customers.slot_now(&"bob")?;
    /// let gauges = customers.gauges();
    /// assert_eq!((gauges.partitions, gauges.active_partitions), (2, 1));
    /// # drop(slot);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn gauges(&self) -> PartitionGauges {
        self.map.gauges()
    }
}
