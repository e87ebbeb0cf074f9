//! The integration tests, in one binary. Each folder covers one subject:
//!
//! - `plain`, `weighted`, `partitions`: the three kinds of bulkhead.
//! - `events`: event subscriptions and the order of events.
//! - `reports`: statuses, intervals, snapshots and the capacity report.
//! - `registry`: bulkheads under labels.
//! - `tower`: layers and services, with axum and tonic.
//! - `proof`: random sequences against a reference, stress, faults and bounds. See docs/reliability.md.
//! - `cost`: allocations and memory.
//! - `api`: traits, `Debug` output and compile errors of the public types.
//! - `sources`: rules that the sources under `src` must follow.
//! - `support`: what the tests share.
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

mod api;
mod cost;
mod events;
mod partitions;
mod plain;
mod proof;
mod registry;
mod reports;
mod sources;
mod support;
mod tower;
mod weighted;
