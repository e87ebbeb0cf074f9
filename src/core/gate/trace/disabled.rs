//! The seam without feature `tracing`: nothing is told.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    core::{
        gate::effects::{Change, EventKind},
        rejection::Rejection,
    },
    sync::Arc,
};

/// Nothing to tell.
#[derive(Debug)]
pub(crate) enum Notice {}

impl Notice {
    #[inline(always)]
    pub(crate) fn of_change(_: &Arc<str>, _: &Change) -> Option<Self> {
        None
    }

    #[inline(always)]
    pub(crate) fn of_partitions(_: &Arc<str>, _: EventKind) -> Option<Self> {
        None
    }

    #[inline(always)]
    pub(crate) fn tell_caught(self) {
        match self {}
    }
}

/// Whether changes of this kind are told.
#[inline(always)]
pub(crate) const fn tells(_: EventKind) -> bool {
    false
}

/// Returns the rejection.
#[inline(always)]
pub(crate) fn rejected(rejection: Rejection) -> Rejection {
    rejection
}

/// Remembers nothing.
#[derive(Debug, Default)]
pub(crate) struct PressureLog {}

impl PressureLog {
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        false
    }

    #[inline(always)]
    pub(crate) fn lasting(
        &mut self,
        _: &Arc<str>,
        _: Instant,
        _: Instant,
        _: [u32; 3],
    ) -> Option<Notice> {
        None
    }

    #[inline(always)]
    pub(crate) fn ended(&mut self, _: &Arc<str>, _: Duration) -> Option<Notice> {
        None
    }
}

/// Whether pressure is told.
pub(crate) const TELLS_PRESSURE: bool = false;

/// No span.
#[derive(Debug)]
pub(crate) struct WaitSpan;

impl WaitSpan {
    #[inline(always)]
    pub(crate) const fn none() -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn new(_: &str, _: u32) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn end(&mut self, _: Result<(), &Rejection>) {}
}
