//! The status of a map: a sum over all partitions, and what they share.

use std::{hash::Hash, time::Duration};

use tokio::time::Instant;

use super::{map::PartitionMap, shard::Sum};
use crate::{
    core::{
        clock::{self, Nanos},
        gate::effects::Effects,
    },
    observe::partitions::{PartitionGauges, PartitionedStatus, TotalStatus},
};

impl<K: Hash + Eq + Clone + Send + Sync + 'static> PartitionMap<K> {
    /// Sums over all partitions, present and removed, each read at one instant.
    pub(super) fn status(&self) -> PartitionedStatus {
        let mut effects = Effects::default();
        let status = self.status_leaving(&mut effects);
        effects.carry_out();
        status
    }

    /// Leaves the effects to the caller: whoever has waited too long is woken once no lock is held.
    fn status_leaving(&self, effects: &mut Effects) -> PartitionedStatus {
        let _guard = self.status_lock.lock();
        // Before the sums: in a closed bulkhead, the number of running operations can only have decreased since.
        let phase = self.phase();
        let root_gate = self.parent.root_gate.snapshot(None);
        let taken_at = root_gate.taken_at;
        let mut sum = Sum { totals: root_gate.totals, ..Sum::default() };
        for shard in self.shards.all() {
            shard.sum(taken_at, effects, |some| sum.add(&some));
        }
        let (times, lost_waits) = {
            let times = self.parent.records().times.lock();
            (times.snapshot(), times.lost_waits())
        };
        sum.totals.cancelled_wait_time = lost_waits.cancelled;
        sum.totals.expired_wait_time = lost_waits.expired;
        let total = self.total_status(taken_at);
        let creation = self.creation.lock();
        let (counts, settings) = (creation.counts, creation.settings);
        let retained = counts.retained().saturating_sub(sum.removed_by_close as usize);
        PartitionedStatus {
            label: self.parent.label.clone(),
            instance: self.instance,
            sequence: root_gate.sequence,
            parallelism: settings.usual.parallelism as usize,
            waiting_room: settings.usual.waiting_room as usize,
            wait_limit: self.parent.wait_limit().get(),
            total,
            max_partitions: settings.max_partitions,
            idle_timeout: settings.idle_timeout,
            overrides: creation.overrides.len(),
            partitions: retained,
            // Partitions are read one after another while others come and go, so the sum may exceed the number
            // that exists at one instant.
            active_partitions: sum.active.min(retained),
            in_flight: sum.in_flight,
            waiting: sum.waiting,
            is_paused: phase.is_paused(),
            is_draining: phase.is_draining(),
            // A close closes every partition first and the root gate last.
            is_closed: phase.is_closed() && root_gate.phase.is_closed(),
            created: counts.created,
            evicted: counts.evicted + sum.removed_by_close,
            discarded: counts.discarded,
            peak_partitions: counts.peak,
            totals: sum.totals,
            taken_at,
            age: taken_at.saturating_duration_since(self.created_at),
            partitions_under_pressure: sum.under_pressure,
            current_pressure: sum.current_pressure,
            waits: times.waits,
            patience: times.patience,
            holds: times.holds,
        }
    }

    pub(super) fn gauges(&self) -> PartitionGauges {
        let (mut partitions, mut active_partitions) = (0, 0);
        for shard in self.shards.all() {
            let (all, active) = shard.lock().counts();
            partitions += all;
            active_partitions += active;
        }
        PartitionGauges {
            partitions,
            active_partitions,
            max_partitions: self.settings().max_partitions,
            total: self.total_status(clock::now()),
        }
    }

    fn total_status(&self, now: Instant) -> Option<TotalStatus> {
        let pool = self.parent.records.pool.as_ref()?.snapshot(Nanos::at(now));
        Some(TotalStatus {
            parallelism: pool.state.limits.capacity as usize,
            waiting_room: pool.state.limits.room as usize,
            in_flight: pool.state.used as usize,
            waiting: pool.state.waiting as usize,
            waiting_keys: pool.state.waiting_members as usize,
            guaranteed: usize::try_from(pool.state.guaranteed).unwrap_or(usize::MAX),
            peak_in_flight: pool.state.peaks.used as usize,
            peak_waiting: pool.state.peaks.waiting as usize,
            peak_waiting_keys: pool.state.peaks.waiting_members as usize,
            pressure: Duration::from_nanos(pool.pressure),
        })
    }
}
