//! How do I keep work from starting whose caller has already left?
//!
//! Give the request a [`Deadline`], and the bulkhead admits it before that or not at all. A wait limit is the same for
//! all requests; a deadline is the request's own. The earlier of the two counts.
//!
//! ```
//! use std::time::Duration;
//! use bulklink::{Bulkhead, Deadline, RejectionReason};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(10).build()?;
//! let slot = payments.slot_now()?;
//!
//! let deadline = Deadline::after(Duration::from_millis(250));
//! let rejection = payments.execute_before(deadline, async { "paid" }).await.unwrap_err();
//! assert!(matches!(rejection.reason(), RejectionReason::Deadline { .. }));
//! assert_eq!(rejection.retry_after(), None); // the same request cannot be in time any more
//! # drop(slot);
//! # Ok(())
//! # }
//! ```
//!
//! A deadline bounds admission only. A bulkhead never cancels work that it has admitted: for that, put a timeout inside
//! of the layer.
//!
//! # From requests
//!
//! | source | reads |
//! |---|---|
//! | [`GrpcTimeout`] | `grpc-timeout`, which gRPC clients send when they have a deadline |
//! | [`HeaderTimeout`] | milliseconds from a header that you name |
//! | a closure `Fn(&Request) -> Option<Deadline>` | whatever you like |
//! | [`DeadlineExtension`] | a [`Deadline`] in the extensions of the request |
//!
//! A layer that answers with HTTP responses always reads the extension, so an outer layer of yours can insert it. It
//! ends a wait only if the layer is `per_request`. Setting a source with [`BulkheadLayer::deadline`] implies
//! `per_request`.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::post};
//! use bulklink::{Bulkhead, BulkheadLayer, HeaderTimeout};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(10).build()?;
//! let layer = BulkheadLayer::new(&payments)
//!     .deadline(HeaderTimeout::millis("x-request-timeout-ms"))
//!     .deadline_reserve(Duration::from_millis(40)); // a payment takes 40 ms
//! let app: Router = Router::new().route("/pay", post(async || "paid")).layer(layer);
//!
//! // A slot is free, but 30 ms are not enough for the work.
//! let hasty = Request::post("/pay").header("x-request-timeout-ms", "30").body(Body::empty())?;
//! assert_eq!(app.clone().oneshot(hasty).await?.status(), StatusCode::GATEWAY_TIMEOUT);
//!
//! let patient = Request::post("/pay").header("x-request-timeout-ms", "300").body(Body::empty())?;
//! assert_eq!(app.oneshot(patient).await?.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```
//!
//! # Time for the work
//!
//! [`BulkheadLayer::deadline_reserve`] keeps time for the work: a request with less than that left is rejected on
//! arrival, or as soon as less is left while it waits. Take the 90th percentile of the hold times:
//! `interval.holds.quantile(0.9)`.
//!
//! tonic's own server has a timer for `grpc-timeout` too. If that fires first, the client hears CANCELLED; with a
//! reserve it hears DEADLINE_EXCEEDED, which is true. The example `tonic_service` reserves 100 ms for that, and
//! shows both ends: a deadline that passes in line, and one that is too short on arrival.
//!
//! # What clients hear
//!
//! 504 over HTTP, 4 DEADLINE_EXCEEDED over gRPC, neither with a time to try again. See [answers](super::answers). In
//! the totals they are `expired_by_deadline` or, if the time was over on arrival, `expired_before_queue_by_deadline`.
//! The finding [`FindingCode::DeadlinesPassed`] tells of many such arrivals: the time was spent before the bulkhead, so
//! look there.
//!
//! # Trust
//!
//! A header with a timeout comes from the client. It can only shorten its own wait: the wait limit of the bulkhead
//! holds as well, so a bulkhead that strangers reach needs one. Malformed values count as missing.
//!
//! Deadlines are not passed on by themselves. For a call to the next service, read the [`Deadline`] from the extensions
//! if you have put it there, and send [`Deadline::remaining`].
//!
//! [`BulkheadLayer::deadline_reserve`]: crate::AdmissionLayer::deadline_reserve
//! [`BulkheadLayer::deadline`]: crate::AdmissionLayer::deadline
//! [`Deadline::remaining`]: crate::Deadline::remaining
//! [`DeadlineExtension`]: crate::DeadlineExtension
//! [`Deadline`]: crate::Deadline
//! [`FindingCode::DeadlinesPassed`]: crate::FindingCode::DeadlinesPassed
//! [`GrpcTimeout`]: crate::GrpcTimeout
//! [`HeaderTimeout`]: crate::HeaderTimeout
