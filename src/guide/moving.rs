//! How do I move here from another limiter?
//!
//! # From tower's `ConcurrencyLimit`
//!
//! | tower | here |
//! |---|---|
//! | `ConcurrencyLimitLayer::new(10)` | `BulkheadLayer::new(&bulkhead)` with `parallelism(10)` |
//! | one limit for each service that the layer makes | one for all layers of the bulkhead: make two bulkheads for two limits |
//! | `GlobalConcurrencyLimitLayer` | the same as any layer here |
//! | any number of callers wait, for as long as they like | `waiting_room` and `wait_limit`; by default nobody waits |
//! | `load_shed()` outside, with a `HandleErrorLayer` | no waiting room; the layer answers by itself |
//! | waits in `poll_ready` | the same, or in the response future with `per_request` |
//!
//! ```
//! use axum::{Router, error_handling::HandleErrorLayer, http::StatusCode, routing::get};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tower::{BoxError, ServiceBuilder};
//!
//! // Before:
//! let before: Router = Router::new().route("/", get(async || "hello")).layer(
//!     ServiceBuilder::new()
//!         .layer(HandleErrorLayer::new(async |_: BoxError| StatusCode::SERVICE_UNAVAILABLE))
//!         .load_shed()
//!         .concurrency_limit(10),
//! );
//!
//! // After:
//! let hello = Bulkhead::builder("hello").parallelism(10).build()?;
//! let after: Router =
//!     Router::new().route("/", get(async || "hello")).layer(BulkheadLayer::new(&hello).per_request());
//! # let _ = (before, after);
//! # Ok::<(), bulklink::ConfigError>(())
//! ```
//!
//! # From tokio's `Semaphore`
//!
//! | tokio | here |
//! |---|---|
//! | `acquire_owned().await` | [`Bulkhead::slot`] |
//! | `try_acquire_owned()` | [`Bulkhead::slot_now`] |
//! | `acquire_many_owned(n)` | [`WeightedBulkhead::slot`] |
//! | `add_permits`, `forget_permits` | [`Bulkhead::resize`], to a number instead of by one |
//! | `available_permits()` | `status().free()` |
//! | `close()` | [`Bulkhead::close`] |
//! | `forget()` of a permit | not here: keep the slot, or resize |
//!
//! # From `tower-resilience-bulkhead`
//!
//! | tower-resilience 0.14 | here |
//! |---|---|
//! | `BulkheadLayer::builder()`, one limit for each service that the layer makes unless it is built with a handle | `Bulkhead::builder(label)`, then a layer of it; one limit for all |
//! | `max_concurrent_calls(10)`, 25 by default | `parallelism(10)`, required |
//! | waits without a limit by default, any number of callers | nobody waits by default; `waiting_room` |
//! | `max_wait_duration(time)` | `wait_limit(time)` with a `waiting_room` |
//! | `reject_when_full()` | no `waiting_room` |
//! | `backpressure()` | no `per_request`; with [`BulkheadLayer::backpressure`] a full waiting room is not ready either |
//! | `name(name)` | the label |
//! | `on_call_permitted`, `on_call_rejected`, `on_call_finished`, `on_call_failed` | counters of the status, or [`Bulkhead::subscribe`] |
//! | `build_with_handle()` | keep the [`Bulkhead`] |
//! | `BulkheadServiceError` | [`BulkheadError`], with `into_error`; by default a response |
//! | `BulkheadFull`, `Timeout`, `Closed` | [`RejectionReason::Saturated`], `WaitLimit`, `Closed` |
//!
//! Its circuit breaker, adaptive limits, hedging and so on have no counterpart here. They go together with these
//! layers.
//!
//! # From the Python library `bulklink`
//!
//! The names are mostly the same. Calls that only change or read something are not `async` here.
//!
//! | Python 0.6 | here |
//! |---|---|
//! | `AsyncBulkhead(label=.., parallelism=..)` | `Bulkhead::builder(label).parallelism(..).build()?` |
//! | `WeightedBulkhead`, `PartitionedBulkhead` | [`WeightedBulkhead`], [`PartitionedBulkhead`] |
//! | seconds as `float` | [`Duration`](std::time::Duration) |
//! | `async with b.slot():` | `let slot = b.slot().await?;`, given back when it is dropped |
//! | `slot_now`, `slot_within`, `slot_before` | the same |
//! | `await b.execute(f, x)` | `b.execute(f(x)).await?`: a future, which does not begin before it is admitted |
//! | `execute_now`, `execute_within`, `execute_before` | the same |
//! | `@b` on a function | [`Bulkhead::guard`] |
//! | a deadline in `loop.time()` | [`Deadline`], or an instant |
//! | `BulkheadSaturatedError`, `WeightedBulkheadSaturatedError` | [`RejectionReason::Saturated`] |
//! | `ValueError` for a cost | `CostExceedsCapacity`, `InvalidCost` |
//! | `BulkheadQueueTimeoutError` | `WaitLimit`, or `Deadline` |
//! | `BulkheadClosedError`, `PartitionLimitError` | `Closed`, `PartitionLimit` |
//! | `BulklinkError` | [`Rejection`] |
//! | `add_event_handler`, `remove_event_handler` | [`Bulkhead::subscribe`]; dropping the [`Subscription`] removes it |
//! | `status().admitted_total`, `finished_total`, .. | `status().totals.admitted`, `finished`, .. |
//! | `free_slots`, `capacity_excess` | `free()`, `excess()` |
//! | `cancelled_while_waiting_total`, `abandoned_after_admission_total` | `totals.cancelled`, `totals.abandoned` |
//! | `after.since(before)` | `after.since(&before)?` |
//! | `capacity_report()`, of all time | the same; and [`BulkheadInterval::capacity_report`] |
//! | `report.summary`, `report.severity` | `report.summary()`, `report.severity()` |
//! | `resize`, `close`, `wait_closed`, `close_and_wait` | the same |
//! | `registry.create("payments", parallelism=10)` | `registry.create(Bulkhead::builder("payments").parallelism(10))?`, of any kind |
//! | `registry.get(label)` | `registry.get::<Bulkhead>(label)?` |
//!
//! What differs: a cost must be given, and has no default of 1. A bulkhead that is paused or draining, and a key that
//! is refused, are more reasons for a rejection. All that concerns tower, HTTP, gRPC, configuration, advice and metrics
//! is new.
//!
//! [`Bulkhead::close`]: crate::Bulkhead::close
//! [`Bulkhead::guard`]: crate::Bulkhead::guard
//! [`Bulkhead::resize`]: crate::Bulkhead::resize
//! [`Bulkhead::slot_now`]: crate::Bulkhead::slot_now
//! [`Bulkhead::slot`]: crate::Bulkhead::slot
//! [`Bulkhead::subscribe`]: crate::Bulkhead::subscribe
//! [`BulkheadError`]: crate::BulkheadError
//! [`BulkheadInterval::capacity_report`]: crate::BulkheadInterval::capacity_report
//! [`BulkheadLayer::backpressure`]: crate::AdmissionLayer::backpressure
//! [`Bulkhead`]: crate::Bulkhead
//! [`Deadline`]: crate::Deadline
//! [`PartitionedBulkhead`]: crate::PartitionedBulkhead
//! [`RejectionReason::Saturated`]: crate::RejectionReason::Saturated
//! [`Rejection`]: crate::Rejection
//! [`Subscription`]: crate::Subscription
//! [`WeightedBulkhead::slot`]: crate::WeightedBulkhead::slot
//! [`WeightedBulkhead`]: crate::WeightedBulkhead
