//! How long a request's slot is held: the fourth choice of a layer.

use crate::{bulkhead::compartment::Tenant, core::admission::Permit};

/// The slot of a request, or none if it was let past or rejected.
#[derive(Debug)]
pub struct Held(pub(super) Option<Permit<Tenant>>);

impl Held {
    pub(super) const NOTHING: Self = Self(None);
}

/// What becomes of the slot once there is a response.
#[diagnostic::on_unimplemented(
    message = "a slot cannot be held by a `{Response}`",
    note = "`.hold_body()` is for services whose response is an `http::Response`"
)]
pub trait Hold<Response> {
    /// The response as the layer's service gives it.
    type Response;

    /// Passes a response on, with or without the slot.
    fn hold(response: Response, held: Held) -> Self::Response;
}

/// The slot is given back as soon as there is a response.
#[derive(Clone, Copy, Debug)]
pub struct UntilResponse;

impl<Response> Hold<Response> for UntilResponse {
    type Response = Response;

    #[inline]
    fn hold(response: Response, held: Held) -> Response {
        drop(held);
        response
    }
}
