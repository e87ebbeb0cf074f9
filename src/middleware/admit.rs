//! What a request is admitted to: the first type parameter of a layer.
//!
//! This module maps a request to a compartment and a cost, with or without reading the request. It does not
//! admit the request; the service does.

use std::{fmt, hash::Hash, task::Waker};

use super::{
    extract::{CostExtractor, KeyExtractor, MissingKey},
    sealed::Sealed,
    shared::Shared,
};
use crate::{
    bulkhead::{
        compartment::Compartment,
        handle::{CompartmentHandle, LazyHandle, OwnedHandle},
        partitioned::PartitionedBulkhead,
        plain::Bulkhead,
        weighted::WeightedBulkhead,
    },
    core::{
        gate::within::is_within,
        limits::wait_policy::WaitPolicy,
        operation::{
            arrive::{Entered, Undecided},
            handle::{GateHandle, IntoOwnedHandle},
        },
        rejection::{Rejection, reason::RejectionReason},
    },
    sync::Arc,
};

/// The bulkhead or partition that a request must be admitted to, and the units it needs.
///
/// A target of a partition keeps that partition from being evicted.
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

    /// Whether the request is within a slot of this bulkhead or partition already.
    #[inline]
    pub(super) fn is_within(&self) -> bool {
        is_within(self.handle.gate())
    }

    pub(super) fn count_nested(&self) {
        self.handle.compartment().count_nested();
    }

    /// Keeps the target of a request that is within a slot of it.
    #[cold]
    pub(super) fn into_nested(self, policy: WaitPolicy) -> Box<Nested> {
        Box::new(Nested { handle: self.handle.into_owned(), cost: self.cost, policy })
    }
}

/// A request that was within a slot of its target when the layer was called.
#[derive(Debug)]
pub(super) struct Nested {
    handle: OwnedHandle,
    cost: usize,
    policy: WaitPolicy,
}

impl Nested {
    /// Whether it still is. It is not if its future was moved out of the request that it was within.
    pub(super) fn is_within(&self) -> bool {
        is_within(self.handle.gate())
    }

    pub(super) fn count(&self) {
        self.handle.compartment().count_nested();
    }

    /// Arrives after all, like any other request.
    pub(super) fn arrive(self, waker: &Waker) -> Result<Entered<OwnedHandle>, Rejection> {
        let Self { handle, cost, policy } = self;
        Undecided::new(handle, cost, policy).arrive(waker)
    }
}

/// The route of a request: through admission, or around the bulkhead.
#[derive(Debug)]
pub enum Route<'a> {
    /// The request must be admitted to this target.
    Through(Target<'a>),
    /// The request bypasses the bulkhead.
    Bypass,
}

/// What every `A` of a layer has in common.
pub trait Admit: Sealed {
    /// Counts a request that bypassed the bulkhead.
    fn count_bypass(&self);
}

/// Tells how loaded that is which requests are admitted to.
///
/// [`AdmissionService::load`](crate::AdmissionService::load) requires this of its `A`. It is implemented by [`Plain`], by
/// [`Weighted`] and by [`Partitioned`] with a [`FixedKey`].
pub trait MeasureLoad: Sealed {
    /// Returns the units in use or waited for, without `own` ones, divided by the capacity. Infinite while a request would
    /// be rejected.
    fn load_without(&self, own: usize) -> f64;
}

/// Finds the target of requests without reading them.
///
/// A layer that waits [in readiness](crate::layer::InReadiness) requires this of its `A`. It is implemented
/// by [`Plain`], by [`Weighted`] with a [`FixedCost`] and by [`Partitioned`] with a [`FixedKey`].
pub trait AdmitWithoutRequest: Sealed {
    /// Returns the target of every request.
    ///
    /// # Errors
    ///
    /// Returns the [`Rejection`] if the fixed key has no partition and none can be created.
    fn target(&self, policy: WaitPolicy) -> Result<Target<'_>, Rejection>;
}

/// Finds the target of a request, or lets it bypass the bulkhead.
///
/// A layer that waits [per request](crate::layer::PerRequest) requires this of its `A`.
pub trait AdmitByRequest<Request>: Admit {
    /// Returns the route of this request.
    ///
    /// # Errors
    ///
    /// Returns the [`Rejection`] if the request has no key and [`MissingKey::Reject`] applies, or if its key
    /// has no partition and none can be created.
    fn route(&self, request: &Request, policy: WaitPolicy) -> Result<Route<'_>, Rejection>;
}

/// Admits requests to a [`Bulkhead`]: each needs one slot.
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

impl MeasureLoad for Plain {
    fn load_without(&self, own: usize) -> f64 {
        self.bulkhead.compartment().load_without(own, 1)
    }
}

/// A cost that is the same for all requests.
#[derive(Clone, Copy, Debug)]
pub struct FixedCost(pub(super) usize);

/// Admits requests to a [`WeightedBulkhead`]: `C` determines how many units each needs.
///
/// `C` is a [`FixedCost`] or a [`Shared`] [`CostExtractor`].
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

impl MeasureLoad for Weighted<FixedCost> {
    fn load_without(&self, own: usize) -> f64 {
        self.bulkhead.compartment().load_without(own, self.cost.0)
    }
}

/// What the next request costs is not known, so the cheapest one is meant.
impl<X> MeasureLoad for Weighted<Shared<X>> {
    fn load_without(&self, own: usize) -> f64 {
        self.bulkhead.compartment().load_without(own, 1)
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

/// A key that is the same for all requests.
#[derive(Clone)]
pub struct FixedKey<K>(pub(super) K);

/// A key that the extractor `X` reads from the request.
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
        f.debug_struct("ExtractedKey")
            .field("extractor", &self.extractor)
            .field("missing", &self.missing)
            .finish()
    }
}

/// Admits requests to a [`PartitionedBulkhead`]: each needs one slot of its key's partition.
///
/// `X` is a [`FixedKey`] or an [`ExtractedKey`].
pub struct Partitioned<K, X> {
    pub(super) bulkhead: PartitionedBulkhead<K>,
    pub(super) key: X,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static, X> Partitioned<K, X> {
    #[inline]
    fn target_of(&self, key: &K, policy: WaitPolicy) -> Result<Target<'_>, Rejection> {
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
        self.target_of(&self.key.0, policy)
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> MeasureLoad for Partitioned<K, FixedKey<K>> {
    fn load_without(&self, own: usize) -> f64 {
        match self.bulkhead.peek(&self.key.0) {
            Some(partition) => partition.load_without(own, 1),
            // Nobody uses a partition that does not exist.
            None if self.bulkhead.is_open() => 0.0,
            None => f64::INFINITY,
        }
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
                self.target_of(key, policy).map(Route::Through)
            }
            (None, MissingKey::Bypass) => Ok(Route::Bypass),
            (None, MissingKey::Reject) => {
                Err(self.bulkhead.parent().count_rejected(RejectionReason::MissingKey))
            }
        }
    }
}
