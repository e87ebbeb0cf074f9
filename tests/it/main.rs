//! One binary, one file per behaviour.
#![allow(missing_docs, clippy::unwrap_used)]

mod admission;
mod close;
mod config;
mod dropping;
mod execute;
mod fifo;
mod interval;
mod layering;
mod limits;
mod panics;
mod partitions;
mod resize;
mod snapshots;
mod status;
mod support;
mod tower;
mod types;
mod wakers;
