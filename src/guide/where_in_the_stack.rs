//! Where does the layer go, and what do the layers around it see of a request that waits?
//!
//! In short: **on a server, put `per_request` on every layer, authenticate and trace outside of it, and time the work
//! inside of it.**
//!
//! # Where a request waits
//!
//! | | waits in | for |
//! |---|---|---|
//! | [`BulkheadLayer::per_request`] | the response future | servers: axum, hyper, tonic |
//! | [`BulkheadLayer`] without it | `poll_ready` | callers that ask for readiness before they have a request: a `Buffer`, a balancer, a loop that takes work from a queue |
//!
//! A layer that needs the request to decide always waits per request: one with a key or a cost that is read from the
//! request, or with [`BulkheadLayer::deadline`] or [`BulkheadLayer::bypass`].
//!
//! # What the layers outside see
//!
//! With `per_request`, a wait is part of the response future, so the layers outside see all of it:
//!
//! | layer outside | what it does |
//! |---|---|
//! | a timeout, such as tower-http's `TimeoutLayer` | counts the wait, and ends it: the request leaves the line |
//! | `TraceLayer` | its span contains the wait, and a rejection is traced as a 503 |
//! | `CorsLayer` | answers a preflight by itself, without a place in line, and adds its headers to rejections |
//! | authentication | refuses strangers before they take a place |
//!
//! With the wait in `poll_ready`, the layers outside in the same `ServiceBuilder` are not called before the wait is
//! over. So a timeout does not end the wait, a span does not contain it, and a preflight waits.
//!
//! # The order
//!
//! From the outside in: trace, CORS, authentication, the timeout of the whole, the bulkhead, the timeout of the work,
//! the handler.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::post};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_http::{cors::CorsLayer, timeout::TimeoutLayer, trace::TraceLayer};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(1).build()?;
//! let app: Router = Router::new().route("/pay", post(async || "paid")).route_layer(
//!     ServiceBuilder::new()
//!         .layer(TraceLayer::new_for_http())
//!         .layer(CorsLayer::permissive())
//!         .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(3)))
//!         .layer(BulkheadLayer::new(&payments).per_request())
//!         .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(1))),
//! );
//!
//! let slot = payments.slot_now()?; // the bulkhead is full
//!
//! // A preflight is answered all the same.
//! let preflight = Request::options("/pay")
//!     .header("origin", "https://shop.example")
//!     .header("access-control-request-method", "POST");
//! assert_eq!(app.clone().oneshot(preflight.body(Body::empty())?).await?.status(), StatusCode::OK);
//! assert_eq!(payments.status().totals.queued, 0);
//!
//! // A payment waits, and the outer timeout ends its wait.
//! let answer = app.oneshot(Request::post("/pay").body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
//! assert_eq!(payments.status().totals.cancelled, 1);
//! # drop(slot);
//! # Ok(())
//! # }
//! ```
//!
//! A wait limit below the outer timeout is better than that timeout: the client hears 503 with `Retry-After`, and the
//! wait is counted as expired and not as cancelled. See [sizing](super::sizing).
//!
//! # In axum
//!
//! - `Router::layer` also covers the fallback, so requests for unknown paths take slots. `Router::route_layer`, and
//!   `.layer` on a single route such as `get(handler).layer(..)`, do not.
//! - Leave health probes without a layer, or let them pass with [`BulkheadLayer::bypass`].
//! - All layers made from one bulkhead share it, wherever they are.
//!
//! # In tonic
//!
//! `Server::builder().layer(..)` covers every service of the server. For one service, layer that service; with the
//! feature `tonic` it keeps the name by which tonic routes. Use `.deadline(GrpcTimeout)`: see
//! [deadlines](super::deadlines).
//!
//! # Two in a row
//!
//! Two layers of the *same* bulkhead, one inside the other, take one slot: the inner one lets the request pass, and
//! [`Totals::nested`] counts it. That does not reach into another task, such as that of a `Buffer` between the two.
//!
//! Of two *different* bulkheads, the outer one needs at least the parallelism and the waiting room of the inner one
//! together, or requests wait outside while there is room inside. [`BulkheadLayer`] has the details.
//!
//! [`BulkheadLayer::bypass`]: crate::AdmissionLayer::bypass
//! [`BulkheadLayer::deadline`]: crate::AdmissionLayer::deadline
//! [`BulkheadLayer::per_request`]: crate::AdmissionLayer::per_request
//! [`BulkheadLayer`]: crate::BulkheadLayer
//! [`Totals::nested`]: crate::Totals::nested
