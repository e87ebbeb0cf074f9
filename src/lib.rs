//! Admission control for Rust services: independent compartments ("bulkheads"), each with a bounded
//! number of operations running and a bounded number waiting, so that one slow dependency, route or
//! customer cannot take the rest of the process down.
//!
//! A service that accepts every request is as slow as its slowest dependency: requests for it pile up
//! until they hold every connection, and then no other request gets through either. A bulkhead bounds how
//! many operations run at once, how many may wait, and for how long. It rejects all others immediately.
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
//!     .route("/pay", post(|| async { "paid" }).layer(BulkheadLayer::new(&payments).per_request()))
//!     .route("/healthz", get(|| async { "ok" }));
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! Up to ten payments run at once. Up to fifty more wait in the order of their arrival, for at most two
//! seconds. All others are answered with 503 and `Retry-After`.
//!
//! # Direct use
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
//! # Overview
//!
//! | limit | direct use | in front of a service |
//! |---|---|---|
//! | operations running at once | [`Bulkhead`] | [`BulkheadLayer`] |
//! | units in use at once, where each operation has its own cost in units | [`WeightedBulkhead`] | [`WeightedBulkheadLayer`] |
//! | operations running at once for each key | [`PartitionedBulkhead`] | [`PartitionedBulkheadLayer`] |
//!
//! - A [`Slot`] is held by an admitted operation. An [`Admission`] is the future that waits for a slot. A
//!   [`Rejection`] reports why an operation was not admitted.
//! - [`BulkheadStatus`] is a snapshot of a bulkhead. [`BulkheadInterval`] is what happened between two
//!   snapshots. [`CapacityReport`] assesses either, with recommendations. [`BulkheadEvent`]s report every change.
//! - [`BulkheadRegistry`] holds bulkheads by label, so that every module uses the same ones. A [`RegistrySnapshot`] covers
//!   all of them.
//! - Settings change while a bulkhead is in use: [`Bulkhead::reconfigure`], and [`BulkheadRegistry::plan`] for all of them from a
//!   [`RegistryConfig`]. A bulkhead is paused, drained and closed: [`Bulkhead::pause`], [`Bulkhead::drain`],
//!   [`Bulkhead::close`].
//! - [`Deadline`] travels with a request and bounds its wait.
//!
//! # Guides
//!
//! Each answers one question, with code that runs:
//!
//! - [getting_started](guide::getting_started), [where_in_the_stack](guide::where_in_the_stack), [sizing](guide::sizing): read
//!   these three first
//! - [deadlines](guide::deadlines), [weighted](guide::weighted), [per_customer](guide::per_customer),
//!   [long_lived](guide::long_lived): streams, WebSockets and blocking work
//! - [sharing](guide::sharing), [changing](guide::changing), [shutdown](guide::shutdown), [replicas](guide::replicas)
//! - [answers](guide::answers): 413, 429, 503, 504, UNAVAILABLE and `Retry-After`; [retries](guide::retries)
//! - [reading](guide::reading), [metrics](guide::metrics), [testing](guide::testing), [checklist](guide::checklist)
//! - [moving](guide::moving) from another limiter, and the [faq](guide::faq)
//!
//! # Guarantees
//!
//! - The waiting line is strictly first in, first out: no operation overtakes a waiter.
//! - A freed slot goes to the head of the line before a newcomer can take it.
//! - Dropping anything at any point (a future, a service, a slot, a response body) gives back exactly
//!   what it held.
//! - Every status is a snapshot of a single instant: its numbers add up even while other threads admit and
//!   release.
//! - A deadline bounds admission only. A bulkhead never cancels an admitted operation.
//! - There is no background task. An admission that does not have to wait does not allocate, and in a plain
//!   bulkhead takes no lock, unless it sets a new peak or there is a subscriber.
//!
//! # Features
//!
//! All are optional, additive and off by default. Exports are read from statuses when they are asked for, so that an
//! operation pays nothing for them.
//!
//! | feature | what it adds |
//! |---|---|
//! | `dashboard` | `Dashboard`, from `BulkheadRegistry::dashboard`: a page that shows every bulkhead of a registry live, with its figures as JSON, as a tower service |
//! | `metrics` | `MetricsPublisher`, from `BulkheadRegistry::metrics`: the same metrics for the recorder of the `metrics` crate |
//! | `prometheus` | `PrometheusCollector`, from `BulkheadRegistry::prometheus`: the metrics of every bulkhead for `prometheus-client`; `docs/alerts.yml` and `docs/grafana.json` read them |
//! | `serde` | [`RegistryConfig`] is read from any format. `Serialize` for statuses, intervals, reports, advice, rejections and events. `docs/status.schema.json` describes the fields, whose names are stable. Durations are in seconds and named `.._seconds`; points in time are in milliseconds since 1970 and named `.._unix_ms` |
//! | `tonic` | a layered service keeps the name by which tonic routes requests to it |
//! | `tower` | services have a `tower::load::Load`, so that balancers avoid a bulkhead that is full or closed |
//! | `tracing` | what an operator should know of, at target `bulklink`: operations that wait for longer than a second (warn), the end of that, bulkheads that are paused, resumed, draining, closed, drained or reconfigured (info), each rejection, and a span for each wait (debug). Never a line for each request at info or above |
//!
//! # Runtimes
//!
//! Waits with a limit use tokio's timer. Everything else works on any executor.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bulkhead;
mod core;
#[cfg(any(doc, doctest))]
pub mod guide;
mod integrations;
mod middleware;
mod observe;
mod registry;
mod sync;

pub use crate::core::{
    gate::{
        counts::{Peaks, Totals},
        effects::EventKind,
        histogram::{Bucket, Histogram},
        times::HoldTimes,
    },
    rejection::{Rejection, reason::RejectionReason},
};
pub use bulkhead::{
    builder::{BulkheadBuilder, WeightedBulkheadBuilder},
    change::{Change, PartitionedChange, WeightedChange},
    deadline::Deadline,
    error::{ConfigError, ResizeError},
    execute::{Execute, Guarded},
    partitioned::{PartitionLimits, PartitionedBulkhead, PartitionedBulkheadBuilder},
    plain::Bulkhead,
    slot::{Admission, LentSlot, Slot},
    weighted::WeightedBulkhead,
};
#[cfg(feature = "dashboard")]
pub use integrations::dashboard::{Dashboard, DashboardFuture};
#[cfg(feature = "metrics")]
pub use integrations::metrics::MetricsPublisher;
#[cfg(feature = "prometheus")]
pub use integrations::prometheus::PrometheusCollector;
pub use middleware::{
    deadline::{DeadlineExtension, DeadlineSource, GrpcTimeout, HeaderTimeout},
    error::BulkheadError,
    extract::{
        ContentLengthCost, CostExtractor, ExtensionKey, HeaderKey, KeyExtractor, MissingKey,
    },
    future::ResponseFuture,
    hold::HeldBody,
    layer::{AdmissionLayer, BulkheadLayer, PartitionedBulkheadLayer, WeightedBulkheadLayer},
    own_body::OwnBody,
    request_keys::{BearerTokenKey, ForwardedIpKey, PathSegmentKey, TokenDigest},
    service::{
        AdmissionService, BulkheadService, PartitionedBulkheadService, WeightedBulkheadService,
    },
};
pub use observe::{
    advice::{Advice, AdviceError, Goal},
    event::{BulkheadEvent, PreviousSettings, Subscription},
    interval::{BulkheadInterval, IntervalError},
    partitions::{
        PartitionGauges, PartitionShare, PartitionedInterval, PartitionedStatus, TotalStatus,
    },
    registry::{RegisteredInterval, RegistryInterval, RegistrySnapshot, RegistryStatus},
    report::{CapacityFinding, CapacityReport, Severity, code::FindingCode},
    status::BulkheadStatus,
};
pub use registry::{
    BuildBulkhead, BulkheadConfig, BulkheadKind, BulkheadRegistry, PlannedChange, Registrable,
    RegistryConfig, RegistryConfigurator, RegistryError, RegistryPlan, Removing,
};

/// Type parameters of [`AdmissionLayer`], [`AdmissionService`] and [`ResponseFuture`], and their traits.
///
/// Only code that names the full type of a layer, or is generic over layers, needs this module.
///
/// | parameter | decides | trait | types |
/// |---|---|---|---|
/// | `A` | what a request is admitted to | [`AdmitWithoutRequest`](layer::AdmitWithoutRequest), [`AdmitByRequest`](layer::AdmitByRequest) | [`Plain`](layer::Plain), [`Weighted`](layer::Weighted), [`Partitioned`](layer::Partitioned) |
/// | `M` | where a request waits | [`WaitMode`](layer::WaitMode) | [`InReadiness`](layer::InReadiness), [`PerRequest`](layer::PerRequest) |
/// | `R` | how a rejection is answered | [`Reject`](layer::Reject) | [`IntoResponse`](layer::IntoResponse), [`OnReject`](layer::OnReject), [`IntoError`](layer::IntoError) |
/// | `H` | how long a slot is held | [`Hold`](layer::Hold) | [`UntilResponse`](layer::UntilResponse), [`UntilBodyEnd`](layer::UntilBodyEnd), and [`Lending`](layer::Lending) either |
/// | `W` | the wait in a [`ResponseFuture`] | [`PollWait`](layer::PollWait) | [`Never`](layer::Never), [`PendingRequest`](layer::PendingRequest) |
///
/// The methods of these traits are called by the service. A layer can only be built with the types listed
/// here, so the traits are sealed: other types cannot implement them.
///
/// # Examples
///
/// ```
/// use bulklink::{
///     Bulkhead, BulkheadLayer,
///     layer::{InReadiness, IntoResponse, UntilBodyEnd},
/// };
///
/// type StreamLayer = BulkheadLayer<InReadiness, IntoResponse, UntilBodyEnd>;
///
/// fn stream_layer(bulkhead: &Bulkhead) -> StreamLayer {
///     BulkheadLayer::new(bulkhead).hold_body()
/// }
/// ```
pub mod layer {
    pub use crate::core::limits::wait_policy::WaitPolicy;
    pub use crate::middleware::{
        admit::{
            Admit, AdmitByRequest, AdmitWithoutRequest, ExtractedKey, FixedCost, FixedKey,
            MeasureLoad, Partitioned, Plain, Route, Target, Weighted,
        },
        deadline::NoDeadline,
        error::InnerError,
        future::{Never, PendingRequest, PollWait, WaitOutcome},
        hold::{
            HeldSlot, Hold, HoldMode, KeptSlot, LendSlot, Lending, OwnSlot, UntilBodyEnd,
            UntilResponse,
        },
        own_body::{AnswerMode, Described, InOwnBody},
        reject::{Decorate, IntoBoxError, IntoError, IntoResponse, OnReject, Reject},
        shared::Shared,
        wait_mode::{BypassFilter, InReadiness, NoBypass, PerRequest, WaitMode},
    };
}

/// The examples of the README, compiled and run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
