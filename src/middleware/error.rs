//! `BulkheadError`: the error of a service that answers rejections with errors.

use std::{error::Error, fmt};

use crate::core::rejection::Rejection;

/// An error of any type, as tower's own middleware has it.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The error of a service whose layer uses [`into_error`](crate::AdmissionLayer::into_error): a rejection or
/// an error of the inner service.
///
/// Either one is the [`source`](Error::source) of this error, so walking the error chain finds the
/// [`Rejection`].
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
    /// Returns the rejection, or `None` if the inner service failed.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(_) => None,
        }
    }

    /// Converts this error into a boxed error.
    ///
    /// The error inside the box is the [`Rejection`] or the inner error itself. This also works where the
    /// inner error is already boxed and therefore does not implement [`Error`]. tower's own middleware expects
    /// boxed errors: a layer with [`into_box_error`](crate::AdmissionLayer::into_box_error) returns them at once.
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
                let (label, reason) = (rejection.label(), rejection.reason());
                write!(f, "request rejected by bulkhead \"{label}\": {reason}")
            }
            Self::Inner(_) => f.write_str("service behind the bulkhead failed"),
        }
    }
}

/// The error of an inner service that makes a [`BulkheadError`] an error too: any [`Error`].
///
/// A boxed error is none. It has a name of its own for the compiler to say what to do then.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` is no error that makes a `BulkheadError` an error",
    note = "in a stack of boxed errors, add `.into_box_error()` to the layer instead of `.into_error()`"
)]
pub trait InnerError: Error + 'static {}

#[diagnostic::do_not_recommend]
impl<E: Error + 'static> InnerError for E {}

impl<E: InnerError> Error for BulkheadError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Inner(error) => Some(error),
        }
    }
}
