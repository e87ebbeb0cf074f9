//! `Removing`: the wait for the drain of a bulkhead that was removed from a registry.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{error::RegistryError, member::Member};
use crate::{observe::registry::RegistryStatus, sync::Arc};

/// Resolves to the last status of a bulkhead that was removed, once none of its operations waits or runs.
///
/// Returned by [`BulkheadRegistry::remove`](crate::BulkheadRegistry::remove) and
/// [`remove_drained`](crate::BulkheadRegistry::remove_drained), which have done their work by then. Dropping it changes
/// nothing.
pub struct Removing {
    future: Pin<Box<dyn Future<Output = Result<RegistryStatus, RegistryError>> + Send>>,
}

impl Removing {
    pub(super) fn new(removed: Result<Arc<dyn Member>, RegistryError>) -> Self {
        let future = async {
            let member = removed?;
            member.wait_closed().await;
            Ok(member.status())
        };
        Self { future: Box::pin(future) }
    }
}

impl Future for Removing {
    type Output = Result<RegistryStatus, RegistryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for Removing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removing").finish_non_exhaustive()
    }
}
