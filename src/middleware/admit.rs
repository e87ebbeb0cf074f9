//! What a request asks for: the first choice of a layer.
//!
//! It owns the ways to a compartment and a cost, with the request or without it. It admits nobody:
//! the service does.

use super::{extract::CostExtractor, shared::Shared};
use crate::bulkhead::{
    compartment::Tenant, error::Rejection, plain::Bulkhead, weighted::WeightedBulkhead,
};

/// The compartment to ask at, and for how many units.
#[derive(Debug)]
pub struct Door {
    pub(crate) tenant: Tenant,
    pub(crate) cost: usize,
}

/// The way of a request: through a door, or past all of them.
#[derive(Debug)]
pub enum Way {
    /// Through this door.
    Through(Door),
    /// Past the bulkhead.
    Past,
}

/// Something that may be admitted.
pub trait Admit {
    /// Counts a request that was let past.
    fn count_bypass(&self);
}

/// An admission that is known before its request.
pub trait AdmitUnseen: Admit {
    /// The door of every request.
    fn door(&self) -> Result<Door, Rejection>;
}

/// An admission that a request may have a say in.
pub trait AdmitSeen<Request>: Admit {
    /// The way of this request.
    fn way(&self, request: &Request) -> Result<Way, Rejection>;
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
    fn door(&self) -> Result<Door, Rejection> {
        Ok(Door { tenant: self.bulkhead.compartment().into(), cost: 1 })
    }
}

impl<Request> AdmitSeen<Request> for Plain {
    fn way(&self, _: &Request) -> Result<Way, Rejection> {
        self.door().map(Way::Through)
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

impl<C> Weighted<C> {
    fn at(&self, cost: usize) -> Door {
        Door { tenant: self.bulkhead.compartment().into(), cost }
    }
}

impl<C> Admit for Weighted<C> {
    fn count_bypass(&self) {
        self.bulkhead.compartment().count_bypass();
    }
}

impl AdmitUnseen for Weighted<FixedCost> {
    fn door(&self) -> Result<Door, Rejection> {
        Ok(self.at(self.cost.0))
    }
}

impl<Request> AdmitSeen<Request> for Weighted<FixedCost> {
    fn way(&self, _: &Request) -> Result<Way, Rejection> {
        self.door().map(Way::Through)
    }
}

impl<Request, X: CostExtractor<Request>> AdmitSeen<Request> for Weighted<Shared<X>> {
    fn way(&self, request: &Request) -> Result<Way, Rejection> {
        Ok(Way::Through(self.at(self.cost.cost(request))))
    }
}
