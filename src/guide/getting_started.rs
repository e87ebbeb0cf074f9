//! How do I put a first limit in front of a route, and see that it works?
//!
//! Make a bulkhead, and put a layer of it on the route:
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer};
//!
//! let reports = Bulkhead::builder("reports")
//!     .parallelism(4)                        // so many run at once
//!     .waiting_room(20)                      // so many more may wait
//!     .wait_limit(Duration::from_secs(2))    // and none for longer than this
//!     .build()?;
//!
//! let app: Router = Router::new()
//!     .route("/report", get(async || "a report").layer(BulkheadLayer::new(&reports).per_request()))
//!     .route("/healthz", get(async || "ok"));
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! Only the parallelism is required. Without a waiting room nobody waits, and without a wait limit there is no limit to
//! the wait. `/healthz` has no layer, so it is never limited. The README has a whole `main.rs` around this.
//!
//! # What can happen to a request
//!
//! - It is admitted at once, if a slot is free and nobody waits.
//! - It waits, if there is a place in the waiting room, and is admitted in the order of arrival.
//! - It is rejected at once, if the waiting room is full: 503 with `Retry-After`.
//! - It is rejected after a wait, if the wait limit passes first: 503 with `Retry-After`, too.
//! - Its client leaves while it waits. Then it gives up its place, and the handler never runs.
//!
//! # See it work
//!
//! A slot that you take by hand makes the bulkhead full, so that you need no load to try it:
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reports = Bulkhead::builder("reports").parallelism(1).build()?;
//! let app: Router = Router::new()
//!     .route("/report", get(async || "a report").layer(BulkheadLayer::new(&reports).per_request()));
//!
//! let slot = reports.slot_now()?;
//! let answer = app.clone().oneshot(Request::get("/report").body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(answer.headers()["retry-after"], "1");
//!
//! drop(slot);
//! let answer = app.oneshot(Request::get("/report").body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//!
//! let totals = reports.status().totals;
//! assert_eq!((totals.admitted, totals.saturated), (2, 1)); // the slot and the second request; the first request
//! # Ok(())
//! # }
//! ```
//!
//! # Without a layer
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bulklink::Bulkhead;
//!
//! let payments = Bulkhead::builder("payments").parallelism(10).waiting_room(50).build()?;
//!
//! // The future runs once it is admitted.
//! assert_eq!(payments.execute(async { "paid" }).await?, "paid");
//!
//! // Or hold a slot, for as long as you like. Dropping it gives it back.
//! let slot = payments.slot().await?;
//! drop(slot);
//! # Ok(())
//! # }
//! ```
//!
//! [`Bulkhead::slot_now`] and [`Bulkhead::execute_now`] never wait. Those that end in `_within` take a limit of their
//! own, and those that end in `_before` a [`Deadline`].
//!
//! # Which bulkhead
//!
//! | what you limit | type | guide |
//! |---|---|---|
//! | how many operations run at once | [`Bulkhead`] | this one |
//! | operations of very different cost: bytes of memory, rows, cores | [`WeightedBulkhead`] | [weighted](super::weighted) |
//! | operations of each customer, tenant or host | [`PartitionedBulkhead`] | [per_customer](super::per_customer) |
//!
//! Give each dependency that can become slow a bulkhead of its own. What shares a bulkhead becomes slow together.
//!
//! The example `isolated_routes` shows over sockets that a route which hangs leaves the others alone.
//!
//! Next: [where_in_the_stack](super::where_in_the_stack), then [sizing](super::sizing).
//!
//! [`Bulkhead::execute_now`]: crate::Bulkhead::execute_now
//! [`Bulkhead::slot_now`]: crate::Bulkhead::slot_now
//! [`Bulkhead`]: crate::Bulkhead
//! [`Deadline`]: crate::Deadline
//! [`PartitionedBulkhead`]: crate::PartitionedBulkhead
//! [`WeightedBulkhead`]: crate::WeightedBulkhead
