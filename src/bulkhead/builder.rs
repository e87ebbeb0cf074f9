//! Builders, and the validation of their settings.

use std::time::Duration;

use super::{
    compartment::Compartment, error::ConfigError, plain::Bulkhead, weighted::WeightedBulkhead,
};
use crate::{core::MAX_UNITS, sync::Arc};

/// Builds a [`Bulkhead`]. Settings are validated by [`build`](Self::build).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use bulklink::Bulkhead;
///
/// let payments = Bulkhead::builder("payments")
///     .parallelism(10)
///     .waiting_room(50)
///     .wait_limit(Duration::from_secs(2))
///     .build()?;
/// assert_eq!(payments.parallelism(), 10);
///
/// let error = Bulkhead::builder("payments").parallelism(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "bulkhead \"payments\": parallelism 0 is not allowed, it must be greater than 0");
/// # Ok::<(), bulklink::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct BulkheadBuilder {
    settings: Settings,
}

impl BulkheadBuilder {
    pub(crate) fn new(label: &str) -> Self {
        Self { settings: Settings::new(label) }
    }

    /// Sets how many operations may run at once: at least 1 and at most [`Bulkhead::MAX_CAPACITY`].
    /// Required.
    pub fn parallelism(mut self, operations: usize) -> Self {
        self.settings.capacity = Some(operations);
        self
    }

    /// Sets how many operations may wait: at most [`Bulkhead::MAX_CAPACITY`]. Defaults to 0.
    pub fn waiting_room(mut self, operations: usize) -> Self {
        self.settings.waiting_room = operations;
        self
    }

    /// Sets the longest time one operation may wait, which must not be zero. Defaults to no limit.
    ///
    /// The line keeps it, as it keeps every deadline: an operation whose time is over has left the line, even if its task does
    /// not poll it, and gets no slot. It learns of it at its next poll. For that its runtime must run; if it is stuck or has
    /// ended, the next operation, release or status keeps the limit instead.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.settings.wait_limit = Some(limit);
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if a setting is missing, zero or too large, which names the setting and
    /// its value, or if the trimmed label is empty.
    pub fn build(self) -> Result<Bulkhead, ConfigError> {
        Ok(Bulkhead::new(self.settings.checked("parallelism")?.compartment(false)))
    }
}

/// Builds a [`WeightedBulkhead`]. Settings are validated by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct WeightedBulkheadBuilder {
    settings: Settings,
}

impl WeightedBulkheadBuilder {
    pub(crate) fn new(label: &str) -> Self {
        Self { settings: Settings::new(label) }
    }

    /// Sets how many units may be in use at once: at least 1 and at most [`Bulkhead::MAX_CAPACITY`].
    /// Required.
    pub fn capacity(mut self, units: usize) -> Self {
        self.settings.capacity = Some(units);
        self
    }

    /// Sets how many operations may wait: at most [`Bulkhead::MAX_CAPACITY`]. Defaults to 0.
    pub fn waiting_room(mut self, operations: usize) -> Self {
        self.settings.waiting_room = operations;
        self
    }

    /// Sets the longest time one operation may wait, which must not be zero. Defaults to no limit.
    ///
    /// The line keeps it, as it keeps every deadline: an operation whose time is over has left the line, even if its task does
    /// not poll it, and gets no slot. It learns of it at its next poll. For that its runtime must run; if it is stuck or has
    /// ended, the next operation, release or status keeps the limit instead.
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.settings.wait_limit = Some(limit);
        self
    }

    /// Builds the bulkhead.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if a setting is missing, zero or too large, which names the setting and
    /// its value, or if the trimmed label is empty.
    pub fn build(self) -> Result<WeightedBulkhead, ConfigError> {
        Ok(WeightedBulkhead::new(self.settings.checked("capacity")?.compartment(true)))
    }
}

/// Settings common to all kinds of bulkheads.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    label: Arc<str>,
    pub(super) capacity: Option<usize>,
    pub(super) waiting_room: usize,
    pub(super) wait_limit: Option<Duration>,
}

impl Settings {
    pub(super) fn new(label: &str) -> Self {
        Self { label: label.trim().into(), capacity: None, waiting_room: 0, wait_limit: None }
    }

    /// Validates the settings. `capacity` is the name of the capacity setting in errors.
    pub(super) fn checked(self, capacity: &'static str) -> Result<CheckedSettings, ConfigError> {
        let Self { label, capacity: units, waiting_room, wait_limit } = self;
        if label.is_empty() {
            return Err(ConfigError::EmptyLabel);
        }
        let units = units
            .ok_or_else(|| ConfigError::Missing { label: label.clone(), setting: capacity })?;
        let capacity = check_not_zero(&label, capacity, units)?;
        let waiting_room = check_maximum(&label, "waiting_room", waiting_room)?;
        check_duration_not_zero(&label, "wait_limit", wait_limit)?;
        Ok(CheckedSettings { label, capacity, waiting_room, wait_limit })
    }
}

/// Settings that have been validated.
pub(super) struct CheckedSettings {
    pub(super) label: Arc<str>,
    pub(super) capacity: u32,
    pub(super) waiting_room: u32,
    pub(super) wait_limit: Option<Duration>,
}

impl CheckedSettings {
    fn compartment(self, weighted: bool) -> Arc<Compartment> {
        let Self { label, capacity, waiting_room, wait_limit } = self;
        Compartment::standalone(&label, capacity, weighted, waiting_room, wait_limit)
    }
}

pub(super) fn check_maximum(
    label: &Arc<str>,
    setting: &'static str,
    value: usize,
) -> Result<u32, ConfigError> {
    let maximum = MAX_UNITS as usize;
    if value > maximum {
        return Err(ConfigError::TooLarge { label: label.clone(), setting, value, maximum });
    }
    Ok(value as u32)
}

pub(super) fn check_not_zero(
    label: &Arc<str>,
    setting: &'static str,
    value: usize,
) -> Result<u32, ConfigError> {
    match check_maximum(label, setting, value)? {
        0 => Err(ConfigError::Zero { label: label.clone(), setting }),
        value => Ok(value),
    }
}

pub(super) fn check_duration_not_zero(
    label: &Arc<str>,
    setting: &'static str,
    value: Option<Duration>,
) -> Result<(), ConfigError> {
    match value {
        Some(Duration::ZERO) => Err(ConfigError::Zero { label: label.clone(), setting }),
        _ => Ok(()),
    }
}
