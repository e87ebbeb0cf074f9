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
        compartment::{Compartment, Doorway},
        partitioned::PartitionedBulkhead,
        plain::Bulkhead,
        weighted::WeightedBulkhead,
    },
    core::{
        operation::handle::Ask,
        rejection::{Rejection, reason::RejectionReason},
    },
    sync::Arc,
};

/// The compartment to ask at, and for how many units.
#[derive(Debug)]
pub struct Door<'a> {
    pub(super) doorway: Doorway<'a>,
    pub(super) cost: usize,
}

impl<'a> Door<'a> {
    #[inline]
    fn of(compartment: &'a Arc<Compartment>, cost: usize) -> Self {
        Self { doorway: Doorway::Open(compartment), cost }
    }
}

/// The way of a request: through a door, or past all of them.
#[derive(Debug)]
pub enum Way<'a> {
    /// Through this door.
    Through(Door<'a>),
    /// Past the bulkhead.
    Past,
}

/// Something that may be admitted.
pub trait Admit {
    /// Counts a request that was let past.
    fn count_bypass(&self);
}

/// An admission that is known before its request.
pub trait AdmitUnseen {
    /// The door of every request.
    fn door(&self, ask: Ask) -> Result<Door<'_>, Rejection>;
}

/// An admission that a request may have a say in.
pub trait AdmitSeen<Request>: Admit {
    /// The way of this request.
    fn way(&self, request: &Request, ask: Ask) -> Result<Way<'_>, Rejection>;
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

impl AdmitUnseen for Plain {
    #[inline]
    fn door(&self, _: Ask) -> Result<Door<'_>, Rejection> {
        Ok(Door::of(self.bulkhead.compartment(), 1))
    }
}

impl<Request> AdmitSeen<Request> for Plain {
    fn way(&self, _: &Request, ask: Ask) -> Result<Way<'_>, Rejection> {
        self.door(ask).map(Way::Through)
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

impl AdmitUnseen for Weighted<FixedCost> {
    #[inline]
    fn door(&self, _: Ask) -> Result<Door<'_>, Rejection> {
        Ok(Door::of(self.bulkhead.compartment(), self.cost.0))
    }
}

impl<Request> AdmitSeen<Request> for Weighted<FixedCost> {
    fn way(&self, _: &Request, ask: Ask) -> Result<Way<'_>, Rejection> {
        self.door(ask).map(Way::Through)
    }
}

impl<Request, X: CostExtractor<Request>> AdmitSeen<Request> for Weighted<Shared<X>> {
    fn way(&self, request: &Request, _: Ask) -> Result<Way<'_>, Rejection> {
        let cost = self.cost.cost(request);
        Ok(Way::Through(Door::of(self.bulkhead.compartment(), cost)))
    }
}

/// The same key for every request.
#[derive(Clone)]
pub struct FixedKey<K>(pub(super) K);

/// A key that is read off the request.
pub struct KeyFrom<K, X> {
    pub(super) extractor: Shared<X>,
    pub(super) missing: MissingKey<K>,
}

impl<K: Clone, X> Clone for KeyFrom<K, X> {
    fn clone(&self) -> Self {
        Self { extractor: self.extractor.clone(), missing: self.missing.clone() }
    }
}

impl<K> fmt::Debug for FixedKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FixedKey(..)")
    }
}

impl<K, X> fmt::Debug for KeyFrom<K, X> {
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
    fn at(&self, key: &K, ask: Ask) -> Result<Door<'_>, Rejection> {
        let tenant = self.bulkhead.enter(key, ask)?;
        Ok(Door { doorway: Doorway::Pinned(tenant), cost: 1 })
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
        self.bulkhead.family().count_bypass();
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> AdmitUnseen for Partitioned<K, FixedKey<K>> {
    fn door(&self, ask: Ask) -> Result<Door<'_>, Rejection> {
        self.at(&self.key.0, ask)
    }
}

impl<Request, K> AdmitSeen<Request> for Partitioned<K, FixedKey<K>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
{
    fn way(&self, _: &Request, ask: Ask) -> Result<Way<'_>, Rejection> {
        self.door(ask).map(Way::Through)
    }
}

impl<Request, K, X> AdmitSeen<Request> for Partitioned<K, KeyFrom<K, X>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    X: KeyExtractor<Request, K>,
{
    fn way(&self, request: &Request, ask: Ask) -> Result<Way<'_>, Rejection> {
        let key = self.key.extractor.key(request);
        match (&key, &self.key.missing) {
            (Some(key), _) | (None, MissingKey::Use(key)) => self.at(key, ask).map(Way::Through),
            (None, MissingKey::Bypass) => Ok(Way::Past),
            (None, MissingKey::Reject) => {
                Err(self.bulkhead.family().reject(RejectionReason::MissingKey))
            }
        }
    }
}
