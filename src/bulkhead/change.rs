//! `Change`, `WeightedChange` and `PartitionedChange`: new settings for a bulkhead that is in use.
//!
//! It owns the values and their validation. What a change does to operations is decided by the gate.

use std::time::Duration;

use super::{compartment::Compartment, error::ResizeError};
use crate::{
    core::{
        MAX_UNITS,
        gate::reconfiguring::{ChangeRefusal, GateChange},
        pool::rules::MAX_TOTAL,
    },
    sync::Arc,
};

/// New settings for a [`Bulkhead`](crate::Bulkhead), made by [`reconfigure`](crate::Bulkhead::reconfigure). What is not
/// named stays as it is.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use bulklink::{Bulkhead, Change};
///
/// let payments = Bulkhead::builder("payments").parallelism(10).waiting_room(50).build()?;
/// payments.reconfigure(Change::new().parallelism(20).wait_limit(Duration::from_secs(1)))?;
/// assert_eq!((payments.parallelism(), payments.waiting_room()), (20, 50));
///
/// let error = payments.reconfigure(Change::new().parallelism(0).waiting_room(5)).unwrap_err();
/// assert_eq!(error.to_string(), "bulkhead \"payments\": parallelism 0 is not allowed, the minimum is 1");
/// assert_eq!((payments.parallelism(), payments.waiting_room()), (20, 50));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a change does nothing until it is passed to `reconfigure`"]
pub struct Change {
    settings: ChangedSettings,
}

/// New settings for a [`WeightedBulkhead`](crate::WeightedBulkhead), made by
/// [`reconfigure`](crate::WeightedBulkhead::reconfigure). What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a change does nothing until it is passed to `reconfigure`"]
pub struct WeightedChange {
    settings: ChangedSettings,
}

/// New settings for a [`PartitionedBulkhead`](crate::PartitionedBulkhead), made by
/// [`reconfigure`](crate::PartitionedBulkhead::reconfigure). What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a change does nothing until it is passed to `reconfigure`"]
pub struct PartitionedChange {
    settings: ChangedSettings,
    max_partitions: Option<usize>,
    idle_timeout: Option<Duration>,
    total_parallelism: Option<usize>,
    total_waiting_room: Option<usize>,
    /// Whether the keys are to share nothing.
    removes_total: bool,
}

/// A change of a partitioned bulkhead that has been checked.
pub(super) struct CheckedPartitionedChange {
    pub(super) parallelism: Option<u32>,
    pub(super) waiting_room: Option<u32>,
    pub(super) wait_limit: Option<Option<Duration>>,
    pub(super) max_partitions: Option<usize>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) total_parallelism: Option<u32>,
    pub(super) total_waiting_room: Option<u32>,
}

/// The settings that a change of any kind may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedSettings {
    pub(super) capacity: Option<usize>,
    pub(super) waiting_room: Option<usize>,
    pub(super) wait_limit: Option<Option<Duration>>,
}

impl Change {
    pub(super) fn settings(&self) -> &ChangedSettings {
        &self.settings
    }

    /// Creates a change that names no setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many operations may run at once: at least 1 and at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY).
    pub fn parallelism(mut self, operations: usize) -> Self {
        self.settings.capacity = Some(operations);
        self
    }
}

impl WeightedChange {
    pub(super) fn settings(&self) -> &ChangedSettings {
        &self.settings
    }

    /// Creates a change that names no setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many units may be in use at once: at least 1 and at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY), and not below the largest cost in the waiting line.
    pub fn capacity(mut self, units: usize) -> Self {
        self.settings.capacity = Some(units);
        self
    }
}

impl PartitionedChange {
    /// Creates a change that names no setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many operations may run at once in a partition: at least 1 and at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY).
    pub fn parallelism(mut self, operations: usize) -> Self {
        self.settings.capacity = Some(operations);
        self
    }

    /// Sets how many partitions may be retained: at least 1 and at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY).
    ///
    /// How many locks the partitions are spread over is determined when the bulkhead is built, by the number given then.
    pub fn max_partitions(mut self, partitions: usize) -> Self {
        self.max_partitions = Some(partitions);
        self
    }

    /// Sets how long an idle partition is retained, which must not be zero.
    ///
    /// If partitions were retained indefinitely before, those that are idle now count as idle since now.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Sets how many operations of all keys together may run at once: at least 1 and at most
    /// [`MAX_TOTAL_PARALLELISM`](crate::PartitionedBulkhead::MAX_TOTAL_PARALLELISM). Only if the bulkhead was built with one.
    pub fn total_parallelism(mut self, operations: usize) -> Self {
        self.total_parallelism = Some(operations);
        self
    }

    /// Sets how many operations of all keys together may wait: at most
    /// [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY). Only if the bulkhead was built with a `total_parallelism`.
    pub fn total_waiting_room(mut self, operations: usize) -> Self {
        self.total_waiting_room = Some(operations);
        self
    }

    /// Sets what all keys share, or that they share nothing.
    pub(crate) fn totals(self, parallelism: Option<usize>, waiting_room: Option<usize>) -> Self {
        Self {
            removes_total: parallelism.is_none(),
            total_parallelism: parallelism,
            total_waiting_room: waiting_room,
            ..self
        }
    }

    pub(super) fn checked(
        &self,
        label: &Arc<str>,
        shares: bool,
    ) -> Result<CheckedPartitionedChange, ResizeError> {
        let ChangedSettings { capacity, waiting_room, wait_limit } = self.settings;
        check_duration(label, "wait_limit", wait_limit.flatten())?;
        check_duration(label, "idle_timeout", self.idle_timeout)?;
        let units = |setting, value: Option<usize>| {
            value.map(|value| checked_units(label, setting, value)).transpose()
        };
        let total = [
            ("total_parallelism", self.total_parallelism),
            ("total_waiting_room", self.total_waiting_room),
        ];
        let named = total.into_iter().find_map(|(setting, value)| Some((setting, value?)));
        if let (false, Some((setting, value))) = (shares, named) {
            return Err(ResizeError::WithoutTotal { label: label.clone(), setting, value });
        }
        if self.removes_total && shares {
            return Err(ResizeError::TotalRemoved { label: label.clone() });
        }
        Ok(CheckedPartitionedChange {
            total_parallelism: self
                .total_parallelism
                .map(|value| checked_total(label, value))
                .transpose()?,
            total_waiting_room: self
                .total_waiting_room
                .map(|value| checked_maximum(label, "total_waiting_room", value))
                .transpose()?,
            parallelism: units("parallelism", capacity)?,
            waiting_room: waiting_room
                .map(|room| checked_maximum(label, "waiting_room", room))
                .transpose()?,
            wait_limit,
            max_partitions: units("max_partitions", self.max_partitions)?.map(|most| most as usize),
            idle_timeout: self.idle_timeout,
        })
    }
}

/// Implements the settings that bulkheads of all kinds have in common.
macro_rules! common_settings {
    ($change:ident) => {
        impl $change {
            /// Sets how many operations may wait, in a partitioned bulkhead in a partition: at most [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY).
            ///
            /// A room smaller than the line rejects none of its waiters: no operation joins until there is a place.
            pub fn waiting_room(mut self, operations: usize) -> Self {
                self.settings.waiting_room = Some(operations);
                self
            }

            /// Sets the longest time one operation may wait, which must not be zero.
            ///
            /// It holds for operations that join the waiting line from now on. Those in line keep theirs.
            pub fn wait_limit(mut self, limit: Duration) -> Self {
                self.settings.wait_limit = Some(Some(limit));
                self
            }

            /// Removes the wait limit, for operations that join the waiting line from now on.
            pub fn no_wait_limit(mut self) -> Self {
                self.settings.wait_limit = Some(None);
                self
            }
        }
    };
}

common_settings!(Change);
common_settings!(WeightedChange);
common_settings!(PartitionedChange);

impl Compartment {
    /// Sets the capacity. `setting` is its name in errors.
    pub(crate) fn resize(&self, setting: &'static str, value: usize) -> Result<(), ResizeError> {
        let capacity = checked_units(self.label(), setting, value)?;
        self.gate
            .resize(capacity, self.shared())
            .map_err(|refusal| self.refused(refusal, capacity as usize))
    }

    /// Changes several settings at once. `capacity` is the name of the capacity in errors.
    pub(super) fn reconfigure(
        &self,
        capacity: &'static str,
        settings: &ChangedSettings,
    ) -> Result<(), ResizeError> {
        self.with_change(capacity, settings, |change| self.gate.reconfigure(change, self.shared()))
    }

    /// Returns why settings would not be changed now, if so.
    pub(super) fn check(
        &self,
        capacity: &'static str,
        settings: &ChangedSettings,
    ) -> Result<(), ResizeError> {
        self.with_change(capacity, settings, |change| self.gate.check(change))
    }

    fn with_change(
        &self,
        capacity: &'static str,
        settings: &ChangedSettings,
        act: impl FnOnce(&GateChange) -> Result<(), ChangeRefusal>,
    ) -> Result<(), ResizeError> {
        let change = self.checked_change(capacity, settings)?;
        let requested = change.capacity.unwrap_or_default() as usize;
        act(&change).map_err(|refusal| self.refused(refusal, requested))
    }

    fn checked_change(
        &self,
        capacity: &'static str,
        settings: &ChangedSettings,
    ) -> Result<GateChange, ResizeError> {
        let ChangedSettings { capacity: units, waiting_room, wait_limit } = *settings;
        check_duration(self.label(), "wait_limit", wait_limit.flatten())?;
        Ok(GateChange {
            capacity: units
                .map(|units| checked_units(self.label(), capacity, units))
                .transpose()?,
            room: waiting_room
                .map(|room| checked_maximum(self.label(), "waiting_room", room))
                .transpose()?,
            wait_limit,
        })
    }

    fn refused(&self, refusal: ChangeRefusal, capacity: usize) -> ResizeError {
        let label = self.label().clone();
        match refusal {
            ChangeRefusal::Closed => ResizeError::Closed { label },
            ChangeRefusal::BelowQueuedCost(cost) => {
                ResizeError::BelowQueuedCost { label, capacity, cost: cost as usize }
            }
        }
    }
}

fn check_duration(
    label: &Arc<str>,
    setting: &'static str,
    duration: Option<Duration>,
) -> Result<(), ResizeError> {
    match duration {
        Some(Duration::ZERO) => Err(ResizeError::ZeroDuration { label: label.clone(), setting }),
        _ => Ok(()),
    }
}

fn checked_units(
    label: &Arc<str>,
    setting: &'static str,
    value: usize,
) -> Result<u32, ResizeError> {
    match checked_maximum(label, setting, value)? {
        0 => Err(ResizeError::of_value(label.clone(), setting, 0)),
        value => Ok(value),
    }
}

fn checked_total(label: &Arc<str>, value: usize) -> Result<u32, ResizeError> {
    let (label, setting, maximum) = (label.clone(), "total_parallelism", MAX_TOTAL as usize);
    match u32::try_from(value) {
        Ok(0) => Err(ResizeError::Zero { label, setting }),
        Ok(value) if value <= MAX_TOTAL => Ok(value),
        _ => Err(ResizeError::TooLarge { label, setting, value, maximum }),
    }
}

fn checked_maximum(
    label: &Arc<str>,
    setting: &'static str,
    value: usize,
) -> Result<u32, ResizeError> {
    match u32::try_from(value) {
        Ok(value) if value <= MAX_UNITS => Ok(value),
        _ => Err(ResizeError::of_value(label.clone(), setting, value)),
    }
}
