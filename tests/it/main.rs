//! One binary, one file per behaviour.
#![allow(missing_docs, clippy::unwrap_used)]

mod admission;
mod partitions;
