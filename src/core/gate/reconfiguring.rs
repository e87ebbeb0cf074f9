//! Changing the settings of a gate while it is in use: its capacity, its waiting room and its wait limit.
//!
//! It owns what a change requires and in which order it takes effect. The values have been checked to be within bounds.

use std::time::Duration;

use crate::{
    core::{
        gate::{
            Gate,
            effects::{Effects, EventKind},
            records::SharedRecords,
            section::Section,
        },
        limits::wait_limit::stored,
        pool::rules::Share,
    },
    sync::Ordering,
};

/// The settings of a gate at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GateSettings {
    pub(crate) capacity: u32,
    pub(crate) room: u32,
    pub(crate) wait_limit: Option<Duration>,
}

/// The settings of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartitionSettings {
    pub(crate) capacity: u32,
    pub(crate) room: u32,
    /// Means something only if the partitions share a capacity.
    pub(crate) share: Share,
}

/// New settings of a gate. What is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GateChange {
    pub(crate) capacity: Option<u32>,
    pub(crate) room: Option<u32>,
    /// Partitions share theirs, so it is not changed through one of them.
    pub(crate) wait_limit: Option<Option<Duration>>,
}

/// Why the settings were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeRefusal {
    Closed,
    /// A waiter has this cost and could never be admitted.
    BelowQueuedCost(u32),
}

impl GateChange {
    /// Returns the settings after this change.
    fn of(&self, before: GateSettings) -> GateSettings {
        GateSettings {
            capacity: self.capacity.unwrap_or(before.capacity),
            room: self.room.unwrap_or(before.room),
            // As it is stored, so that the same value is no change.
            wait_limit: self.wait_limit.map_or(before.wait_limit, stored),
        }
    }
}

impl Gate {
    /// Sets the capacity. The same capacity is no change.
    pub(crate) fn resize(
        &self,
        capacity: u32,
        shared: Option<&SharedRecords>,
    ) -> Result<(), ChangeRefusal> {
        let change = GateChange { capacity: Some(capacity), ..GateChange::default() };
        self.change(&change, EventKind::Resized, shared)
    }

    /// Changes several settings at once, or none of them. The same settings are no change.
    ///
    /// A smaller room throws nobody out. A new wait limit holds for those who join the line from now on.
    pub(crate) fn reconfigure(
        &self,
        change: &GateChange,
        shared: Option<&SharedRecords>,
    ) -> Result<(), ChangeRefusal> {
        self.change(change, EventKind::Reconfigured, shared)
    }

    /// Returns why settings would not be changed now, if so.
    pub(crate) fn check(&self, change: &GateChange) -> Result<(), ChangeRefusal> {
        let mut effects = Effects::default();
        let mut section = Section::enter(self, &mut effects);
        section.look_for_overdue();
        let before = section.settings();
        let refusal = section.check(before, change.of(before));
        section.settle();
        drop(section);
        effects.carry_out();
        refusal
    }

    /// Gives a partition the settings of its key, or refuses the key: newcomers are rejected, and whoever waits is
    /// served. Returns whether that changes anything.
    ///
    /// What is left to do is added to `effects`, because the caller holds a lock of its own.
    pub(crate) fn set_limits(
        &self,
        limits: Option<PartitionSettings>,
        shared: Option<&SharedRecords>,
        effects: &mut Effects,
    ) -> bool {
        let mut section = Section::enter_shared(self, shared, effects);
        let (before, is_refused) = (section.settings(), limits.is_none());
        let after = match limits {
            Some(PartitionSettings { capacity, room, .. }) => {
                GateSettings { capacity, room, ..before }
            }
            None => before,
        };
        let share = limits.map(|limits| limits.share);
        let is_same = after == before
            && is_refused == section.state.is_refused
            && !section.has_other_share(share);
        if is_same || section.state.phase.is_closed() {
            return false;
        }
        section.freeze();
        section.state.is_refused = is_refused;
        section.set(after);
        section.change_in_pool(share);
        section.settle();
        true
    }

    fn change(
        &self,
        change: &GateChange,
        kind: EventKind,
        shared: Option<&SharedRecords>,
    ) -> Result<(), ChangeRefusal> {
        let mut effects = Effects::default();
        let mut section = Section::enter_shared(self, shared, &mut effects);
        section.look_for_overdue();
        let before = section.settings();
        let after = change.of(before);
        let allowed = section.check(before, after);
        if allowed.is_ok() && after != before {
            section.freeze();
            section.set(after);
            section.record(kind, |change| change.previous = Some(before));
        }
        section.settle();
        drop(section);
        effects.carry_out();
        allowed
    }
}

impl Section<'_> {
    /// Returns the settings. A gate that shares its wait limit or admits nothing has none of its own.
    pub(in crate::core) fn settings(&self) -> GateSettings {
        GateSettings {
            capacity: self.state.capacity,
            room: self.gate().room(),
            wait_limit: self.state.records.as_ref().and_then(|own| own.wait_limit.get()),
        }
    }

    fn check(&self, before: GateSettings, after: GateSettings) -> Result<(), ChangeRefusal> {
        if self.state.phase.is_closed() {
            return Err(ChangeRefusal::Closed);
        }
        if self.state.units().is_some() && after.capacity < before.capacity {
            let largest = self.state.lazy.as_ref().and_then(|lazy| lazy.line.largest_cost());
            if let Some(cost) = largest.filter(|&cost| cost > after.capacity) {
                return Err(ChangeRefusal::BelowQueuedCost(cost));
            }
        }
        Ok(())
    }

    fn set(&mut self, GateSettings { capacity, room, wait_limit }: GateSettings) {
        debug_assert!(self.is_frozen(), "the word is not frozen");
        self.state.capacity = capacity;
        self.gate().room.store(room, Ordering::Relaxed);
        match &self.state.records {
            Some(own) => own.wait_limit.set(wait_limit),
            None => debug_assert_eq!(wait_limit, None, "partitions share their wait limit"),
        }
    }
}
