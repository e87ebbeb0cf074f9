//! The shop's HTTP server: three routes, two of them behind a bulkhead in the second run.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bulklink::{
    Bulkhead, BulkheadLayer, BulkheadRegistry, BulkheadStatus, RegistryError, Rejection,
    RejectionReason,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::store::{Payment, Receipt, ReportRow, Store, StoreError};

/// Gives the reason for a rejection.
pub(crate) const REJECTION_HEADER: &str = "x-rejection";

/// Where the page is that shows the bulkheads live. `/` leads there.
pub(crate) const PAGE: &str = "/bulkheads/";

/// How long a shutdown waits for open connections.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) struct Bulkheads {
    pub(crate) payments: Bulkhead,
    pub(crate) reports: Bulkhead,
    pub(crate) registry: BulkheadRegistry,
}

impl Bulkheads {
    /// Together they admit 7 requests to the pool's 8 connections, so an admitted request never waits for one.
    pub(crate) fn new() -> Result<Self, RegistryError> {
        let registry = BulkheadRegistry::new();
        let payments = Bulkhead::builder("payments")
            .parallelism(6)
            .waiting_room(50)
            .wait_limit(Duration::from_secs(2));
        let reports = Bulkhead::builder("reports")
            .parallelism(1)
            .waiting_room(4)
            .wait_limit(Duration::from_secs(5));
        Ok(Self {
            payments: registry.create(payments)?,
            reports: registry.create(reports)?,
            registry,
        })
    }

    pub(crate) fn statuses(&self) -> Vec<BulkheadStatus> {
        vec![self.payments.status(), self.reports.status()]
    }
}

/// The bulkheads are the only difference between the two runs.
pub(crate) fn routes(store: Store, bulkheads: Option<&Bulkheads>) -> Router {
    let mut payments = post(pay);
    let mut reports = get(report);

    if let Some(bulkheads) = bulkheads {
        payments = payments.layer(BulkheadLayer::new(&bulkheads.payments).per_request());
        reports = reports.layer(BulkheadLayer::new(&bulkheads.reports).per_request());
    }

    Router::new()
        .route("/payments", payments)
        .route("/reports", reports)
        .route("/healthz", get(healthz))
        .layer(map_response(name_the_rejection))
        .with_state(store)
}

/// Adds the page that shows the bulkheads live.
pub(crate) fn with_page(routes: Router, bulkheads: &Bulkheads) -> Router {
    routes
        .nest_service(PAGE.trim_end_matches('/'), bulkheads.registry.dashboard())
        .route("/", get(|| async { Redirect::temporary(PAGE) }))
}

async fn pay(
    State(store): State<Store>,
    Json(payment): Json<Payment>,
) -> Result<Json<Receipt>, Failure> {
    let receipt = store.pay(payment).await?;
    receipt.map(Json).ok_or(Failure::NoSuchOrder)
}

async fn report(State(store): State<Store>) -> Result<Json<Vec<ReportRow>>, Failure> {
    Ok(Json(store.report().await?))
}

async fn healthz() -> &'static str {
    "ok\n"
}

enum Failure {
    NoSuchOrder,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NoSuchOrder => (StatusCode::NOT_FOUND, "no such order\n").into_response(),
            Self::Store(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
            }
        }
    }
}

/// A bulkhead leaves its rejection in the response's extensions, which the client does not see. This
/// copies the reason into a header.
async fn name_the_rejection(mut response: Response) -> Response {
    if let Some(rejection) = response.extensions().get::<Rejection>() {
        let reason = match rejection.reason() {
            RejectionReason::Saturated { .. } => "saturated",
            RejectionReason::WaitLimit { .. } => "wait-limit",
            RejectionReason::Deadline { .. } => "deadline",
            RejectionReason::Closed => "closed",
            _ => "other",
        };
        let reason = HeaderValue::from_static(reason);
        response.headers_mut().insert(REJECTION_HEADER, reason);
    }
    response
}

/// Binds the address and names it in the error.
pub(crate) async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// A server that runs until it is stopped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, routes: Router) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            axum::serve(listener, routes)
                .with_graceful_shutdown(async { stopped.await.unwrap_or_default() })
                .await
        });
        Ok(Self { address, stop, serving })
    }

    /// Accepts no new connections and lets the requests in flight finish.
    pub(crate) async fn stop(self) -> io::Result<()> {
        // An error only means that the server has already stopped.
        self.stop.send(()).ok();
        match timeout(SHUTDOWN_LIMIT, self.serving).await {
            Ok(served) => served?,
            Err(_) => Err(io::Error::other("some connections did not close in time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let taken = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(address).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
    }
}
