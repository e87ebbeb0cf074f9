//! `RegistryError`: errors of registry operations.

use std::{error::Error, fmt};

use crate::{bulkhead::error::ConfigError, sync::Arc};

/// An error of a registry operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// A setting of the new bulkhead is invalid.
    Config(ConfigError),
    /// Another bulkhead has this label.
    #[non_exhaustive]
    LabelTaken {
        /// The label.
        label: Arc<str>,
    },
    /// No bulkhead has this label.
    #[non_exhaustive]
    UnknownLabel {
        /// The label.
        label: Arc<str>,
    },
    /// The bulkhead with this label is of another kind.
    #[non_exhaustive]
    WrongKind {
        /// The label.
        label: Arc<str>,
        /// The requested kind.
        expected: String,
        /// The actual kind.
        actual: String,
    },
    /// The registry is draining or closed, and accepts no new bulkheads.
    #[non_exhaustive]
    Closed {
        /// The label of the rejected bulkhead.
        label: Arc<str>,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::LabelTaken { label } => write!(f, "label \"{label}\" is taken"),
            Self::UnknownLabel { label } => write!(f, "no bulkhead is registered as \"{label}\""),
            Self::WrongKind { label, expected, actual } => {
                write!(f, "\"{label}\" is a {actual}, not a {expected}")
            }
            Self::Closed { label } => {
                write!(f, "the registry is closed and does not accept \"{label}\"")
            }
        }
    }
}

impl Error for RegistryError {}

impl From<ConfigError> for RegistryError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
