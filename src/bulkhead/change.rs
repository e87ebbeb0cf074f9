//! `Change` and `WeightedChange`: new settings for a bulkhead that is in use.
//!
//! It owns the values and their validation. What a change does to operations is decided by the gate.

use std::time::Duration;

use super::{compartment::Compartment, error::ResizeError};
use crate::core::{
    MAX_UNITS,
    gate::reconfiguring::{ChangeRefusal, GateChange},
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

/// The settings that a change of any kind may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedSettings {
    pub(super) capacity: Option<usize>,
    pub(super) waiting_room: Option<usize>,
    pub(super) wait_limit: Option<Option<Duration>>,
}

impl Change {
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

/// Implements the settings that plain and weighted bulkheads have in common.
macro_rules! common_settings {
    ($change:ident) => {
        impl $change {
            /// Sets how many operations may wait: at most [`Bulkhead::MAX_CAPACITY`](crate::Bulkhead::MAX_CAPACITY).
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

            pub(super) fn settings(&self) -> &ChangedSettings {
                &self.settings
            }
        }
    };
}

common_settings!(Change);
common_settings!(WeightedChange);

impl Compartment {
    /// Sets the capacity. `setting` is its name in errors.
    pub(crate) fn resize(&self, setting: &'static str, value: usize) -> Result<(), ResizeError> {
        let capacity = self.checked_units(setting, value)?;
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
        let change = self.checked_change(capacity, settings)?;
        let requested = change.capacity.unwrap_or_default() as usize;
        self.gate
            .reconfigure(&change, self.shared())
            .map_err(|refusal| self.refused(refusal, requested))
    }

    fn checked_change(
        &self,
        capacity: &'static str,
        settings: &ChangedSettings,
    ) -> Result<GateChange, ResizeError> {
        let ChangedSettings { capacity: units, waiting_room, wait_limit } = *settings;
        if wait_limit == Some(Some(Duration::ZERO)) {
            let (label, setting) = (self.label().clone(), "wait_limit");
            return Err(ResizeError::ZeroDuration { label, setting });
        }
        Ok(GateChange {
            capacity: units.map(|units| self.checked_units(capacity, units)).transpose()?,
            room: waiting_room
                .map(|room| self.checked_maximum("waiting_room", room))
                .transpose()?,
            wait_limit,
        })
    }

    fn checked_units(&self, setting: &'static str, value: usize) -> Result<u32, ResizeError> {
        match self.checked_maximum(setting, value)? {
            0 => Err(ResizeError::Zero { label: self.label().clone(), setting }),
            value => Ok(value),
        }
    }

    fn checked_maximum(&self, setting: &'static str, value: usize) -> Result<u32, ResizeError> {
        let (label, maximum) = (|| self.label().clone(), MAX_UNITS as usize);
        if value > maximum {
            return Err(ResizeError::TooLarge { label: label(), setting, value, maximum });
        }
        Ok(value as u32)
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
