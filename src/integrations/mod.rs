//! Integrations with other crates, each behind a feature of its own and in one file or folder here.
//!
//! They read what the other rooms publish, and nothing imports them. A feature is additive: it changes no behaviour and no
//! type that exists without it.

#[cfg(feature = "dashboard")]
pub(crate) mod dashboard;
#[cfg(any(feature = "metrics", feature = "prometheus"))]
mod metric;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "prometheus")]
pub(crate) mod prometheus;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(feature = "tower")]
mod tower;
