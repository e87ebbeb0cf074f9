//! `RegistryConfig`: the settings of all bulkheads as plain values, such as those of a file.
//!
//! It owns the values. `build` makes a registry of them, and `plan` what would change in one that is in use. With feature
//! `serde` they can be read from any format: see `integrations`.

pub(super) mod build;
pub(super) mod plan;

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    bulkhead::{
        builder::{BulkheadBuilder, WeightedBulkheadBuilder},
        change::{Change, PartitionedChange, WeightedChange},
        error::ConfigError,
        partitioned::{PartitionedBulkhead, PartitionedBulkheadBuilder},
        plain::Bulkhead,
        weighted::WeightedBulkhead,
    },
    registry::error::RegistryError,
    sync::Arc,
};

/// How long an idle partition is retained unless something else is configured, as in the builder.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// The settings of all bulkheads of a registry, by label.
///
/// With feature `serde` it is read from any format, such as TOML:
///
/// ```toml
/// [bulkheads.payments]
/// kind = "plain"
/// parallelism = 10
/// waiting_room = 50
/// wait_limit = "2s"
///
/// [bulkheads.customers]
/// kind = "partitioned"
/// parallelism = 3
/// max_partitions = 1000
/// ```
///
/// An entry is the whole of a bulkhead: what is absent in it is the default of the builder. Durations have a unit, such as
/// "250ms" or "1m 30s". Unknown fields, and labels that come twice, are errors that name the label, the field and the value.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use bulklink::{BulkheadConfig, BulkheadRegistry, RegistryConfig};
///
/// let mut config = RegistryConfig::new();
/// config.insert("payments", BulkheadConfig::plain(10).waiting_room(50))?;
/// let registry = BulkheadRegistry::configure(config.clone()).build()?;
///
/// config.insert("payments", BulkheadConfig::plain(20).waiting_room(50).wait_limit(Duration::from_secs(2)))?;
/// let plan = registry.plan(&config)?;
/// assert_eq!(plan.to_string(), "bulkhead \"payments\": parallelism 10 to 20, wait_limit none to 2s\n");
/// registry.apply(plan)?;
/// assert_eq!(registry.get::<bulklink::Bulkhead>("payments")?.parallelism(), 20);
/// # Ok::<(), bulklink::RegistryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryConfig {
    bulkheads: BTreeMap<Arc<str>, BulkheadConfig>,
}

impl RegistryConfig {
    /// Returns a configuration without bulkheads.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the settings of the bulkhead with this label, which is trimmed. Returns those it had before, if it had any.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if the trimmed label is empty.
    pub fn insert(
        &mut self,
        label: impl AsRef<str>,
        config: BulkheadConfig,
    ) -> Result<Option<BulkheadConfig>, RegistryError> {
        match label.as_ref().trim() {
            "" => Err(ConfigError::EmptyLabel.into()),
            label => Ok(self.bulkheads.insert(label.into(), config)),
        }
    }

    /// Removes the bulkhead with this label, which is trimmed. Returns its settings, if it had any.
    pub fn remove(&mut self, label: &str) -> Option<BulkheadConfig> {
        self.bulkheads.remove(label.trim())
    }

    /// Returns the settings of the bulkhead with this label, which is trimmed.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&BulkheadConfig> {
        self.bulkheads.get(label.trim())
    }

    /// Returns the labels with the settings of their bulkheads, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BulkheadConfig)> {
        self.bulkheads.iter().map(|(label, config)| (&**label, config))
    }
}

/// The kind of a bulkhead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BulkheadKind {
    /// A [`Bulkhead`].
    Plain,
    /// A [`WeightedBulkhead`].
    Weighted,
    /// A [`PartitionedBulkhead`].
    Partitioned,
}

impl BulkheadKind {
    /// Returns the name of the kind, as configurations use it. It is stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Weighted => "weighted",
            Self::Partitioned => "partitioned",
        }
    }

    /// Returns the name of the setting that bounds how much runs at once.
    pub(crate) const fn capacity_name(self) -> &'static str {
        match self {
            Self::Plain | Self::Partitioned => "parallelism",
            Self::Weighted => "capacity",
        }
    }
}

/// The settings of one bulkhead of any kind. They are validated when they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkheadConfig {
    pub(super) kind: BulkheadKind,
    /// The parallelism, or the capacity of a weighted bulkhead.
    pub(super) capacity: usize,
    pub(super) waiting_room: usize,
    pub(super) wait_limit: Option<Duration>,
    /// 0 unless the bulkhead is partitioned.
    pub(super) max_partitions: usize,
    /// The default unless the bulkhead is partitioned.
    pub(super) idle_timeout: Duration,
    /// Both only if the bulkhead is partitioned.
    pub(super) total_parallelism: Option<usize>,
    pub(super) total_waiting_room: Option<usize>,
}

impl BulkheadConfig {
    fn new(kind: BulkheadKind, capacity: usize, max_partitions: usize) -> Self {
        let (waiting_room, wait_limit, idle_timeout) = (0, None, IDLE_TIMEOUT);
        Self {
            kind,
            capacity,
            waiting_room,
            wait_limit,
            max_partitions,
            idle_timeout,
            total_parallelism: None,
            total_waiting_room: None,
        }
    }

    /// Returns the settings of a plain bulkhead in which so many operations may run at once.
    #[must_use]
    pub fn plain(parallelism: usize) -> Self {
        Self::new(BulkheadKind::Plain, parallelism, 0)
    }

    /// Returns the settings of a weighted bulkhead in which so many units may be in use at once.
    #[must_use]
    pub fn weighted(capacity: usize) -> Self {
        Self::new(BulkheadKind::Weighted, capacity, 0)
    }

    /// Returns the settings of a partitioned bulkhead in which so many operations of a key may run at once, and so many
    /// partitions may be retained.
    #[must_use]
    pub fn partitioned(parallelism: usize, max_partitions: usize) -> Self {
        Self::new(BulkheadKind::Partitioned, parallelism, max_partitions)
    }

    /// Sets how many operations may wait. Defaults to 0.
    #[must_use]
    pub fn waiting_room(mut self, operations: usize) -> Self {
        self.waiting_room = operations;
        self
    }

    /// Sets the longest time one operation may wait. Defaults to no limit.
    #[must_use]
    pub fn wait_limit(mut self, limit: Duration) -> Self {
        self.wait_limit = Some(limit);
        self
    }

    /// Sets how long an idle partition is retained. Defaults to 300 seconds. Bulkheads without partitions have no such
    /// setting, and nothing changes.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        if self.kind == BulkheadKind::Partitioned {
            self.idle_timeout = timeout;
        }
        self
    }

    /// Sets how many operations of all keys together may run at once. Not limited unless set. Only a bulkhead that was built
    /// with such a limit can be given another one, and none can lose it. Bulkheads without partitions have no such setting,
    /// and nothing changes.
    #[must_use]
    pub fn total_parallelism(mut self, operations: usize) -> Self {
        if self.kind == BulkheadKind::Partitioned {
            self.total_parallelism = Some(operations);
        }
        self
    }

    /// Sets how many operations of all keys together may wait. Bulkheads without partitions have no such setting, and nothing
    /// changes.
    #[must_use]
    pub fn total_waiting_room(mut self, operations: usize) -> Self {
        if self.kind == BulkheadKind::Partitioned {
            self.total_waiting_room = Some(operations);
        }
        self
    }

    /// Returns the kind of the bulkhead.
    #[must_use]
    pub fn kind(&self) -> BulkheadKind {
        self.kind
    }

    /// Returns the settings by name, with their values as text, in a fixed order.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let limit = self.wait_limit.map_or_else(|| "none".into(), |limit| format!("{limit:?}"));
        let is_partitioned = self.kind == BulkheadKind::Partitioned;
        let of_partitions = [
            ("max_partitions", self.max_partitions.to_string()),
            ("idle_timeout", format!("{:?}", self.idle_timeout)),
        ];
        // Named only where there is one: it comes and goes with the bulkhead.
        let totals = [
            self.total_parallelism.map(|total| ("total_parallelism", total.to_string())),
            self.total_waiting_room.map(|total| ("total_waiting_room", total.to_string())),
        ];
        [
            (self.kind.capacity_name(), self.capacity.to_string()),
            ("waiting_room", self.waiting_room.to_string()),
            ("wait_limit", limit),
        ]
        .into_iter()
        .chain(of_partitions.into_iter().filter(move |_| is_partitioned))
        .chain(totals.into_iter().flatten())
    }

    /// Returns the same settings as those of a bulkhead that was built with them.
    pub(super) fn normalized(&self) -> Self {
        let no_room = self.total_parallelism.map(|_| 0);
        Self { total_waiting_room: self.total_waiting_room.or(no_room), ..self.clone() }
    }

    pub(crate) fn with_totals(
        self,
        parallelism: Option<usize>,
        waiting_room: Option<usize>,
    ) -> Self {
        Self { total_parallelism: parallelism, total_waiting_room: waiting_room, ..self }
    }

    pub(super) fn with_wait(self, waiting_room: usize, wait_limit: Option<Duration>) -> Self {
        Self { waiting_room, wait_limit, ..self }
    }

    pub(super) fn change(&self) -> Change {
        let change = Change::new().parallelism(self.capacity).waiting_room(self.waiting_room);
        match self.wait_limit {
            Some(limit) => change.wait_limit(limit),
            None => change.no_wait_limit(),
        }
    }

    pub(super) fn weighted_change(&self) -> WeightedChange {
        let change = WeightedChange::new().capacity(self.capacity).waiting_room(self.waiting_room);
        match self.wait_limit {
            Some(limit) => change.wait_limit(limit),
            None => change.no_wait_limit(),
        }
    }

    pub(super) fn partitioned_change(&self) -> PartitionedChange {
        let change = PartitionedChange::new().parallelism(self.capacity);
        let change = change.waiting_room(self.waiting_room).max_partitions(self.max_partitions);
        let change = change.idle_timeout(self.idle_timeout);
        let change = change.totals(self.total_parallelism, self.total_waiting_room);
        match self.wait_limit {
            Some(limit) => change.wait_limit(limit),
            None => change.no_wait_limit(),
        }
    }

    pub(super) fn plain_builder(&self, label: &str) -> BulkheadBuilder {
        let builder = Bulkhead::builder(label).parallelism(self.capacity);
        let builder = builder.waiting_room(self.waiting_room);
        match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        }
    }

    pub(super) fn weighted_builder(&self, label: &str) -> WeightedBulkheadBuilder {
        let builder = WeightedBulkhead::builder(label).capacity(self.capacity);
        let builder = builder.waiting_room(self.waiting_room);
        match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        }
    }

    pub(super) fn partitioned_builder<K>(&self, label: &str) -> PartitionedBulkheadBuilder<K>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    {
        let builder = PartitionedBulkhead::builder(label).parallelism(self.capacity);
        let builder = builder.waiting_room(self.waiting_room).max_partitions(self.max_partitions);
        let builder = builder.idle_timeout(self.idle_timeout);
        let builder = builder.totals(self.total_parallelism, self.total_waiting_room);
        match self.wait_limit {
            Some(limit) => builder.wait_limit(limit),
            None => builder,
        }
    }

    /// Returns the error of building a bulkhead with these settings, if there is one.
    fn check(&self, label: &str) -> Result<(), ConfigError> {
        match self.kind {
            BulkheadKind::Plain => self.plain_builder(label).build().map(drop),
            BulkheadKind::Weighted => self.weighted_builder(label).build().map(drop),
            BulkheadKind::Partitioned => self.partitioned_builder::<()>(label).build().map(drop),
        }
    }
}

impl fmt::Display for BulkheadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        self.settings().try_for_each(|(setting, value)| write!(f, ", {setting} {value}"))
    }
}
