//! Feature `dashboard`: a page that shows every bulkhead of a registry live, as a tower service to mount at any path.
//!
//! It owns what is served under which path. `page` is the page itself, `overview` what `status.json` says, `recent` the
//! snapshots that its figures are differences of, and `changes` the calls that change something. Nothing is recorded
//! unless somebody asks.

mod changes;
mod overview;
mod page;
mod recent;

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited, combinators::Collect};
use pin_project_lite::pin_project;
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use serde::Serialize;
use tower_service::Service;

use self::{overview::Overview, recent::Recent};
use crate::{
    registry::BulkheadRegistry,
    sync::{Arc, Mutex},
};

/// The bytes that a request that changes something may have.
const CHANGE_LIMIT: usize = 4_096;

impl BulkheadRegistry {
    /// Returns a service that shows every bulkhead of this registry live, to mount at any path.
    ///
    /// See [`Dashboard`].
    #[must_use]
    pub fn dashboard(&self) -> Dashboard {
        Dashboard { registry: self.clone(), recent: Arc::default(), allows_changes: false }
    }
}

/// A page that shows every bulkhead of a registry live, with the figures behind it: an HTTP service.
///
/// | path | answer |
/// |---|---|
/// | `/` | the page: one self-contained HTML file, for browsers from 2023 on |
/// | `/status.json` | every bulkhead's status, what happened in the last minute, and the findings on it |
/// | `/metrics` | the metrics of a [`PrometheusCollector`] in Prometheus' text format |
/// | `/health` | 200 while the registry is open; 503 as soon as it is draining or closed |
///
/// Any other path is answered 404, and any other method than GET and HEAD 405. `status.json?window=300` covers
/// another time than the last 60 seconds: whole seconds from 1 to 600. The field `window_seconds` is the time that is
/// really covered; it is `null` as long as the figures are of all time, because the dashboard was never asked before.
/// `docs/status.schema.json` describes the answer as `overview`.
///
/// Paths are relative to where the service is mounted, so the prefix must be stripped, as `Router::nest_service` of axum does.
///
/// The page shows labels and numbers and never a key: of partitioned bulkheads it has counts, and its busiest partitions
/// as ranks. Still, what it shows is not for strangers. Put it on an address or behind a check of your own.
///
/// # Cost
///
/// Nothing while nobody asks. Each request for `status.json` or `metrics` takes the status of every bulkhead once. Those of
/// `status.json` are kept for ten minutes, up to 32 per bulkhead, each of some hundred bytes to some kilobytes.
///
/// # Examples
///
/// ```
/// use axum::Router;
/// use bulklink::{Bulkhead, BulkheadRegistry};
///
/// let registry = BulkheadRegistry::new();
/// registry.create(Bulkhead::builder("payments").parallelism(10))?;
/// let app: Router = Router::new().nest_service("/bulkheads", registry.dashboard());
/// # Ok::<(), bulklink::RegistryError>(())
/// ```
///
/// [`PrometheusCollector`]: crate::PrometheusCollector
#[derive(Clone, Debug)]
pub struct Dashboard {
    registry: BulkheadRegistry,
    recent: Arc<Mutex<Recent>>,
    allows_changes: bool,
}

impl Dashboard {
    /// Lets the page change capacities.
    ///
    /// It adds the path `/change`, which accepts POST of a JSON object of at most 4 KiB: a `label`, and a
    /// `capacity` in units. Partitioned bulkheads have no capacity to change.
    ///
    /// Whoever reaches the service can then change these settings, so it must be behind a check of your own. The
    /// service itself refuses only requests that a browser sends for a page of another origin (403).
    ///
    /// | answer | when |
    /// |---|---|
    /// | 200 | it is changed; the body is the new status |
    /// | 400 | the body is not such an object |
    /// | 403 | the request comes from a page of another origin |
    /// | 404 | no bulkhead has this label |
    /// | 409 | the bulkhead is closed |
    /// | 413 | the body is larger than 4 KiB |
    /// | 415 | the content type is not `application/json` |
    /// | 422 | the bulkhead is partitioned, or cannot have this capacity |
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::Router;
    /// # let registry = bulklink::BulkheadRegistry::new();
    /// let app: Router = Router::new().nest_service("/admin/bulkheads", registry.dashboard().allow_changes());
    /// ```
    #[must_use]
    pub fn allow_changes(mut self) -> Self {
        self.allows_changes = true;
        self
    }

    /// Answers a request that needs no body, or returns `None` if it is one for a change.
    fn answer(&self, method: &Method, uri: &Uri) -> Option<Response<Full<Bytes>>> {
        let known = match uri.path().trim_start_matches('/') {
            "" => Self::page,
            "status.json" => Self::status,
            "metrics" => Self::metrics,
            "health" => Self::health,
            "change" if self.allows_changes => {
                return (method != Method::POST).then(|| method_not_allowed("POST"));
            }
            _ => return Some(text(StatusCode::NOT_FOUND, "not found\n")),
        };
        Some(match *method {
            Method::GET | Method::HEAD => known(self, uri.query().unwrap_or_default()),
            _ => method_not_allowed("GET, HEAD"),
        })
    }

    fn page(&self, _query: &str) -> Response<Full<Bytes>> {
        let mut response = answer(
            StatusCode::OK,
            "text/html; charset=utf-8",
            Bytes::from_static(page::HTML.as_bytes()),
        );
        let policy = HeaderValue::from_static(page::CONTENT_SECURITY);
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        response
    }

    fn status(&self, query: &str) -> Response<Full<Bytes>> {
        match overview::window(query) {
            Ok(window) => {
                let now = self.registry.snapshot();
                let interval = self.recent.lock().interval(&now, window);
                json(
                    StatusCode::OK,
                    &Overview::new(&self.registry, &now, interval, self.allows_changes),
                )
            }
            Err(message) => text(StatusCode::BAD_REQUEST, message),
        }
    }

    fn metrics(&self, _query: &str) -> Response<Full<Bytes>> {
        let (mut metrics, mut body) = (Registry::default(), String::new());
        metrics.register_collector(Box::new(self.registry.prometheus()));
        match prometheus_text::encode(&mut body, &metrics) {
            Ok(()) => answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    fn health(&self, _query: &str) -> Response<Full<Bytes>> {
        if self.registry.is_closed() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "closed\n");
        }
        if self.registry.is_draining() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        text(StatusCode::OK, "ok\n")
    }
}

impl<B> Service<Request<B>> for Dashboard
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = DashboardFuture<B>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> DashboardFuture<B> {
        let response = self.answer(request.method(), request.uri()).map_or_else(
            || changes::refuse(request.uri(), request.headers()),
            |mut response| {
                if request.method() == Method::HEAD {
                    *response.body_mut() = Full::default();
                }
                Some(response)
            },
        );
        DashboardFuture {
            state: match response {
                Some(response) => State::Answered { response: Some(response) },
                None => State::Reading {
                    body: Limited::new(request.into_body(), CHANGE_LIMIT).collect(),
                    registry: self.registry.clone(),
                },
            },
        }
    }
}

pin_project! {
    /// The response future of a [`Dashboard`].
    #[must_use = "futures do nothing unless polled"]
    pub struct DashboardFuture<B>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<B>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Answered { response: Option<Response<Full<Bytes>>> },
        Reading {
            #[pin]
            body: Collect<Limited<B>>,
            registry: BulkheadRegistry,
        },
    }
}

impl<B> Future for DashboardFuture<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(match self.project().state.project() {
            StateProjection::Answered { response } => {
                response.take().expect("polled again after it was ready")
            }
            StateProjection::Reading { body, registry } => {
                changes::answer(registry, ready!(body.poll(cx)))
            }
        }))
    }
}

impl<B> fmt::Debug for DashboardFuture<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DashboardFuture").finish_non_exhaustive()
    }
}

/// A response that no browser keeps, guesses the type of or tells others about.
fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    response.headers_mut().extend(
        headers
            .map(|(name, value)| (name, HeaderValue::from_str(value).expect("is visible ASCII"))),
    );
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    answer(status, "text/plain; charset=utf-8", body)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(body) {
        Ok(body) => answer(status, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn method_not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
