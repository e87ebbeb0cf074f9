//! What keeps the traits of a layer's type parameters to the types of this crate, so that the traits can change.

use super::{
    admit::{Partitioned, Plain, Weighted},
    future::{Never, PendingRequest},
    hold::{Lending, OwnSlot, UntilBodyEnd, UntilResponse},
    own_body::{Described, InOwnBody},
    reject::{Decorate, IntoBoxError, IntoError, IntoResponse, OnReject},
    shared::Shared,
    wait_mode::{InReadiness, NoBypass, PerRequest},
};
use crate::bulkhead::slot::LentSlot;

/// Only types of this crate can implement it, because others cannot name it.
pub trait Sealed {}

// What a request is admitted to.
impl Sealed for Plain {}
impl<C> Sealed for Weighted<C> {}
impl<K, X> Sealed for Partitioned<K, X> {}

// Where it waits, and which requests do not.
impl Sealed for InReadiness {}
impl<D, B> Sealed for PerRequest<D, B> {}
impl Sealed for Never {}
impl<S, Req, R, H> Sealed for PendingRequest<S, Req, R, H> {}
impl Sealed for NoBypass {}
impl<T> Sealed for Shared<T> {}

// How a rejection is answered.
impl Sealed for IntoResponse {}
impl<F> Sealed for OnReject<F> {}
impl Sealed for IntoError {}
impl Sealed for IntoBoxError {}
impl<F> Sealed for Decorate<F> {}
impl<R> Sealed for InOwnBody<R> {}
impl<R> Sealed for Described<R> {}

// How long a slot is held, and by whom.
impl Sealed for UntilResponse {}
impl Sealed for UntilBodyEnd {}
impl<H> Sealed for Lending<H> {}
impl Sealed for OwnSlot {}
impl Sealed for LentSlot {}
