//! What should I check before this goes into production?
//!
//! # Sizes
//!
//! - Every dependency that can become slow has a bulkhead of its own.
//! - All bulkheads in front of one pool together have fewer slots than it has connections.
//! - Every waiting room has a wait limit. Without one a request may wait for ever: [`FindingCode::UnboundedQueueWait`].
//! - The wait limit and the work together are shorter than the caller's timeout. See [sizing](super::sizing).
//! - The waiting room is what the line can serve within the wait limit.
//!
//! # Layers
//!
//! - Every layer on a server is `per_request`.
//! - Authentication and CORS are outside, the timeout of the work is inside. See
//!   [where_in_the_stack](super::where_in_the_stack).
//! - Health probes do not go through a bulkhead.
//! - `route_layer` instead of `layer`, so that unknown paths take no slot.
//! - Response streams have `hold_body`. WebSockets and blocking jobs have `lend_slot`, and the job really takes the
//!   slot along. See [long_lived](super::long_lived).
//! - Streams have a bulkhead of their own.
//!
//! # Customers
//!
//! - The key comes from authentication, not from a header that anybody can write.
//! - `max_partitions` is above the number of customers that are active at once, and small enough for the memory.
//! - `limits_for` is quick, does not panic, and returns at least one slot, or `refused`.
//!
//! # Clients
//!
//! - They know 503 and 429, and do not retry without a pause. See [retries](super::retries).
//! - They have seen 413, 504 and 400, where weights, deadlines and keys are in use. See [answers](super::answers).
//! - Headers with deadlines are sent, and the reserve is the time of the work.
//!
//! # Operation
//!
//! - All bulkheads are in one registry, with labels that an operator understands.
//! - Metrics are scraped and the alerts are loaded. See [metrics](super::metrics).
//! - The dashboard, if there is one, is not reachable by strangers.
//! - Somebody looks at the report of an interval now and then, or a log line does. See [reading](super::reading).
//! - A wrong configuration file is logged, and changes nothing. See [changing](super::changing).
//! - SIGTERM drains, with a time to give up below the grace period of the platform. See [shutdown](super::shutdown).
//! - With several replicas, the limits are divided. See [replicas](super::replicas).
//!
//! # Tests
//!
//! - One that saturates each bulkhead, and looks at the answer. See [testing](super::testing).
//! - One that nothing is in flight at the end.
//! - A load test above the capacity: the other routes stay as quick as before, which is what it is for.
//!
//! The last one is a few lines with slots taken by hand:
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reports = Bulkhead::builder("reports").parallelism(1).build()?;
//! let payments = Bulkhead::builder("payments").parallelism(6).build()?;
//! let app: Router = Router::new()
//!     .route("/reports", get(async || "a report").layer(BulkheadLayer::new(&reports).per_request()))
//!     .route("/payments", get(async || "paid").layer(BulkheadLayer::new(&payments).per_request()))
//!     .route("/healthz", get(async || "ok"));
//!
//! let _flood = reports.slot_now()?;
//! for (path, expected) in [
//!     ("/reports", StatusCode::SERVICE_UNAVAILABLE),
//!     ("/payments", StatusCode::OK),
//!     ("/healthz", StatusCode::OK),
//! ] {
//!     let answer = app.clone().oneshot(Request::get(path).body(Body::empty())?).await?;
//!     assert_eq!(answer.status(), expected, "{path}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`FindingCode::UnboundedQueueWait`]: crate::FindingCode::UnboundedQueueWait
