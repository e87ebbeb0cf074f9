//! How do I test what my service does when it is full?
//!
//! Make your app from bulkheads that the test can reach. Then take the slots by hand, and send requests to a full
//! bulkhead: no load, no threads, no real time.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::post};
//! use bulklink::{Bulkhead, BulkheadLayer};
//! use tokio::time::Instant;
//! use tower::ServiceExt;
//!
//! // The service.
//! fn payments() -> Bulkhead {
//!     let payments = Bulkhead::builder("payments").parallelism(1).waiting_room(1);
//!     payments.wait_limit(Duration::from_secs(2)).build().expect("the settings are valid")
//! }
//!
//! fn app(payments: &Bulkhead) -> Router {
//!     Router::new().route("/pay", post(async || "paid").layer(BulkheadLayer::new(payments).per_request()))
//! }
//!
//! // Its tests.
//! fn pay() -> Request<Body> {
//!     Request::post("/pay").body(Body::empty()).expect("the request is valid")
//! }
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! async fn a_payment_waits_for_two_seconds_at_most() {
//!     let payments = payments();
//!     let _slot = payments.slot_now().unwrap(); // full
//!
//!     let start = Instant::now();
//!     let answer = app(&payments).oneshot(pay()).await.unwrap();
//!     assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
//!     assert_eq!(start.elapsed().as_secs(), 2);
//! }
//!
//! # /*
//! #[tokio::test(start_paused = true)]
//! # */
//! async fn a_payment_in_line_is_served_and_the_next_is_rejected() {
//!     let payments = payments();
//!     let slot = payments.slot_now().unwrap();
//!     let waiting = tokio::spawn(app(&payments).oneshot(pay()));
//!     while payments.status().waiting < 1 {
//!         tokio::task::yield_now().await;
//!     }
//!
//!     let answer = app(&payments).oneshot(pay()).await.unwrap();
//!     assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
//!
//!     drop(slot);
//!     assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
//!     assert_eq!(payments.status().in_flight, 0, "no slot is left behind");
//! }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! #     a_payment_waits_for_two_seconds_at_most().await;
//! #     a_payment_in_line_is_served_and_the_next_is_rejected().await;
//! # }
//! ```
//!
//! `start_paused` needs tokio's feature `test-util`, and `oneshot` tower's feature `util`. While time is paused and
//! nothing else is to be done, tokio's clock goes on to the next timer by itself, so the first test takes no time. Wait
//! limits, deadlines and all durations in statuses follow that clock.
//!
//! The example `testing_your_app` is an app with such tests, run by `cargo test --example testing_your_app`.
//!
//! # Full, slow, closed
//!
//! | you want | do |
//! |---|---|
//! | a full bulkhead | take its slots with `slot_now`, and keep them |
//! | a full waiting room | spawn requests, and yield until `status().waiting` says so |
//! | a slow dependency | [`Bulkhead::pause`] before the requests, which then wait if there is a waiting room; [`Bulkhead::resume`] when it is to go on |
//! | a full partition | `customers.slot_now(&key)` |
//! | a shutdown | [`Bulkhead::drain`] or [`Bulkhead::close`] |
//!
//! # Step by step
//!
//! For a wait that you want to look at while it lasts, poll the future by hand, as `tokio_test::task::spawn` allows:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let payments = bulklink::Bulkhead::builder("payments").parallelism(1).waiting_room(1).build()?;
//! let slot = payments.slot_now()?;
//! let mut next = tokio_test::task::spawn(payments.slot());
//! assert!(next.poll().is_pending());
//! drop(slot);
//! assert!(next.is_woken());
//! assert!(next.poll().is_ready());
//! # Ok(())
//! # }
//! ```
//!
//! # Two traps
//!
//! - A future begins to wait when it is first polled. `let waiting = payments.slot();` alone takes no place in line.
//! - `tokio::time::sleep(..)` begins when it is *made*. As simulated work, `execute(sleep(..))` counts the wait as
//!   well; write `execute(async { sleep(..).await })`.
//!
//! [`Bulkhead::close`]: crate::Bulkhead::close
//! [`Bulkhead::drain`]: crate::Bulkhead::drain
//! [`Bulkhead::pause`]: crate::Bulkhead::pause
//! [`Bulkhead::resume`]: crate::Bulkhead::resume
