//! Methods of `BulkheadRegistry` that create layers.

use std::hash::Hash;

use super::{
    admit::{ExtractedKey, Partitioned, Weighted},
    layer::{AdmissionLayer, BulkheadLayer, PartitionedBulkheadLayer, WeightedBulkheadLayer},
    shared::Shared,
    wait_mode::PerRequest,
};
use crate::{
    bulkhead::{partitioned::PartitionedBulkhead, plain::Bulkhead, weighted::WeightedBulkhead},
    registry::{BulkheadRegistry, RegistryError},
};

impl BulkheadRegistry {
    /// Returns a layer for the plain bulkhead `label`.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label, or if the one that has is of another kind.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use bulklink::{Bulkhead, BulkheadRegistry};
    /// # let registry = BulkheadRegistry::new();
    /// registry.create(Bulkhead::builder("payments").parallelism(10))?;
    /// let layer = registry.layer("payments")?.per_request();
    /// let app: Router = Router::new().route("/pay", post(|| async { "paid" })).layer(layer);
    /// # Ok::<(), bulklink::RegistryError>(())
    /// ```
    pub fn layer(&self, label: &str) -> Result<BulkheadLayer, RegistryError> {
        self.get::<Bulkhead>(label).map(|bulkhead| BulkheadLayer::new(&bulkhead))
    }

    /// Returns a layer for the weighted bulkhead `label` in which `cost` determines the cost of a request.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label, or if the one that has is of another kind.
    pub fn weighted_layer<X>(
        &self,
        label: &str,
        cost: X,
    ) -> Result<WeightedBulkheadLayer<Shared<X>, PerRequest>, RegistryError> {
        let bulkhead = self.get::<WeightedBulkhead>(label)?;
        Ok(AdmissionLayer::<Weighted<Shared<X>>, PerRequest>::new(&bulkhead, cost))
    }

    /// Returns a layer for the partitioned bulkhead `label` in which `key` extracts the key of a request.
    ///
    /// # Errors
    ///
    /// Returns a [`RegistryError`] if no bulkhead has this label, or if the one that has is of another kind.
    pub fn partitioned_layer<K, X>(
        &self,
        label: &str,
        key: X,
    ) -> Result<PartitionedBulkheadLayer<K, ExtractedKey<K, X>, PerRequest>, RegistryError>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let bulkhead = self.get::<PartitionedBulkhead<K>>(label)?;
        Ok(AdmissionLayer::<Partitioned<K, ExtractedKey<K, X>>, PerRequest>::new(&bulkhead, key))
    }
}
