//! Admission control for Rust services: independent compartments ("bulkheads"), each with a bounded
//! number of operations running and a bounded number waiting, so that one slow dependency, route or
//! customer cannot take the rest of the process down.
//!
//! A service that takes on everything that comes is as slow as its slowest part: requests for one slow
//! dependency pile up until they hold every connection, and then nothing else gets through either. A
//! bulkhead bounds how many may be inside one part at once, how many may wait for it, and for how long.
//! Everybody else is told at once.
//!
//! # In front of a service
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::{get, post}};
//! use bulklink::{Bulkhead, BulkheadLayer};
//!
//! let payments = Bulkhead::builder("payments")
//!     .parallelism(10)
//!     .waiting_room(50)
//!     .wait_limit(Duration::from_secs(2))
//!     .build()?;
//!
//! let app: Router = Router::new()
//!     .route("/pay", post(|| async { "paid" }).layer(BulkheadLayer::new(&payments)))
//!     .route("/healthz", get(|| async { "ok" }));
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! Ten payments run at once, fifty wait in the order of their arrival, for two seconds at most. All
//! others are answered 503 with `Retry-After`.
//!
//! # By itself
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let payments = bulklink::Bulkhead::builder("payments").parallelism(10).build()?;
//! # async fn send(_: u32) -> &'static str { "sent" }
//! let answer = payments.execute(send(7)).await?;
//! assert_eq!(answer, "sent");
//! # Ok(())
//! # }
//! ```
//!
//! # What there is
//!
//! | | directly | in front of a service |
//! |---|---|---|
//! | so many operations at once | [`Bulkhead`] | [`BulkheadLayer`] |
//! | so many units at once, of which each operation needs its own number | [`WeightedBulkhead`] | [`WeightedBulkheadLayer`] |
//! | so many operations at once for each key | [`PartitionedBulkhead`] | [`PartitionedBulkheadLayer`] |
//!
//! - A [`Slot`] is admitted work, an [`Admission`] the wait for it, a [`Rejection`] the answer to those
//!   that were not admitted, and why.
//! - [`BulkheadStatus`] is one instant of a bulkhead, [`BulkheadInterval`] what happened between two,
//!   [`CapacityReport`] what to make of it, and [`BulkheadEvent`] tells of every change.
//! - [`BulkheadRegistry`] holds bulkheads under labels, so that every module layers the same ones.
//! - [`Deadline`] travels with a request and bounds its wait.
//!
//! # What is promised
//!
//! - The line is strictly first in, first out: nobody is admitted past somebody who waits.
//! - A slot that becomes free goes to the head of the line before any newcomer can see it.
//! - Dropping anything at any point (a future, a service, a slot, a response body) gives back exactly
//!   what it held.
//! - Every status is of one instant: its numbers add up, also while other threads admit and release.
//! - A deadline bounds admission only: what has been admitted is never cancelled by a bulkhead.
//! - There is no background task. An admission that need not wait takes no memory, and in a plain
//!   bulkhead no lock, unless it sets a new peak or somebody is subscribed.
//!
//! # Runtimes
//!
//! Waits with a limit use tokio's timer. Everything else works on any executor.

#![forbid(unsafe_code)]

mod bulkhead;
mod core;
mod middleware;
mod observe;
mod registry;
mod sync;

pub use crate::core::{
    gate::counts::{Peaks, Totals},
    gate::effects::EventKind,
    rejection::{Rejection, reason::RejectionReason},
};
pub use bulkhead::{
    builder::{BulkheadBuilder, WeightedBulkheadBuilder},
    deadline::Deadline,
    error::{ConfigError, ResizeError},
    execute::{Execute, Guarded},
    partitioned::{PartitionLimits, PartitionedBulkhead, PartitionedBulkheadBuilder},
    plain::Bulkhead,
    slot::{Admission, Slot},
    weighted::WeightedBulkhead,
};
pub use middleware::{
    deadline::{DeadlineExtension, DeadlineSource, GrpcTimeout, HeaderTimeout},
    error::BulkheadError,
    extract::{
        ContentLengthCost, CostExtractor, ExtensionKey, HeaderKey, KeyExtractor, MissingKey,
    },
    future::ResponseFuture,
    hold::HeldBody,
    layer::{AdmissionLayer, BulkheadLayer, PartitionedBulkheadLayer, WeightedBulkheadLayer},
    service::AdmissionService,
};
pub use observe::{
    event::{BulkheadEvent, Subscription},
    interval::{BulkheadInterval, IntervalError},
    partitions::{PartitionedInterval, PartitionedStatus},
    report::{CapacityFinding, CapacityReport, FindingCode, Severity},
    status::BulkheadStatus,
};
pub use registry::{BuildBulkhead, BulkheadRegistry, Registrable, RegistryError, RegistryStatus};

/// The parts that layers are made of: what the type parameters of [`AdmissionLayer`],
/// [`AdmissionService`] and [`ResponseFuture`] may be.
///
/// Only code that names the full type of a layer, or is generic over layers, needs them.
pub mod layer {
    pub use crate::middleware::{
        admit::{
            Admit, AdmitByRequest, AdmitWithoutRequest, ExtractedKey, FixedCost, FixedKey,
            Partitioned, Plain, Weighted,
        },
        deadline::NoDeadline,
        future::{Never, PendingRequest, PollWait},
        hold::{Hold, UntilBodyEnd, UntilResponse},
        reject::{IntoError, IntoResponse, OnReject, Reject},
        shared::Shared,
        wait_mode::{Bypass, InReadiness, NoBypass, PerRequest, WaitMode},
    };
}

/// The README's examples, compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
