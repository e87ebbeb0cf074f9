//! The customers: an HTTP client that knows the routes and reports how each request ended.

use std::error::Error;
use std::mem;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{self, Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::server::REJECTION_HEADER;
use crate::store::ORDERS;

/// Longer than the pool's wait timeout, so that the server always answers first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    Payments,
    Reports,
    Healthz,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Answered,
    /// Rejected by a bulkhead, with the reason.
    Rejected(String),
    /// Any other failure: an error status, a broken connection, no answer in time.
    Failed(String),
}

/// Clones share their connections and counts.
#[derive(Clone)]
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Body>,
    server: SocketAddr,
    in_flight: Arc<[AtomicUsize; 3]>,
    paid: Arc<Mutex<Vec<Duration>>>,
}

impl Client {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            http: legacy::Client::builder(TokioExecutor::new()).build(connector),
            server,
            in_flight: Arc::default(),
            paid: Arc::default(),
        }
    }

    /// Sends the `number`th request to a route and reads the whole answer.
    pub(crate) async fn send(&self, route: Route, number: u64) -> Outcome {
        let in_flight = &self.in_flight[route as usize];
        in_flight.fetch_add(1, Ordering::Relaxed);
        let outcome = match timeout(REQUEST_TIMEOUT, self.exchange(route, number)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Failed(with_causes(&*error)),
            Err(_) => Outcome::Failed(format!("no answer in {} s", REQUEST_TIMEOUT.as_secs())),
        };
        in_flight.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    pub(crate) fn in_flight(&self, route: Route) -> usize {
        self.in_flight[route as usize].load(Ordering::Relaxed)
    }

    /// Records the latency of an answered payment for the progress lines.
    pub(crate) fn record_paid(&self, latency: Duration) {
        self.paid.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
    }

    /// Returns the latencies recorded since the last call.
    pub(crate) fn take_paid(&self) -> Vec<Duration> {
        mem::take(&mut *self.paid.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn exchange(&self, route: Route, number: u64) -> Result<Outcome, BoxError> {
        let request = route.request(self.server, number)?;
        let response = self.http.request(request).await?;
        outcome_of(response.map(Body::new)).await
    }
}

impl Route {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Payments => "POST /payments",
            Self::Reports => "GET /reports",
            Self::Healthz => "GET /healthz",
        }
    }

    fn request(self, server: SocketAddr, number: u64) -> http::Result<Request<Body>> {
        match self {
            Self::Payments => Request::post(format!("http://{server}/payments"))
                .header(CONTENT_TYPE, "application/json")
                .body(payment(number).into()),
            Self::Reports => Request::get(format!("http://{server}/reports")).body(Body::empty()),
            Self::Healthz => Request::get(format!("http://{server}/healthz")).body(Body::empty()),
        }
    }
}

/// Spreads the payments over all orders, so that no page of the table stays hot.
fn payment(number: u64) -> String {
    let order = 1 + number * 7919 % u64::from(ORDERS);
    format!(r#"{{"order": {order}, "cents": 100}}"#)
}

async fn outcome_of(response: Response<Body>) -> Result<Outcome, BoxError> {
    let (head, body) = response.into_parts();
    // Always read to the end: only then can the connection be reused.
    let body = to_bytes(body, usize::MAX).await?;
    if head.status.is_success() {
        return Ok(Outcome::Answered);
    }
    if let Some(reason) = head.headers.get(REJECTION_HEADER) {
        return Ok(Outcome::Rejected(reason.to_str()?.to_owned()));
    }
    let text = String::from_utf8_lossy(&body);
    Ok(Outcome::Failed(format!("{}: {}", head.status, text.trim())))
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
