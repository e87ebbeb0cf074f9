//! What the optional features export, each read by a parser or a receiver that is not our own.

#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "dashboard")]
mod dashboard;
#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "serde")]
mod schema;
#[cfg(feature = "tracing")]
mod tracing;
