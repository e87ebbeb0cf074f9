//! What if some operations cost more than others?
//!
//! Use a [`WeightedBulkhead`]: it has a capacity in units, and each operation says how many it needs. A unit is what is
//! scarce: a megabyte of memory, a core, a thousand rows.
//!
//! ```
//! use bulklink::{RejectionReason, WeightedBulkhead};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reports = WeightedBulkhead::builder("reports").capacity(10).waiting_room(20).build()?;
//!
//! let year = reports.slot(8).await?;
//! let day = reports.slot_now(2)?;
//! assert_eq!(reports.status().used, 10);
//!
//! // It could never be admitted, so it does not wait.
//! let rejection = reports.slot(11).await.unwrap_err();
//! assert!(matches!(rejection.reason(), RejectionReason::CostExceedsCapacity { .. }));
//! # drop((year, day));
//! # Ok(())
//! # }
//! ```
//!
//! # In front of a service
//!
//! The cost comes from a closure `Fn(&Request) -> usize`, from [`ContentLengthCost`], or is `fixed` for all requests of
//! a route:
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::post};
//! use bulklink::{ContentLengthCost, WeightedBulkhead, WeightedBulkheadLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 64 MiB of uploads at once, counted in MiB.
//! let uploads = WeightedBulkhead::builder("uploads").capacity(64).waiting_room(20).build()?;
//! let cost = ContentLengthCost::per(1 << 20).without_length(8);
//! let app: Router = Router::new()
//!     .route("/upload", post(async || "stored"))
//!     .layer(WeightedBulkheadLayer::new(&uploads, cost));
//!
//! let upload = |length: u64| {
//!     Request::post("/upload").header("content-length", length).body(Body::empty())
//! };
//! assert_eq!(app.clone().oneshot(upload(3_000_000)?).await?.status(), StatusCode::OK);
//! assert_eq!(uploads.status().totals.admitted_units, 3);
//!
//! // More than all of the capacity: 413, and no time to try again.
//! let answer = app.oneshot(upload(100_000_000)?).await?;
//! assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
//! assert!(!answer.headers().contains_key("retry-after"));
//! # Ok(())
//! # }
//! ```
//!
//! A client decides whether it sends a `content-length`. Without one a request costs 1 unit, unless
//! [`ContentLengthCost::without_length`] says otherwise: charge what such a body may have at most, and limit it to
//! that, with tower-http's `RequestBodyLimitLayer` for example. A cost of 0 is a mistake of the extractor: 500.
//!
//! The example `weighted_uploads` is a server with such uploads, and answers those that are too large in JSON.
//!
//! # The line
//!
//! The line is first in, first out here too. A small operation never overtakes a large one: while the first does not
//! fit, nobody is admitted, although units may be free. Otherwise a stream of small operations would keep the large one
//! waiting for ever.
//!
//! ```
//! # use bulklink::WeightedBulkhead;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reports = WeightedBulkhead::builder("reports").capacity(10).waiting_room(20).build()?;
//! let day = reports.slot_now(4)?;
//! let mut year = tokio_test::task::spawn(reports.slot(8));
//! assert!(year.poll().is_pending());
//!
//! assert!(reports.slot_now(1).is_err(), "6 units are free, but the year is next");
//! drop(day);
//! assert!(year.poll().is_ready());
//! # Ok(())
//! # }
//! ```
//!
//! So with a capacity that is only a little above the largest cost, much of it stays idle while a large operation is
//! next. Take several times the largest cost. If a few operations are far larger than all others, give them a bulkhead
//! of their own.
//!
//! # Sizes
//!
//! - The waiting room counts operations, not units.
//! - [`WeightedBulkhead::resize`] is refused if a waiter needs more than the new capacity.
//! - [`BulkheadInterval::demand`] is in units. The largest cost is not recorded, so `advise` does not know it: keep the
//!   capacity at or above it yourself. The finding [`FindingCode::OversizedRequests`] tells of costs above the
//!   capacity.
//!
//! [`BulkheadInterval::demand`]: crate::BulkheadInterval::demand
//! [`ContentLengthCost::without_length`]: crate::ContentLengthCost::without_length
//! [`ContentLengthCost`]: crate::ContentLengthCost
//! [`FindingCode::OversizedRequests`]: crate::FindingCode::OversizedRequests
//! [`WeightedBulkhead::resize`]: crate::WeightedBulkhead::resize
//! [`WeightedBulkhead`]: crate::WeightedBulkhead
