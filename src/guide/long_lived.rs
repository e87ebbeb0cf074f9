//! How do I limit streams, WebSockets and blocking work?
//!
//! By default a slot is given back when the response is ready. What goes on after that needs one of these:
//!
//! | what goes on | option | gives the slot back |
//! |---|---|---|
//! | a response body: a download, server-sent events, a gRPC stream | [`BulkheadLayer::hold_body`] | when the body has ended or is dropped |
//! | an upgraded connection: a WebSocket | [`BulkheadLayer::lend_slot`] | when the last clone is dropped |
//! | a `spawn_blocking` job, or a task that is left behind | [`BulkheadLayer::lend_slot`] | the same |
//!
//! Give long-lived work a bulkhead of its own. One that streams and short requests share is full of streams before
//! long.
//!
//! # Streams
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let streams = Bulkhead::builder("streams").parallelism(1).build()?;
//! let app: Router = Router::new()
//!     .route("/events", get(async || "an event"))
//!     .layer(BulkheadLayer::new(&streams).per_request().hold_body());
//!
//! let request = || Request::get("/events").body(Body::empty());
//! let first = app.clone().oneshot(request()?).await?;
//! assert_eq!(streams.status().in_flight, 1); // there is a response, and its body holds the slot
//! assert_eq!(app.clone().oneshot(request()?).await?.status(), StatusCode::SERVICE_UNAVAILABLE);
//!
//! drop(first);
//! assert_eq!(streams.status().in_flight, 0);
//! # Ok(())
//! # }
//! ```
//!
//! A client that reads slowly holds the slot for as long. `hold_body` sets no time limit; put one on the body, or end
//! the stream yourself. Bodies that are dropped before their end are counted in [`Totals::bodies_ended_early`].
//!
//! # WebSockets
//!
//! An upgraded connection is not in the response or its body. The handler takes the slot along:
//!
//! ```
//! use axum::{Extension, Router, extract::ws::WebSocketUpgrade, response::Response, routing::any};
//! use bulklink::{Bulkhead, BulkheadLayer, LentSlot};
//!
//! async fn chat(Extension(slot): Extension<LentSlot>, upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_upgrade(async move |mut socket| {
//!         while let Some(Ok(message)) = socket.recv().await {
//!             if socket.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!         drop(slot);
//!     })
//! }
//!
//! let sockets = Bulkhead::builder("sockets").parallelism(1_000).build()?;
//! let app: Router = Router::new()
//!     .route("/chat", any(chat).layer(BulkheadLayer::new(&sockets).per_request().lend_slot()));
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! # Blocking work
//!
//! A job in `spawn_blocking` goes on when the future that waits for it is dropped. If its client leaves and the slot
//! goes with the future, the next job starts beside it, and there are soon more jobs than slots. So the job takes the
//! slot along:
//!
//! ```
//! use axum::{Extension, Router, body::Body, http::Request, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer, LentSlot};
//! use tower::ServiceExt;
//!
//! async fn report(Extension(slot): Extension<LentSlot>) -> String {
//!     let job = tokio::task::spawn_blocking(move || {
//!         let report = String::from("a report");
//!         drop(slot); // at the end of the job, not of the request
//!         report
//!     });
//!     job.await.unwrap_or_default()
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reports = Bulkhead::builder("reports").parallelism(2).waiting_room(20).build()?;
//! let app: Router = Router::new()
//!     .route("/report", get(report))
//!     .layer(BulkheadLayer::new(&reports).per_request().lend_slot());
//! let answer = app.oneshot(Request::get("/report").body(Body::empty())?).await?;
//! assert!(answer.status().is_success());
//! assert_eq!(reports.status().totals.finished, 1);
//! # Ok(())
//! # }
//! ```
//!
//! `move` matters: a job that does not mention the slot does not hold it. Without a layer, [`Slot::share`] makes a
//! [`LentSlot`] of a slot.
//!
//! If the client leaves early, the request counts as cut short, once the last clone is dropped.
//!
//! # In the reports
//!
//! Slots that are held for hours look like slots that have leaked: [`FindingCode::SlotsHeldLong`]. That is expected in
//! a bulkhead for streams, and one more reason to give them their own. For the end of long-lived work at a shutdown,
//! see [shutdown](super::shutdown).
//!
//! The examples `server_sent_events`, `websocket` and `blocking_work` run these over sockets.
//!
//! [`BulkheadLayer::hold_body`]: crate::AdmissionLayer::hold_body
//! [`BulkheadLayer::lend_slot`]: crate::AdmissionLayer::lend_slot
//! [`FindingCode::SlotsHeldLong`]: crate::FindingCode::SlotsHeldLong
//! [`LentSlot`]: crate::LentSlot
//! [`Slot::share`]: crate::Slot::share
//! [`Totals::bodies_ended_early`]: crate::Totals::bodies_ended_early
