//! What a request asks for: the first choice of a layer.
//!
//! It owns the ways to a compartment and a cost, with the request or without it. It admits nobody:
//! the service does.

use std::{fmt, hash::Hash};

use super::{
    extract::{CostExtractor, KeyExtractor, MissingKey},
    shared::Shared,
};
use crate::{
    bulkhead::{
        compartment::{Compartment, LazyHandle},
        partitioned::PartitionedBulkhead,
        plain::Bulkhead,
        weighted::WeightedBulkhead,
    },
    core::{
        operation::handle::WaitPolicy,
        rejection::{Rejection, reason::RejectionReason},
    },
    sync::Arc,
};

/// The compartment to ask at, and for how many units.
#[derive(Debug)]
pub struct Target<'a> {
    pub(super) handle: LazyHandle<'a>,
    pub(super) cost: usize,
}

impl<'a> Target<'a> {
    #[inline]
    fn of(compartment: &'a Arc<Compartment>, cost: usize) -> Self {
        Self { handle: LazyHandle::Borrowed(compartment), cost }
    }
}

/// The way of a request: through a door, or past all of them.
#[derive(Debug)]
pub enum Route<'a> {
    /// Through this door.
    Through(Target<'a>),
    /// Past the bulkhead.
    Bypass,
}

/// Something that may be admitted.
pub trait Admit {
    /// Counts a request that was let past.
    fn count_bypass(&self);
}

/// An admission that is known before its request.
pub trait AdmitWithoutRequest {
    /// The door of every request.
    fn target(&self, policy: WaitPolicy) -> Result<Target<'_>, Rejection>;
}

/// An admission that a request may have a say in.
pub trait AdmitByRequest<Request>: Admit {
    /// The way of this request.
    fn route(&self, request: &Request, policy: WaitPolicy) -> Result<Route<'_>, Rejection>;
}

/// One slot of one bulkhead for every request.
#[derive(Clone, Debug)]
pub struct Plain {
    pub(super) bulkhead: Bulkhead,
}

impl Admit for Plain {
    fn count_bypass(&self) {
        self.bulkhead.compartment().count_bypass();
    }
}

impl AdmitWithoutRequest for Plain {
    #[inline]
    fn target(&self, _: WaitPolicy) -> Result<Target<'_>, Rejection> {
        Ok(Target::of(self.bulkhead.compartment(), 1))
    }
}

impl<Request> AdmitByRequest<Request> for Plain {
    fn route(&self, _: &Request, policy: WaitPolicy) -> Result<Route<'_>, Rejection> {
        self.target(policy).map(Route::Through)
    }
}

/// The same cost for every request.
#[derive(Clone, Copy, Debug)]
pub struct FixedCost(pub(super) usize);

/// Units of one weighted bulkhead.
#[derive(Clone, Debug)]
pub struct Weighted<C> {
    pub(super) bulkhead: WeightedBulkhead,
    pub(super) cost: C,
}

impl<C> Admit for Weighted<C> {
    fn count_bypass(&self) {
        self.bulkhead.compartment().count_bypass();
    }
}

impl AdmitWithoutRequest for Weighted<FixedCost> {
    #[inline]
    fn target(&self, _: WaitPolicy) -> Result<Target<'_>, Rejection> {
        Ok(Target::of(self.bulkhead.compartment(), self.cost.0))
    }
}

impl<Request> AdmitByRequest<Request> for Weighted<FixedCost> {
    fn route(&self, _: &Request, policy: WaitPolicy) -> Result<Route<'_>, Rejection> {
        self.target(policy).map(Route::Through)
    }
}

impl<Request, X: CostExtractor<Request>> AdmitByRequest<Request> for Weighted<Shared<X>> {
    fn route(&self, request: &Request, _: WaitPolicy) -> Result<Route<'_>, Rejection> {
        let cost = self.cost.cost(request);
        Ok(Route::Through(Target::of(self.bulkhead.compartment(), cost)))
    }
}

/// The same key for every request.
#[derive(Clone)]
pub struct FixedKey<K>(pub(super) K);

/// A key that is read off the request.
pub struct ExtractedKey<K, X> {
    pub(super) extractor: Shared<X>,
    pub(super) missing: MissingKey<K>,
}

impl<K: Clone, X> Clone for ExtractedKey<K, X> {
    fn clone(&self) -> Self {
        Self { extractor: self.extractor.clone(), missing: self.missing.clone() }
    }
}

impl<K> fmt::Debug for FixedKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedKey(..)")
    }
}

impl<K, X> fmt::Debug for ExtractedKey<K, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFrom")
            .field("extractor", &self.extractor)
            .field("missing", &self.missing)
            .finish()
    }
}

/// A slot of the partition of a key.
pub struct Partitioned<K, X> {
    pub(super) bulkhead: PartitionedBulkhead<K>,
    pub(super) key: X,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, X> Partitioned<K, X> {
    #[inline]
    fn at(&self, key: &K, policy: WaitPolicy) -> Result<Target<'_>, Rejection> {
        let handle = self.bulkhead.enter(key, policy)?;
        Ok(Target { handle: LazyHandle::Pinned(handle), cost: 1 })
    }
}

impl<K, X: Clone> Clone for Partitioned<K, X> {
    fn clone(&self) -> Self {
        Self { bulkhead: self.bulkhead.clone(), key: self.key.clone() }
    }
}

impl<K, X: fmt::Debug> fmt::Debug for Partitioned<K, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitioned")
            .field("bulkhead", &self.bulkhead)
            .field("key", &self.key)
            .finish()
    }
}

impl<K, X> Admit for Partitioned<K, X> {
    fn count_bypass(&self) {
        self.bulkhead.parent().count_bypass();
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> AdmitWithoutRequest
    for Partitioned<K, FixedKey<K>>
{
    fn target(&self, policy: WaitPolicy) -> Result<Target<'_>, Rejection> {
        self.at(&self.key.0, policy)
    }
}

impl<Request, K> AdmitByRequest<Request> for Partitioned<K, FixedKey<K>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
{
    fn route(&self, _: &Request, policy: WaitPolicy) -> Result<Route<'_>, Rejection> {
        self.target(policy).map(Route::Through)
    }
}

impl<Request, K, X> AdmitByRequest<Request> for Partitioned<K, ExtractedKey<K, X>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    X: KeyExtractor<Request, K>,
{
    fn route(&self, request: &Request, policy: WaitPolicy) -> Result<Route<'_>, Rejection> {
        let key = self.key.extractor.key(request);
        match (&key, &self.key.missing) {
            (Some(key), _) | (None, MissingKey::Use(key)) => {
                self.at(key, policy).map(Route::Through)
            }
            (None, MissingKey::Bypass) => Ok(Route::Bypass),
            (None, MissingKey::Reject) => {
                Err(self.bulkhead.parent().reject(RejectionReason::MissingKey))
            }
        }
    }
}
