//! How do you test an app that has bulkheads: full, slow and closed, without load, threads or real time?
//!
//! ```text
//! cargo test --example testing_your_app
//! ```
//!
//! Output:
//!
//! ```text
//! test tests::a_client_that_leaves_takes_no_slot_with_it ... ok
//! test tests::a_payment_waits_for_two_seconds_at_most ... ok
//! test tests::at_shutdown_whoever_waits_is_served_and_newcomers_are_not ... ok
//! test tests::with_a_full_waiting_room_the_answer_comes_at_once ... ok
//! ```
//!
//! `cargo test` alone runs them too, because `Cargo.toml` says `test = true` for this example. In an app of your own they
//! are in `src` or `tests`. `cargo run --example testing_your_app` only sends one request.

use std::time::Duration;

use axum::{Router, body::Body, http::Request, routing::post};
use bulklink::{Bulkhead, BulkheadLayer, ConfigError};
use tower::ServiceExt;

/// The bulkheads of the app, which tests can reach.
#[derive(Clone, Debug)]
struct Bulkheads {
    payments: Bulkhead,
}

impl Bulkheads {
    fn new() -> Result<Self, ConfigError> {
        let payments = Bulkhead::builder("payments").parallelism(2).waiting_room(1);
        Ok(Self { payments: payments.wait_limit(Duration::from_secs(2)).build()? })
    }
}

fn app(bulkheads: &Bulkheads) -> Router {
    let layer = BulkheadLayer::new(&bulkheads.payments).per_request();
    Router::new().route("/pay", post(async || "paid").layer(layer))
}

fn pay() -> Request<Body> {
    Request::post("/pay").body(Body::empty()).expect("the request is valid")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let answer = app(&Bulkheads::new()?).oneshot(pay()).await?;
    println!("a payment: {}", answer.status());
    println!("the tests are run by: cargo test --example testing_your_app");
    assert_eq!(answer.status(), 200);
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::http::{StatusCode, header::RETRY_AFTER};
    use bulklink::Slot;
    use tokio::time::Instant;

    use super::*;

    /// An app whose payments are full, and the slots that fill them.
    fn full() -> (Router, Bulkheads, Vec<Slot>) {
        let bulkheads = Bulkheads::new().unwrap();
        let slots = (0..2).map(|_| bulkheads.payments.slot_now().unwrap()).collect();
        (app(&bulkheads), bulkheads, slots)
    }

    async fn until_one_waits(payments: &Bulkhead) {
        while payments.status().waiting < 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_payment_waits_for_two_seconds_at_most() {
        let (app, _bulkheads, _slots) = full();
        let start = Instant::now();
        let answer = app.oneshot(pay()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn with_a_full_waiting_room_the_answer_comes_at_once() {
        let (app, bulkheads, slots) = full();
        let waiting = tokio::spawn(app.clone().oneshot(pay()));
        until_one_waits(&bulkheads.payments).await;
        let start = Instant::now();
        let answer = app.oneshot(pay()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(RETRY_AFTER));
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(slots);
        assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_takes_no_slot_with_it() {
        let (app, bulkheads, slots) = full();
        let waiting = tokio::spawn(app.oneshot(pay()));
        until_one_waits(&bulkheads.payments).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        drop(slots);
        let status = bulkheads.payments.status();
        assert_eq!((status.in_flight, status.waiting, status.totals.cancelled), (0, 0, 1));
    }

    #[tokio::test]
    async fn at_shutdown_whoever_waits_is_served_and_newcomers_are_not() {
        let (app, bulkheads, slots) = full();
        let waiting = tokio::spawn(app.clone().oneshot(pay()));
        until_one_waits(&bulkheads.payments).await;
        bulkheads.payments.drain();
        assert_eq!(app.oneshot(pay()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(slots);
        assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::OK);
        bulkheads.payments.wait_closed().await;
    }
}
