//! `BulkheadError`: how a service fails that answers rejections with errors.

use std::{error::Error, fmt};

use crate::core::rejection::Rejection;

/// The error of a service behind a layer with [`into_error`](crate::AdmissionLayer::into_error):
/// either the bulkhead's or the inner service's.
///
/// Both are its [`source`](Error::source), so that walking the chain finds the [`Rejection`].
///
/// # Examples
///
/// ```
/// use std::error::Error;
/// use bulklink::{BulkheadError, Rejection};
///
/// # let payments = bulklink::Bulkhead::builder("payments").parallelism(1).build()?;
/// # let slot = payments.slot_now()?;
/// let error: BulkheadError<std::io::Error> = payments.slot_now().unwrap_err().into();
/// let rejection = error.source().and_then(|source| source.downcast_ref::<Rejection>());
/// assert_eq!(rejection.map(Rejection::label), Some("payments"));
/// # drop(slot);
/// # Ok::<(), Box<dyn Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkheadError<E> {
    /// The bulkhead did not admit the request.
    Rejected(Rejection),
    /// The request was admitted, and the inner service failed.
    Inner(E),
}

impl<E> BulkheadError<E> {
    /// The rejection, if it is one.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(_) => None,
        }
    }

    /// This error as a boxed one, also where the inner error is a box already and so not an
    /// [`Error`] of its own. For `.map_err(BulkheadError::into_boxed)` behind tower's own layers.
    #[must_use]
    pub fn into_boxed(self) -> Box<dyn Error + Send + Sync>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        match self {
            Self::Rejected(rejection) => rejection.into(),
            Self::Inner(error) => error.into(),
        }
    }
}

impl<E> From<Rejection> for BulkheadError<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E> fmt::Display for BulkheadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => {
                write!(f, "request rejected by bulkhead \"{}\"", rejection.label())
            }
            Self::Inner(_) => f.write_str("service behind the bulkhead failed"),
        }
    }
}

impl<E: Error + 'static> Error for BulkheadError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(error) => Some(error),
        }
    }
}
