//! The integration tests, in one binary. Each folder covers one subject:
//!
//! - `plain`, `weighted`, `partitions`: the three kinds of bulkhead.
//! - `changes`: changes of a bulkhead that is in use: new settings, pause and drain.
//! - `events`: event subscriptions and the order of events.
//! - `reports`: statuses, intervals, snapshots and the capacity report.
//! - `exports`: what the features for other crates export: JSON, metrics and traces.
//! - `registry`: bulkheads registered under labels.
//! - `tower`: layers and services, with axum and tonic.
//! - `proof`: random sequences against a reference, stress, faults and bounds. See docs/reliability.md.
//! - `cost`: allocations, memory and the time of an eviction.
//! - `api`: traits, `Debug` output and compile errors of the public types.
//! - `sources`: rules for the sources under `src`.
//! - `support`: what the tests share, such as builders, checks and servers.
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

mod api;
mod changes;
mod cost;
mod events;
mod exports;
mod partitions;
mod plain;
mod proof;
mod registry;
mod reports;
mod sources;
mod support;
mod tower;
mod weighted;
