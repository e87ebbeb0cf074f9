//! The handles by which operations reach their compartment: borrowed, owned, or owned once there is something to hold.
//!
//! It owns the pin that a handle of a partition holds, and the waker of a gate's alarm.

use std::task::{Wake, Waker};

use super::compartment::Compartment;
use crate::{
    core::{
        gate::{Gate, records::SharedRecords, sampling::HandOverStamps},
        limits::wait_limit::WaitLimit,
        operation::handle::{GateHandle, IntoOwnedHandle},
    },
    sync::{Arc, Weak, did_panic},
};

/// A handle that keeps its compartment alive and, in a partition, holds a pin.
#[derive(Debug)]
pub(crate) struct OwnedHandle(Arc<Compartment>);

/// A handle to a compartment that the caller keeps alive.
#[derive(Debug)]
pub(crate) struct BorrowedHandle<'a>(pub(super) &'a Arc<Compartment>);

/// A handle that is made into an owned one only when an operation is admitted or queued.
#[derive(Debug)]
pub(crate) enum LazyHandle<'a> {
    /// Cloned only when an owned handle is needed.
    Borrowed(&'a Arc<Compartment>),
    /// Owned from the start, because the partition might be evicted otherwise.
    Pinned(OwnedHandle),
}

/// A handle to a compartment, owned or borrowed.
pub(crate) trait CompartmentHandle {
    fn compartment(&self) -> &Arc<Compartment>;
}

impl CompartmentHandle for OwnedHandle {
    #[inline]
    fn compartment(&self) -> &Arc<Compartment> {
        &self.0
    }
}

impl CompartmentHandle for BorrowedHandle<'_> {
    #[inline]
    fn compartment(&self) -> &Arc<Compartment> {
        self.0
    }
}

impl CompartmentHandle for LazyHandle<'_> {
    #[inline]
    fn compartment(&self) -> &Arc<Compartment> {
        match self {
            Self::Borrowed(compartment) => compartment,
            Self::Pinned(handle) => &handle.0,
        }
    }
}

impl<T: CompartmentHandle> GateHandle for T {
    #[inline]
    fn gate(&self) -> &Gate {
        &self.compartment().gate
    }

    #[inline]
    fn label(&self) -> &str {
        self.compartment().label()
    }

    #[inline]
    fn shared(&self) -> Option<&SharedRecords> {
        self.compartment().shared()
    }

    #[inline]
    fn stamps(&self) -> Option<&HandOverStamps> {
        self.compartment().stamps()
    }

    #[inline]
    fn wait_limit(&self) -> &WaitLimit {
        self.compartment().wait_limit()
    }

    fn alarm_waker(&self) -> Waker {
        Arc::new(AlarmWaker(Arc::downgrade(self.compartment()))).into()
    }
}

impl IntoOwnedHandle for OwnedHandle {
    type Owned = Self;

    #[inline]
    fn into_owned(self) -> Self {
        self
    }
}

impl IntoOwnedHandle for BorrowedHandle<'_> {
    type Owned = Self;

    #[inline]
    fn into_owned(self) -> Self {
        self
    }
}

impl IntoOwnedHandle for LazyHandle<'_> {
    type Owned = OwnedHandle;

    #[inline]
    fn into_owned(self) -> OwnedHandle {
        match self {
            Self::Borrowed(compartment) => compartment.into(),
            Self::Pinned(handle) => handle,
        }
    }
}

impl OwnedHandle {
    #[inline]
    pub(crate) fn compartment(&self) -> &Compartment {
        &self.0
    }

    /// Takes over a pin that the caller has placed on this partition.
    pub(super) fn from_pinned(compartment: Arc<Compartment>) -> Self {
        Self(compartment)
    }
}

impl From<&Arc<Compartment>> for OwnedHandle {
    #[inline]
    fn from(compartment: &Arc<Compartment>) -> Self {
        Self(compartment.clone())
    }
}

impl Drop for OwnedHandle {
    #[inline]
    fn drop(&mut self) {
        if let Some(link) = self.0.link() {
            link.unpin();
        }
    }
}

/// Fires the alarm of a compartment, if the compartment still exists.
struct AlarmWaker(Weak<Compartment>);

impl Wake for AlarmWaker {
    fn wake(self: Arc<Self>) {
        if let Some(compartment) = self.0.upgrade() {
            compartment.gate.fire_alarm(compartment.shared());
            // If this is the last reference by now, dropping it drops the event handlers, which is user code.
            did_panic(|| drop(compartment));
        }
    }
}
