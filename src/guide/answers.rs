//! What does a client get when a request is rejected?
//!
//! | reason | HTTP | gRPC | time to try again |
//! |---|---|---|---|
//! | `Saturated`: no slot, and no place to wait | 503 | 14 UNAVAILABLE | yes |
//! | `WaitLimit`: it waited for as long as it may | 503 | 14 UNAVAILABLE | yes |
//! | these two, of one key of a partitioned bulkhead | 429 | 8 RESOURCE_EXHAUSTED | yes |
//! | `TotalSaturated`: what all keys share is full | 503 | 14 UNAVAILABLE | yes |
//! | the same, if there are places and the key has its share of them | 429 | 8 RESOURCE_EXHAUSTED | yes |
//! | `Paused` | 503 | 14 UNAVAILABLE | yes |
//! | `PartitionLimit`: all partitions are in use | 503 | 14 UNAVAILABLE | yes |
//! | `Closed`: closed or draining | 503 | 14 UNAVAILABLE | no |
//! | `Deadline`: its own deadline has passed | 504 | 4 DEADLINE_EXCEEDED | no |
//! | `CostExceedsCapacity`: it could never fit | 413 | 8 RESOURCE_EXHAUSTED | no |
//! | `KeyRefused` | 403 | 7 PERMISSION_DENIED | no |
//! | `MissingKey` | 400 | 3 INVALID_ARGUMENT | no |
//! | `InvalidCost`, `InvalidLimits`, `LimitsPanicked`: a mistake in the service | 500 | 13 INTERNAL | no |
//!
//! [`Rejection`] has the same table, with every reason.
//!
//! Over HTTP the time to try again is `Retry-After`, in whole seconds. Over gRPC it is `grpc-retry-pushback-ms`. It is
//! an estimate from the pace of the line: when all who wait will have had their turn, from 1 to 60 s.
//! [`BulkheadLayer::retry_after`] sets another.
//!
//! The body is empty, and nothing tells the label or the numbers of the bulkhead, because the answer may go to
//! strangers. Over gRPC the message is the name of the reason, such as `saturated`. The protocol is that of the
//! request, by its content type: HTTP, gRPC or gRPC-Web.
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(1).build()?;
//! let app: Router =
//!     Router::new().route("/", get(async || "paid")).layer(BulkheadLayer::new(&payments).per_request());
//! let slot = payments.slot_now()?;
//!
//! let answer = app.clone().oneshot(Request::new(Body::empty())).await?;
//! assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(answer.headers()["retry-after"], "1");
//! let call = Request::get("/").header("content-type", "application/grpc").body(Body::empty())?;
//! let answer = app.oneshot(call).await?;
//! assert_eq!(answer.status(), StatusCode::OK); // as gRPC has it
//! assert_eq!(answer.headers()["grpc-status"], "14");
//! assert_eq!(answer.headers()["grpc-message"], "saturated");
//! # let check = |rejection: bulklink::Rejection, http: u16, grpc: i32, again: bool| {
//! #     assert_eq!((rejection.status().as_u16(), rejection.grpc_code()), (http, grpc), "{rejection}");
//! #     assert_eq!(rejection.retry_after().is_some(), again, "{rejection}");
//! # };
//! # check(payments.slot_now().unwrap_err(), 503, 14, true);
//! # let past = bulklink::Deadline::at(std::time::Instant::now());
//! # check(payments.slot_before(past).await.unwrap_err(), 504, 4, false);
//! # check(payments.slot_within(std::time::Duration::ZERO).await.unwrap_err(), 503, 14, true);
//! # let uploads = bulklink::WeightedBulkhead::builder("uploads").capacity(1).build()?;
//! # check(uploads.slot_now(2).unwrap_err(), 413, 8, false);
//! # check(uploads.slot_now(0).unwrap_err(), 500, 13, false);
//! # uploads.pause();
//! # check(uploads.slot_now(1).unwrap_err(), 503, 14, true);
//! # let customers = bulklink::PartitionedBulkhead::<u8>::builder("customers").parallelism(1).max_partitions(1)
//! #     .limits_for(|key| bulklink::PartitionLimits::new((key % 2).into())).build()?;
//! # check(customers.slot_now(&2).unwrap_err(), 500, 13, false);
//! # customers.set_limits(&5, bulklink::PartitionLimits::refused())?;
//! # check(customers.slot_now(&5).unwrap_err(), 403, 7, false);
//! # let one = customers.slot_now(&1)?;
//! # check(customers.slot_now(&1).unwrap_err(), 429, 8, true);
//! # check(customers.slot_now(&3).unwrap_err(), 503, 14, true);
//! # payments.close();
//! # check(payments.slot_now().unwrap_err(), 503, 14, false);
//! # Ok(())
//! # }
//! ```
//!
//! # Answers of your own
//!
//! | option | for |
//! |---|---|
//! | [`BulkheadLayer::decorate`] | a header more, or another status |
//! | [`BulkheadLayer::describe`] | a JSON body: problem details of RFC 9457 |
//! | [`BulkheadLayer::on_reject`] | a response that you make from the [`Rejection`] and the request |
//! | [`BulkheadLayer::into_error`], [`BulkheadLayer::into_box_error`] | services that are not HTTP: an error instead of a response |
//!
//! ```
//! use axum::{Json, Router, body::Body, http::{Request, StatusCode}, response::IntoResponse, routing::post};
//! use bulklink::{WeightedBulkhead, WeightedBulkheadLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let uploads = WeightedBulkhead::builder("uploads").capacity(10).build()?;
//! let layer = WeightedBulkheadLayer::fixed(&uploads, 11).per_request().on_reject(|rejection, _request| {
//!     let reason = serde_json::json!({ "error": rejection.reason().name() });
//!     (rejection.status(), Json(reason)).into_response()
//! });
//! let app: Router = Router::new().route("/upload", post(async || "stored")).layer(layer);
//! let answer = app.oneshot(Request::post("/upload").body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE); // 413
//! assert_eq!(answer.headers()["content-type"], "application/json");
//! # Ok(())
//! # }
//! ```
//!
//! An answer of `on_reject` is all yours: it has `Retry-After` only if you add it, from [`Rejection::retry_after`].
//!
//! # In layers outside
//!
//! A response that the layer made has the [`Rejection`] in its extensions, unless it is that of `on_reject`. A layer
//! outside can read it, for a log line. Behind layers that box errors, [`Rejection::find_in`] finds it. A handler that
//! uses a bulkhead without a layer answers with [`Rejection::into_response`].
//!
//! [`BulkheadLayer::decorate`]: crate::AdmissionLayer::decorate
//! [`BulkheadLayer::describe`]: crate::AdmissionLayer::describe
//! [`BulkheadLayer::into_box_error`]: crate::AdmissionLayer::into_box_error
//! [`BulkheadLayer::into_error`]: crate::AdmissionLayer::into_error
//! [`BulkheadLayer::on_reject`]: crate::AdmissionLayer::on_reject
//! [`BulkheadLayer::retry_after`]: crate::AdmissionLayer::retry_after
//! [`Rejection::find_in`]: crate::Rejection::find_in
//! [`Rejection::into_response`]: crate::Rejection::into_response
//! [`Rejection::retry_after`]: crate::Rejection::retry_after
//! [`Rejection`]: crate::Rejection
