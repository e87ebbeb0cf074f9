//! `RegistryConfigurator`: a registry built from a configuration and what only code can say.
//!
//! It owns the agreement of the two.

use std::{collections::BTreeMap, fmt, hash::Hash};

use super::{BulkheadConfig, BulkheadKind, RegistryConfig};
use crate::{
    bulkhead::partitioned::PartitionedBulkheadBuilder,
    registry::{BulkheadRegistry, error::RegistryError, member::Member, wrong_kind},
    sync::Arc,
};

/// Builds one partitioned bulkhead, whose type of key only code knows.
type Claim = Box<dyn FnOnce(&str, &BulkheadConfig) -> Result<Arc<dyn Member>, RegistryError>>;

/// Builds a [`BulkheadRegistry`] from a [`RegistryConfig`]. Returned by [`BulkheadRegistry::configure`].
#[must_use = "nothing is built until `build` is called"]
pub struct RegistryConfigurator {
    config: RegistryConfig,
    claims: BTreeMap<Arc<str>, Claim>,
    /// A label that was claimed twice.
    claimed_twice: Option<Arc<str>>,
}

impl RegistryConfigurator {
    pub(in crate::registry) fn new(config: RegistryConfig) -> Self {
        Self { config, claims: BTreeMap::new(), claimed_twice: None }
    }

    /// Says what the key of a partitioned bulkhead is, and what else of it comes from code, such as its
    /// [`limits_for`](PartitionedBulkheadBuilder::limits_for). `build` is given a builder with the configured settings.
    ///
    /// Every partitioned bulkhead that is configured needs such a claim, and the other way round.
    pub fn partitioned<K>(
        mut self,
        label: &str,
        build: impl FnOnce(PartitionedBulkheadBuilder<K>) -> PartitionedBulkheadBuilder<K> + 'static,
    ) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let label: Arc<str> = label.trim().into();
        let claim: Claim = Box::new(|label, config| {
            let bulkhead = build(config.partitioned_builder::<K>(label)).build()?;
            Ok(Arc::new(bulkhead))
        });
        if self.claims.insert(label.clone(), claim).is_some() {
            self.claimed_twice = Some(label);
        }
        self
    }

    /// Builds the registry and all of its bulkheads. They are registered in alphabetical order.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if a setting is invalid, a partitioned bulkhead that is configured was not claimed, or
    /// one that was claimed, possibly twice, is not configured or of another kind.
    pub fn build(self) -> Result<BulkheadRegistry, RegistryError> {
        let Self { config, mut claims, claimed_twice } = self;
        if let Some(label) = claimed_twice {
            return Err(RegistryError::LabelTaken { label });
        }
        let registry = BulkheadRegistry::new();
        for (label, entry) in &config.bulkheads {
            let member = match (entry.kind, claims.remove(label)) {
                (BulkheadKind::Partitioned, Some(claim)) => claim(label, entry)?,
                (BulkheadKind::Partitioned, None) => {
                    return Err(RegistryError::Unclaimed { label: label.clone() });
                }
                (kind, Some(_)) => return Err(wrong_kind(label, kind, BulkheadKind::Partitioned)),
                (_, None) => built(label, entry)?,
            };
            registry.add(member)?;
        }
        if let Some((label, _)) = claims.pop_first() {
            return Err(RegistryError::NotConfigured { label });
        }
        registry.configured();
        Ok(registry)
    }
}

/// Builds a bulkhead without partitions.
pub(super) fn built(
    label: &str,
    config: &BulkheadConfig,
) -> Result<Arc<dyn Member>, RegistryError> {
    match config.kind {
        BulkheadKind::Plain => Ok(Arc::new(config.plain_builder(label).build()?)),
        BulkheadKind::Weighted => Ok(Arc::new(config.weighted_builder(label).build()?)),
        BulkheadKind::Partitioned => Err(RegistryError::Unclaimed { label: label.into() }),
    }
}

impl fmt::Debug for RegistryConfigurator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryConfigurator")
            .field("config", &self.config)
            .field("claims", &self.claims.keys().collect::<Vec<_>>())
            .finish()
    }
}
