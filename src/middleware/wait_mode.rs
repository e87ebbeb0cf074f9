//! Where a request waits: the second type parameter of a layer.
//!
//! This module owns the options that need the request: its deadline and whether it bypasses the bulkhead.

use super::{
    deadline::{DeadlineSource, NoDeadline, earlier},
    sealed::Sealed,
    shared::Shared,
};
use crate::bulkhead::deadline::Deadline;

/// Waits in `poll_ready`, before the request exists.
#[derive(Clone, Copy, Debug)]
pub struct InReadiness {
    /// Whether it stays pending while the bulkhead is full.
    pub(super) backpressure: bool,
}

impl InReadiness {
    pub(super) const DEFAULT: Self = Self { backpressure: false };
}

/// Waits in the response future, where the request is known.
///
/// `D` is the [`DeadlineSource`] and `B` the [`BypassFilter`] of the layer.
#[derive(Clone, Copy, Debug)]
pub struct PerRequest<D = NoDeadline, B = NoBypass> {
    pub(super) deadline: D,
    pub(super) bypass: B,
}

/// Where a layer waits: [`InReadiness`] or [`PerRequest`].
pub trait WaitMode: Sealed {
    /// The deadline source, [`NoDeadline`] unless set.
    type Deadline;
    /// The bypass, [`NoBypass`] unless set.
    type Bypass;

    /// Converts this mode into [`PerRequest`], keeping its deadline source and bypass.
    fn per_request(self) -> PerRequest<Self::Deadline, Self::Bypass>;
}

impl WaitMode for InReadiness {
    type Deadline = NoDeadline;
    type Bypass = NoBypass;

    fn per_request(self) -> PerRequest {
        PerRequest { deadline: NoDeadline, bypass: NoBypass }
    }
}

impl<D, B> WaitMode for PerRequest<D, B> {
    type Deadline = D;
    type Bypass = B;

    fn per_request(self) -> Self {
        self
    }
}

impl<D, B> PerRequest<D, B> {
    /// Returns the earlier of the source's deadline and `other`.
    pub(super) fn deadline<Request>(
        &self,
        request: &Request,
        other: Option<Deadline>,
    ) -> Option<Deadline>
    where
        D: DeadlineSource<Request>,
    {
        earlier(self.deadline.deadline(request), other)
    }
}

/// Decides which requests bypass the bulkhead.
///
/// It is implemented by [`NoBypass`] and by [`Shared`] closures `Fn(&Request) -> bool`.
pub trait BypassFilter<Request>: Sealed {
    /// Returns whether this request bypasses the bulkhead.
    fn bypasses(&self, request: &Request) -> bool;
}

/// No request bypasses the bulkhead, the default of a layer.
#[derive(Clone, Copy, Debug)]
pub struct NoBypass;

impl<Request> BypassFilter<Request> for NoBypass {
    fn bypasses(&self, _: &Request) -> bool {
        false
    }
}

impl<Request, F: Fn(&Request) -> bool> BypassFilter<Request> for Shared<F> {
    fn bypasses(&self, request: &Request) -> bool {
        self(request)
    }
}
