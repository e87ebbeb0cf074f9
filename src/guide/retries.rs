//! How do retries and bulkheads go together?
//!
//! The bulkhead decides whether an operation may start. A retry decides whether to ask again. **Put the retry outside
//! of the bulkhead**, so that an operation holds no slot while it waits for its next attempt.
//!
//! # What is safe to retry
//!
//! An operation that was rejected has not run. So a rejection can be retried even where the work itself must not run
//! twice. [`Rejection::retry_after`] says when, or `None` if the same operation cannot be admitted later either: the
//! bulkhead is closed, the operation is too large, its deadline has passed.
//!
//! ```
//! use std::time::Duration;
//! use bulklink::{Bulkhead, Rejection};
//! use tokio::time::sleep;
//!
//! async fn pay(payments: &Bulkhead) -> Result<&'static str, Rejection> {
//!     let mut left = 3;
//!     loop {
//!         let rejection = match payments.execute(async { "paid" }).await {
//!             Ok(answer) => return Ok(answer),
//!             Err(rejection) => rejection,
//!         };
//!         match rejection.retry_after() {
//!             Some(pause) if left > 0 => sleep(pause).await,
//!             _ => return Err(rejection),
//!         }
//!         left -= 1;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let payments = Bulkhead::builder("payments").parallelism(1).build()?;
//! let slot = payments.slot_now()?;
//! tokio::spawn(async move {
//!     sleep(Duration::from_millis(500)).await;
//!     drop(slot);
//! });
//! assert_eq!(pay(&payments).await?, "paid");
//! assert_eq!(payments.status().totals.saturated, 1);
//!
//! payments.close();
//! assert!(pay(&payments).await.is_err(), "no use in trying again");
//! # Ok(())
//! # }
//! ```
//!
//! # A waiting room is better than a retry
//!
//! Within one process, a place in line does what a retry would: it waits, but in order, and it starts as soon as a slot
//! is free. So give the bulkhead a waiting room, and leave retries to callers in other processes.
//!
//! # In tower
//!
//! From the outside in: the patience of the caller, the retry, the bulkhead, the timeout of one attempt.
//!
//! ```
//! use std::time::Duration;
//! use bulklink::{Bulkhead, BulkheadLayer, Rejection};
//! use tower::{BoxError, ServiceBuilder, ServiceExt, retry::Policy, service_fn};
//!
//! #[derive(Clone)]
//! struct WhenTold {
//!     left: u32,
//! }
//!
//! impl Policy<u64, u64, BoxError> for WhenTold {
//!     type Future = tokio::time::Sleep;
//!
//!     fn retry(&mut self, _: &mut u64, result: &mut Result<u64, BoxError>) -> Option<Self::Future> {
//!         let rejection = Rejection::find_in(&**result.as_ref().err()?)?;
//!         let pause = rejection.retry_after()?;
//!         self.left = self.left.checked_sub(1)?;
//!         Some(tokio::time::sleep(pause)) // with many clients, add some jitter
//!     }
//!
//!     fn clone_request(&mut self, order: &u64) -> Option<u64> {
//!         Some(*order)
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let search = Bulkhead::builder("search").parallelism(1).build()?;
//! let client = ServiceBuilder::new()
//!     .timeout(Duration::from_secs(10))
//!     .retry(WhenTold { left: 2 })
//!     .layer(BulkheadLayer::new(&search).per_request().into_box_error())
//!     .timeout(Duration::from_secs(1))
//!     .service(service_fn(async |order: u64| Ok::<_, BoxError>(order)));
//!
//! let slot = search.slot_now()?;
//! let error = client.clone().oneshot(7).await.unwrap_err();
//! assert!(Rejection::find_in(&*error).is_some());
//! assert_eq!(search.status().totals.saturated, 3); // the first attempt, and two more
//! drop(slot);
//! assert_eq!(client.oneshot(7).await?, 7);
//! # Ok(())
//! # }
//! ```
//!
//! The example `client_stack` is such a client over HTTP.
//!
//! # Do not make it worse
//!
//! - All who are rejected at once hear the same time. Add jitter, or they come back at once.
//! - Bound the retries as a share of all requests, for example with tower's `TpsBudget`. Three attempts each are three
//!   times the load, at the very time when there is too much of it.
//! - Retry in one place. If each of three services in a row tries three times, the last one is asked 27 times.
//! - The demand in [sizing](super::sizing) counts attempts. If callers retry, it is above what they need.
//! - Answers of other services, 503 and 429 with `Retry-After`, can be retried after that time, if the request may run
//!   twice: not every 503 is a rejection. A 504 says that the time of the caller is over.
//!
//! [`Rejection::retry_after`]: crate::Rejection::retry_after
