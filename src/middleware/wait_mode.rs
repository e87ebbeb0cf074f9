//! Where a request waits: the second choice of a layer.
//!
//! It owns what is known only with the request in hand: its deadline, and whether it is let past.

use super::{
    deadline::{DeadlineSource, NoDeadline, earlier},
    shared::Shared,
};
use crate::bulkhead::deadline::Deadline;

/// In `poll_ready`, before the request exists.
#[derive(Clone, Copy, Debug)]
pub struct InReadiness;

/// In the response future, with the request in hand: `D` says by when, `B` whether at all.
#[derive(Clone, Copy, Debug)]
pub struct PerRequest<D = NoDeadline, B = NoBypass> {
    pub(super) deadline: D,
    pub(super) bypass: B,
}

/// A place to wait, and how to make it one with the request in hand.
pub trait WaitMode {
    /// Its source of deadlines.
    type Deadline;
    /// Its bypass.
    type Bypass;

    /// The same place with the request in hand.
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
    /// The earlier of the source's deadline and `other`.
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

/// Says which requests are let past the bulkhead. Closures `Fn(&Request) -> bool` do.
pub trait Bypass<Request> {
    /// Whether this request is let past.
    fn bypasses(&self, request: &Request) -> bool;
}

/// Nobody is let past.
#[derive(Clone, Copy, Debug)]
pub struct NoBypass;

impl<Request> Bypass<Request> for NoBypass {
    fn bypasses(&self, _: &Request) -> bool {
        false
    }
}

impl<Request, F: Fn(&Request) -> bool> Bypass<Request> for Shared<F> {
    fn bypasses(&self, request: &Request) -> bool {
        self(request)
    }
}
