//! User code that a layer shares with its clones and services, whether or not it is `Clone`.

use std::{fmt, ops::Deref};

use crate::sync::Arc;

/// A reference-counted extractor, deadline source or closure.
///
/// A layer shares it with its clones and its services, so it need not be [`Clone`].
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}
