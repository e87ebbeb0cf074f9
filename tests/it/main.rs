//! One binary, one file per behaviour.
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

mod admission;
mod alarm;
mod alloc;
mod close;
mod config;
mod cost;
mod dropping;
mod execute;
mod fifo;
mod interval;
mod layering;
mod limits;
mod panics;
mod proof;
mod resize;
mod rest;
mod snapshots;
mod status;
mod support;
mod tower;
mod types;
mod wakers;
