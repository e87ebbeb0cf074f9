//! `RegistryError`: errors of registry operations.

use std::{error::Error, fmt};

use crate::{
    bulkhead::error::{ConfigError, ResizeError},
    sync::Arc,
};

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
    /// A change of a bulkhead is not possible.
    Change(ResizeError),
    /// A partitioned bulkhead is configured that no code has built: only code knows the type of its key.
    #[non_exhaustive]
    Unclaimed {
        /// The label.
        label: Arc<str>,
    },
    /// Code builds a partitioned bulkhead that is not configured.
    #[non_exhaustive]
    NotConfigured {
        /// The label.
        label: Arc<str>,
    },
    /// The registry, or one of its bulkheads, has changed since the plan was made, or the plan is of another registry.
    StalePlan,
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
            Self::Change(error) => error.fmt(f),
            Self::Unclaimed { label } => write!(
                f,
                "\"{label}\" is partitioned and was not built: the type of its key comes from code, by `configure`"
            ),
            Self::NotConfigured { label } => {
                write!(
                    f,
                    "\"{label}\" is built by code as a partitioned bulkhead, but not configured"
                )
            }
            Self::StalePlan => f.write_str("the registry has changed since the plan was made"),
            Self::Closed { label } => {
                write!(f, "the registry is closed and does not accept \"{label}\"")
            }
        }
    }
}

impl Error for RegistryError {}

impl From<ResizeError> for RegistryError {
    fn from(error: ResizeError) -> Self {
        Self::Change(error)
    }
}

impl From<ConfigError> for RegistryError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
